"""FieldTrip structs in .mat: trials with labels, times and a rate.

Read here, not through MNE, which takes the values for volts; FieldTrip keeps whatever the recording's reader gave,
most often µV. The unit is the struct's own where it has one; else the amplitude decides, and where it cannot, the
file is refused.
"""

from pathlib import Path
from typing import Any

import numpy as np

from eegfm_etl.formats.of_mne import explained
from eegfm_etl.formats.recording import Recording, factor_uv, of_array, unique
from eegfm_etl.source import Ask, SourceError, SourceHeader

__all__ = ["Ask", "loaded", "open_struct"]

_FIELDS = {"label", "trial", "time"}
_PLAUSIBLE_UV = (0.5, 1000.0)  # of the median channel's spread
_TYPES = {
    "eeg": "eeg",
    "eog": "eog",
    "ecg": "ecg",
    "emg": "emg",
    "meggrad": "grad",
    "megmag": "mag",
    "trigger": "stim",
}


def loaded(path: Path, name: str) -> dict[str, Any] | None:
    """Load the struct of this name, where it is FieldTrip's."""
    with explained(path, "FieldTrip"):
        import pymatreader

        struct = pymatreader.read_mat(path, variable_names=[name]).get(name)
    return struct if isinstance(struct, dict) and set(struct) >= _FIELDS else None


def open_struct(path: Path, struct: dict[str, Any]) -> Recording:
    """Open a FieldTrip struct of raw data or epochs.

    Raises
    ------
    SourceError
        Where its trials have different time axes, its unit cannot be told, or it holds no EEG.
    """
    single = isinstance(struct["trial"], np.ndarray) and struct["trial"].ndim == 2
    trials = [struct["trial"]] if single else list(struct["trial"])
    times = [struct["time"]] if single else list(struct["time"])
    labels = [struct["label"]] if isinstance(struct["label"], str) else [str(one) for one in struct["label"]]
    _refuse_uneven(path, trials, times, labels)
    rate_hz = float(struct.get("fsample") or 1 / np.median(np.diff(times[0])))
    data = np.concatenate([np.asarray(trial, dtype=np.float64) for trial in trials], axis=1)
    types = _types(struct, labels)
    if not any(kind == "eeg" for kind in types):
        raise SourceError(
            "channels", f"{path.name} holds no EEG: its {len(labels)} channels are {', '.join(set(types))}"
        )
    units, notes = _units(path, struct, labels, data)
    n = data.shape[1] // len(trials)
    starts_s, where = _starts(struct, len(trials), n, rate_hz)
    if len(trials) > 1:
        notes.append(f"{len(trials)} trials of {n / rate_hz:g} s, one segment each, {where}")
    header = SourceHeader(
        path=str(path),
        format="FieldTrip",
        reader="pymatreader",
        rate_hz=rate_hz,
        n_samples=data.shape[1],
        names=unique(labels),
        types=tuple(types),
        rates=(rate_hz,) * len(labels),
        units=tuple(units),
        positions={},
        annotations=tuple(_events(struct, times, starts_s)),
        segments=tuple((start, i * n, (i + 1) * n) for i, start in enumerate(starts_s)),
        notes=tuple(notes),
    )
    return of_array(header, data, np.array([factor_uv(unit) or 1.0 for unit in units]))


def _refuse_uneven(path: Path, trials: list[Any], times: list[Any], labels: list[str]) -> None:
    shapes = {np.shape(trial) for trial in trials}
    axes = {(len(time), round(float(np.ravel(time)[0]), 6)) for time in times}
    if (
        len(shapes) != 1
        or len(axes) != 1
        or any(len(shape) != 2 or shape[0] != len(labels) for shape in shapes)
    ):
        raise SourceError(
            "read",
            f"{path.name} holds {len(trials)} FieldTrip trials with different time axes; cut them to one "
            "(ft_redefinetrial) or ingest the continuous recording",
        )


