"""Channels and blocks, judged: on the samples as they came, and on the samples as stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eegfm_etl.chain.medians import median
from eegfm_etl.chain.spectra import high_freq_ratio, line_ratio, spectrum, without_mean

LARGEST_UV = 1e15  # beyond, and NaN, is no number: squares of it leave float32
FLAT_UV = 0.1  # standard deviation under which a block is flat: one stored step
CLIPPED_SHARE = 0.05
BROKEN_SHARE = 0.01  # of samples that are no finite number
NOISY_RATIO = 3.0  # to the median of the EEG channels, and at least 5 robust standard deviations from it
OUTLIER_SD = 5.0
UNCORRELATED = 0.3
BAD_SHARE = 1 / 3  # of blocks with one fault: then the channel is bad
BLOCK_BAD_SHARE = 0.25  # of EEG channels bad: then the block is not good
REASONS = ("flat", "clipped", "not finite", "noisy", "high frequency noise", "uncorrelated")

_SLACK = 1e-6  # of the range: samples this near are equal
_CLOSE = 0.05  # of the range: samples this near are close
_MAY_GROW = 1000  # times: what is still to come widens a recording's range by no more
_FEWEST_AT_RAIL = 10
_NEIGHBOURS = 4
_FEWEST_FOR_REFERENCE = 8
_THINNING, _FEWEST_THINNED = 4, 500
_LINE_FOUND = 4.0  # power at the line over its surroundings, median over channels and blocks


@dataclass(frozen=True)
class SourceBlocks:
    """Figures of consecutive blocks of source samples: the first axis is the block, the last one the channel."""

    samples: np.ndarray  # (B, C)
    middle: np.ndarray  # mean, µV
    low: np.ndarray
    high: np.ndarray
    at: (
        np.ndarray
    )  # (B, 2, C) samples at the block's minimum, at its maximum; 0 where that is far from the recording's
    close: (
        np.ndarray
    )  # (B, 2, C) samples within a twentieth of the block's range of them, where `at` is more than one
    flat: np.ndarray
    range_uv: np.ndarray  # largest distance from the middle
    broken: np.ndarray  # samples that are no finite number
    line_ratios: np.ndarray  # (B, line frequencies, C)
    high_freq: np.ndarray


def source_blocks(
    samples_CBN: np.ndarray,
    rate_hz: float,
    lines_hz: Sequence[float],
    seen: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[SourceBlocks, np.ndarray]:
    """Measure blocks of samples as they came.

    Parameters
    ----------
    samples_CBN : np.ndarray, shape (C, B, N)
        µV; samples that are no number, or beyond `LARGEST_UV`, count as the channel's median in the block.
    rate_hz : float
    lines_hz : sequence of float
        Line frequencies in question.
    seen : (np.ndarray, np.ndarray), optional
        Lowest and highest sample of each channel in the blocks before these.

    Returns
    -------
    blocks : SourceBlocks
    psd_CBF : np.ndarray, shape (C, B, F)
        As `eegfm_etl.chain.spectra.spectrum` gives it.
    """
    low, high = samples_CBN.min(axis=2), samples_CBN.max(axis=2)
    broken = np.zeros(low.shape, dtype=np.int64)
    if not ((low > -LARGEST_UV) & (high < LARGEST_UV)).all():
        finite = np.abs(samples_CBN) < LARGEST_UV
        broken = np.count_nonzero(~finite, axis=2)
        medians = median(np.where(finite, samples_CBN, np.nan))[..., None]
        samples_CBN = np.where(finite, samples_CBN, np.nan_to_num(medians))
        low, high = samples_CBN.min(axis=2), samples_CBN.max(axis=2)
    around_CBN, middle = without_mean(samples_CBN)
    thin_CBN = thinned(around_CBN)
    psd_CBF = spectrum(around_CBN, rate_hz)
    lowest, highest = low.min(axis=1), high.max(axis=1)
    if seen is not None:
        lowest, highest = np.minimum(lowest, seen[0]), np.maximum(highest, seen[1])
    # Only where the end may be the recording's own, by what was seen so far: elsewhere it is no rail
    reach = _SLACK * _MAY_GROW * (highest - lowest)
    may_be = (low <= (lowest + reach)[:, None], high >= (highest - reach)[:, None])
    at, close = _at_the_ends(around_CBN, low - middle, high - middle, may_be)
    blocks = SourceBlocks(
        samples=np.full(low.T.shape, samples_CBN.shape[2]),
        middle=middle.T,
        low=low.T,
        high=high.T,
        at=at.T,
        close=close.T,
        flat=np.einsum("cbn,cbn->bc", thin_CBN, thin_CBN) < FLAT_UV**2 * thin_CBN.shape[2],
        range_uv=np.maximum(high - middle, middle - low).T,
        broken=broken.T,
        line_ratios=np.stack([line_ratio(psd_CBF, line).T for line in lines_hz], axis=1),
        high_freq=high_freq_ratio(psd_CBF, rate_hz / 2).T,
    )
    return blocks, psd_CBF


def detect_line(blocks: SourceBlocks, lines_hz: Sequence[float], eeg: np.ndarray) -> float | None:
    """Find the line frequency in the source: the one that stands out in the median EEG channel.

    Parameters
    ----------
    blocks : SourceBlocks
    lines_hz : sequence of float
        The candidates, as the blocks were measured with.
    eeg : np.ndarray of int
        Rows of the EEG channels.

    Returns
    -------
    float or None
        Hz; None where no candidate stands out four times over its surroundings.
    """
    found = {}
    for row, line in enumerate(lines_hz):
        ratios = blocks.line_ratios[:, row, eeg]
        ratios = ratios[np.isfinite(ratios)]
        found[line] = float(np.median(ratios)) if ratios.size else 0.0
    best = max(found, key=found.__getitem__)
    return best if found[best] >= _LINE_FOUND else None


def clipped_shares(blocks: SourceBlocks) -> np.ndarray:
    """Share of samples at the rail, per block and channel.

    The rail is the recording's own minimum or maximum, where at least ten samples, one in a thousand, lie
    exactly there and few just below: a natural extreme is touched once.

    Parameters
    ----------
    blocks : SourceBlocks
        All of the recording.

    Returns
    -------
    np.ndarray, shape (blocks, C)
    """
    low, high = blocks.low.min(axis=0), blocks.high.max(axis=0)
    spread = high - low
    shares = np.zeros(blocks.low.shape)
    for side, at_rail in enumerate(
        [blocks.low <= low + _SLACK * spread, blocks.high >= high - _SLACK * spread]
    ):
        at, close = (np.where(at_rail, counts[:, side], 0) for counts in (blocks.at, blocks.close))
        enough = np.maximum(_FEWEST_AT_RAIL, 1e-3 * np.where(at_rail, blocks.samples, 0).sum(axis=0))
        railed = (spread > 0) & (at.sum(axis=0) >= enough) & (at.sum(axis=0) >= close.sum(axis=0) / 2)
        shares += np.where(railed, at, 0) / blocks.samples
    return shares


def standing(blocks: SourceBlocks) -> dict[int, str]:
    """Find channels that never change: row → "all zero" or "constant".

    Parameters
    ----------
    blocks : SourceBlocks
        All of the recording.

    Returns
    -------
    dict of int to str
    """
    same = (blocks.low.min(axis=0) == blocks.high.max(axis=0)) & ~blocks.broken.any(axis=0)
    return {int(row): "constant" if blocks.low[0, row] else "all zero" for row in np.flatnonzero(same)}


def twins(blocks: SourceBlocks, types: Sequence[str]) -> dict[int, list[int]]:
    """Find channels of one type that hold the same samples: row → rows of the others.

    Channels are compared by the figures of all their blocks (median, extremes, samples near them, spectral ratios),
    which no two recorded channels have in common; those that never change are left to `standing`.

    Parameters
    ----------
    blocks : SourceBlocks
        All of the recording.
    types : sequence of str
        Type of each channel.

    Returns
    -------
    dict of int to list of int
    """
    n_channels = blocks.low.shape[1]
    figures = np.concatenate(
        [
            one.reshape(-1, n_channels)
            for one in (blocks.middle, blocks.low, blocks.high, blocks.at, blocks.close)
        ],
        dtype=np.float64,
    )
    still = standing(blocks)
    groups: dict[tuple[str, bytes], list[int]] = {}
    for row, column in enumerate(np.ascontiguousarray(figures.T)):
        if row not in still:
            groups.setdefault((types[row], column.tobytes()), []).append(row)
    spectra = np.concatenate([blocks.high_freq, blocks.line_ratios.reshape(-1, n_channels)])
    return {
        row: others
        for rows in groups.values()
        for row in rows
        if (others := [one for one in rows if one != row and _alike(spectra[:, one], spectra[:, row])])
    }


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    # Two sines have one median and the same extremes; a transform's last digits depend on the row
    return np.allclose(one, other, rtol=1e-4, equal_nan=True)


def neighbours(positions_C3: np.ndarray) -> np.ndarray | Sequence[np.ndarray]:
    """List the four nearest electrodes of each; all others where a position is unknown.

    Parameters
    ----------
    positions_C3 : np.ndarray, shape (C, 3)
        Metres; NaN means unknown.

    Returns
    -------
    sequence of np.ndarray of int
        One array, (C, 4), where all have as many.
    """
    return _neighbours(np.ascontiguousarray(positions_C3, dtype=np.float64).tobytes())


@lru_cache(maxsize=64)
def _neighbours(positions: bytes) -> np.ndarray | Sequence[np.ndarray]:
    positions_C3 = np.frombuffer(positions).reshape(-1, 3)
    distance = np.linalg.norm(positions_C3[:, None] - positions_C3[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    lists = []
    for row, own in enumerate(distance):
        known = np.flatnonzero(np.isfinite(own))
        others = np.delete(np.arange(len(own)), row)
        lists.append(known[np.argsort(own[known], kind="stable")[:_NEIGHBOURS]] if known.size else others)
    return np.stack(lists) if len({len(one) for one in lists}) == 1 else lists


def thinned(blocks: np.ndarray) -> np.ndarray:
    """Every fourth sample where that leaves hundreds, else all: neighbours say the same of a channel's spread."""
    return blocks[..., ::_THINNING] if blocks.shape[-1] >= _FEWEST_THINNED else blocks


