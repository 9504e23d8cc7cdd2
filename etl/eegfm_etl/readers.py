"""Read sources in a child process that may crash, hang or grow without harm to the worker."""

import os
import pickle
import selectors
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from eegfm_etl import reader_child
from eegfm_etl.sniff import sniff
from eegfm_etl.source import Ask, Headed, OpenSource, SourceError, SourceHeader
from eegfm_lake.allocator import DASKS_SETTING

__all__ = [
    "ProcessSource",
    "ReaderKilledError",
    "ReaderProcess",
    "SourceError",
    "SourceHeader",
    "open_source",
]

IN_PROCESS = ("EDF", "BDF")
TIME_LIMIT_S = 120.0
MEMORY_LIMIT_BYTES = 6 * 2**30  # address space: libraries reserve about 2 GiB that they never touch
_QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MNE_LOGGING_LEVEL": "ERROR"}
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM)  # no fault of a library's ends a process so
RESIDENT_LIMIT_BYTES = 2 * 2**30  # a child that has grown beyond this is replaced before the next file


class ReaderKilledError(SourceError):
    """Somebody else killed the reader: that says nothing about the file, so it may be tried again."""


class ReaderProcess:
    """One long-lived child that opens sources with MNE; replaced when it dies, hangs or grows.

    Parameters
    ----------
    time_limit_s
        Seconds that one call may take.
    memory_limit_bytes
        Address space of the child.
    resident_limit_bytes
        Resident memory above which the child is replaced before the next file.
    program
        What the interpreter runs as the child.
    """

    def __init__(
        self,
        *,
        time_limit_s: float = TIME_LIMIT_S,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        resident_limit_bytes: int = RESIDENT_LIMIT_BYTES,
        program: Sequence[str] = ("-m", "eegfm_etl.reader_child"),
    ) -> None:
        self.time_limit_s = time_limit_s
        self.memory_limit_bytes = memory_limit_bytes
        self.resident_limit_bytes = resident_limit_bytes
        self._program = tuple(program)
        self._child: subprocess.Popen[bytes] | None = None
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this; what the child says before it dies
        self._path = Path()
        self._resident = 0

    def header(self, path: str | Path, ask: Ask | None = None) -> SourceHeader:
        """Open a source and return its header.

        Parameters
        ----------
        path
            The file, or the folder where the format is one.
        ask
            What the reader must be told.

        Raises
        ------
        SourceError
            Where it cannot be read, took too long, needed too much memory or killed the reader.
        """
        self._path = Path(path)
        if self._resident > self.resident_limit_bytes:
            self.close()
        return self._ask(("open", str(self._path), ask or Ask()))

    def read(self, start: int, stop: int, rows: Sequence[int] | None = None) -> np.ndarray:
        """Return samples of the source opened last, float64 in µV, shape (channels, stop - start).

        As `eegfm_etl.chain.samples.SampleSource.read`.

        Raises
        ------
        SourceError
            As `header`.
        """
        chosen = None if rows is None else [int(row) for row in rows]
        return self._ask(("read", int(start), int(stop), chosen))

    def open(self, path: str | Path, ask: Ask | None = None) -> OpenSource:
        """Open a source for `eegfm_etl.chain.harmonise`; valid until the next one is opened.

        EDF and BDF are read in the caller's own process: nothing of their reader can crash it, and to send samples
        through a pipe costs as much as to read them.
        """
        kind = sniff(Path(path))
        if kind in IN_PROCESS:
            return open_source(path, ask, kind)
        return ProcessSource(self, self.header(path, ask))

    @property
    def pid(self) -> int | None:
        """Process id of the child; None while there is none."""
        return None if self._child is None else self._child.pid

    def close(self) -> None:
        """End the child; the next call starts another."""
        child, self._child, self._resident = self._child, None, 0
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # a request that the dead child never took
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        self._words.close()

    def _start(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C at the terminal must not look like a damaged file.
        return subprocess.Popen(
            [sys.executable, *self._program, str(self.memory_limit_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            start_new_session=True,
            env=dict(os.environ.items() - {DASKS_SETTING}) | _QUIET,
        )

    def _ask(self, request: tuple[Any, ...]) -> Any:
        if self._child is None:
            self._words.seek(0)
            self._words.truncate()
            self._child = self._start()
        child = self._child
        assert child.stdin is not None, "_start makes it a pipe"
        assert child.stdout is not None, "_start makes it a pipe"
        try:
            reader_child.send(child.stdin, request)
            reply = _receive(child.stdout, time.monotonic() + self.time_limit_s)
        except BrokenPipeError:
            reply = None
        except TimeoutError:
            self.close()
            raise self._error(f"took longer than {self.time_limit_s:g} s to read and was given up") from None
        if reply is None:
            raise self._died(child)
        kind, answer, self._resident = reply
        match kind:
            case "ok":
                return answer
            case "error":
                raise SourceError(*answer)
            case "memory":
                self.close()
                gib = self.memory_limit_bytes / 2**30
                words = f"{self._path.name} needs more memory to read than the limit of {gib:.1f} GiB"
                raise SourceError("memory", words, answer)
            case _:
                raise self._error(
                    "makes the reader fail in a way it does not explain; the detail has its words", answer
                )

    def _died(self, child: subprocess.Popen[bytes]) -> SourceError:
        code = child.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        self.close()
        if -code in _FROM_OUTSIDE:
            words = f"had its reader killed from outside ({how}), most often because the machine ran out of memory: "
            return ReaderKilledError(
                "worker",
                f"{self._path.name} {words}give it fewer --workers, then --retry-failed",
                self._last_words(),
            )
        return self._error(
            f"crashed the reader ({how}): it is damaged, or of a variant the reader does not know",
            self._last_words(),
        )

    def _last_words(self) -> str:
        self._words.seek(0)
        return self._words.read().decode(errors="replace")[-4000:]

    def _error(self, words: str, detail: str = "") -> SourceError:
        return SourceError("read", f"{self._path.name} {words}", detail)


class ProcessSource(Headed):
    """A source read through a `ReaderProcess`; a `SampleSource` for `eegfm_etl.chain.harmonise`."""

    def __init__(self, process: ReaderProcess, header: SourceHeader) -> None:
        self._process, self.header = process, header

    def read(self, start: int, stop: int, rows: Sequence[int] | None = None) -> np.ndarray:
        """Return samples ``start`` to ``stop`` of channels of one rate, float64 in µV, (rows, stop - start)."""
        return self._process.read(start, stop, rows)


def open_source(path: str | Path, ask: Ask | None = None, kind: str | None = None) -> OpenSource:
    """Open a source in this process; see `eegfm_etl.formats.open_source`."""
    from eegfm_etl.formats import open_source as open_in_process  # MNE takes half a second to import

    return open_in_process(path, ask, kind)


def _receive(pipe: IO[bytes], deadline: float) -> tuple[Any, ...] | None:
    """One message; None where the child has gone; TimeoutError past the deadline."""
    length = _read_exactly(pipe, 8, deadline)
    if length is None:
        return None
    data = _read_exactly(pipe, struct.unpack("<Q", length)[0], deadline)
    return None if data is None else pickle.loads(data)


def _read_exactly(pipe: IO[bytes], n_bytes: int, deadline: float) -> bytearray | None:
    data, view = bytearray(n_bytes), 0
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while view < n_bytes:
            if not selector.select(max(deadline - time.monotonic(), 0)):
                raise TimeoutError
            part = os.read(pipe.fileno(), min(n_bytes - view, 2**20))
            if not part:
                return None
            data[view : view + len(part)] = part
            view += len(part)
    return data
