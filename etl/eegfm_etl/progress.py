"""What an ingest says while it runs: a bar in a terminal, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_EVERY_S = 10.0


class IngestProgress:
    """Files done, hours of EEG, rate and time left.

    Parameters
    ----------
    console : Console
        Where to; a bar only where it is a terminal.
    title : str
    total : int
        Files.
    """

    def __init__(self, console: Console, title: str, total: int) -> None:
        self._console, self._title, self._total = console, title, total
        self._started, self._said = time.monotonic(), time.monotonic()
        self._done, self._failed, self._hours = 0, 0, 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task(self._title, total=self._total, note="")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def advance(self, hours: float, failed: bool) -> None:
        """Count one file more."""
        self._done += 1
        self._failed += failed
        self._hours += hours
        self._bar.update(self._task, advance=1, note=self._note())
        now = time.monotonic()
        if not self._console.is_terminal and now - self._said >= _LINE_EVERY_S:
            self._said = now
            left_s = (self._total - self._done) * (now - self._started) / self._done
            self._console.print(
                f"{self._title}: {self._done}/{self._total} files, {self._note()}, {left_s:.0f} s left",
                highlight=False,
            )

    def _note(self) -> str:
        rate = self._done / max(time.monotonic() - self._started, 1e-9)
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._hours:.2f} h of EEG, {rate:.1f} files/s{failed}"
