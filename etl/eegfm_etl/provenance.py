"""Which bytes a recording was made of: all files of the source, their size and their SHA-256."""

import hashlib
from pathlib import Path

from eegfm_etl.companions import parts
from eegfm_etl.source import SourceError

__all__ = ["parts", "sha256", "size_bytes"]

_CHUNK_BYTES = 2**22


def size_bytes(path: Path) -> int:
    """Bytes of all parts; 0 where the file cannot be reached."""
    try:
        return sum(one.stat().st_size for one in parts(path))
    except OSError:  # a dangling link or a file without permission: reading it explains why
        return 0


def sha256(path: Path) -> str:
    """SHA-256 of all parts' bytes, one after another.

    Raises
    ------
    SourceError
        Where a part cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for part in parts(path):
            with part.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
    except OSError as error:
        raise SourceError(
            "read", f"{path.name} cannot be read: {error.strerror}; check that it is there and readable"
        ) from error
    return digest.hexdigest()
