"""What the chain did and found, in the shape of the lake's tables."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from eegfm_etl.chain import quality, ransac
from eegfm_etl.chain.filters import NO_NOTCH, SHORTEST_NOTCHED_S, Kernel, shortest_high_passed_s, wanted_band
from eegfm_etl.chain.measure import SourceFigures
from eegfm_etl.chain.medians import median, none_for_nan
from eegfm_etl.chain.plan import Plan
from eegfm_etl.chain.resample import PASSBAND
from eegfm_etl.chain.spectra import FREQS_HZ
from eegfm_etl.chain.store import Tally
from eegfm_etl.chain.strands import Strand
from eegfm_etl.channels import ChannelPlan
from eegfm_etl.units import PLAUSIBLE_UV, POSSIBLE_UV
from eegfm_lake import electrodes
from eegfm_lake.schema import BLOCK_S

VERSION = "2"
"""Raised whenever the same source would be stored differently."""

_DRIFT_SAMPLES = 0.1  # stored ones: less is not worth a word


@dataclass(frozen=True)
class Facts:
    """All that is known of a recording once it is stored."""

    plan: Plan
    figures: SourceFigures
    tally: Tally
    channels: Sequence[ChannelPlan]  # of the source, stored or not
    hardware_band: tuple[float | None, float | None]
    zeros_cut: int
    segments_found: int

    @cached_property
    def verdicts(self) -> list[list[str]]:
        """Why each stored channel is bad."""
        return _verdicts(self)


def segment_rows(facts: Facts) -> list[dict[str, Any]]:
    """Shape the stored segments like schema.SEGMENTS."""
    plan, rows, sample, block = facts.plan, [], 0, 0
    for segment, kernels in zip(plan.segments, plan.kernels, strict=True):
        samples = plan.ratio.stored(segment.samples)
        rows.append(
            {"start_s": segment.start_s, "first_sample": sample, "samples": samples, "first_block": block}
            | _edges([kernels[row] for row in plan.eeg], plan.profile.rate_hz)
        )
        sample, block = sample + samples, block - (-samples // plan.block)
    return rows


def _edges(kernels: Sequence[Kernel], rate_hz: float) -> dict[str, Any]:
    """Say how far into a segment its ends reach, and which filters it was too short for."""
    return {
        "edge_s": max((kernel.half for kernel in kernels), default=0) / rate_hz,
        "high_passed": any(kernel.high_pass_hz is not None for kernel in kernels),
        "notched": any(kernel.notches_hz for kernel in kernels),
    }


def channel_rows(facts: Facts) -> list[dict[str, Any]]:
    """Shape every source channel like schema.CHANNELS, the stored ones first and in the file's order."""
    scales, verdicts = facts.tally.scales.robust_sd() * facts.plan.steps_uv, facts.verdicts
    longest = int(np.argmax([segment.samples for segment in facts.plan.segments]))
    rows = []
    for row, channel in enumerate(facts.plan.stored):
        low, high = _band(channel, facts.plan.kernels[longest][row], facts.hardware_band)
        rows.append(
            _channel_row(channel)
            | {
                "band_low": low,
                "band_high": high,
                "step": float(facts.plan.steps_uv[row]),
                "status": "bad" if verdicts[row] or channel.status == "bad" else "good",
                "reasons": [*channel.reasons, *verdicts[row]],
                "clipped_samples": int(facts.tally.clipped[row]),
                "scale_uv": float(scales[row]),
            }
        )
    return rows + [_channel_row(channel) for channel in facts.channels if channel.status == "dropped"]


