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
class StoredBlocks:
    """Stored blocks of one length that wait to be judged."""

    starts_s: np.ndarray  # (B,)
    stored_CBN: np.ndarray
    amplitude_uv: np.ndarray  # (B, C)
    correlation: np.ndarray  # (B, C)


@dataclass(frozen=True)
class Judgement:
    """What was found of blocks."""

    columns: dict[str, np.ndarray]  # the quality columns of schema.SIGNAL, (B, C)
    rows: list[dict[str, Any]]  # as schema.BLOCKS
    faulty_s: np.ndarray  # (faults, C) seconds of blocks that show each fault


def judge(
    held: Sequence[StoredBlocks], plan: Plan, figures: SourceFigures, first_block: int, first_sample: int
) -> Judgement:
    """Judge blocks that follow each other.

    Parameters
    ----------
    held : sequence of StoredBlocks
    plan : Plan
    figures : SourceFigures
        Of the whole recording.
    first_block, first_sample : int
        Where they stand in it.

    Returns
    -------
    Judgement
    """
    samples = np.concatenate([np.full(len(one.starts_s), one.stored_CBN.shape[2]) for one in held])
    place, source = slice(first_block, first_block + len(samples)), figures.blocks
    judged = quality.Judged(
        flat=source.flat[place],
        clipped_share=figures.clipped_share[place],
        broken_share=source.broken[place] / source.samples[place],
        high_freq=source.high_freq[place],
        amplitude_uv=np.concatenate([one.amplitude_uv for one in held]),
        correlation=np.concatenate([one.correlation for one in held]),
    )
    found = quality.faults(judged, plan.comparable)
    columns: dict[str, np.ndarray] = {
        "flat": judged.flat,
        "clipped_share": judged.clipped_share,
        "line_ratio": figures.line_ratios(place, plan.line_freq_hz),
        "high_freq_ratio": judged.high_freq,
        "amplitude_uv": judged.amplitude_uv,
        "correlation": judged.correlation,
        "good": np.logical_not(found.any(axis=0)),
    }
    rows = _rows(
        np.concatenate([one.starts_s for one in held]).tolist(),
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
