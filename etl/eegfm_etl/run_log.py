"""The log of one ingest: one JSON object a line, kept in the lake beside the ingest's mark."""

import json
import tempfile
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from eegfm_lake.errors import EegfmError
from eegfm_lake.storage import Storage


class RunLog:
    """Collects lines and stores them as ``ingests/<id>.log`` when the ingest commits and when it ends."""

    def __init__(self, storage: Storage, ingest_id: str) -> None:
        self.storage, self.rel = storage, f"ingests/{ingest_id}.log"
        self._lines = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit

    @property
    def path(self) -> str:
        """Where the log is kept."""
        return f"{self.storage.uri}/{self.rel}"

    def write(self, what: str, **facts: Any) -> None:
        """Add a line; it is kept with the next `flush`."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "what": what, **facts}
        self._lines.write(json.dumps(line, ensure_ascii=False, default=str).encode() + b"\n")

    def flush(self) -> None:
        """Store what was written so far."""
        self._lines.seek(0)
        self.storage.put_bytes(self._lines.read(), self.rel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.flush()
        except EegfmError as unwritten:
            if error is None:
                raise
            error.add_note(f"the log was not kept: {unwritten}")
        finally:
            self._lines.close()
