"""Which bytes a recording was made of: all files of the source, their size and their SHA-256."""

import hashlib
import re
from pathlib import Path

from eegfm_etl.sniff import suffix_of
from eegfm_etl.source import SourceError

_CHUNK_BYTES = 2**22
_BRAINVISION_PART = re.compile(r"^\s*(?:DataFile|MarkerFile)\s*=\s*([^/\\\r\n]+?)\s*$", re.MULTILINE)


def parts(path: Path) -> list[Path]:
    """Return every file that a source consists of, the named one first.

    A BrainVision header brings its data and markers, an EEGLAB .set its .fdt, a folder what it holds.
    """
    if path.is_dir():
        return sorted(one for one in path.rglob("*") if one.is_file())
    others: list[Path] = []
    if suffix_of(path) == ".vhdr" and path.is_file():
        names = _BRAINVISION_PART.findall(path.read_bytes().decode("latin-1"))
        others = [path.with_name(name.replace("$b", path.stem)) for name in names]
    elif suffix_of(path) == ".set":
        others = [path.with_suffix(".fdt")]
    return [path, *(one for one in dict.fromkeys(others) if one.is_file())]


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
