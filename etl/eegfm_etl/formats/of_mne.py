"""A recording that MNE opened: its header in our words, its errors in a scientist's."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import mne
import numpy as np

from eegfm_etl import companions
from eegfm_etl.formats.recording import Recording, translated
from eegfm_etl.source import SourceError, SourceHeader
from eegfm_etl.triggers import trigger_events

Annotations = list[tuple[float, float, str]]
Segments = list[tuple[float, int, int]]

_SKIP = re.compile(r"bad_acq_skip", re.IGNORECASE)
_JOINT = re.compile(r"^boundary$|^EDGE boundary$|^New Segment/", re.IGNORECASE)
_VOLT = 107  # FIFF_UNIT_V
_PERSONAL = (
    "first_name",
    "middle_name",
    "last_name",
    "birthday",
    "his_id",
    "sex",
    "hand",
    "weight",
    "height",
)
_NOTHING = {"", "x", "x,x", "0", "-1", "none", "no_name", "unknown", "n/a", "0001-01-01"}


@contextmanager
def explained(path: Path, kind: str) -> Iterator[list[str]]:
    """Turn whatever a reader raises into a `SourceError`, and collect what it warns of."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield said
        except (SourceError, MemoryError):
            raise
        except Exception as error:
            raise translated(path, kind, error) from error
        finally:
            said += dict.fromkeys(str(one.message).splitlines()[0] for one in caught if str(one.message))


def recording(
    raw: mne.io.BaseRaw,
    path: Path,
    kind: str,
    *,
    notes: Sequence[str] = (),
    warned: Sequence[str] = (),
    recorded: Sequence[tuple[str, str]] = (),
    segments: Segments | None = None,
    annotations: Annotations | None = None,
    to_uv: np.ndarray | None = None,
    units: Sequence[str | None] | None = None,
    triggers: str | None = None,
) -> Recording:
    """Wrap a raw object.

    Parameters
    ----------
    raw, path, kind
        As opened, where from, and the format's name.
    notes, warned, recorded
        For the header.
    segments, annotations
        Where MNE's are not what the file says; None takes the skips and joints among its annotations.
    to_uv, units
        Factor from MNE's value to µV and the unit's name of every channel; None trusts MNE's units.
    triggers
        Channel whose steps are events.
    """
    if len(raw.times) < 1:
        raise SourceError("read", f"{path.name} opens as {kind} and holds no samples; fetch it again")
    refuse_without_eeg(raw.info, path)
    if annotations is None:
        shift_s = raw.first_time if raw.annotations.orig_time is not None else 0.0
        annotations = annotations_of(raw.annotations, shift_s)
    if segments is None:
        segments, annotations = segments_of(annotations, float(raw.info["sfreq"]), len(raw.times))
    if triggers is not None:
        annotations = sorted([*annotations, *trigger_events(raw, triggers)])
    volts = [ch["unit"] == _VOLT for ch in raw.info["chs"]]
    factors = np.where(volts, 1e6, 1.0) if to_uv is None else to_uv
    header = replace(
        header_of(raw.info, path, kind, len(raw.times)),
        units=tuple(None if volt else "no voltage" for volt in volts) if units is None else tuple(units),
        annotations=tuple(annotations),
        segments=tuple(segments),
        warnings=tuple(dict.fromkeys(warned)),
        notes=tuple(notes),
        recorded=tuple(recorded) + recorded_by(raw.info),
    )

    def samples(start: int, stop: int, rows: Sequence[int] | None) -> np.ndarray:
        with explained(path, kind):
            data = raw.get_data(picks=rows, start=start, stop=stop)
        data *= (factors if rows is None else factors[list(rows)])[:, None]
        return data

    return Recording(header, samples)


def of_epochs(
    epochs: mne.BaseEpochs, path: Path, kind: str, **changes: Any
) -> tuple[SourceHeader, np.ndarray]:
    """Header and samples in µV of epochs laid end to end, one segment each."""
    refuse_without_eeg(epochs.info, path)
    data = epochs.get_data(copy=False)
    n_epochs, _, n_times = data.shape
    if n_epochs * n_times == 0:
        raise SourceError("read", f"{path.name} holds no epoch; fetch it again")
    rate_hz = float(epochs.info["sfreq"])
    volts = np.array([ch["unit"] == _VOLT for ch in epochs.info["chs"]])
    names = {code: name for name, code in epochs.event_id.items()}
    before_s = -float(epochs.tmin)
    header = replace(
        header_of(epochs.info, path, kind, n_epochs * n_times),
        units=tuple(None if volt else "no voltage" for volt in volts),
        segments=tuple((i * n_times / rate_hz, i * n_times, (i + 1) * n_times) for i in range(n_epochs)),
        annotations=tuple(
            (i * n_times / rate_hz + before_s, 0.0, names.get(int(code), str(code)))
            for i, code in enumerate(epochs.events[:, 2])
        ),
        notes=(f"{n_epochs} epochs of {n_times / rate_hz:g} s, laid end to end, one segment each",),
        recorded=recorded_by(epochs.info),
    )
    joined = data.transpose(1, 0, 2).reshape(data.shape[1], -1) * np.where(volts, 1e6, 1.0)[:, None]
    return replace(header, **changes), joined