def chain(facts: Facts) -> dict[str, Any]:
    """Shape the chain's steps, in their order and with their parameters, like schema.CHAIN."""
    plan = facts.plan
    (amplitude_uv,) = none_for_nan(
        median(np.array([[one["amplitude_uv"] or np.nan for one in facts.tally.blocks]]))
    )
    low, high = PLAUSIBLE_UV
    steps = {
        "segments": {
            "found": facts.segments_found,
            "stored": len(plan.segments),
            "trailing_zeros_cut": facts.zeros_cut,
        },
        "channels": {
            "electrodes_version": electrodes.VERSION,
            "template": electrodes.TEMPLATE,
            "cap": next((channel.cap for channel in facts.channels if channel.cap), None),
            "stored": len(plan.stored),
            "left_out": len(facts.channels) - len(plan.stored),
        },
        "units": {
            "amplitude_uv": amplitude_uv,
            "plausible": amplitude_uv is not None and low <= amplitude_uv <= high,
            "plausible_uv": PLAUSIBLE_UV,
            "refused_outside_uv": POSSIBLE_UV,
        },
        "line_frequency": {"hz": plan.line_freq_hz, "origin": plan.line_freq_origin or "unknown"},
        "source_quality": {"block_s": BLOCK_S},
        "resample": {
            "from_hz": plan.rate_hz,
            "to_hz": plan.profile.rate_hz,
            "up": plan.ratio.up,
            "down": plan.ratio.down,
            "method": "polyphase, zero phase, Kaiser 5",
            **_other_rates(plan),
        },
        "filter": _filter_params(plan),
        "stored_quality": {
            "uncorrelated_below": quality.UNCORRELATED,
            "noisy_above": quality.NOISY_RATIO,
            "clipped_above": quality.CLIPPED_SHARE,
            "bad_share": quality.BAD_SHARE,
            "ransac": {
                "seed": ransac.SEED,
                "samples": ransac.SAMPLES,
                "share": ransac.SHARE,
                "predicted_above": ransac.PREDICTED,
                "bad_share": ransac.BAD_SHARE,
                "window_s": ransac.WINDOW_S,
                "judged": bool(np.isfinite(facts.tally.unpredicted).any()),
            },
        },
        "quantise": {
            "type": "int16",
            "smallest_step_uv": float(plan.steps_uv.min()),
            "largest_step_uv": float(plan.steps_uv.max()),
        },
    }
    return {
        "version": f"{plan.profile.name}/{VERSION}",
        "steps": [
            {"name": name, "params": json.dumps(params, sort_keys=True)} for name, params in steps.items()
        ],
    }


def spectrum(facts: Facts) -> dict[str, Any]:
    """Shape the median spectrum over good EEG channels, before and after, like schema.SPECTRUM."""
    good = np.array([row for row in facts.plan.comparable if not facts.verdicts[row]], dtype=np.int64)
    rows = good if len(good) else facts.plan.comparable
    return {
        "freqs_hz": FREQS_HZ.tolist(),
        "before_uv2_hz": none_for_nan(facts.figures.spectrum.median(rows)),
        "after_uv2_hz": none_for_nan(facts.tally.spectrum.median(rows)),
    }


def _verdicts(facts: Facts) -> list[list[str]]:
    """Why each stored channel is bad: the faults of more than a third of its time."""
    total_s = facts.tally.samples / facts.plan.profile.rate_hz
    bad = facts.tally.faulty_s > quality.BAD_SHARE * total_s
    named = [
        [reason for reason, found in zip(quality.REASONS, column, strict=True) if found] for column in bad.T
    ]
    for row in np.flatnonzero(facts.tally.unpredicted > ransac.BAD_SHARE).tolist():
        named[row].append("not predicted by its surroundings (RANSAC)")
    for row, reason in quality.standing(facts.figures.blocks).items():
        named[row] = [reason]
    for row, twins in quality.twins(
        facts.figures.blocks, [channel.type for channel in facts.plan.stored]
    ).items():
        named[row].append(f"holds the samples of {', '.join(facts.plan.stored[twin].name for twin in twins)}")
    return named


def _band(
    channel: ChannelPlan, kernel: Kernel, hardware: tuple[float | None, float | None]
) -> tuple[float, float]:
    """Give the band that is truly there: source ∩ hardware ∩ chain."""
    lows = [kernel.high_pass_hz, hardware[0]]
    highs = [kernel.low_pass_hz, hardware[1], PASSBAND * channel.source_rate / 2]
    return max((low for low in lows if low), default=0.0), min(high for high in highs if high)


