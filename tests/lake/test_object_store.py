import subprocess
import sys

import numpy as np
import pytest

from eegfm_lake.cohort import freeze
from eegfm_lake.errors import EegfmError
from eegfm_lake.gc import collect
from eegfm_lake.lock import find_lock, verify
from eegfm_lake.query import run_sql
from eegfm_lake.signals import open_signal
from eegfm_lake.storage import Storage
from eegfm_lake.table import Lake
from tests.lake.tiny import write_tiny_lake, write_tiny_recording

IMAGERY = "SELECT recording_id, start, seconds, label FROM trials('motor/imagery/*', 0, 4)"


def test_an_object_store_keeps_lists_and_gives_back_files(bucket, tmp_path):
    storage = Storage(bucket)
    storage.put_bytes(b"one", "a/one")
    (tmp_path / "local").write_bytes(b"two" * 5_000_000)
    storage.put_file(tmp_path / "local", "a/b/two", move=True)
    listed = [(entry.rel, entry.bytes) for entry in storage.list("a")]
    assert listed == [("a/b/two", 15_000_000), ("a/one", 3)]
    assert storage.read_bytes("a/b/two")[-3:] == b"two"
    assert not (tmp_path / "local").exists()
    storage.delete("a/one")
    assert not storage.exists("a/one")
    with pytest.raises(EegfmError, match="no such file"):
        storage.open("a/one")


def test_a_whole_lake_lives_in_an_object_store(bucket, tmp_path):
    lake = write_tiny_lake(bucket, people=2, runs=1, trials=4)
    local = write_tiny_lake(tmp_path / "lake", people=2, runs=1, trials=4)
    lake.commit_failures(
        [{"path": "bad.edf", "sha256": "f", "dataset": "tiny", "profile": "eeg200", "reason": "short"}]
    )
    assert Lake.open(bucket).recordings(["recording_id"]).num_rows == 2
    assert run_sql(lake, "SELECT reason FROM failures").to_pylist() == [{"reason": "short"}]
    shown = "SELECT * FROM trials('motor', 0, 4) ORDER BY recording_id, start"
    assert run_sql(lake, shown).equals(run_sql(local, shown))

    frozen = freeze(lake, IMAGERY, name="imagery")
    assert frozen.hash == freeze(local, IMAGERY, name="imagery").hash
    assert freeze(lake, IMAGERY, name="imagery").existed
    lock = find_lock("imagery", bucket)
    verify(lock)
    window, here = lock.windows.slice(3, 1).to_pylist()[0], find_lock("imagery", tmp_path / "lake")
    rel = lock.recordings.column("signal_file")[window["recording"]].as_py()
    span = (window["first_sample"], window["samples"])
    np.testing.assert_array_equal(
        open_signal(lock.signals, rel).read(*span), open_signal(here.signals, rel).read(*span)
    )


def test_orphans_in_an_object_store_are_collected(bucket):
    lake = write_tiny_lake(bucket, people=1, runs=1, trials=2)
    orphan = write_tiny_recording(lake, "tiny/P09/R1", trials=2, seed=9)["signal"]["file"]
    assert collect(lake, min_age_s=0).removed == [orphan]
    assert [entry.rel for entry in lake.storage.list("signals")] == [
        row["signal"]["file"] for row in lake.recordings(["signal"]).to_pylist()
    ]
    assert lake.storage.list("ingests") == []


COMMITTER = """
import sys
from eegfm_lake.table import Lake
uri, name = sys.argv[1:]
lake = Lake.open(uri)
for i in range(4):
    lake.commit_recordings(
        {"recording_id": key, "profile": "eeg200", "dataset": "d", "person": name}
        for key in (f"shared/{i}", f"{name}/{i}")
    )
"""


def test_committers_at_once_lose_nothing_in_an_object_store(bucket):
    lake = Lake.open(bucket, create=True)
    processes = [subprocess.Popen([sys.executable, "-c", COMMITTER, bucket, name]) for name in "ab"]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    found = sorted(lake.recordings(["recording_id"]).column(0).to_pylist())
    assert found == sorted(f"{name}/{i}" for name in ("a", "b", "shared") for i in range(4))
    assert lake.version() == 8
