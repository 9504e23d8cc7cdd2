"""Units: what a header says of them, against what scalp EEG can be.

Readers give the file's own numbers where the header states no unit, and µV elsewhere. Amplitudes of scalp EEG: 10 to
100 µV awake (Niedermeyer and Lopes da Silva, Electroencephalography, 5th ed., ch. 9), 20 µV and less in suppression,
above 200 µV peak to peak in hypsarrhythmia and slow-wave sleep; the noise of an amplifier's input alone is above
0.1 µV from 1 to 45 Hz.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eegfm_etl.chain.samples import SampleSource
from eegfm_etl.chain.spectra import FREQS_HZ, SpectrumMean, spectrum, without_mean
from eegfm_etl.channels import ChannelPlan
from eegfm_etl.edf import unit_factor
from eegfm_etl.source import SourceError

PLAUSIBLE_UV = (0.5, 300.0)
"""Robust standard deviation of the median EEG channel of a recording that nothing is wrong with."""

POSSIBLE_UV = (0.1, 2000.0)
"""Outside, no amplifier and no scalp gives such samples: the unit is wrong."""

READINGS_UV = {"V": 1e6, "mV": 1e3, "µV": 1.0, "nV": 1e-3}
"""µV in one of each unit that a header can mean."""

_SILENT = (
    "",
    "n/a",
    "na",
    "nan",
    "none",
    "unknown",
    "undefined",
    "?",
    "-",
    "--",
    ".",
    "1",
    "a.u.",
    "au",
    "arb",
)
_STEP_UV = (1e-4, 20.0)  # resolution of an EEG amplifier's converter
_BAND_HZ = (1.0, 45.0)
_STRETCHES, _STRETCH_S = 6, 10.0
_OTHERS = 100.0  # times the median channel: a channel in another unit, at a fault of 1000


@dataclass(frozen=True)
class Settled:
    """A source whose samples are µV, as far as its header can be believed."""

    source: SampleSource
    channels: list[ChannelPlan]
    notes: tuple[str, ...]  # what was read otherwise than the header says


def settle(
    source: SampleSource, planned: Sequence[ChannelPlan], units: Sequence[str | None], file: str
) -> Settled:
    """Drop channels that are no voltage; find the unit that a header does not state, where only one can be meant.

    A header that states no unit (blank, ``n/a``) leaves V, mV, µV and nV. Scalp EEG spans less than a factor of
    1000, so at most one of them fits the amplitude; the step of the samples must fit the same.

    Parameters
    ----------
    source : SampleSource
        Numbers of the file for channels without a known unit, else µV.
    planned : sequence of ChannelPlan
    units : sequence of (str or None)
        By source channel; None where the format leaves no choice.
    file : str
        How errors call the recording.

    Returns
    -------
    Settled

    Raises
    ------
    SourceError
        No EEG channel has a unit of voltage, or no reading of a missing unit gives EEG.
    """
    silent = [one for one in planned if one.status != "dropped" and is_silent(units[one.source_index])]
    eeg = [one for one in silent if one.type == "eeg"]
    channels = [_without_foreign_unit(one, units[one.source_index]) for one in planned]
    notes: tuple[str, ...] = ()
    if eeg:
        unit, readings = _meant(source, eeg)
        if unit is None:
            raise SourceError(
                "units",
                f"{file}: the header gives no unit, and no reading of its EEG is {_span(PLAUSIBLE_UV)}: {readings}; "
                "correct the header, or state the unit",
            )
        rows = [one.source_index for one in silent]
        source = _Scaled(source, dict.fromkeys(rows, READINGS_UV[unit]))
        notes = (f"the header gives no unit for {len(rows)} channels: read as {unit} ({readings})",)
        reason = f"no unit in the header: read as {unit}"
        channels = [
            replace(one, reasons=(*one.reasons, reason)) if one.source_index in rows else one
            for one in channels
        ]
    else:
        channels = [
            replace(one, status="dropped", reasons=(*one.reasons, "the header gives no unit"))
            if one in silent
            else one
            for one in channels
        ]
    if not any(one.type == "eeg" and one.status != "dropped" for one in channels):
        found = ", ".join(sorted({repr(unit) for unit in units}))
        raise SourceError(
            "units", f"{file}: no EEG channel has a unit of voltage (found {found}); correct the header"
        )
    return Settled(source, channels, notes)


def is_silent(unit: str | None) -> bool:
    """Whether a header's text for a unit says nothing."""
    return unit is not None and unit.strip().lower() in _SILENT


