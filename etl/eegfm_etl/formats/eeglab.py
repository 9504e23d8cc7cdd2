"""EEGLAB: .set with its .fdt or with the samples inside, MATLAB 5 and 7.3, continuous or cut into epochs.

A .set says µV and MNE takes them so. Read here: epochs (one segment each), and boundaries, whose duration is
the time that was cut out.
"""

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import mne

from eegfm_etl.formats.matlab5 import refuse_damaged_matlab
from eegfm_etl.formats.of_mne import annotations_of, explained, of_epochs, recording
from eegfm_etl.formats.recording import Recording, of_array
from eegfm_etl.source import Ask, SourceError

_BOUNDARY = re.compile(r"^boundary$", re.IGNORECASE)


def open_renamed(path: Path, ask: Ask) -> Recording:
    """Open EEGLAB's format under another name, which MNE refuses."""
    with TemporaryDirectory(prefix="eegfm-") as folder:
        link = Path(folder) / f"{path.stem}.set"
        link.symlink_to(path.resolve())
        if path.with_suffix(".fdt").exists():
            link.with_suffix(".fdt").symlink_to(path.with_suffix(".fdt").resolve())
        opened = open_recording(link, ask)
        data_uv = opened.read(0, opened.n_samples)
    parts = tuple(str(path.with_name(Path(part).name)) for part in opened.header.parts)
    return of_array(replace(opened.header, path=str(path), parts=parts), data_uv)


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open a .set.

    Raises
    ------
    SourceError
        Where it or its .fdt cannot be read.
    """
    with explained(path, "EEGLAB") as warned:
        refuse_damaged_matlab(path)
        try:
            raw = mne.io.read_raw_eeglab(path, verbose="warning")
        except TypeError as error:
            if "number of trials" not in str(error).lower():
                raise
            return _epochs(path)
        except FileNotFoundError as error:
            raise SourceError(
                "read", f"{path.name}: its samples ({path.stem}.fdt) are missing beside it; copy both"
            ) from error
        _refuse_cut_off(path, raw)
        shift_s = raw.first_time if raw.annotations.orig_time is not None else 0.0
        segments, annotations = split_at_boundaries(
            annotations_of(raw.annotations, shift_s), float(raw.info["sfreq"]), len(raw.times)
        )
        return recording(raw, path, "EEGLAB", warned=warned, segments=segments, annotations=annotations)


def _epochs(path: Path) -> Recording:
    """Epochs laid end to end; EEGLAB counts the events' latencies in just this way."""
    epochs = mne.io.read_epochs_eeglab(path, verbose="warning")
    header, data_uv = of_epochs(epochs, path, "EEGLAB")
    events = annotations_of(mne.read_annotations(path))
    if events:
        header = replace(header, annotations=tuple(one for one in events if not _BOUNDARY.match(one[2])))
    return of_array(header, data_uv)


def _refuse_cut_off(path: Path, raw: mne.io.BaseRaw) -> None:
    data = Path(raw.filenames[0]) if raw.filenames and raw.filenames[0] else path
    if data.parent.resolve() != path.parent.resolve():
        raise SourceError(
            "read",
            f"{path.name}: its samples ({data.name}) lie outside its folder; they must be a file beside it",
        )
    wanted = 4 * len(raw.ch_names) * len(raw.times)
    if data.suffix.lower() == ".fdt" and data.stat().st_size < wanted:
        raise SourceError(
            "read",
            f"{path.name}: its samples ({data.name}) are cut off: {data.stat().st_size:,} bytes of {wanted:,}; fetch "
            "it again",
        )


def split_at_boundaries(
    annotations: list[tuple[float, float, str]], rate_hz: float, n_samples: int
) -> tuple[list[tuple[float, int, int]], list[tuple[float, float, str]]]:
    """EEGLAB counts events in joined samples; a boundary's duration is what was cut out."""
    cuts = sorted((onset, length) for onset, length, text in annotations if "boundary" in text.lower())
    segments, first, start_s = [], 0, 0.0
    for onset, length in cuts:
        stop = min(max(round(onset * rate_hz), 0), n_samples)
        if stop <= first:  # a boundary before the first sample cuts nothing that we hold
            continue
        segments.append((start_s, first, stop))
        start_s += (stop - first) / rate_hz + length
        first = stop
    if first < n_samples:
        segments.append((start_s, first, n_samples))
    kept = [
        (_gap_time(onset, segments, rate_hz), length, text)
        for onset, length, text in annotations
        if "boundary" not in text.lower()
    ]
    return segments, kept


def _gap_time(joined_s: float, segments: list[tuple[float, int, int]], rate_hz: float) -> float:
    start_s, first, _ = max((one for one in segments if one[1] / rate_hz <= joined_s), default=segments[0])
    return start_s + joined_s - first / rate_hz
