import subprocess
import sys
from pathlib import Path

import pytest

from eegfm_etl.workplace import scratch_folder, settle_in, source_root, sweep
from eegfm_lake.errors import EegfmError
from eegfm_lake.table import Lake

HOLD = "from eegfm_etl.workplace import scratch_folder\nwith scratch_folder() as f: print(f, flush=True); input()"


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def test_scratch_of_a_killed_process_is_swept_and_that_of_a_living_one_is_not():
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        theirs = Path(other.stdout.readline().strip())
        (theirs / "signal.parquet").write_bytes(b"half")
        with scratch_folder() as ours:
            assert sweep() == 0
            assert theirs.is_dir()
            other.kill()
            other.wait()
            assert sweep() == 1
            assert ours.is_dir()
            assert not theirs.exists()
    assert not ours.exists()


def test_a_worker_that_sees_neither_source_nor_lake_says_so(tmp_path: Path):
    root, lake = tmp_path / "source", tmp_path / "lake"
    with pytest.raises(EegfmError, match=r"does not see the source .*source: all workers must reach"):
        settle_in(str(root), str(lake))
    root.mkdir()
    with pytest.raises(EegfmError, match=r"does not see the lake .*lake: all workers must reach"):
        settle_in(str(root), str(lake))
    Lake.open(lake, create=True)
    settle_in(str(root), str(lake))


def test_the_root_of_a_source_is_where_its_relative_path_begins():
    assert source_root(Path("/data/a/b/c.edf"), "b/c.edf") == Path("/data/a")
    assert source_root(Path("/data/c.edf"), "c.edf") == Path("/data")
