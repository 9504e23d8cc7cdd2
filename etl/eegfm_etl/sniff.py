"""Look at a file's first bytes before any reader does."""

import re
from collections.abc import Callable
from pathlib import Path

from eegfm_etl.source import SourceError

_MAGIC_BYTES = 1024
_CRLF_SAMPLE_BYTES = 64 * 2**20
_CRLF_LEAST = 32  # by chance 32 line feeds all follow a carriage return once in 256**32

_FORMATS: dict[str, tuple[str, Callable[[bytes], bool]]] = {
    ".edf": ("EDF", lambda head: head[:8].rstrip() == b"0"),
    ".bdf": ("BDF", lambda head: head[:8] == b"\xffBIOSEMI"),
    ".gdf": ("GDF", lambda head: head[:4] == b"GDF "),
    ".set": ("EEGLAB", lambda head: head[:6] == b"MATLAB" or head[:4] == b"\x89HDF"),
    ".fif": ("FIF", lambda head: head[:4] == b"\x00\x00\x00\x64"),
    ".fif.gz": ("FIF", lambda head: head[:2] == b"\x1f\x8b"),
    ".vhdr": (
        "BrainVision",
        lambda head: b"brain vision" in head[:200].lower().replace(b"brainvision", b"brain vision"),
    ),
    ".cnt": ("ANT", lambda head: head[:4] in (b"RIFF", b"RF64")),
}
_BINARY = {"EDF", "BDF", "GDF", "FIF", "ANT"}

_IN_PLACE_OF_DATA = 3  # the first of the others

# Other things that are found under the name of a recording, in the words a scientist needs.
_OTHERS: list[tuple[Callable[[bytes], bool], str]] = [
    (
        lambda head: head.startswith(b"version https://git-lfs"),
        "it is a git-lfs pointer, not the recording: fetch the content with `git lfs pull`",
    ),
    (
        lambda head: b"annex/objects/" in head[:512],
        "it is a git-annex pointer, not the recording: fetch it with `datalad get` or `git annex get`",
    ),
    (
        lambda head: head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")),
        "it is a web page (HTML), not a recording: the download got a login or error page; download it again",
    ),
    (lambda head: head[:4] == b"PK\x03\x04", "it is a zip archive: unpack it first"),
    (lambda head: head[:2] == b"\x1f\x8b", "it is compressed with gzip: unpack it first"),
    (
        lambda head: head[:8] == b"\xffBIOSEMI",
        "it holds BDF data (24 bit) under another name: rename it to .bdf",
    ),
    (
        lambda head: head[:8].rstrip() == b"0" and len(head) >= 256,
        "it holds EDF data under another name: rename it to .edf",
    ),
    (
        lambda head: head.startswith(b"Version 3.0"),
        "it is a Neuroscan .cnt, which does not say whether its samples have 16 or 32 bits: "
        "export it as EDF or BrainVision",
    ),
]


def sniff(path: Path) -> str:
    """Name the format of a recording from its name and first bytes.

    Returns
    -------
    str
        EDF, BDF, GDF, EEGLAB, FIF, BrainVision or ANT.

    Raises
    ------
    SourceError
        Where the file is missing, empty, a pointer, a web page, an archive, of another format than its name
        says, or damaged by a transfer as text.
    """
    suffix = suffix_of(path)
    head = _head(path)
    known = _FORMATS.get(suffix)
    if known is not None and known[1](head):
        if known[0] in _BINARY and suffix != ".fif.gz":
            _refuse_crlf(path)
        if known[0] == "BrainVision":
            _check_brainvision(path)
        return known[0]
    for matches, words in _OTHERS:
        if matches(head):
            raise SourceError("read", f"{path.name}: {words}")
    if known is None:
        raise SourceError(
            "read",
            f"{path.name}: a file named {suffix or 'without a suffix'} is not supported; supported are "
            f"{' '.join(_FORMATS)}",
        )
    raise SourceError(
        "read",
        f"{path.name} does not begin as {known[0]} files do (found {head[:8]!r}): "
        "it is damaged or something else under this name; fetch it again",
    )


def no_recording(head: bytes) -> str | None:
    """Say in words what stands in place of data: a git-lfs or git-annex pointer, a web page; None for anything else.

    Parameters
    ----------
    head
        The first bytes of what was found or is being downloaded.
    """
    return next((words for matches, words in _OTHERS[:_IN_PLACE_OF_DATA] if matches(head)), None)


def suffix_of(path: Path) -> str:
    """Suffix in lower case, ``.fif.gz`` counted as one."""
    name = path.name.lower()
    return ".fif.gz" if name.endswith(".fif.gz") else Path(name).suffix


def _head(path: Path) -> bytes:
    if path.is_symlink() and not path.exists():
        target = str(path.readlink())
        if "annex/objects" in target:
            words = "its content was never fetched from git-annex; run `datalad get` or `git annex get`"
        else:
            words = f"it is a link to {target}, which does not exist; put the file itself there"
        raise SourceError("read", f"{path.name}: {words}")
    if path.is_dir():
        raise SourceError("read", f"{path.name} is a folder; recordings that are folders are not supported")
    try:
        with path.open("rb") as file:
            head = file.read(_MAGIC_BYTES)
    except FileNotFoundError as error:
        raise SourceError("read", f"{path.name} does not exist (looked in {path.parent})") from error
    except OSError as error:
        raise SourceError(
            "read", f"{path.name} cannot be opened: {error.strerror}; check its permissions"
        ) from error
    if not head:
        raise SourceError(
            "read", f"{path.name} is empty (0 bytes): the copy or download failed; fetch it again"
        )
    return head


def _refuse_crlf(path: Path) -> None:
    """Refuse a binary file in which every line feed follows a carriage return."""
    with path.open("rb") as file:
        data = file.read(_CRLF_SAMPLE_BYTES)
    line_feeds = data.count(b"\n")
    if line_feeds >= _CRLF_LEAST and data.count(b"\r\n") == line_feeds:
        raise SourceError(
            "read",
            f"{path.name} was damaged by a transfer as text: all its {line_feeds:,} line-feed bytes follow a "
            "carriage return, so samples are shifted; fetch it again in binary mode (in git: "
            "`*.edf binary` in .gitattributes)",
        )


def _check_brainvision(path: Path) -> None:
    """Refuse a header whose data file is missing, empty or outside its folder."""
    text = path.read_bytes().decode("latin-1")
    match = re.search(r"^\s*DataFile\s*=\s*(.+?)\s*$", text, re.MULTILINE)
    if match is None:
        raise SourceError("read", f"{path.name} names no DataFile: the header is incomplete; fetch it again")
    name = match.group(1).replace("$b", path.stem)
    if re.search(r"[/\\]", name) or name in ("..", "."):
        raise SourceError(
            "read",
            f"{path.name}: DataFile={name} leads out of the header's folder; it must be a file beside it",
        )
    data = path.with_name(name)
    if not data.exists() and not path.with_suffix(".eeg").exists():
        raise SourceError("read", f"{path.name}: its data file {name} is missing beside it; copy both")
    if data.exists() and data.stat().st_size == 0:
        raise SourceError("read", f"{path.name}: its data file {name} is empty (0 bytes); fetch it again")
