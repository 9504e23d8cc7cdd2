"""The log of one ingest: one JSON object a line, kept in the lake beside the ingest's mark."""

import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from eegfm_lake.errors import EegfmError
from eegfm_lake.storage import Storage, explain_write_errors

_UPLOAD_EVERY_S = 60.0


class RunLog:
    """Writes ``ingests/<id>.log``.

    In a folder every line is there at once, so that a killed ingest leaves its log. An object cannot grow: there the
    whole log is stored again once a minute and at the end.
    """

    def __init__(self, storage: Storage, ingest_id: str) -> None:
        self.storage, self.rel = storage, f"ingests/{ingest_id}.log"
        self._uploaded = time.monotonic()
        if storage.is_local:
            with explain_write_errors(self.path):
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
                self._lines: BinaryIO = open(self.path, "ab", buffering=0)  # noqa: SIM115 - closed on exit
        else:
            self._lines = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit

    @property
    def path(self) -> str:
        """Where the log is kept."""
        return f"{self.storage.uri}/{self.rel}"

    def write(self, what: str, **facts: Any) -> None:
        """Add a line."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "what": what, **facts}
        with explain_write_errors(self.path):
            self._lines.write(json.dumps(line, ensure_ascii=False, default=str).encode() + b"\n")
        if not self.storage.is_local and time.monotonic() - self._uploaded > _UPLOAD_EVERY_S:
            self._upload()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if not self.storage.is_local:
                self._upload()
        except EegfmError as unwritten:
            if error is None:
                raise
            error.add_note(f"the log was not kept: {unwritten}")
        finally:
            self._lines.close()

    def _upload(self) -> None:
        self._uploaded = time.monotonic()
        self._lines.seek(0)
        self.storage.put_bytes(self._lines.read(), self.rel)


def read_log(storage: Storage, ingest_id: str) -> list[dict[str, Any]]:
    """Return the lines of an ingest's log; a last line that a kill cut short is left out.

    Raises
    ------
    EegfmError
        Where there is no such log.
    """
    lines = []
    for line in storage.read_bytes(f"ingests/{ingest_id}.log").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:  # cut short
            continue
    return lines


def logs_of(storage: Storage, dataset: str, newest: int = 20) -> dict[str, list[dict[str, Any]]]:
    """Return the logs of a data set's newest ingests by their ids, the newest last."""
    names = [Path(entry.rel).stem for entry in storage.list("ingests") if entry.rel.endswith(".log")]
    found: dict[str, list[dict[str, Any]]] = {}
    for name in sorted(names, reverse=True):
        lines = read_log(storage, name)
        if lines and lines[0].get("recipe") == dataset:
            found[name] = lines
        if len(found) == newest:
            break
    return dict(reversed(found.items()))
