"""ANT Neuro .cnt with its .evt: read by MNE (antio), after a look that both are whole.

antio's library believes both files: a damaged length, or a value without a name, ends its process or keeps it busy
for ever. So the tree of chunks (RIFF, or RF64 with sizes of 64 bits), the tables that say where samples lie, and every
event are followed here first. The layouts are those of libeep 3.3.177 (libcnt/cnt.c and evt.c).
"""

import re
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import mne
import numpy as np

from eegfm_etl.formats.of_mne import explained, recording
from eegfm_etl.formats.recording import Recording
from eegfm_etl.source import Ask, SourceError

_LARGEST_EPOCH = 2**28  # bytes of samples that antio holds at once: real ones have some megabytes
_LISTS = (b"RIFF", b"RF64", b"LIST")
_NEEDED = (b"eeph", b"info", b"chan", b"ep  ", b"data")  # antio does not look whether they are there
# In the chunk info, a date whose line is followed by none: antio then goes on without the chunk, and dies of it
_NO_DATE = re.compile(
    rb"^\[.*Start(?:Date|Fraction)\].*\n(?!\s*[-+]?\.?\d)"
    rb"|^\[.*SubjectDateOfBirth\].*\n(?!\s*[-+]?\d+(?:\s+[-+]?\d+){8})",
    re.MULTILINE,
)