def check(
    blocks: Sequence[Mapping[str, Any]],
    before_uv2_hz: Sequence[float | None],
    units: Sequence[str | None],
    file: str,
) -> None:
    """Refuse a recording whose amplitude no scalp and no amplifier gives: its header states a wrong unit.

    Parameters
    ----------
    blocks : sequence of mapping
        As `eegfm_lake.schema.BLOCKS`; the robust amplitude of the stored samples tells what is too large.
    before_uv2_hz : sequence of float
        Spectrum of the source at `eegfm_etl.chain.spectra.FREQS_HZ`; it tells what is too small, for quantised to
        0.01 µV such samples are lost.
    units : sequence of (str or None)
        What the header states.
    file : str
        How the error calls the recording.

    Raises
    ------
    SourceError
        With what the header's unit gives, and what the others would.
    """
    low_uv, high_uv = POSSIBLE_UV
    known = [block["amplitude_uv"] for block in blocks if block["amplitude_uv"] is not None]
    stored_uv = float(np.median(known)) if known else 0.0
    inside = (_BAND_HZ[0] <= FREQS_HZ) & (_BAND_HZ[1] >= FREQS_HZ)
    power = np.array([0.0 if value is None else value for value in before_uv2_hz])[inside].sum()
    source_uv = float(np.sqrt(power * (FREQS_HZ[1] - FREQS_HZ[0])))
    if stored_uv > high_uv:
        amplitude_uv = stored_uv
    elif 0 < source_uv < low_uv and stored_uv < PLAUSIBLE_UV[0] and _others(source_uv):
        amplitude_uv = source_uv
    else:
        return
    stated = ", ".join(sorted({unit for unit in units if unit})) or "volts"
    others = "; ".join(_others(amplitude_uv)) or "no factor of 1000 makes it so"
    raise SourceError(
        "units",
        f"{file}: its EEG has {_amount(amplitude_uv)} as the header says ({stated}), where scalp EEG has "
        f"{_span(PLAUSIBLE_UV)}: {others}; correct the header, or state the unit",
    )


