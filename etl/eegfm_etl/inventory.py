"""What lies in a folder: recordings, the files that belong to them, and everything else by what it is.

Names and first bytes decide; no samples are read.
"""

import csv
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eegfm_etl import companions
from eegfm_etl.companions import suffix_of
from eegfm_etl.sniff import annotations_only, could_be_recording

_DOCUMENTS = {
    ".json": "sidecar (JSON)", ".md": "document", ".rst": "document", ".pdf": "document", ".html": "document",
    ".htm": "document", ".doc": "document", ".docx": "document", ".rtf": "document", ".bib": "document",
    ".cff": "document", ".yml": "document", ".yaml": "document", ".xml": "sidecar (XML)", ".py": "program",
    ".m": "program", ".r": "program", ".sh": "program", ".ipynb": "program", ".png": "picture", ".jpg": "picture",
    ".jpeg": "picture", ".svg": "picture", ".xls": "table", ".xlsx": "table", ".ods": "table", ".sav": "table",
    ".elp": "electrode positions", ".sfp": "electrode positions", ".loc": "electrode positions",
    ".locs": "electrode positions", ".elc": "electrode positions", ".ced": "electrode positions",
    ".bvef": "electrode positions", ".xyz": "electrode positions", ".log": "log",
    ".event": "annotations of a recording", ".seizures": "annotations of a recording", ".sha256": "checksums",
    ".md5": "checksums",
}  # fmt: skip
_PACKED = (".nii.gz", ".tsv.gz", ".json.gz")
_TABLES = (".csv", ".tsv", ".txt", ".asc")
# What names of one recording's files differ in: SC4001E0-PSG.edf and SC4001EC-Hypnogram.edf, data.bdf and evt.bdf
_ROLE = re.compile(
    r"[-_. ]?(hypnogram|hypno|annotations?|events?|evt|scoring|stages|psg|eeg|data|signals?)$", re.IGNORECASE
)
_SLEEP_EDF = re.compile(r"^(S[CT]\d{4}[A-Z])[A-Z0-9]$")
_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Entry:
    """One recording: its head's path below the root, its further files, and those that only annotate it."""

    rel: str
    parts: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inventory:
    """What lies below a root.

    Attributes
    ----------
    entries : tuple of Entry
        What is to be read, by path.
    others : dict of str to str
        Path of every file that is no part of an entry to what it is.
    """

    entries: tuple[Entry, ...]
    others: dict[str, str]


def files_of(root: Path) -> Iterator[Path]:
    """Every file below a root; links to folders are not followed, folders whose name begins with a dot left out."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (Path(folder) / name for name in sorted(names))


def take_inventory(root: Path) -> Inventory:
    """List what lies below a root.

    Returns
    -------
    Inventory
        Every file is an entry, a part or annotation of one, or among the others.
    """
    heads, others = _heads(root)
    parts = {head: [part for part in companions.parts(head) if part != head] for head in heads}
    belongs = {part for head in heads for part in parts[head]}
    heads = [head for head in heads if head not in belongs]
    others = {path: what for path, what in others.items() if path not in belongs}
    annotations = _sidecars([head for head in heads if head.is_file()])
    beside = {one for found in annotations.values() for one in found}
    entries = [
        Entry(
            _rel(root, head),
            tuple(_rel(root, part) for part in parts[head]),
            tuple(_rel(root, one) for one in annotations.get(head, ())),
        )
        for head in heads
        if head not in beside
    ]
    entries.sort(key=lambda entry: entry.rel)
    return Inventory(tuple(entries), {_rel(root, path): what for path, what in sorted(others.items())})


def _heads(root: Path) -> tuple[list[Path], dict[Path, str]]:
    heads: list[Path] = []
    others: dict[Path, str] = {}
    for folder, subfolders, names in os.walk(root):
        here = Path(folder)
        kind = companions.folder_format(here, names) if here != root or _is_neuralynx(names) else None
        if kind in companions.FOLDER_FORMATS.values():
            heads.append(here)
            subfolders.clear()
            continue
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if kind is not None and here != root:
            heads.append(here)
            names = [name for name in names if Path(name).suffix.lower() not in companions.NEURALYNX]
        for name in sorted(names):
            what = _what(here / name, root)
            if what is None:
                heads.append(here / name)
            else:
                others[here / name] = what
    return heads, others


def _is_neuralynx(names: list[str]) -> bool:
    return any(name.lower().endswith(".ncs") for name in names)


def _what(path: Path, root: Path) -> str | None:
    """Say what a file is that is no recording; None where it may be one and has to be read."""
    suffix = suffix_of(path)
    if path.name.startswith("."):
        return "hidden file"
    if companions.is_later_split(path):
        return "a later part of a FIF"
    if path.is_symlink() and path.exists() and not path.resolve().is_relative_to(root.resolve()):
        return None  # who reads it says where it leads
    if suffix in _DOCUMENTS:
        return _DOCUMENTS[suffix]
    if path.name.lower().endswith(_PACKED):
        return "packed sidecar"
    if suffix in _TABLES:
        return _what_table(path)
    if could_be_recording(path):
        return None
    return "document" if _reads_as_text(path) else None


def _what_table(path: Path) -> str | None:
    """Tell a text file of mostly numbers, which may hold samples, from a table or document of words."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    if b"\x00" in head or head.startswith((b"version https://git-lfs", b"<!DOCTYPE", b"<html")):
        return None
    if head.startswith((b"%OpenBCI", b"%OBCI")) or b"EYELINK" in head[:1000].upper():
        return None
    lines = [line for line in head.decode("latin-1").splitlines()[:-1] if line.strip(" ,;\t")]
    rows = [row for line in lines for row in csv.reader([line], delimiter=_separator(line)) if row]
    numeric = sum(_mostly_numbers(row) for row in rows[1:])
    if path.suffix.lower() == ".tsv" or numeric * 2 < max(len(rows) - 1, 1):
        return "document" if path.suffix.lower() == ".txt" else "table"
    return None


def _separator(line: str) -> str:
    return max((",", ";", "\t", " "), key=line.count)


def _mostly_numbers(row: list[str]) -> bool:
    cells = [cell.strip() for cell in row if cell.strip()]
    return bool(cells) and 2 * sum(_is_number(cell) for cell in cells) > len(cells)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _reads_as_text(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return bool(head) and not any(byte < 9 or 13 < byte < 32 for byte in head)


def _sidecars(heads: list[Path]) -> dict[Path, list[Path]]:
    """Map a recording to the annotation-only EDF and BDF files beside it that are named alike."""
    alone = [head for head in heads if suffix_of(head) in (".edf", ".bdf") and annotations_only(head)]
    found: dict[Path, list[Path]] = {}
    for one in alone:
        beside = [
            head
            for head in heads
            if head.parent == one.parent
            and head not in alone
            and _recording_name(head) == _recording_name(one)
        ]
        if len(beside) == 1:
            found.setdefault(beside[0], []).append(one)
    return found


def _recording_name(path: Path) -> str:
    stem = _ROLE.sub("", path.stem)
    match = _SLEEP_EDF.match(stem)
    return (match.group(1) if match else stem).lower()


def _rel(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
