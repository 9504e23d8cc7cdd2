"""What one file cost and where: seconds by step, the worker, what is worth a second look."""

import os
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

_PERSONAL = re.compile(r"birth|patient|subject|person|date", re.IGNORECASE)


@dataclass
class Effort:
    """Seconds that one file took, in all and by step.

    Attributes
    ----------
    worker : str
        ``host:process id``.
    seconds : float
        In all; 0 until it is `stopped`.
    steps : dict of str to float
        Seconds of each step, repetitions added up.
    said : tuple of str
        What the reader of the file warned of.
    """

    worker: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}")
    seconds: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    _started: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what happens inside towards a step, whether it succeeds or not."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.steps[name] = self.steps.get(name, 0.0) + time.monotonic() - started

    def reader_said(self, warnings: Iterable[str], folder: Path) -> None:
        """Keep a reader's warnings, but for those about a person or a date, and without the folder's path."""
        kept = [words.replace(f"{folder}/", "") for words in warnings if not _PERSONAL.search(words)]
        self.said = tuple(kept)

    def stopped(self) -> Self:
        """Stop the clock."""
        self.seconds = time.monotonic() - self._started
        return self

    def facts(self) -> dict[str, Any]:
        """As the log keeps it, rounded to milliseconds."""
        steps = {name: round(seconds, 3) for name, seconds in self.steps.items()}
        facts = {"seconds": round(self.seconds, 3), "steps": steps, "worker": self.worker}
        return facts | ({"reader_said": list(self.said)} if self.said else {})


def warnings_of(row: Mapping[str, Any]) -> list[str]:
    """List what a row of `eegfm_lake.schema.RECORDINGS` holds that its laboratory should know, in words."""
    found = list(row["source"]["notes"])
    for status, words in (("dropped", "left out"), ("bad", "marked bad")):
        if named := [one["source_name"] for one in row["channels"] if one["status"] == status]:
            found.append(f"{words}: {', '.join(named)}")
    bad_blocks = sum(not one["good"] for one in row["blocks"])
    if bad_blocks:
        found.append(f"{bad_blocks} of {len(row['blocks'])} blocks of 10 s are not good")
    if row["trailing_zeros_cut"]:
        found.append(f"{row['trailing_zeros_cut']} samples of zeros cut from its end")
    return found