def doubtful(channels: Sequence[Mapping[str, Any]], units: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """Mark channels bad that are a hundred times as strong, or as weak, as the median channel.

    Parameters
    ----------
    channels : sequence of mapping
        As `eegfm_lake.schema.CHANNELS`.
    units : mapping
        Source name → unit.

    Returns
    -------
    list of dict
        The same rows; a doubtful one says both amplitudes.
    """
    scales = [one["scale_uv"] for one in channels if one["type"] == "eeg" and (one["scale_uv"] or 0) > 0]
    middle = float(np.median(scales)) if len(scales) > 2 else None
    rows = []
    for one in channels:
        scale = one["scale_uv"] or 0.0
        if middle and one["type"] == "eeg" and scale > 0 and not 1 / _OTHERS < scale / middle < _OTHERS:
            unit = units.get(one["source_name"]) or "V"
            reason = (
                f"{_amount(scale)} where the others have {_amount(middle)}: its unit ({unit}) is in doubt"
            )
            one = {**one, "status": "bad", "reasons": [*one["reasons"], reason]}
        rows.append(dict(one))
    return rows


def _without_foreign_unit(channel: ChannelPlan, unit: str | None) -> ChannelPlan:
    """Drop a channel whose header names no voltage: taken for volts it would be wrong by a million."""
    if unit is None or channel.status == "dropped" or is_silent(unit):
        return channel
    if unit_factor(unit, channel.source_name) is not None:
        return channel
    return replace(channel, status="dropped", reasons=(*channel.reasons, f"its unit is {unit!r}, no voltage"))


def _meant(source: SampleSource, eeg: Sequence[ChannelPlan]) -> tuple[str | None, str]:
    """Find the unit that the header does not say: (unit or None, all readings in words)."""
    amplitude, step = _measured(source, eeg)
    fits = [
        unit
        for unit, factor in READINGS_UV.items()
        if PLAUSIBLE_UV[0] <= factor * amplitude <= PLAUSIBLE_UV[1]
        and (not np.isfinite(step) or _STEP_UV[0] <= factor * step <= _STEP_UV[1])
    ]
    readings = ", ".join(f"as {unit} {_amount(factor * amplitude)}" for unit, factor in READINGS_UV.items())
    return (fits[0] if len(fits) == 1 else None), readings


def _measured(source: SampleSource, eeg: Sequence[ChannelPlan]) -> tuple[float, float]:
    """Median channel's amplitude at 1 to 45 Hz, and its smallest step, in the file's own numbers.

    From six stretches of ten seconds spread over the recording, whatever its length.
    """
    amplitudes, steps = [], []
    for rate_hz in sorted({one.source_rate for one in eeg}):
        rows = [one.source_index for one in eeg if one.source_rate == rate_hz]
        total = int(source.n_samples * rate_hz / source.rate_hz)
        length = min(total, round(_STRETCH_S * rate_hz))
        found = []
        for start in np.unique(np.linspace(0, total - length, _STRETCHES).astype(int)):
            mean = SpectrumMean(len(rows))
            samples = source.read(int(start), int(start) + length, rows)
            mean.add(spectrum(without_mean(samples[:, None])[0], rate_hz))
            found.append(mean.rms_uv(*_BAND_HZ))
            change = np.abs(np.diff(samples, axis=1))
            steps.append(np.where(change > 0, change, np.inf).min(axis=1))
        amplitudes.append(np.nanmedian(np.array(found), axis=0))
    live = np.concatenate(amplitudes)
    live = live[live > 0]
    smallest = np.concatenate(steps)
    smallest = smallest[np.isfinite(smallest)]
    return (
        float(np.median(live)) if live.size else 0.0,
        float(np.median(smallest)) if smallest.size else float("nan"),
    )


def _others(amplitude_uv: float) -> list[str]:
    """Say which factors of a thousand would make an amplitude that of EEG."""
    return [
        f"{factor:g} times that would be {_amount(amplitude_uv * factor)}"
        for factor in (1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9)
        if PLAUSIBLE_UV[0] <= amplitude_uv * factor <= PLAUSIBLE_UV[1]
    ]


def _amount(uv: float) -> str:
    for unit, factor in READINGS_UV.items():
        if uv >= factor:
            return f"{uv / factor:.3g} {unit}"
    return f"{uv:.2g} µV"


def _span(limits_uv: tuple[float, float]) -> str:
    return f"{limits_uv[0]:g} to {limits_uv[1]:g} µV"


@dataclass(frozen=True)
class _Scaled:
    """A source of which some channels are multiplied."""

    source: SampleSource
    factors: Mapping[int, float]

    @property
    def rate_hz(self) -> float:
        return self.source.rate_hz

    @property
    def n_samples(self) -> int:
        return self.source.n_samples

    def read(self, start: int, stop: int, rows: Sequence[int] | None = None) -> np.ndarray:
        samples = np.asarray(self.source.read(start, stop, rows), dtype=np.float64)
        named = range(len(samples)) if rows is None else rows
        return samples * np.array([self.factors.get(int(row), 1.0) for row in named])[:, None]
