"""Annotations of a recording that lie in files of their own; EDF and BDF recordings read theirs themselves."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eegfm_etl.formats.edf_annotations import read_annotations
from eegfm_etl.source import SourceError, SourceHeader


def with_annotations(header: SourceHeader, paths: Sequence[str]) -> SourceHeader:
    """Add the annotations of other files to a header, counted from the first sample.

    Raises
    ------
    SourceError
        Where a file's annotations cannot be read.
    """
    found, notes = list(header.annotations), list(header.notes)
    for path in map(Path, paths):
        read = _read(path)
        found += read
        notes.append(f"{len(read)} annotations are from {path.name}")
    parts = tuple(dict.fromkeys([*header.parts, *paths]))
    return replace(header, annotations=tuple(sorted(found)), notes=tuple(notes), parts=parts)


def _read(path: Path) -> list[tuple[float, float, str]]:
    if path.suffix.lower() in (".edf", ".bdf", ".rec"):
        return read_annotations(path)[1]
    import mne  # half a second

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = mne.read_annotations(path)
    except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise SourceError("read", f"{path.name}: its annotations cannot be read; fetch it again") from error
    return [
        (float(onset), float(length), str(text))
        for onset, length, text in zip(found.onset, found.duration, found.description, strict=True)
    ]