def _channel_row(channel: ChannelPlan) -> dict[str, Any]:
    x, y, z = channel.position or (None, None, None)
    return {
        "name": channel.name,
        "source_name": channel.source_name,
        "type": channel.type,
        "x": x,
        "y": y,
        "z": z,
        "position_origin": channel.position_origin,
        "region": channel.region,
        "source_rate": channel.source_rate,
        "band_low": None,
        "band_high": None,
        "step": None,
        "status": channel.status,
        "reasons": list(channel.reasons),
        "anode": channel.anode,
        "cathode": channel.cathode,
        "clipped_samples": None,
        "scale_uv": None,
    }


def _filter_params(plan: Plan) -> dict[str, Any]:
    """Describe the kernel of each type, and which segments were too short for it."""
    longest = int(np.argmax([segment.samples for segment in plan.segments]))
    types: dict[str, Any] = {}
    rates: dict[str, float] = {}
    for channel in plan.stored:
        rates[channel.type] = max(channel.source_rate, rates.get(channel.type, 0.0))
    for channel, kernel in zip(plan.stored, plan.kernels[longest], strict=True):
        slower = channel.source_rate < rates[channel.type]
        types[f"{channel.type} at {channel.source_rate:g} Hz" if slower else channel.type] = {
            "high_pass_hz": kernel.high_pass_hz,
            "low_pass_hz": kernel.low_pass_hz,
            "notches_hz": list(kernel.notches_hz),
            "half_kernel_s": kernel.half / plan.profile.rate_hz,
        }
    seconds = [segment.samples / plan.rate_hz for segment in plan.segments]
    shortest_s = shortest_high_passed_s(plan.profile)
    return {
        "design": "mne firwin, Hamming, zero phase, merged",
        "types": types,
        "left_out": _left_out(plan),
        "detrended_segments": [i for i, length in enumerate(seconds) if length < shortest_s - 1e-9],
        "not_notched_segments": [i for i, length in enumerate(seconds) if length < SHORTEST_NOTCHED_S],
    }


def _other_rates(plan: Plan) -> dict[str, Any]:
    """Say how channels of other rates were resampled, and by how much a ratio of small numbers drifts."""
    own = [_rate(plan, strand) for strand in plan.strands]
    drift_s = max(one.pop("drift_s") for one in own)
    said: dict[str, Any] = {"rates": own} if len(own) > 1 else {}
    return said | ({"drift_s": drift_s} if drift_s > _DRIFT_SAMPLES / plan.profile.rate_hz else {})


def _rate(plan: Plan, strand: Strand) -> dict[str, Any]:
    stored_hz = plan.profile.rate_hz
    return {
        "from_hz": strand.rate_hz,
        "up": strand.ratio.up,
        "down": strand.ratio.down,
        "channels": [plan.stored[row].name for row in strand.rows],
        "drift_s": strand.ratio.drift_s(strand.rate_hz, stored_hz, strand.source.n_samples),
    }


def _left_out(plan: Plan) -> list[str]:
    """Name the filters that the source's band makes impossible, or needless."""
    line_hz = plan.line_freq_hz
    missing = [] if line_hz is not None else ["notch: line frequency unknown"]
    for rate_hz in sorted({channel.source_rate for channel in plan.stored}):
        types = {channel.type for channel in plan.stored if channel.source_rate == rate_hz}
        bands = [wanted_band(kind, plan.profile) for kind in sorted(types)]
        ends = f"a source ends at {rate_hz / 2:g} Hz"
        lows = {low for low, _ in bands if low is not None and low >= rate_hz / 2}
        highs = {high for _, high in bands if high >= rate_hz / 2}
        missing += [f"high-pass {low:g} Hz: {ends}" for low in sorted(lows)]
        missing += [f"low-pass {high:g} Hz: {ends}" for high in sorted(highs)]
        if line_hz is not None and line_hz < plan.profile.low_pass_hz and rate_hz / 2 < line_hz + 2:
            missing += [f"notch {line_hz:g} Hz: {ends}"] if types - set(NO_NOTCH) else []
    return missing
