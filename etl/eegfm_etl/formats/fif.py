"""FIF: recordings, also in several files, and epochs; MNE's own format, read by MNE.

Read here: what a file holds, by its blocks. `mne.what` tries one reader after another and calls a recording whose
second file is missing an average.
"""

import gzip
import io
import struct
from pathlib import Path

import mne
from mne.io.constants import FIFF

from eegfm_etl.formats.of_mne import annotations_of, explained, of_epochs, recording
from eegfm_etl.formats.recording import Recording, of_array
from eegfm_etl.source import Ask, SourceError
from eegfm_etl.triggers import names_events, stim_events

_BLOCKS = {
    FIFF.FIFFB_RAW_DATA: "raw",
    FIFF.FIFFB_CONTINUOUS_DATA: "raw",
    FIFF.FIFFB_IAS_RAW_DATA: "raw",
    FIFF.FIFFB_MNE_EPOCHS: "epochs",
    FIFF.FIFFB_EVOKED: "evoked",
}
_MOST_TAGS = 100_000  # before the first block of data there are some tags a channel


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open a .fif or .fif.gz.

    Raises
    ------
    SourceError
        Where it cannot be read, holds averages or no EEG, or a further file of it is missing.
    """
    with explained(path, "FIF") as warned:
        holds = _holds(path)
        if holds == "evoked":
            raise SourceError("average", f"{path.name} holds averages of trials, not a recording")
        if holds == "epochs":
            header, data_uv = of_epochs(mne.read_epochs(path, verbose="warning"), path, "FIF")
            return of_array(header, data_uv)
        if holds is None:
            raise SourceError("read", f"{path.name} is a FIF without a recording: it holds {mne.what(path)}")
        raw = _raw(path)
        shift_s = raw.first_time if raw.annotations.orig_time is not None else 0.0
        annotations = annotations_of(raw.annotations, shift_s)
        notes: list[str] = []
        if ask.triggers is None and not names_events(annotations):
            found, notes = stim_events(raw)
            annotations = sorted([*annotations, *found])
        return recording(
            raw, path, "FIF", warned=warned, triggers=ask.triggers, annotations=annotations, notes=notes
        )


def _raw(path: Path) -> mne.io.BaseRaw:
    try:
        return mne.io.read_raw_fif(path, verbose="warning", allow_maxshield=True)
    except ValueError as error:
        if "next file" not in str(error):
            raise
        raise SourceError(
            "read",
            f"{path.name} goes on in a further file ({path.stem}-1{path.suffix} or the like) that is not beside it; "
            "copy all parts of the recording, under the names they were written with",
        ) from error


def _holds(path: Path) -> str | None:
    """Name the first block of data; None where there is none."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        for _ in range(_MOST_TAGS):
            kind, after = _tag(file)
            if kind in _BLOCKS.values():
                return kind
            if after == FIFF.FIFFV_NEXT_NONE:
                return None
            if after > 0:
                file.seek(after)
    return None


def _tag(file: gzip.GzipFile | io.BufferedReader) -> tuple[str, int]:
    """Read one tag: which block of data it begins, if one, and where the next is."""
    head = file.read(16)
    if len(head) < 16:
        return "", FIFF.FIFFV_NEXT_NONE
    kind, _, size, after = struct.unpack(">iiii", head)
    if kind == FIFF.FIFF_BLOCK_START and size == 4:
        return _BLOCKS.get(struct.unpack(">i", file.read(4))[0], ""), after
    file.seek(max(size, 0), 1)
    return "", after
