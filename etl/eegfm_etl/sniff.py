"""Look at a file's first bytes before any reader does: which format it is, or what else."""

from collections.abc import Callable
from pathlib import Path

from eegfm_etl.companions import NEURALYNX, TRIAL, folder_format, suffix_of
from eegfm_etl.source import SourceError

__all__ = ["sniff", "suffix_of"]

_MAGIC_BYTES = 1024
_CRLF_SAMPLE_BYTES = 64 * 2**20
_CRLF_CHUNK_BYTES = 2**15  # mostly the first one tells
_CRLF_LEAST = 32  # by chance 32 line feeds all follow a carriage return once in 256**32


def _matlab(head: bytes) -> bool:
    return head[:6] == b"MATLAB" or head[:4] == b"\x89HDF"


def _brainvision(head: bytes) -> bool:
    return b"brain vision" in head[:200].lower().replace(b"brainvision", b"brain vision")


def _egi_raw(head: bytes) -> bool:
    return head[:3] == b"\x00\x00\x00" and 2 <= head[3] <= 7


def _nihon(head: bytes) -> bool:
    return head[:4] in (b"EEG-", b"QI-4") or head[0x81:0x85] in (b"EEG-", b"QI-4")


def _text(head: bytes) -> bool:
    return b"\x00" not in head and not any(byte < 9 for byte in head)


def _curry(head: bytes) -> bool:
    return True  # bare samples: the parameter file beside them tells


_FORMATS: dict[str, tuple[tuple[str, Callable[[bytes], bool]], ...]] = {
    ".edf": (("EDF", lambda head: head[:8].rstrip() == b"0"),),
    ".rec": (("EDF", lambda head: head[:8].rstrip() == b"0"),),
    ".bdf": (("BDF", lambda head: head[:8] == b"\xffBIOSEMI"),),
    ".gdf": (("GDF", lambda head: head[:4] == b"GDF "),),
    ".set": (("EEGLAB", _matlab),),
    ".mat": (("MATLAB", _matlab),),
    ".npz": (("NumPy", lambda head: head[:4] == b"PK\x03\x04"),),
    ".npy": (("NumPy", lambda head: head[:6] == b"\x93NUMPY"),),
    ".fif": (("FIF", lambda head: head[:4] == b"\x00\x00\x00\x64"),),
    ".fif.gz": (("FIF", lambda head: head[:2] == b"\x1f\x8b"),),
    ".vhdr": (("BrainVision", _brainvision),),
    ".ahdr": (("BrainVision", _brainvision),),
    ".cnt": (
        ("ANT", lambda head: head[:4] in (b"RIFF", b"RF64")),
        ("Neuroscan", lambda head: head[:9] == b"Version 3"),
    ),
    ".dat": (
        ("BCI2000", lambda head: b"SourceCh=" in head[:200] and b"HeaderLen" in head[:200]),
        ("Curry", _curry),
    ),
    ".cdt": (("Curry", _curry),),
    ".raw": (("EGI", _egi_raw),),
    ".eeg": (("Nihon Kohden", _nihon),),
    ".lay": (("Persyst", lambda head: b"[fileinfo]" in head.lower()),),
    ".nedf": (("NEDF", lambda head: b"<" in head[:16]),),
    ".xdf": (("XDF", lambda head: head[:4] == b"XDF:"),),
    ".xdfz": (("XDF", lambda head: head[:2] == b"\x1f\x8b"),),
    ".data": (("Nicolet", lambda head: True),),
    ".avr": (("BESA average", lambda head: b"Npts=" in head),),
    ".mul": (("BESA average", lambda head: b"TimePoints=" in head),),
    ".nxe": (("eXimia", lambda head: True),),
    ".asc": (("text table", _text),),
    ".txt": (("text table", _text),),
    ".csv": (("text table", _text),),
    ".tsv": (("text table", _text),),
    ".arff": (("text table", _text),),
    **{f".ns{i}": (("NSx", lambda head: head[:8] in (b"NEURALCD", b"BRSMPGRP")),) for i in range(1, 7)},
}
# A transfer as text changes these; formats in text, and those in which it is told otherwise, are left out.
_BINARY = {"EDF", "BDF", "GDF", "FIF", "ANT", "Neuroscan"}

# Neuracle writes its events beside a signal of this name that is no signal.
_NO_SIGNAL = (b"EDF Annotations", b"BDF Annotations", b"Empty Event Data")

# Recordings that nobody here reads, and what to do about them.
_UNREAD = {
    ".nwb": "NWB (HDF5) is not read: export the ElectricalSeries as EDF or BrainVision, or ingest the original files",
    ".trc": "Micromed .TRC is not read: export it as EDF from the recorder's software",
    ".snirf": "it holds optical signals (SNIRF), not EEG",
    ".sqd": "it holds MEG (KIT), not EEG",
    ".con": "it holds MEG (KIT), not EEG",
    ".mefd": "MEF3 (intracranial sessions) is not read: export it as EDF",
    ".ds": "it holds MEG (CTF), not EEG",
    ".e": "Nicolet One .e is not read: export it as EDF",
    ".cdt.dpa": "it holds the parameters of a Curry recording whose samples (.cdt) are missing beside it; copy both",
    ".cdt.dpo": "it holds the parameters of a Curry recording whose samples (.cdt) are missing beside it; copy both",
    ".dap": "it holds the parameters of a Curry recording whose samples (.dat) are missing beside it; copy both",
    ".fdt": "it holds the samples of an EEGLAB recording whose header (.set) is missing beside it; copy both",
    ".vmrk": "it holds the markers of a BrainVision recording whose header (.vhdr) is missing beside it; copy both",
    ".amrk": "it holds the markers of a BrainVision recording whose header (.ahdr) is missing beside it; copy both",
    ".ncs": "one Neuralynx channel: ingest the folder that holds it",
}

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
        lambda head: head[:8] == b"NEURALSG",
        "it is a Blackrock NSx of file version 2.1, which does not state its units and is not read: convert it "
        "to version 2.3 or export it as EDF",
    ),
]


