import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eegfm_lake.cohort import freeze
from eegfm_lake.errors import EegfmError
from eegfm_lake.gc import HEARTBEAT_LIMIT_S, IngestMark, collect
from eegfm_lake.lock import find_lock, verify
from tests.lake.tiny import write_tiny_recording

ROOT = Path(__file__).parents[2]

INTERRUPTED = """
import sys
from eegfm_lake.gc import IngestMark
from eegfm_lake.table import Lake
from tests.lake.tiny import write_tiny_recording
lake = Lake.open(sys.argv[1])
with IngestMark(lake, "interrupted"):
    row = write_tiny_recording(lake, "tiny/P77/R1", trials=2, seed=77)
    print(row["signal"]["file"], flush=True)
    sys.stdin.read()  # killed here, between the signal file and its row
"""


def signals(lake):
    return {entry.rel for entry in lake.storage.list("signals")}


def named(lake):
    return {row["signal"]["file"] for row in lake.recordings(["signal"]).to_pylist()}


def test_killed_between_signal_and_row_leaves_an_orphan_that_gc_removes(lake):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, lake.storage.uri],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    orphan = process.stdout.readline().strip()
    assert orphan in signals(lake)
    with pytest.raises(EegfmError, match=r"an ingest is running \(interrupted\)"):
        collect(lake, min_age_s=0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert lake.recordings(recording_id="tiny/P77/R1").num_rows == 0
    planned = collect(lake, min_age_s=0, dry_run=True)
    assert (planned.removed, orphan in signals(lake)) == ([orphan], True)
    done = collect(lake, min_age_s=0)
    assert done == planned
    assert signals(lake) == named(lake)
    assert done.kept == len(named(lake))
    assert lake.storage.list("ingests") == []


def test_a_killed_process_that_nobody_waited_for_is_dead(lake):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, lake.storage.uri],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    orphan = process.stdout.readline().strip()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
    assert collect(lake, min_age_s=0).removed == [orphan]
    process.wait()


@pytest.mark.parametrize(("age_s", "lives"), [(0.0, True), (HEARTBEAT_LIMIT_S + 60, False)])
def test_a_mark_from_another_machine_lives_by_its_heartbeat(lake, age_s, lives):
    mark = {"host": "elsewhere", "pid": 1, "started": "1", "heartbeat": time.time() - age_s}
    lake.storage.put_bytes(json.dumps(mark).encode(), "ingests/far.json")
    if lives:
        with pytest.raises(EegfmError, match=r"running \(far\)"):
            collect(lake, min_age_s=0)
    else:
        assert collect(lake, min_age_s=0).removed == []
        assert lake.storage.list("ingests") == []


def test_a_number_that_went_to_another_process_is_no_ingest(lake):
    mark = {"host": socket.gethostname(), "pid": os.getpid(), "started": "12", "heartbeat": time.time()}
    lake.storage.put_bytes(json.dumps(mark).encode(), "ingests/old.json")
    assert collect(lake, min_age_s=0).removed == []


def test_an_ingest_does_not_begin_while_gc_runs(lake):
    with IngestMark(lake, "gc-here"), pytest.raises(EegfmError, match="eegfm gc is running"):
        IngestMark(lake, "mine").__enter__()
    with IngestMark(lake, "mine") as mark:
        mark.beat()
        assert [entry.rel for entry in lake.storage.list("ingests")] == ["ingests/mine.json"]
    assert lake.storage.list("ingests") == []


def test_what_a_lock_names_outlives_the_recording(lake):
    freeze(
        lake, "SELECT recording_id, start, seconds FROM windows(10, 10) WHERE dataset = 'gappy'", name="kept"
    )
    old = {row["signal"]["file"] for row in lake.recordings(["signal"], dataset="gappy").to_pylist()}
    lake.commit_recordings(
        [write_tiny_recording(lake, f"gappy/P{i:02d}/R1", trials=2, seed=50 + i) for i in (1, 2)]
    )
    superseded = {row["signal"]["file"] for row in lake.recordings(["signal"], dataset="tiny").to_pylist()}
    lake.commit_recordings([write_tiny_recording(lake, "tiny/P01/R1", trials=2, seed=99)])
    superseded -= named(lake)
    assert set(collect(lake, min_age_s=0).removed) == superseded
    assert old <= signals(lake)
    verify(find_lock("kept", lake.storage.uri))
    shutil.rmtree(find_lock("kept", lake.storage.uri).path)
    assert set(collect(lake, min_age_s=0).removed) == old


def test_young_files_are_spared(lake):
    write_tiny_recording(lake, "tiny/P77/R1", trials=2, seed=77)
    assert collect(lake, min_age_s=3600).removed == []


def test_half_written_files_go_and_foreign_files_stay(lake):
    half = "signals/tiny/.abc.parquet.12345678.tmp"
    half_lock = "cohorts/.mine@abc.12345678.tmp/windows.parquet"
    for rel in (half, half_lock, "signals/tiny/README.txt"):
        lake.storage.put_bytes(b"x", rel)
    assert sorted(collect(lake, min_age_s=0).removed) == sorted([half, half_lock])
    assert lake.storage.exists("signals/tiny/README.txt")
    assert not lake.storage.exists("cohorts/.mine@abc.12345678.tmp")


def test_an_unreadable_lock_stops_the_collection(lake):
    lake.storage.put_bytes(b"damaged", "cohorts/mine@abc/recordings.parquet")
    with pytest.raises(EegfmError, match=r"mine@abc/recordings\.parquet: unreadable"):
        collect(lake, min_age_s=0)
