"""What a download says while it runs."""

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from eegfm_etl.downloads.remote import RemoteFile

_LINE_EVERY_S = 10.0


class DownloadProgress:
    """Files and bytes that are there, the speed, and the time left where all sizes are known.

    Attributes
    ----------
    stop : bool
        Set by who wants the download to end at the next bytes.
    """

    def __init__(self, console: Console, files: Sequence[RemoteFile]) -> None:
        sizes = [file.bytes for file in files]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        self.stop = False
        self._console, self._n, self._whole, self._found = console, len(files), 0, 0
        self._have: dict[str, int] = {}
        self._came, self._started = 0, time.monotonic()
        self._said = self._started
        self._lock = threading.Lock()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(self._words(), total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def at(self, file: RemoteFile, have: int) -> None:
        """Say that so many bytes of a file are there already."""
        with self._lock:
            self._have[file.rel] = have
            self._show()

    def advance(self, file: RemoteFile, n_bytes: int) -> None:
        """Say that so many more bytes of it came."""
        with self._lock:
            self._have[file.rel] = self._have.get(file.rel, 0) + n_bytes
            self._came += n_bytes
            self._show()

    def whole(self, file: RemoteFile) -> None:
        """Say that a file is whole."""
        with self._lock:
            self._whole += 1
            self._show()

    def found(self, file: RemoteFile) -> None:
        """Say that a file was there, whole, before."""
        with self._lock:
            self._whole, self._found = self._whole + 1, self._found + 1
            self._have[file.rel] = file.bytes or 0
            self._show()

    def _words(self) -> str:
        return f"{self._whole:,}/{self._n:,} files"

    def _show(self) -> None:
        self._bar.update(self._task, completed=sum(self._have.values()), description=self._words())
        now = time.monotonic()
        if not self._console.is_terminal and now - self._said >= _LINE_EVERY_S:
            self._said = now
            rate = self._came / (now - self._started) / 1e6
            self._console.print(
                f"fetched {self._words()}, {self._came / 1e6:,.0f} MB at {rate:.1f} MB/s", highlight=False
            )