def sniff(path: Path) -> str:
    """Name the format of a recording from its name and first bytes.

    Returns
    -------
    str
        One of `eegfm_etl.formats.OPENERS`.

    Raises
    ------
    SourceError
        Where the file is missing, empty, a pointer, a web page, an archive, of another format than its name
        says, of one that is not read, or damaged by a transfer as text.
    """
    if path.is_dir():
        return _sniff_folder(path)
    suffix = suffix_of(path)
    head = _head(path)
    if TRIAL.fullmatch(path.name):
        return "UCI text"
    readable = _FORMATS.get(suffix, ())
    for name, matches in readable:
        if suffix in (".txt", ".csv", ".tsv", ".asc", ".arff", ".data") and _other(head):
            break
        if matches(head):
            if name in _BINARY and suffix != ".fif.gz":
                _refuse_crlf(path)
            return name
    if words := _other(head) or _UNREAD.get(suffix):
        raise SourceError("read", f"{path.name}: {words}")
    if not readable:
        raise SourceError(
            "read",
            f"{path.name}: a file named {suffix or 'without a suffix'} is not supported; supported are "
            f"{' '.join(_FORMATS)}",
        )
    raise SourceError(
        "read",
        f"{path.name} does not begin as {' or '.join(name for name, _ in readable)} files do "
        f"(found {head[:8]!r}): it is damaged or something else under this name; fetch it again",
    )


def could_be_recording(path: Path) -> bool:
    """Whether a file's name is one that recordings have; what is in it `sniff` says."""
    suffix = suffix_of(path)
    return (
        suffix in _FORMATS
        or suffix in _UNREAD
        or suffix in (".zip", ".gz", ".7z", ".rar", ".tar", ".bz2", ".xz")
    )


def annotations_only(path: Path) -> bool:
    """Whether an EDF or BDF holds annotations and no signal: by the labels of its header."""
    try:
        with path.open("rb") as file:
            count = int(file.read(256)[252:256])
            labels = file.read(16 * max(0, min(count, 9999)))
    except (OSError, ValueError):  # reading it explains why
        return False
    found = [labels[at : at + 16].strip() for at in range(0, len(labels), 16)]
    return bool(found) and all(label in _NO_SIGNAL for label in found)


def no_recording(head: bytes) -> str | None:
    """Say in words what stands in place of data: a git-lfs or git-annex pointer, a web page; None for anything else.

    Parameters
    ----------
    head
        The first bytes of what was found or is being downloaded.
    """
    return next((words for matches, words in _OTHERS[:_IN_PLACE_OF_DATA] if matches(head)), None)


def _other(head: bytes) -> str | None:
    return next((words for matches, words in _OTHERS if matches(head)), None)


def _sniff_folder(path: Path) -> str:
    found = folder_format(path, [one.name for one in path.iterdir()])
    if found in ("MFF", "Neuralynx", "UCI text"):
        return found
    if words := _UNREAD.get(path.suffix.lower()):
        raise SourceError("read", f"{path.name}: {words}")
    raise SourceError(
        "read",
        f"{path.name} is a folder, and none that is a recording: those are EGI .mff and folders of Neuralynx "
        f"files ({' '.join(NEURALYNX)})",
    )


def _head(path: Path) -> bytes:
    if path.is_symlink() and not path.exists():
        target = str(path.readlink())
        if "annex/objects" in target:
            words = "its content was never fetched from git-annex; run `datalad get` or `git annex get`"
        else:
            words = f"it is a link to {target}, which does not exist; put the file itself there"
        raise SourceError("read", f"{path.name}: {words}")
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
    line_feeds, before = 0, b""
    with path.open("rb") as file:
        for _ in range(_CRLF_SAMPLE_BYTES // _CRLF_CHUNK_BYTES):
            data = before + file.read(_CRLF_CHUNK_BYTES)
            if len(data) == len(before):
                break
            found = data.count(b"\n")
            if data.count(b"\r\n") != found:  # one that follows no carriage return: no text mode was at work
                return
            line_feeds += found
            before = b"\r" if data.endswith(b"\r") else b""
    if line_feeds >= _CRLF_LEAST:
        raise SourceError(
            "read",
            f"{path.name} was damaged by a transfer as text: all its {line_feeds:,} line-feed bytes follow a "
            "carriage return, so samples are shifted; fetch it again in binary mode (in git: "
            "`*.edf binary` in .gitattributes)",
        )
