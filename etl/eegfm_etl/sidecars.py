"""Annotations of a recording that lie in files of their own: a hypnogram's EDF+, an events' BDF+."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from eegfm_etl.source import SourceError, SourceHeader

_START_BYTES = slice(168, 184)  # an EDF header's date and time, dd.mm.yyhh.mm.ss
_FAR = timedelta(days=1)


def with_annotations(header: SourceHeader, paths: Sequence[str]) -> SourceHeader:
    """Add the annotations of other files to a header.

    Where both files are EDF or BDF and their starts differ by less than a day, the annotations are moved by the
    difference.

    Raises
    ------
    SourceError
        Where a file's annotations cannot be read.
    """
    found, notes = list(header.annotations), list(header.notes)
    for path in map(Path, paths):
        shift_s = _shift_s(Path(header.path), path)
        read = _read(path)
        found += [(onset + shift_s, length, text) for onset, length, text in read]
        moved = f", moved by {shift_s:g} s" if shift_s else ""
        notes.append(f"{len(read)} annotations from {path.name}{moved}")
    parts = (*header.parts, *(path for path in paths if path not in header.parts))
    return replace(header, annotations=tuple(sorted(found)), notes=tuple(notes), parts=parts)


def _read(path: Path) -> list[tuple[float, float, str]]:
    import mne  # half a second

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = mne.read_annotations(path)
    except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise SourceError(
            "read", f"{path.name}: its annotations cannot be read ({error}); fetch it again"
        ) from error
    return [
        (float(onset), float(length), str(text))
        for onset, length, text in zip(found.onset, found.duration, found.description, strict=True)
    ]


def _shift_s(recording: Path, annotations: Path) -> float:
    starts = [_start(path) for path in (recording, annotations)]
    if starts[0] is None or starts[1] is None:
        return 0.0
    difference = starts[1] - starts[0]
    return difference.total_seconds() if abs(difference) < _FAR else 0.0


def _start(path: Path) -> datetime | None:
    if path.suffix.lower() not in (".edf", ".bdf", ".rec") or not path.is_file():
        return None
    with path.open("rb") as file:
        text = file.read(256)[_START_BYTES].decode("latin-1")
    try:
        return datetime.strptime(text, "%d.%m.%y%H.%M.%S")
    except ValueError:
        return None
