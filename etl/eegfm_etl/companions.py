"""Which files belong together: the parts of a recording, and folders that are one."""

import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import count, takewhile
from pathlib import Path

# A trial of UCI's EEG Database; a folder of one person's trials is a recording.
TRIAL = re.compile(r"(?P<person>co\d[ac]\d{7})\.rd\.(?P<trial>\d{3})(?:\.gz)?", re.IGNORECASE)
FOLDER_FORMATS = {".mff": "MFF", ".mefd": "MEF3", ".ds": "CTF"}
NEURALYNX = (".ncs", ".nev", ".nse", ".ntt", ".nvt")

# Suffixes of the files beside a head, with the head's stem; compared in lower case.
_SAME_STEM = {
    ".set": (".fdt",),
    ".cnt": (".evt", ".trg"),
    ".data": (".head",),
    ".avr": (".elp", ".ela"),
    ".mul": (".elp", ".ela"),
    ".nxe": (),
}
_NIHON = (
    ".pnt",
    ".log",
    ".21e",
    ".11d",
    ".cmt",
    ".cn2",
    ".cn3",
    ".bft",
    ".egf",
    ".vor",
    ".rpt",
    ".mon",
    ".reg",
)
_CURRY_7 = (".dap", ".rs3", ".cef", ".ceo", ".pom")
_CURRY_8 = (".cdt.dpa", ".cdt.dpo", ".cdt.cef", ".cdt.ceo", ".cdt.pom")
_NAMED_IN = {".vhdr": ("DataFile", "MarkerFile"), ".ahdr": ("DataFile", "MarkerFile"), ".lay": ("File",)}
_HEADER_BYTES = 2**20
# One file each, but for companions that keep the stem, and FIF's further parts, which MNE reads packed.
_PACKED = (".fif", ".edf", ".rec", ".bdf", ".gdf", ".cnt", ".set", ".mat", ".npy", ".npz", ".nedf", ".xdf")
_SPLIT_FIF = re.compile(r"-\d+(\.fif|\.fif\.gz|\.gz)$", re.IGNORECASE)


def suffix_of(path: Path) -> str:
    """Suffix in lower case; ``.fif.gz`` and Curry's ``.cdt.dpa`` count as one."""
    name = path.name.lower()
    for double in (".fif.gz", *_CURRY_8):
        if name.endswith(double):
            return double
    return Path(name).suffix


def packed_name(path: Path) -> str | None:
    """Name of the recording inside ``x.edf.gz``; None for any other file, and formats that lie in several files."""
    if path.suffix.lower() != ".gz" or suffix_of(path.with_suffix("")) not in _PACKED:
        return None
    return path.stem


def folder_format(folder: Path, names: Iterable[str]) -> str | None:
    """Name the format of which a folder with these file names is one recording; None for an ordinary folder."""
    suffix = folder.suffix.lower()
    if suffix in FOLDER_FORMATS:
        return FOLDER_FORMATS[suffix]
    names = list(names)
    if len({match["person"].lower() for name in names if (match := TRIAL.fullmatch(name))}) == 1:
        return "UCI text"
    return "Neuralynx" if any(name.lower().endswith(".ncs") for name in names) else None


def parts(path: Path) -> list[Path]:
    """Return every file that a source consists of, the named one first.

    A BrainVision header brings its data and markers, an EEGLAB .set its .fdt, a folder what it holds. Names that
    lead out of the header's folder are left out: whoever reads the header refuses them.
    """
    if path.is_dir():
        if path.suffix.lower() in FOLDER_FORMATS:
            return sorted(one for one in path.rglob("*") if one.is_file())
        return sorted(
            one
            for one in path.iterdir()
            if (one.suffix.lower() in NEURALYNX or TRIAL.fullmatch(one.name)) and one.is_file()
        )
    others = [one for one in _beside(path) if one.is_file()]
    return [path, *dict.fromkeys(others)]


def named_file(header: Path, key: str) -> str | None:
    """Give the value of ``key=`` in a BrainVision or Persyst header, as it is written; None where there is none."""
    with header.open("rb") as file:
        text = file.read(_HEADER_BYTES).decode("latin-1")
    match = re.search(rf"^\s*{key}\s*=\s*(.+?)\s*$", text, re.MULTILINE)
    if match is None:
        return None
    name = match.group(1)
    with suppress(UnicodeDecodeError):  # latin-1, as old recorders write
        name = name.encode("latin-1").decode("utf-8")
    return name.replace("$b", header.stem)


def leads_out(name: str) -> bool:
    """Whether a file's name, found in a header, could name something outside the header's folder."""
    return bool(re.search(r"[/\\\x00]", name)) or name in ("..", ".") or bool(re.match(r"^[A-Za-z]:", name))


def _beside(path: Path) -> list[Path]:
    if (packed := packed_name(path)) and suffix_of(path) != ".fif.gz":
        path = path.with_name(packed)
    suffix = suffix_of(path)
    if suffix in _NAMED_IN and path.is_file():
        return _named(path, suffix)
    if suffix in (".fif", ".fif.gz"):
        return _splits(path)
    if suffix == ".cdt":
        return _siblings(path, path.name[: -len(".cdt")], _CURRY_8)
    if suffix == ".eeg":
        return _siblings(path, path.stem, _NIHON)
    if suffix == ".dat":
        return _siblings(path, path.stem, _CURRY_7)
    return _siblings(path, path.stem, _SAME_STEM.get(suffix, ()))


def _named(path: Path, suffix: str) -> list[Path]:
    found = []
    for key in _NAMED_IN[suffix]:
        name = named_file(path, key)
        if suffix == ".lay" and name is not None:  # Persyst writes the path of the machine that recorded
            name = re.split(r"[/\\]", name)[-1]
        if name and not leads_out(name):
            found.append(path.with_name(name))
        if key == "DataFile" and not (name and path.with_name(Path(name).name).exists()):
            found.append(path.with_suffix(".eeg"))  # renamed together, without the header's knowing
    if suffix == ".lay" and not any(one.is_file() for one in found):
        found.append(path.with_suffix(".dat"))
    return found


def _siblings(path: Path, stem: str, suffixes: Iterable[str]) -> list[Path]:
    # Asked by name, not by listing the folder: a flat archive has ten thousand files in one.
    return [
        path.with_name(stem + written)
        for suffix in suffixes
        for written in (suffix, suffix.upper())
        if path.with_name(stem + written).is_file()
    ]


def _splits(path: Path) -> list[Path]:
    """Find the further files of a FIF larger than 2 GB: ``x_raw.fif``, ``x_raw-1.fif``."""
    names = [path.name[: -len(suffix_of(path))]]
    if path.suffix.lower() == ".gz":  # MNE calls the second file of ``x_raw.fif.gz`` ``x_raw.fif-1.gz``
        names.append(path.stem)
    found: list[Path] = []
    for name in names:
        parts = (path.with_name(f"{name}-{part}{path.name[len(name) :]}") for part in count(1))
        found += takewhile(Path.is_file, parts)
    return found


def is_later_split(path: Path) -> bool:
    """Whether a FIF is the second or a later file of a recording whose first lies beside it."""
    first = path.with_name(_SPLIT_FIF.sub(r"\1", path.name))
    return first != path and suffix_of(first) in (".fif", ".fif.gz") and first.is_file()
