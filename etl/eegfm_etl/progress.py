"""What an ingest says while it runs: a bar in a terminal, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

_LINE_EVERY_S = 10.0


def counted(n: int, noun: str) -> str:
    """Return ``1 file``, ``2,000 files``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def lasting(seconds: float) -> str:
    """Return a duration as people say it: ``40 s``, ``12 min``, ``3 h 20 min``, ``2 d 5 h``."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


class IngestProgress:
    """Files done, hours of EEG, their rate, and the time left, estimated by bytes: files differ a thousandfold.

    Parameters
    ----------
    console : Console
        Where to; a bar only where it is a terminal.
    title : str
    total : int
        Files.
    total_bytes : int
        Of all of them; 0 where unknown, then the time left is estimated by files.
    """

    def __init__(self, console: Console, title: str, total: int, total_bytes: int = 0) -> None:
        self._console, self._title, self._total, self._total_bytes = console, title, total, total_bytes
        self._started, self._said = time.monotonic(), time.monotonic()
        self._done, self._failed, self._hours, self._bytes = 0, 0, 0.0, 0
        self._workers: int | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task(self._title, total=self._total, note="")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def advance(self, hours: float, failed: bool, n_bytes: int = 0) -> None:
        """Count one file more."""
        self._done += 1
        self._failed += failed
        self._hours += hours
        self._bytes += n_bytes
        self.tick(advance=1)

    def tick(self, advance: int = 0) -> None:
        """Say where it stands; in a terminal at once, elsewhere when the last line is some seconds old."""
        self._bar.update(self._task, advance=advance, note=self._note())
        now = time.monotonic()
        if not self._console.is_terminal and now - self._said >= _LINE_EVERY_S:
            self._said = now
            self._console.print(
                f"{self._title}: {self._done:,}/{self._total:,} files, {self._note()}", highlight=False
            )

    def workers(self, n: int) -> None:
        """Say that so many threads work now; none is worth a line of its own."""
        if n == 0 and self._workers != 0:
            self._console.print(
                f"{self._title}: no worker is there; waiting for one (Ctrl-C keeps what is done)",
                highlight=False,
            )
        self._workers = n

    def left_s(self) -> float | None:
        """Seconds left; None before the first file is done."""
        spent = time.monotonic() - self._started
        share = self._bytes / self._total_bytes if self._total_bytes else self._done / self._total
        return spent * (1 - share) / share if share > 0 else None

    def _note(self) -> str:
        rate = self._hours / max(time.monotonic() - self._started, 1e-9)
        parts = [f"{self._hours:,.2f} h of EEG, {rate:.2g} h/s"]
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        if self._workers is not None:
            parts.append(counted(self._workers, "worker"))
        if self._done < self._total and (left_s := self.left_s()) is not None:
            parts.append(f"{lasting(left_s)} left")
        return ", ".join(parts)