def header_of(info: mne.Info, path: Path, kind: str, n_samples: int) -> SourceHeader:
    """Say what MNE's info says; times and units are the caller's."""
    rate_hz = float(info["sfreq"])
    return SourceHeader(
        path=str(path),
        format=kind,
        reader=f"mne {mne.__version__}",
        rate_hz=rate_hz,
        n_samples=n_samples,
        names=tuple(info["ch_names"]),
        types=tuple(info.get_channel_types()),
        rates=(rate_hz,) * len(info["ch_names"]),
        units=(None,) * len(info["ch_names"]),
        positions=positions_of(info),
        annotations=(),
        segments=((0.0, 0, n_samples),),
        line_freq_hz=_positive(info["line_freq"]),
        hardware_band=hardware_band(info),
        start_time=None if info["meas_date"] is None else info["meas_date"].isoformat(),
        parts=tuple(str(one) for one in companions.parts(path) if one != path),
        personal=personal_fields(info),
    )


def refuse_without_eeg(info: mne.Info, path: Path) -> None:
    """Refuse a recording of magnetometers or the like alone."""
    kinds = info.get_channel_types()
    if kinds and set(kinds) <= {
        "grad",
        "mag",
        "ref_meg",
        "stim",
        "hbo",
        "hbr",
        "fnirs_cw_amplitude",
        "syst",
        "chpi",
    }:
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        raise SourceError("channels", f"{path.name} holds no EEG: its {len(kinds)} channels are {counts}")


def annotations_of(found: mne.Annotations, shift_s: float = 0.0) -> Annotations:
    """(onset_s, duration_s, text) from the first sample."""
    return [
        (float(onset - shift_s), float(length), str(text))
        for onset, length, text in zip(found.onset, found.duration, found.description, strict=True)
    ]


def segments_of(annotations: Annotations, rate_hz: float, n_samples: int) -> tuple[Segments, Annotations]:
    """Segments between skips and joints, and the annotations that are neither."""
    skips = [(onset, onset + length) for onset, length, text in annotations if _SKIP.search(text)]
    joints = [round(onset * rate_hz) for onset, _, text in annotations if _JOINT.search(text)]
    kept = [one for one in annotations if not (_SKIP.search(one[2]) or _JOINT.search(one[2]))]
    return _cut(_without(skips, rate_hz, n_samples), joints, rate_hz), kept


def positions_of(info: mne.Info) -> dict[str, tuple[float, float, float]]:
    """Measured electrode positions in MNE's head frame."""
    head = mne.io.constants.FIFF.FIFFV_COORD_HEAD
    found = {}
    for ch in info["chs"]:
        xyz = ch["loc"][:3]
        if ch["coord_frame"] == head and np.isfinite(xyz).all() and np.any(xyz):
            found[ch["ch_name"]] = (float(xyz[0]), float(xyz[1]), float(xyz[2]))
    return found


def hardware_band(info: mne.Info) -> tuple[float | None, float | None] | None:
    """MNE writes 0 Hz and the Nyquist frequency where the header does not say."""
    low = _positive(info["highpass"])
    high = float(info["lowpass"]) if 0 < info["lowpass"] < 0.499 * info["sfreq"] else None
    return None if low is None and high is None else (low, high)


def recorded_by(info: mne.Info) -> tuple[tuple[str, str], ...]:
    """Name the amplifier, where the file does."""
    device = info.get("device_info") or {}
    words = dict.fromkeys(str(device.get(key) or "").strip() for key in ("type", "model"))
    name = " ".join(word for word in words if word and word.lower() not in _NOTHING)
    # EGI's files name the net here
    return (
        (("cap" if re.search(r"\bGSN\b|geodesic|hydrocel", name, re.IGNORECASE) else "amplifier", name),)
        if name
        else ()
    )


def personal_fields(info: mne.Info) -> tuple[str, ...]:
    """Names of the fields about a person that the header filled in."""
    subject = info.get("subject_info") or {}
    found = [
        key
        for key in _PERSONAL
        if filled_in(subject.get(key)) and not (key in ("sex", "hand") and subject[key] == 0)
    ]
    return tuple(found + (["experimenter"] if filled_in(info.get("experimenter")) else []))


def filled_in(value: object) -> bool:
    """Whether a field about a person says anything."""
    return value is not None and str(value).strip().lower() not in _NOTHING


def _positive(value: float | None) -> float | None:
    return float(value) if value is not None and value > 0 else None


def _without(skips: list[tuple[float, float]], rate_hz: float, n_samples: int) -> Segments:
    """Segments between stretches that were never acquired and are filled with zeros."""
    segments, first = [], 0
    for start_s, stop_s in sorted(skips):
        stop = min(max(round(start_s * rate_hz), 0), n_samples)
        if stop > first:
            segments.append((first / rate_hz, first, stop))
        first = max(first, min(round(stop_s * rate_hz), n_samples))
    if first < n_samples:
        segments.append((first / rate_hz, first, n_samples))
    if not segments:
        raise SourceError(
            "segments", "the recording was paused from its first sample to its last: nothing was acquired"
        )
    return segments


def _cut(segments: Segments, joints: list[int], rate_hz: float) -> Segments:
    """End segments where pieces were joined; how long the gap was nobody wrote down."""
    pieces = []
    for start_s, first, stop in segments:
        edges = [first, *sorted({joint for joint in joints if first < joint < stop}), stop]
        pieces += [(start_s + (a - first) / rate_hz, a, b) for a, b in pairwise(edges)]
    return pieces