def robust_sd(blocks: np.ndarray) -> np.ndarray:
    """1.4826 times the median distance from the mean, per block, of every fourth sample: cheap, and robust."""
    thin = np.ascontiguousarray(thinned(blocks))
    distance = thin - thin.mean(axis=-1, keepdims=True)
    np.abs(distance, out=distance)
    half = distance.shape[-1] // 2  # finding one value takes half of the time of sorting all
    distance.partition(half, axis=-1)
    return np.asarray(1.4826 * distance[..., half])


def neighbour_correlation(
    samples_CBN: np.ndarray, usable_BC: np.ndarray, near: np.ndarray | Sequence[np.ndarray]
) -> np.ndarray:
    """Largest absolute correlation of each EEG channel with a neighbour, on a temporary robust reference.

    Parameters
    ----------
    samples_CBN : np.ndarray, shape (C, B, N)
        Blocks of the EEG channels in µV.
    usable_BC : np.ndarray of bool, shape (B, C)
        Channels that the reference, the median over channels, is made of.
    near : sequence of np.ndarray
        As `neighbours` gives them.

    Returns
    -------
    np.ndarray, shape (B, C)
        NaN in blocks with fewer than eight usable channels: then the reference would be one of them.
    """
    usable = usable_BC[0]
    if (usable_BC != usable).any():
        parts = [
            neighbour_correlation(samples_CBN[:, [row]], usable_BC[[row]], near)
            for row in range(len(usable_BC))
        ]
        return np.concatenate(parts)
    if usable.sum() < _FEWEST_FOR_REFERENCE:
        return np.full(usable_BC.shape, np.nan)
    thin_BCN = thinned(samples_CBN)[..., ::2].transpose(1, 0, 2)
    centred = thin_BCN - median(np.ascontiguousarray(thin_BCN[:, usable].transpose(0, 2, 1)))[:, None]
    centred -= centred.mean(axis=2, keepdims=True)
    length = np.sqrt(np.einsum("bcn,bcn->bc", centred, centred))
    unit = centred / np.where(length > 0, length, 1)[..., None]
    matrices = np.abs(unit @ unit.transpose(0, 2, 1))
    if isinstance(near, np.ndarray):
        return matrices[:, np.arange(len(near))[:, None], near].max(axis=2).astype(np.float64)
    found = [matrices[:, row, others].max(axis=1) for row, others in enumerate(near)]
    return np.stack(found, axis=1).astype(np.float64)


