"""Remove what a crash left behind: signal files that no row and no lock names, and half-written files."""

import json
import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pyarrow.parquet as pq

from eegfm_lake.errors import EegfmError
from eegfm_lake.lock import COHORTS
from eegfm_lake.storage import TEMPORARY_SUFFIX, Entry
from eegfm_lake.table import Lake

MARKS = "ingests"
HEARTBEAT_LIMIT_S = 15 * 60.0
"""A mark from another machine is dead when its heartbeat is older."""

_MIN_AGE_S = 60.0
_SIGNAL_NAME = re.compile(r"signals/.+/[0-9a-f]{64}\.parquet")
_COLLECTING = "gc"


@dataclass(frozen=True)
class Collected:
    """What a collection removed, or would remove."""

    removed: list[str]  # names below the lake's root
    bytes: int
    kept: int  # signal files left


class IngestMark:
    """Say that an ingest lives, so that nothing which its next row may name is collected.

    A context manager around an ingest.

    Parameters
    ----------
    lake
        The lake that is written to.
    ingest_id
        Name of the ingest, unique.

    Raises
    ------
    EegfmError
        On entry: a collection is running.
    """

    def __init__(self, lake: Lake, ingest_id: str) -> None:
        self._lake, self._id = lake, ingest_id
        self._rel = f"{MARKS}/{ingest_id}.json"

    def __enter__(self) -> "IngestMark":
        self.beat()
        # Mark first, look second, as a collection does: one of the two always sees the other.
        if collecting := _living(self._lake, own=self._id, of_collections=True):
            self._lake.storage.delete(self._rel)
            raise EegfmError(
                f"{self._lake.storage.uri}: eegfm gc is running ({collecting[0]}); try again later"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lake.storage.delete(self._rel)

    def beat(self) -> None:
        """Renew the heartbeat; an ingest calls it at every commit, and at least every few minutes."""
        pid = os.getpid()
        mark = {
            "host": socket.gethostname(),
            "pid": pid,
            "started": _process_start(pid),
            "heartbeat": time.time(),
        }
        self._lake.storage.put_bytes(json.dumps(mark).encode(), self._rel)


def collect(lake: Lake, *, dry_run: bool = False, min_age_s: float = _MIN_AGE_S) -> Collected:
    """Remove signal files that neither a recording nor a lock names, and what was never finished.

    Parameters
    ----------
    lake
        The lake to clean.
    dry_run
        Whether to say only what would go.
    min_age_s
        Younger files are spared.

    Returns
    -------
    Collected

    Raises
    ------
    EegfmError
        An ingest lives, or a lock cannot be read, so that nobody knows what it names.
    """
    own = f"{_COLLECTING}-{socket.gethostname()}-{os.getpid()}"
    with IngestMark(lake, own):
        if living := _living(lake, own=own, of_collections=False):
            raise EegfmError(
                f"{lake.storage.uri}: an ingest is running ({', '.join(living)}); collect when it has ended"
            )
        youngest = time.time() - min_age_s
        named = _named_files(lake)
        signals = lake.storage.list("signals")
        leftovers = [entry for entry in [*signals, *lake.storage.list(COHORTS)] if _is_unfinished(entry)]
        orphans = [entry for entry in signals if _SIGNAL_NAME.fullmatch(entry.rel) and entry.rel not in named]
        going = [entry for entry in orphans + leftovers if entry.modified <= youngest]
        if not dry_run:
            for entry in going:
                lake.storage.delete(entry.rel)
            _remove_empty_folders(lake)
        n_signals = sum(bool(_SIGNAL_NAME.fullmatch(entry.rel)) for entry in signals)
        n_gone = sum(entry in orphans for entry in going)
        return Collected(
            [entry.rel for entry in going], sum(entry.bytes for entry in going), n_signals - n_gone
        )


def _named_files(lake: Lake) -> set[str]:
    rows = lake.recordings(["signal"]).to_pylist()
    named: set[str] = {row["signal"]["file"] for row in rows if row["signal"]}
    for entry in lake.storage.list(COHORTS):
        if not entry.rel.endswith("/recordings.parquet") or _is_unfinished(entry):
            continue
        try:
            with lake.storage.open(entry.rel) as file:
                named.update(pq.read_table(file, columns=["signal_file"]).column(0).to_pylist())
        except (OSError, ValueError) as error:  # pyarrow's own errors are among them
            raise EegfmError(
                f"{entry.rel}: unreadable, so what this lock names is unknown; mend or remove it ({error})"
            ) from error
    return named


def _is_unfinished(entry: Entry) -> bool:
    return any(part.startswith(".") and part.endswith(TEMPORARY_SUFFIX) for part in entry.rel.split("/"))


def _living(lake: Lake, own: str, of_collections: bool) -> list[str]:
    living = []
    for entry in lake.storage.list(MARKS):
        name = Path(entry.rel).stem
        if name == own or not entry.rel.endswith(".json"):
            continue
        if name.startswith(f"{_COLLECTING}-") != of_collections:
            continue
        try:
            mark = json.loads(lake.storage.read_bytes(entry.rel))
        except EegfmError:  # its ingest ended between the listing and the reading
            continue
        if _is_alive(mark):
            living.append(name)
        else:
            lake.storage.delete(entry.rel)
    return living


def _is_alive(mark: dict[str, object]) -> bool:
    if mark["host"] != socket.gethostname():
        return time.time() - float(str(mark["heartbeat"])) < HEARTBEAT_LIMIT_S
    pid = int(str(mark["pid"]))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return mark["started"] == _process_start(pid)  # else the number went to another process


def _process_start(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # no /proc on this system: the number alone must do
        return None
    fields = stat.rpartition(")")[2].split()
    # A process that nobody has waited for yet is dead all the same.
    return None if fields[0] == "Z" else fields[19]


def _remove_empty_folders(lake: Lake) -> None:
    if not lake.storage.is_local:
        return
    for folder in Path(lake.storage.full(COHORTS)).glob(f".*{TEMPORARY_SUFFIX}"):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
