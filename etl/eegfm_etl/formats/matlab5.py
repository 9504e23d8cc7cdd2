"""MATLAB 5 to 7 files, followed from tag to tag before SciPy may see them.

SciPy's reader takes a number's type from the file as an index into a table of its own, without a look whether it is
one: a damaged tag ends its process. The layout is that of MathWorks' "MAT-File Format", version 5.
"""

import math
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol

from eegfm_etl.source import SourceError

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS, _WHOLE = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13}, {5, 6}
_TEXTS = {1, 2, 4, 16, 17, 18}
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _FUNCTION, _OPAQUE = 1, 2, 3, 4, 5, 16, 17
_NUMERIC = range(6, 16)
_COMPLEX = 0x800
_PIECE = 2**20
_DEEPEST, _MOST_DIMENSIONS = 100, 32


def refuse_damaged_matlab(path: Path) -> None:
    """Follow every element of a MATLAB 5 file; other files pass.

    Parameters
    ----------
    path : Path

    Raises
    ------
    SourceError
        Where an element is of no known type, or not of the size that its place demands.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER)
        if not _is_version_5(head):
            return
        order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
        try:
            if order is None:
                raise _DamagedError("it does not say in which order its bytes are")
            end = file.seek(0, 2)
            at = _HEADER
            while end - at >= 8:
                file.seek(at)
                kind, size = struct.unpack(f"{order}2I", file.read(8))
                at += 8 + size
                if at > end:
                    raise _DamagedError(f"a variable of {size:,} bytes is cut off")
                if kind == _COMPRESSED:
                    _variable(_Inflated(file, size), order)
                else:
                    file.seek(-8, 1)
                    _variable(file, order)
        except (_DamagedError, struct.error, zlib.error) as error:
            raise SourceError(
                "read",
                f"{path.name} is damaged or cut off: it cannot be followed as MATLAB 5; fetch it again",
                str(error),
            ) from error


def _is_version_5(head: bytes) -> bool:
    """Tell as SciPy does: not by the words, which may say anything."""
    return len(head) == _HEADER and 0 not in head[:4] and head[125 if head[126:127] == b"I" else 124] == 1


class _Reads(Protocol):
    def read(self, count: int, /) -> bytes: ...


class _DamagedError(Exception):
    """An element is none that SciPy can read."""


class _Inflated:
    """The content of a compressed variable, a piece at a time."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left, self._inflate = file, size, zlib.decompressobj()
        self._held = BytesIO()

    def read(self, count: int, /) -> bytes:
        found = self._held.read(count)
        while len(found) < count and (piece := self._piece()):
            self._held = BytesIO(piece)
            found += self._held.read(count - len(found))
        return found

    def _piece(self) -> bytes:
        piece = b""
        while not piece and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail
            if not packed:
                packed = self._file.read(min(self._left, _PIECE))
                self._left -= len(packed)
            if not packed:
                return self._inflate.flush()
            piece = self._inflate.decompress(packed, _PIECE)
        return piece


def _variable(stream: _Reads, order: str) -> None:
    kind, size, _ = _tag(stream, order)
    if kind != _MATRIX:
        raise _DamagedError(f"a variable of type {kind}")
    _matrix(stream, order, size, 0)


def _matrix(stream: _Reads, order: str, size: int, depth: int) -> None:
    """Follow one array after its tag; all that it says must have room in it."""
    if size == 0:
        return
    if depth > _DEEPEST:
        raise _DamagedError("arrays in arrays without end")
    left = size
    kind, length, taken = _tag(stream, order)
    if (kind, length, taken) != (6, 8, 8):
        raise _DamagedError("an array without flags")
    flags, _ = struct.unpack(f"{order}2I", stream.read(8))
    left -= 16
    of, is_complex = flags & 0xFF, bool(flags & _COMPLEX)
    if of == _OPAQUE:
        _skip(stream, left)
        return
    dims, left = _numbers(stream, order, left)
    _, left = _plain(stream, order, left, _TEXTS)  # name
    count = math.prod(dims)
    if of in _NUMERIC or of == _SPARSE:
        for _ in range((3 if of == _SPARSE else 1) + is_complex):
            _, left = _plain(stream, order, left, _NUMBERS)
    elif of == _CHAR:
        _, left = _plain(stream, order, left, _TEXTS)
    elif of in (_CELL, _STRUCT, _OBJECT, _FUNCTION):
        if of == _OBJECT:
            _, left = _plain(stream, order, left, _TEXTS)
        if of in (_STRUCT, _OBJECT):
            width, left = _numbers(stream, order, left)
            names, left = _plain(stream, order, left, _TEXTS)
            count *= names // width[0] if width[0] else 0
        for _ in range(1 if of == _FUNCTION else count):
            kind, length, taken = _tag(stream, order)
            left -= taken + length
            if kind != _MATRIX or left < 0:
                raise _DamagedError(f"an element of type {kind} and {length:,} bytes where an array is due")
            _matrix(stream, order, length, depth + 1)
    else:
        raise _DamagedError(f"an array of class {of}")
    _skip(stream, left)


def _tag(stream: _Reads, order: str) -> tuple[int, int, int]:
    """Type and bytes of an element, and the tag's own bytes; a small one has its bytes in the second half."""
    (first,) = struct.unpack(f"{order}I", stream.read(4))
    if first >> 16:
        return first & 0xFFFF, first >> 16, 4
    (size,) = struct.unpack(f"{order}I", stream.read(4))
    return first, size, 8


def _plain(stream: _Reads, order: str, left: int, known: set[int]) -> tuple[int, int]:
    """Pass an element of numbers or text: its bytes, and what is left of the array around it."""
    kind, size, taken = _tag(stream, order)
    whole = 8 if taken == 4 else 8 + -(-size // 8) * 8
    if kind not in known or whole > left or taken + size > whole:
        raise _DamagedError(f"an element of type {kind} and {size:,} bytes, {left:,} being left")
    _skip(stream, whole - taken)
    return size, left - whole


def _numbers(stream: _Reads, order: str, left: int) -> tuple[tuple[int, ...], int]:
    """Read an element of whole numbers of four bytes."""
    kind, size, taken = _tag(stream, order)
    whole = 8 if taken == 4 else 8 + -(-size // 8) * 8
    if kind not in _WHOLE or not size or size % 4 or whole > left or size > _MOST_DIMENSIONS * 4:
        raise _DamagedError(f"dimensions of type {kind} and {size:,} bytes")
    found = struct.unpack(f"{order}{size // 4}i", stream.read(size))
    _skip(stream, whole - taken - size)
    if min(found) < 0:
        raise _DamagedError(f"dimensions {found}")
    return found, left - whole


def _skip(stream: _Reads, count: int) -> None:
    """Pass bytes that must be there; a variable's last ones may lack what fills them up to eight."""
    while count > 0:
        passed = len(stream.read(min(count, _PIECE)))
        if not passed:
            if count < 8:
                return
            raise _DamagedError(f"{count:,} bytes are missing")
        count -= passed