# Types of values, as OLE automation numbers them, to the bytes of one
_EMPTY, _SIZES, _TEXT = (0, 1), {2: 2, 3: 4, 4: 4, 5: 8, 19: 4}, 8
_ARRAY, _OF_FLOATS = 0x2000 | 0x4000, 4
_MARKED = (b"class dcEventMarker_c", b"class dcArtefactEvent_c")
_EPOCH = b"class dcEpochEvent_c"


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open an ANT .cnt.

    Raises
    ------
    SourceError
        Where it or its .evt is damaged, or it holds no EEG.
    """
    with explained(path, "ANT") as warned:
        with path.open("rb") as file:
            refuse_damaged_chunks(file, path)
        events = path.with_suffix(".evt")
        if events.is_file():
            refuse_damaged_events(events.read_bytes(), path)
        return recording(mne.io.read_raw_ant(path, verbose="warning"), path, "ANT", warned=warned)


def refuse_damaged_chunks(file: BinaryIO, path: Path) -> None:
    """Follow a .cnt's tree of chunks, and look into those that lead its reader astray.

    Parameters
    ----------
    file : file opened for reading bytes
    path : Path
        For errors.

    Raises
    ------
    SourceError
        Where a chunk reaches beyond the one it lies in, one is missing, or what it says cannot be.
    """
    wide = file.read(4) == b"RF64"
    found: dict[bytes, tuple[int, int]] = {}
    for name, at, size in _chunks(file, path, struct.Struct("<4sQ" if wide else "<4sI")):
        found.setdefault(name, (at, size))
    for name in _NEEDED:
        if name not in found:
            raise _damaged(path, f"it holds no chunk {name.decode()!r}")

    def content(name: bytes) -> bytes:
        at, size = found[name]
        file.seek(at)
        return file.read(size)

    if _NO_DATE.search(content(b"info")):
        raise _damaged(path, "a date in its chunk 'info' is none")
    channels = _table(content(b"chan"), "<u2")
    if sorted(channels) != list(range(len(channels))):
        raise _damaged(path, "its table of channels does not name each once")
    length, *starts = _table(content(b"ep  "), "<u8" if wide else "<u4") or [0]
    largest = 4 * (length + 2) * len(channels)
    sizes = [stop - start for start, stop in pairwise([*starts, found[b"data"][1]])]
    if not sizes or largest > _LARGEST_EPOCH or not all(0 < size <= largest for size in sizes):
        raise _damaged(path, "its table of epochs does not lead through its samples")


def _table(content: bytes, kind: str) -> list[int]:
    whole = len(content) // np.dtype(kind).itemsize * np.dtype(kind).itemsize
    return [int(value) for value in np.frombuffer(content[:whole], kind)]


def _chunks(file: BinaryIO, path: Path, head: struct.Struct) -> Iterator[tuple[bytes, int, int]]:
    """Name of every chunk, where its content begins, and its size in bytes."""
    ends = [file.seek(0, 2)]
    at = 0
    while ends:
        if at + head.size > ends[-1]:
            at = ends.pop()
            at += at % 2
            continue
        file.seek(at)
        name, size = head.unpack(file.read(head.size))
        end = at + head.size + size
        if not name.strip().isalnum():
            raise _damaged(path, f"no chunk begins at byte {at:,}, where one should")
        if end > ends[-1]:
            raise _damaged(
                path, f"its chunk {name.decode('latin-1')!r} at byte {at:,} says that it has {size:,} bytes"
            )
        yield name, at + head.size, size
        if name in _LISTS:
            ends.append(end)
            at += head.size + 4
        else:
            at = end + end % 2


def refuse_damaged_events(data: bytes, path: Path) -> None:
    """Follow every event of an .evt.

    Parameters
    ----------
    data : bytes
        The whole file.
    path : Path
        The recording, for errors.

    Raises
    ------
    SourceError
        Where an event's layout is none that antio can follow.
    """
    events = _Events(data)
    try:
        events.follow()
    except (_NotAnEventError, struct.error) as error:
        raise SourceError(
            "read",
            f"{path.name}: its events ({path.stem}.evt) cannot be followed beyond byte {events.at:,} of {len(data):,}; "
            "copy that file again, or move it away to read the recording without its events",
            str(error),
        ) from error


class _NotAnEventError(Exception):
    """What stands there is no event that antio follows."""


class _Events:
    """A library of events, and how far it has been followed."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.version = data, 0, 0

    def follow(self) -> None:
        self._skip(12)  # three times
        self.version = self._number("<i")
        self._skip(8)  # modes of compression and encryption
        if self._class() != b"class dcEventsLibrary_c":
            raise _NotAnEventError("the file is no library of events")
        self._string()
        count = self._number("<I")
        for number in range(count):
            kind = self._class()
            if kind not in (_EPOCH, *_MARKED):
                raise _NotAnEventError(
                    f"event {number + 1} of {count} is of a kind that antio does not follow: {kind!r}"
                )
            described = self._event()
            if kind == _EPOCH:
                self._skip(4 if self.version < 33 else 0)
            else:
                self._marker(kind, described)

    def _event(self) -> bool:
        """Follow what all kinds have in common, and say whether a value describes it."""
        self._skip(4 + 16)  # the visible number, the identifier
        self._class()
        self._string()
        if self.version >= 78:
            self._string()
        self._skip(4 + 4 + 1 + 4 * 8)  # type, state, original; duration, offset, day and its fraction
        if 11 <= self.version < 19:
            raise _NotAnEventError(f"version {self.version} of the layout is not known")
        names = [self._value() for _ in range(self._number("<i"))] if self.version >= 19 else []
        if names.count(b"Name:") > 1:
            raise _NotAnEventError("an event with two descriptions")
        return b"Name:" in names

    def _value(self) -> bytes:
        name = self._string()
        kind = self._number("<H")
        if kind == _TEXT:
            self._skip(self._number("<i"))
        elif kind in _SIZES:
            self._skip(_SIZES[kind])
        elif kind & _ARRAY:
            inner = self._number("<H")
            if inner == _OF_FLOATS:
                self._skip(4)
                self._skip(4 * self._number("<I"))
            elif inner not in _EMPTY:
                raise _NotAnEventError(f"an array of a type that antio does not read: {inner}")
        elif kind not in _EMPTY:
            raise _NotAnEventError(f"a value of a type that antio does not read: {kind}")
        if not name or (name == b"Name:" and kind != _TEXT):
            raise _NotAnEventError(f"a value without a name or text: {name!r}")
        self._string()
        return name

    def _marker(self, kind: bytes, described: bool) -> None:
        self._string()  # active channel
        self._string()  # reference
        if kind == _MARKED[0]:
            if described:
                raise _NotAnEventError("a marker with two descriptions")
            self._string()
            if self.version >= 35:
                self._skip(5 if self.version >= 103 else 2)
        elif self.version >= 174:
            self._string()

    def _class(self) -> bytes | None:
        return self._string() if self._number("<i") == -1 else None

    def _string(self) -> bytes:
        """Read a text after its length, which takes 1 byte, or 2, 4, 8 more where it is longer."""
        length = self._number("<B")
        for form, longer in (("<H", 0xFF), ("<I", 0xFFFF), ("<Q", 0xFFFFFFFF)):
            if length != longer:
                break
            length = self._number(form)
        start = self.at
        self._skip(length)
        return self.data[start : self.at].split(b"\0")[0]

    def _number(self, form: str) -> int:
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return int(value)

    def _skip(self, count: int) -> None:
        if not 0 <= count <= len(self.data) - self.at:
            raise _NotAnEventError(f"{count:,} bytes do not follow byte {self.at:,}")
        self.at += count


def _damaged(path: Path, why: str) -> SourceError:
    return SourceError("read", f"{path.name} is damaged or cut off: {why}; fetch it again")
