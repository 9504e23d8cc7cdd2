"""Annotations of a recording that lie in files of their own; EDF and BDF recordings read theirs themselves."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eegfm_etl.formats.edf_annotations import read_annotations
from eegfm_etl.source import SourceHeader


def with_annotations(header: SourceHeader, paths: Sequence[str]) -> SourceHeader:
    """Add the annotations of other files to a header, counted from the first sample.

    Raises
    ------
    SourceError
        Where a file's annotations cannot be read.
    """
    found, notes, warned = list(header.annotations), list(header.notes), list(header.warnings)
    for path in map(Path, paths):
        read, said = _read(path)
        found += read
        notes.append(f"{len(read)} annotations are from {path.name}")
        warned += [f"{path.name}: {words}" for words in said]
    parts = tuple(dict.fromkeys([*header.parts, *paths]))
    return replace(
        header,
        annotations=tuple(sorted(found)),
        notes=tuple(notes),
        warnings=tuple(warned),
        parts=parts,
    )


def _read(path: Path) -> tuple[list[tuple[float, float, str]], list[str]]:
    """Read a file's annotations, and what its reader warned of."""
    if path.suffix.lower() in (".edf", ".bdf", ".rec"):
        return read_annotations(path)[1], []
    import mne  # half a second

    from eegfm_etl.formats.of_mne import annotations_of, explained

    with explained(path, "annotations") as warned:
        found = annotations_of(mne.read_annotations(path))
    return found, warned