def _types(struct: dict[str, Any], labels: list[str]) -> list[str]:
    described: dict[str, str] = {}
    for part in ("grad", "elec", "hdr"):
        one = struct.get(part) or {}
        kinds = one.get("chantype")
        if isinstance(kinds, list) and isinstance(one.get("label"), list) and len(kinds) == len(one["label"]):
            described |= dict(zip(map(str, one["label"]), map(str, kinds), strict=True))
    return [
        _TYPES.get(described.get(label, "eeg").lower(), "eeg" if label not in described else "misc")
        for label in labels
    ]


def _units(
    path: Path, struct: dict[str, Any], labels: list[str], data: np.ndarray
) -> tuple[list[str], list[str]]:
    """Tell the unit of every channel, and what was concluded: FieldTrip itself writes ``V`` where it does not know."""
    spread = 1.4826 * np.median(np.abs(data - np.median(data, axis=1, keepdims=True)), axis=1)
    alive = spread[spread > 0]
    middle = float(np.median(alive)) if alive.size else 0.0
    if not np.isfinite(middle):
        raise SourceError("read", f"{path.name}: some of its samples are not numbers (NaN)")
    said = _said_units(struct, labels)
    if said is not None:
        factors = np.array([factor_uv(unit) for unit in said], dtype=float)
        in_uv = float(np.median((spread * factors)[spread > 0])) if alive.size else 1.0
        if _PLAUSIBLE_UV[0] <= in_uv <= _PLAUSIBLE_UV[1]:
            return said, []
    words = f"FieldTrip says {'/'.join(sorted(set(said)))}, its guess" if said else "FieldTrip gives no unit"
    for unit, factor in (("µV", 1.0), ("V", 1e6)):
        if _PLAUSIBLE_UV[0] <= middle * factor <= _PLAUSIBLE_UV[1]:
            note = f"{words}: a spread of {middle:.3g} is that of EEG in {unit}"
            return [unit] * len(labels), [
                note + ("; MNE takes it for volts (factor 10^6)" if unit == "µV" else "")
            ]
    raise SourceError(
        "units",
        f"{path.name}: {words}, and a spread of {middle:.3g} is EEG's neither in µV ({middle:.3g} µV) nor in V "
        f"({middle * 1e6:.3g} µV); say it in the struct (hdr.chanunit)",
    )


def _said_units(struct: dict[str, Any], labels: list[str]) -> list[str] | None:
    for part in ("hdr", "elec"):
        one = struct.get(part) or {}
        units = one.get("chanunit")
        if isinstance(units, list) and isinstance(one.get("label"), list) and len(units) == len(one["label"]):
            said = dict(zip(map(str, one["label"]), map(str, units), strict=True))
            if all(factor_uv(said.get(label)) is not None for label in labels):
                return [said[label] for label in labels]
    return None


def _starts(struct: dict[str, Any], trials: int, n: int, rate_hz: float) -> tuple[list[float], str]:
    """Where each trial begins: its place in the recording where ``sampleinfo`` tells it, else end to end."""
    info = np.atleast_2d(np.asarray(struct.get("sampleinfo", []), dtype=np.float64))
    if info.shape == (trials, 2) and (np.diff(info[:, 0]) >= n).all():
        return ((info[:, 0] - info[0, 0]) / rate_hz).tolist(), "where sampleinfo puts them"
    return [i * n / rate_hz for i in range(trials)], "laid end to end"


def _events(
    struct: dict[str, Any], times: list[Any], starts_s: list[float]
) -> list[tuple[float, float, str]]:
    info = np.asarray(struct.get("trialinfo", []))
    if info.dtype.kind not in "iuf" or info.size == 0 or info.shape[0] != len(times):
        return []
    codes = info.reshape(len(times), -1)[:, 0]
    return [
        (start - min(0.0, float(np.ravel(time)[0])), 0.0, f"{code:g}")
        for start, time, code in zip(starts_s, times, codes, strict=True)
    ]
