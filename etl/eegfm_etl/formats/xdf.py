"""XDF: streams of any rate with their own clocks; the EEG stream becomes the recording.

Through pyxdf, which does not say when a file is cut off and hides clock resets in one effective rate; both are
found here.
"""

import logging
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from eegfm_etl.formats.of_mne import explained
from eegfm_etl.formats.recording import Recording, factor_uv, of_array, unique
from eegfm_etl.source import Ask, SourceError, SourceHeader

_GAP_S = 1.0
_CLOCK_ERROR = 0.005  # a nominal rate further from the time stamps is no rate but a wish


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open a .xdf; `ask.entry` names the stream where it holds several of EEG.

    Raises
    ------
    SourceError
        Where it cannot be read or holds no stream of EEG with samples.
    """
    logging.getLogger("pyxdf").setLevel(logging.CRITICAL)
    with explained(path, "XDF") as warned:
        import pyxdf  # only for this format

        streams, _ = pyxdf.load_xdf(
            str(path), dejitter_timestamps=False, synchronize_clocks=True, verbose=False
        )
        notes = _cut_off(path)
        stream = _eeg_stream(path, streams, ask.entry, notes)
        markers = [one for one in streams if _text(one, "channel_format") == "string"]
    data = np.asarray(stream["time_series"], dtype=np.float64).T
    times = np.asarray(stream["time_stamps"], dtype=np.float64)
    rate_hz, segments = _clock(stream, times, notes)
    names, types, units = _channels(stream, data.shape[0], notes)
    factors = [factor_uv(unit) for unit in units]
    header = SourceHeader(
        path=str(path),
        format="XDF",
        reader=f"pyxdf {pyxdf.__version__}",
        rate_hz=rate_hz,
        n_samples=data.shape[1],
        names=names,
        types=types,
        rates=(rate_hz,) * len(names),
        units=units,
        positions={},
        annotations=tuple(_events(markers, times, segments)),
        segments=tuple(segments),
        warnings=tuple(warned),
        notes=tuple(notes),
        recorded=_recorded(stream),
        personal=_personal(streams),
    )
    return of_array(header, data, np.array([1.0 if factor is None else factor for factor in factors]))


def _eeg_stream(
    path: Path, streams: list[dict[str, Any]], entry: str | None, notes: list[str]
) -> dict[str, Any]:
    sampled = [
        one
        for one in streams
        if _rate(one) > 0 and len(one["time_series"]) and _text(one, "channel_format") != "string"
    ]
    found = "; ".join(
        f"{_text(one, 'name') or 'unnamed'} ({_text(one, 'type') or 'no type'}, {len(one['time_series'])} samples)"
        for one in streams
    )
    if entry is not None:
        chosen = [one for one in sampled if _text(one, "name") == entry]
    else:
        chosen = [one for one in sampled if _text(one, "type").lower() == "eeg"] or (
            sampled if len(sampled) == 1 else []
        )
    if not chosen:
        raise SourceError(
            "channels",
            f"{path.name} holds no stream of EEG with samples{f' named {entry}' if entry else ''}: {found}",
        )
    best = max(chosen, key=lambda one: len(one["time_series"]))
    if _text(best, "type").lower() != "eeg":
        notes.append(
            f"no stream is of type EEG: {_text(best, 'name')!r} ({_text(best, 'type')!r}) is the only one sampled"
        )
    if len(chosen) > 1:
        notes.append(f"{len(chosen)} streams of EEG; the longest, {_text(best, 'name')!r}, is read: {found}")
    empty = sum(not len(one["time_series"]) for one in streams)
    if empty:
        notes.append(f"{empty} of {len(streams)} streams are empty")
    return best


def _clock(
    stream: dict[str, Any], times: np.ndarray, notes: list[str]
) -> tuple[float, list[tuple[float, int, int]]]:
    """Rate and segments from the time stamps: a jump in them is a gap, the rest tells the rate."""
    nominal = _rate(stream)
    n = len(times)
    steps = np.diff(times)
    limit = max(_GAP_S, 10 / nominal)
    breaks = np.flatnonzero((steps > limit) | (steps < -limit)) + 1
    edges = [0, *breaks.tolist(), n]
    within = np.delete(steps, breaks - 1)
    measured = float(len(within) / within.sum()) if len(within) >= nominal and within.sum() > 0 else nominal
    far = abs(measured / nominal - 1) > _CLOCK_ERROR
    rate_hz = measured if far else nominal
    notes.append(
        f"nominal rate {nominal:g} Hz, time stamps give {measured:.6g} Hz within segments: {rate_hz:.6g} Hz is taken"
    )
    segments: list[tuple[float, int, int]] = []
    for a, b in pairwise(edges):
        ended = segments[-1][0] + (segments[-1][2] - segments[-1][1]) / rate_hz if segments else 0.0
        segments.append((max(float(times[a] - times[0]), ended), a, b))
    if len(segments) > 1:
        gaps = ", ".join(f"{steps[at - 1]:.4g}" for at in edges[1:-1][:5])
        notes.append(f"{len(segments) - 1} gaps (clock resets or losses): {gaps} s")
    return rate_hz, segments


def _channels(
    stream: dict[str, Any], count: int, notes: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str | None, ...]]:
    described = _first((_first(stream["info"].get("desc"), {}) or {}).get("channels"), {}) or {}
    listed = described.get("channel") or []
    if len(listed) != count:
        notes.append(f"its {count} channels are not described: they are numbered, and taken for µV of EEG")
        return tuple(f"EEG{i + 1}" for i in range(count)), ("eeg",) * count, ("µV",) * count
    names = [str(_first(one.get("label"), "") or f"EEG{i + 1}") for i, one in enumerate(listed)]
    types = [str(_first(one.get("type"), "") or "eeg").lower() for one in listed]
    units = [str(_first(one.get("unit"), "") or "µV") for one in listed]
    if any(not _first(one.get("unit"), "") for one in listed):
        notes.append("a channel without a unit is taken for µV")
    known = {"eeg", "eog", "ecg", "emg", "misc", "stim", "resp"}
    kinds = tuple(
        {"ekg": "ecg", "exg": "eeg", "marker": "stim", "markers": "stim"}.get(kind, kind) for kind in types
    )
    return unique(names), tuple(kind if kind in known else "misc" for kind in kinds), tuple(units)


def _events(
    markers: list[dict[str, Any]], times: np.ndarray, segments: list[tuple[float, int, int]]
) -> list[tuple[float, float, str]]:
    """Markers at their place in the recording: the segment that runs, or the start of the next."""
    if len(times) == 0:
        return []
    events = []
    for stream in markers:
        for at, words in zip(stream["time_stamps"], stream["time_series"], strict=False):
            text = " | ".join(str(word) for word in words if str(word))
            start = next((one for one in reversed(segments) if times[one[1]] <= at), segments[0])
            events.append((float(start[0] + at - times[start[1]]), 0.0, text))
    return sorted(event for event in events if event[0] >= 0)


def _cut_off(path: Path) -> list[str]:
    """Note a file that ends within a chunk; pyxdf stops there without a word."""
    if path.suffix.lower() == ".xdfz":
        return []
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(4)
        while (length_bytes := file.read(1)) and length_bytes[0] in (1, 4, 8):
            raw = file.read(length_bytes[0])
            if len(raw) < length_bytes[0]:
                return ["cut off: the file ends within a chunk's length"]
            length = struct.unpack({1: "<B", 4: "<I", 8: "<Q"}[length_bytes[0]], raw)[0]
            at = file.tell()
            if at + length > size:
                return [f"cut off: the last chunk needs {at + length - size:,} bytes more than the file has"]
            file.seek(length, 1)
        if length_bytes:
            return [f"damaged at byte {file.tell():,}: no chunk begins there"]
    return []


def _recorded(stream: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    described = _first(stream["info"].get("desc"), {}) or {}
    made = _first(described.get("acquisition"), {}) or {}
    words = [str(_first(made.get(key), "") or "") for key in ("manufacturer", "model")]
    name = " ".join(word for word in words if word)
    reference = _first(described.get("reference"), {}) or {}
    label = _first(reference.get("label"), None) if isinstance(reference, dict) else None
    found = [("amplifier", name)] if name else []
    return tuple(found + ([("reference", str(label))] if label else []))


def _personal(streams: list[dict[str, Any]]) -> tuple[str, ...]:
    found = []
    for stream in streams:
        subject = _first((_first(stream["info"].get("desc"), {}) or {}).get("subject"), None)
        if isinstance(subject, dict):
            found += [key for key, value in subject.items() if _first(value, "")]
    return tuple(dict.fromkeys(found))


def _rate(stream: dict[str, Any]) -> float:
    try:
        return float(_text(stream, "nominal_srate") or 0)
    except ValueError:
        return 0.0


def _text(stream: dict[str, Any], key: str) -> str:
    return str(_first(stream["info"].get(key), "") or "")


def _first(value: Any, default: Any) -> Any:
    if isinstance(value, list):
        return value[0] if value else default
    return default if value is None else value
