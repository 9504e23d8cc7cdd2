"""Recordings that are stored compressed with gzip: unpacked for as long as they are read, within limits."""

import gzip
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from eegfm_etl import companions
from eegfm_etl.source import SourceError, SourceHeader

LIMIT_BYTES = 32 * 2**30
"""No recording is unpacked beyond this: a day of 256 channels at 512 Hz in 24 bits is 32 GiB."""

RATIO_LIMIT = 100
"""EEG shrinks by 1.3 to 4 times; beyond 64 MiB what shrank more than this is zeros, or made to fill a disk."""

_ALWAYS_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**20


@contextmanager
def readable(path: Path, scratch: Path) -> Iterator[Path]:
    """Give a path that readers can open: a packed recording's is in a folder that goes afterwards.

    Parameters
    ----------
    path : Path
        Any source; only names such as ``x.edf.gz`` (`companions.packed_name`) are unpacked.
    scratch : Path
        An existing folder with room.

    Raises
    ------
    SourceError
        Where the compressed bytes are damaged, or hold more than the limits allow.
    """
    name = companions.packed_name(path)
    if name is None or path.is_dir() or not path.exists():  # what is missing, reading explains
        yield path
        return
    with TemporaryDirectory(prefix="unpacked-", dir=scratch) as folder:
        there = Path(folder) / name
        _unpack(path, there)
        for part in companions.parts(path)[1:]:
            there.with_name(part.name).symlink_to(part.resolve())
        yield there


def as_stored(header: SourceHeader, path: Path, there: Path) -> SourceHeader:
    """Say of a header that was read at `there` where its files are stored, and that they were packed."""
    if there == path:
        return header
    elsewhere = [part for part in header.parts if Path(part).parent != there.parent]
    parts = dict.fromkeys([*map(str, companions.parts(path)[1:]), *elsewhere])
    note = f"unpacked from gzip: {path.stat().st_size:,} bytes hold {there.stat().st_size:,}"
    return replace(header, path=str(path), parts=tuple(parts), notes=(*header.notes, note))


def _unpack(path: Path, there: Path) -> None:
    room = shutil.disk_usage(there.parent).free // 2  # other workers unpack, too
    allowed = min(LIMIT_BYTES, max(_ALWAYS_BYTES, RATIO_LIMIT * path.stat().st_size))
    written = 0
    try:
        with gzip.open(path) as packed, there.open("wb") as file:
            while chunk := packed.read(_CHUNK_BYTES):
                written += len(chunk)
                if written > allowed:
                    raise SourceError("read", _too_much(path, allowed))
                if written > room:
                    raise SourceError(
                        "memory",
                        f"{path.name} unpacks to more than half of the room that was free for temporary files "
                        f"({2 * room:,} bytes): unpack it yourself, or set TMPDIR to a larger disk",
                    )
                file.write(chunk)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(
            "read",
            f"{path.name} cannot be unpacked ({error}): it is damaged, cut off or no gzip file; fetch it again",
        ) from error


def _too_much(path: Path, allowed: int) -> str:
    return (
        f"{path.name} unpacks to more than {allowed:,} bytes, the limit for its {path.stat().st_size:,} "
        f"({RATIO_LIMIT} times its size and at least 64 MiB, at most 32 GiB): no recording shrinks like this; if it "
        "is one, unpack it yourself"
    )
