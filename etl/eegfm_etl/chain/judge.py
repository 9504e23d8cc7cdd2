"""Judge stored blocks, many at once, on their source figures and their stored samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eegfm_etl.chain import quality
from eegfm_etl.chain.measure import SourceFigures
from eegfm_etl.chain.medians import median, none_for_nan
from eegfm_etl.chain.plan import Plan


@dataclass(frozen=True)
class Block:
    """A stored block that waits to be judged."""

    start_s: float
    stored_CN: np.ndarray
    amplitude_uv: np.ndarray
    correlation: np.ndarray


@dataclass(frozen=True)
class Judgement:
    """What was found of blocks."""

    columns: dict[str, np.ndarray]  # the quality columns of schema.SIGNAL, (B, C)
    rows: list[dict[str, Any]]  # as schema.BLOCKS
    faulty_s: np.ndarray  # (faults, C) seconds of blocks that show each fault


def judge(
    blocks: Sequence[Block], plan: Plan, figures: SourceFigures, first_block: int, first_sample: int
) -> Judgement:
    """Judge blocks that follow each other.

    Parameters
    ----------
    blocks : sequence of Block
    plan : Plan
    figures : SourceFigures
        Of the whole recording.
    first_block, first_sample : int
        Where they stand in it.

    Returns
    -------
    Judgement
    """
    numbers = range(first_block, first_block + len(blocks))
    source = figures.blocks[first_block : numbers.stop]
    judged = quality.Judged(
        flat=np.array([block.flat for block in source]),
        clipped_share=figures.clipped_share[first_block : numbers.stop],
        broken_share=np.array([block.broken / block.samples for block in source]),
        high_freq=np.array([block.high_freq for block in source]),
        amplitude_uv=np.array([block.amplitude_uv for block in blocks]),
        correlation=np.array([block.correlation for block in blocks]),
    )
    found = quality.faults(judged, plan.comparable)
    columns: dict[str, np.ndarray] = {
        "flat": judged.flat,
        "clipped_share": judged.clipped_share,
        "line_ratio": np.array([figures.line_ratio(number, plan.line_freq_hz) for number in numbers]),
        "high_freq_ratio": judged.high_freq,
        "amplitude_uv": judged.amplitude_uv,
        "correlation": judged.correlation,
        "good": np.logical_not(found.any(axis=0)),
    }
    samples = np.array([block.stored_CN.shape[1] for block in blocks])
    rows = _rows(
        [block.start_s for block in blocks],
        first_sample + np.cumsum(samples) - samples,
        samples,
        {name: values[:, plan.eeg] for name, values in columns.items()},
    )
    return Judgement(columns, rows, (found * (samples / plan.profile.rate_hz)[:, None]).sum(axis=1))


def _rows(
    starts_s: Sequence[float], firsts: np.ndarray, samples: np.ndarray, columns: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Shape blocks' figures over the EEG channels, (B, C) each, like elements of schema.BLOCKS."""
    n_eeg = columns["good"].shape[1]
    bad = (~columns["good"]).sum(axis=1)
    medians = {
        name: none_for_nan(median(columns[name]))
        for name in ("line_ratio", "high_freq_ratio", "amplitude_uv", "correlation")
    }
    return [
        {
            "start_s": start_s,
            "first_sample": int(first),
            "samples": int(length),
            "flat_share": float(columns["flat"][row].mean()) if n_eeg else None,
            "clipped_share": float(columns["clipped_share"][row].max()) if n_eeg else None,
            **{name: values[row] for name, values in medians.items()},
            "bad_channels": int(bad[row]),
            "good": not n_eeg or bool(bad[row] <= quality.BLOCK_BAD_SHARE * n_eeg),
        }
        for row, (start_s, first, length) in enumerate(zip(starts_s, firsts, samples, strict=True))
    ]