@dataclass(frozen=True)
class Judged:
    """Figures by which blocks are judged, (B, C) each; NaN where unknown."""

    flat: np.ndarray
    clipped_share: np.ndarray  # of source samples at the rail
    broken_share: np.ndarray  # of source samples that are no finite number
    high_freq: np.ndarray  # of the source
    amplitude_uv: np.ndarray  # of the stored samples
    correlation: np.ndarray  # of the stored samples


def faults(figures: Judged, comparable: np.ndarray) -> np.ndarray:
    """Judge the channels of blocks.

    Parameters
    ----------
    figures : Judged
    comparable : np.ndarray of int
        Rows of the EEG channels that are judged against each other; the others can only be flat, clipped or broken.

    Returns
    -------
    np.ndarray of bool, shape (len(REASONS), B, C)
        Which fault each channel shows.
    """
    found = np.zeros((len(REASONS), *figures.flat.shape), dtype=bool)
    found[0] = figures.flat
    found[1] = figures.clipped_share > CLIPPED_SHARE
    found[2] = figures.broken_share > BROKEN_SHARE
    live = ~figures.flat[:, comparable]
    found[3][:, comparable] = _outliers(np.where(live, figures.amplitude_uv[:, comparable], np.nan))
    found[4][:, comparable] = _outliers(np.where(live, figures.high_freq[:, comparable], np.nan))
    with np.errstate(invalid="ignore"):
        found[5][:, comparable] = live & (figures.correlation[:, comparable] < UNCORRELATED)
    return found


