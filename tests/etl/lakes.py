"""What tests of whole ingests ask of a lake, and how they start one in a process of its own."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from eegfm_lake.signals import open_signal
from eegfm_lake.storage import Storage
from eegfm_lake.table import Lake

RUN = (  # a shell has its background jobs ignore SIGINT, and their children with them
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from eegfm_etl.ingest import ingest; from eegfm_etl.cluster import parse_workers; "
    "ingest(sys.argv[1], sys.argv[4], source=sys.argv[2], workers=parse_workers(sys.argv[3]), only=sys.argv[5:])"
)


def rows_of(lake_uri: str | Path) -> list[dict]:
    return sorted(Lake.open(lake_uri).recordings().to_pylist(), key=lambda row: row["recording_id"])


def assert_whole(lake_uri: str | Path, recordings: int) -> None:
    """Every recording is there once, and its signals can be read to the last sample."""
    rows = rows_of(lake_uri)
    assert len(rows) == recordings
    assert max(Counter((row["recording_id"], row["profile"]) for row in rows).values()) == 1
    for row in rows:
        reader = open_signal(Storage(lake_uri), row["signal"]["file"])
        assert reader.n_samples == row["signal"]["samples"]
        assert reader.read(0, reader.n_samples).shape[1] == reader.n_samples


def signals_of(lake_uri: str | Path) -> list[Path]:
    return sorted(Path(lake_uri).glob("signals/*/*.parquet"))


def start(
    lake_uri: str | Path, source: Path, workers: str = "0", *only: str, recipe: str = "eegmmidb", **popen
) -> subprocess.Popen:
    words = [str(lake_uri), str(source), workers, recipe, *only]
    return subprocess.Popen([sys.executable, "-c", RUN, *words], start_new_session=True, **popen)


def wait_until(
    condition: Callable[[], bool], process: subprocess.Popen | None = None, limit_s: float = 120
) -> None:
    """Watch another process's work; there is nothing to wait on but what it leaves."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert process is None or process.poll() is None, "it ended before it did anything"
        assert time.monotonic() < deadline
        time.sleep(0.02)
