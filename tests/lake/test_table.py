import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import deltalake
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm_lake import schema, table
from eegfm_lake.errors import EegfmError, UsageError
from eegfm_lake.query import run_sql
from eegfm_lake.table import Lake


def row(recording_id, **fields):
    dataset, person, _ = recording_id.split("/")
    base = {
        "recording_id": recording_id,
        "profile": "eeg200",
        "dataset": dataset,
        "person": f"{dataset}/{person}",
    }
    return {**base, **fields}


def failure(path, sha256="f", **fields):
    return {"path": path, "sha256": sha256, "dataset": "d", "profile": "eeg200", "reason": "short", **fields}


def ids(lake):
    return sorted(lake.recordings(["recording_id"]).column(0).to_pylist())


def test_a_lake_that_is_not_there_is_not_made_by_looking(tmp_path):
    with pytest.raises(UsageError, match="no lake here"):
        Lake.open(tmp_path / "lake")
    assert not (tmp_path / "lake").exists()


def test_a_file_in_the_place_of_a_lake_is_refused(tmp_path):
    (tmp_path / "lake").write_text("x")
    with pytest.raises(UsageError, match="is a file; a lake is a folder"):
        Lake.open(tmp_path / "lake", create=True)


def test_a_lake_of_a_newer_contract_is_refused(tmp_path):
    Lake.open(tmp_path, create=True).storage.put_bytes(json.dumps({"contract": 99}).encode(), "lake.json")
    with pytest.raises(EegfmError, match="contract 99"):
        Lake.open(tmp_path)


def test_a_lake_whose_table_is_gone_says_so(shared_lake, lake):
    shutil.rmtree(lake.storage.full("recordings"))
    for ask in (lake.recordings, lambda: run_sql(lake, "SELECT 1")):
        with pytest.raises(EegfmError, match="recordings: the lake's table cannot be read") as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_a_recording_comes_back_as_it_was_committed(shared_lake, tmp_path):
    lake = Lake.open(tmp_path / "lake", create=True)
    stored = shared_lake.recordings(recording_id="tiny/P01/R1").to_pylist()
    stored[0]["phenotype"] = dict(stored[0]["phenotype"])
    lake.commit_recordings(stored)
    assert lake.recordings().equals(shared_lake.recordings(recording_id="tiny/P01/R1"))
    assert lake.recordings().schema.equals(schema.RECORDINGS)


@settings(max_examples=8, deadline=None)
@given(
    commits=st.lists(
        st.lists(
            st.tuples(st.sampled_from("abc'é"), st.sampled_from(["p", "q"]), st.integers(0, 99)), min_size=1
        ),
        max_size=4,
    )
)
def test_the_last_commit_of_a_key_wins_and_stands_once(commits, tmp_path_factory):
    lake = Lake.open(tmp_path_factory.mktemp("lake"), create=True)
    expected = {}
    for commit in commits:
        lake.commit_recordings(
            [row(f"d/{name}/1", profile=profile, target=float(value)) for name, profile, value in commit]
        )
        expected.update({(f"d/{name}/1", profile): float(value) for name, profile, value in commit})
    rows = lake.recordings(["recording_id", "profile", "target"]).to_pylist()
    assert len(rows) == len(expected)
    assert {(r["recording_id"], r["profile"]): r["target"] for r in rows} == expected


def test_equality_filters_take_one_value_or_several(tmp_path):
    lake = Lake.open(tmp_path, create=True)
    lake.commit_recordings([row("a/1/1"), row("b/1/1"), row("c/1/1")])
    assert lake.recordings(["dataset"], dataset="b").column(0).to_pylist() == ["b"]
    assert sorted(lake.recordings(["dataset"], dataset=["a", "c"]).column(0).to_pylist()) == ["a", "c"]
    assert lake.recordings(["dataset"], dataset=[]).num_rows == 0


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"profile": "eeg200"}, "lacks recording_id"),
        (row("d/1/1", colour="red"), "unknown field colour"),
        (row("d/1/1", age="old"), "age does not fit"),
    ],
)
def test_a_row_that_breaks_the_contract_is_refused(tmp_path, bad, said):
    lake = Lake.open(tmp_path, create=True)
    with pytest.raises(EegfmError, match=said):
        lake.commit_recordings([bad])
    assert ids(lake) == []


def test_failures_of_any_path_stand_once(tmp_path):
    lake = Lake.open(tmp_path, create=True)
    odd = "it's [x] %20 *?\n\\ü.edf"
    for _ in range(2):
        lake.commit_failures([failure(odd), failure(odd, sha256=None), failure("b.edf")])
    assert sorted(lake.failures().column("path").to_pylist()) == sorted([odd, odd, "b.edf"])


def test_a_failure_is_no_longer_shown_once_its_source_is_a_recording(tmp_path):
    lake = Lake.open(tmp_path, create=True)
    early, late = {"time": "2026-01-01T00:00:00"}, {"time": "2026-01-02T00:00:00"}
    lake.commit_failures(
        [
            failure("same.edf", "s", ingest=early),
            failure("repaired.edf", "broken", ingest=early),
            failure("spoilt.edf", "broken", ingest=late),
            failure("hopeless.edf", "h", ingest=early),
        ]
    )
    assert lake.failures().num_rows == 4
    lake.commit_recordings(
        [
            row("d/1/1", source={"path": "same.edf", "sha256": "s"}, ingest=early),
            row("d/2/1", source={"path": "repaired.edf", "sha256": "whole"}, ingest=late),
            row("d/3/1", source={"path": "spoilt.edf", "sha256": "whole"}, ingest=early),
        ]
    )
    assert sorted(lake.failures().column("path").to_pylist()) == ["hopeless.edf", "spoilt.edf"]
    assert ids(lake) == ["d/1/1", "d/2/1", "d/3/1"]  # a failure never takes a recording's place