def _outliers(values_BC: np.ndarray) -> np.ndarray:
    """Tell which values are far above their block's median; a block of few known values has none."""
    known = np.isfinite(values_BC) & (values_BC > 0)
    log = np.log(np.where(known, values_BC, 1.0))
    log[~known] = np.nan
    middle = median(log)[:, None]
    spread = 1.4826 * median(np.abs(log - middle))[:, None]
    enough = known.sum(axis=1, keepdims=True) >= _FEWEST_FOR_REFERENCE
    with np.errstate(invalid="ignore"):
        return enough & (log - middle > np.maximum(np.log(NOISY_RATIO), OUTLIER_SD * spread))


def _at_the_ends(
    around_CBN: np.ndarray, low: np.ndarray, high: np.ndarray, may_be: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Count samples at the ends and close to them, (C, 2, B) each; close only where more than one lies at an end."""
    at, close = np.zeros((2, len(low), 2, low.shape[1]), dtype=np.int64)
    reach = (high - low).astype(around_CBN.dtype)
    for side, end in enumerate((low, high)):
        rows = np.nonzero(may_be[side])
        distance = around_CBN[rows] - end[rows].astype(around_CBN.dtype)[:, None]
        np.abs(distance, out=distance)
        here = np.count_nonzero(distance <= _SLACK * reach[rows][:, None], axis=1)
        near, several = here.copy(), np.flatnonzero(here > 1)
        within = distance[several] <= _CLOSE * reach[rows][several, None]
        near[several] = np.count_nonzero(within, axis=1)
        at[:, side][rows], close[:, side][rows] = here, near
    return at, close