def test_known_sources_tell_recordings_from_failures(tmp_path):
    lake = Lake.open(tmp_path, create=True)
    lake.commit_recordings([row("d/1/1", source={"path": "a.edf", "sha256": "good", "bytes": 7})])
    lake.commit_failures([failure("a.edf", "bad"), failure("b.edf", "bad", bytes=3)])
    known = lake.known_sources("d", "eeg200")
    assert (known["a.edf"].sha256, known["a.edf"].bytes, known["a.edf"].failed) == ("good", 7, False)
    assert known["a.edf"].failed_sha256 == ("bad",)
    assert (known["b.edf"].sha256, known["b.edf"].failed) == ("bad", True)
    assert lake.known_sources("d", "other") == {}


def test_rows_are_read_without_python_in_the_reader_s_threads(tmp_path, monkeypatch):
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.commit_recordings([row("d/p/1")])

    def refused(*_):
        raise AssertionError("a thread that calls Python can abort a process that ends")

    monkeypatch.setattr("deltalake.fs.DeltaStorageHandler.from_table", refused)
    assert ids(lake) == ["d/p/1"]


def test_a_full_disk_is_said_in_one_line_that_names_the_table(tmp_path, monkeypatch):
    lake = Lake.open(tmp_path / "lake", create=True)

    def full(*_, **__):
        raise OSError(
            "Generic LocalFileSystem error\n  \x1b[31m↳\x1b[0m No space left on device (os error 28)\n"
        )

    monkeypatch.setattr(deltalake, "write_deltalake", full)
    with pytest.raises(EegfmError, match=r"lake/recordings: .* no space left on the device; free some"):
        lake.commit_recordings([row("d/p/1")])


def test_compaction_changes_files_and_no_row(tmp_path):
    lake = Lake.open(tmp_path, create=True)
    for i in range(5):
        lake.commit_recordings([row(f"d/{i}/1")])
    before, version = ids(lake), lake.version()
    assert len(lake.live_files("recordings")) == 5
    lake.compact()
    assert len(lake.live_files("recordings")) == 1
    assert (ids(lake), lake.version() > version) == (before, True)
    assert all(lake.storage.exists(file) for file in lake.live_files("recordings"))


def test_compaction_comes_by_itself_with_the_commits(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "_COMPACT_EVERY", 10)
    lake = Lake.open(tmp_path, create=True)
    configuration = deltalake.DeltaTable(str(tmp_path / "recordings")).metadata().configuration
    assert configuration["delta.dataSkippingStatsColumns"] == "recording_id,profile,dataset"
    assert configuration["delta.enableDeletionVectors"] == "false"
    for i in range(10):
        lake.commit_recordings([row(f"d/{i % 3}/1")])
    assert len(lake.live_files("recordings")) == 1
    assert ids(lake) == ["d/0/1", "d/1/1", "d/2/1"]


def test_rows_of_an_older_contract_give_null_for_new_fields(tmp_path):
    old = pa.schema(
        [
            *[schema.RECORDINGS.field(name) for name in ("recording_id", "profile", "dataset", "person")],
            ("signal", pa.struct([("file", pa.string())])),
        ]
    )
    lake = Lake.open(tmp_path, create=True)
    rows = pa.Table.from_pylist([row("d/1/1", signal={"file": "f"})], schema=old)
    deltalake.write_deltalake(str(tmp_path / "recordings"), rows, mode="overwrite", schema_mode="overwrite")
    (found,) = lake.recordings().to_pylist()
    assert found["signal"] == {"file": "f", "rate": None, "samples": None, "step": None}
    assert found["age"] is None
    lake.commit_recordings([row("d/2/1", age=3.0)])
    assert lake.recordings(["recording_id", "age"]).sort_by("recording_id").to_pylist() == [
        {"recording_id": "d/1/1", "age": None},
        {"recording_id": "d/2/1", "age": 3.0},
    ]


COMMITTER = """
import sys
from eegfm_lake.table import Lake
path, name = sys.argv[1:]
lake = Lake.open(path, create=True)
for i in range(6):
    lake.commit_recordings(
        {"recording_id": key, "profile": "eeg200", "dataset": "d", "person": name}
        for key in (f"shared/{i}", f"{name}/{i}")
    )
"""


def test_committers_at_once_lose_nothing_and_double_nothing(tmp_path):
    names = ["a", "b", "c"]
    processes = [
        subprocess.Popen([sys.executable, "-c", COMMITTER, str(tmp_path / "lake"), name]) for name in names
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    lake = Lake.open(tmp_path / "lake")
    assert ids(lake) == sorted(f"{name}/{i}" for name in [*names, "shared"] for i in range(6))
    assert lake.version() == 6 * len(names)


def test_a_lake_made_by_several_at_once_begins_once(tmp_path):
    for turn in range(5):
        with ThreadPoolExecutor(4) as pool:
            lakes = list(pool.map(partial(Lake.open, create=True), 4 * [tmp_path / str(turn)]))
        assert {lake.version(name) for lake in lakes for name in table.TABLES} == {0}
