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
_FEWEST_AT_RAIL = 10
_NEIGHBOURS = 4
_FEWEST_FOR_REFERENCE = 8
_THINNING, _FEWEST_THINNED = 4, 500  # every fourth sample serves some figures, where that leaves hundreds
_LINE_FOUND = 4.0  # power at the line over its surroundings, median over channels and blocks


@dataclass(frozen=True)
class SourceBlock:
    """Figures of one block of source samples, a value a channel."""

    samples: int | np.ndarray  # one count, or a count a channel where their rates differ
    middle: np.ndarray  # mean, µV
    low: np.ndarray
    high: np.ndarray
    at: (
        np.ndarray
    )  # (2, C) samples at the block's minimum, at its maximum; 0 where that is far from the recording's
    close: (
        np.ndarray
    )  # (2, C) samples within a twentieth of the block's range of them, where `at` is more than one
    flat: np.ndarray
    range_uv: np.ndarray  # largest distance from the middle
    broken: np.ndarray  # samples that are no finite number
    line_ratios: np.ndarray  # (line frequencies, C)
    high_freq: np.ndarray


def source_block(
    block_CN: np.ndarray,
    rate_hz: float,
    lines_hz: Sequence[float],
    seen: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[SourceBlock, np.ndarray]:
    """Measure a block of samples as they came.

    Parameters
    ----------
    block_CN : np.ndarray, shape (C, N)
        µV; samples that are no number, or beyond `LARGEST_UV`, count as the channel's median.
    rate_hz : float
    lines_hz : sequence of float
        Line frequencies in question.
    seen : (np.ndarray, np.ndarray), optional
        Lowest and highest sample of each channel in the blocks before this one.

    Returns
    -------
    block : SourceBlock
    psd_CF : np.ndarray, shape (C, F)
        As `eegfm_etl.chain.spectra.spectrum` gives it.
    """
    low, high = block_CN.min(axis=1), block_CN.max(axis=1)
    broken = np.zeros(len(block_CN), dtype=np.int64)
    if not ((low > -LARGEST_UV) & (high < LARGEST_UV)).all():
        finite = np.abs(block_CN) < LARGEST_UV
        broken = (~finite).sum(axis=1)
        medians = np.array(
            [np.median(row[ok]) if ok.any() else 0.0 for row, ok in zip(block_CN, finite, strict=True)]
        )
        block_CN = np.where(finite, block_CN, medians[:, None])
        low, high = block_CN.min(axis=1), block_CN.max(axis=1)
    around_CN, middle = without_mean(block_CN)
    thin_CN = around_CN[:, :: _thinning(around_CN)]
    psd_CF = spectrum(around_CN, rate_hz)
    lowest, highest = seen or (low, high)
    reach = _CLOSE * (high - low)
    # Only where the end may be the recording's own, by what was seen so far: elsewhere it is no rail
    may_be = (low <= lowest + reach, high >= highest - reach)
    at, close = _at_the_ends(around_CN, low - middle, high - middle, may_be)
    block = SourceBlock(
        samples=block_CN.shape[1],
        middle=middle,
        low=low,
        high=high,
        at=at,
        close=close,
        flat=np.einsum("cn,cn->c", thin_CN, thin_CN) < FLAT_UV**2 * thin_CN.shape[1],
        range_uv=np.maximum(high - middle, middle - low),
        broken=broken,
        line_ratios=np.array([line_ratio(psd_CF, line) for line in lines_hz]),
        high_freq=high_freq_ratio(psd_CF, rate_hz / 2),
    )
    return block, psd_CF


def detect_line(blocks: Sequence[SourceBlock], lines_hz: Sequence[float], eeg: np.ndarray) -> float | None:
    """Find the line frequency in the source: the one that stands out in the median EEG channel.

    Parameters
    ----------
    blocks : sequence of SourceBlock
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
        ratios = np.array([block.line_ratios[row, eeg] for block in blocks])
        ratios = ratios[np.isfinite(ratios)]
        found[line] = float(np.median(ratios)) if ratios.size else 0.0
    best = max(found, key=found.__getitem__)
    return best if found[best] >= _LINE_FOUND else None


def clipped_shares(blocks: Sequence[SourceBlock]) -> np.ndarray:
    """Share of samples at the rail, per block and channel.

    The rail is the recording's own minimum or maximum, where at least ten samples, one in a thousand, lie
    exactly there and few just below: a natural extreme is touched once.

    Parameters
    ----------
    blocks : sequence of SourceBlock
        All blocks of the recording.

    Returns
    -------
    np.ndarray, shape (blocks, C)
    """
    samples = np.array([block.samples for block in blocks])[:, None]
    lows, highs = np.array([b.low for b in blocks]), np.array([b.high for b in blocks])
    spread = highs.max(axis=0) - lows.min(axis=0)
    shares = np.zeros(lows.shape)
    for side, at_rail in enumerate(
        [lows <= lows.min(axis=0) + _SLACK * spread, highs >= highs.max(axis=0) - _SLACK * spread]
    ):
        at, close = (
            np.where(at_rail, [getattr(b, name)[side] for b in blocks], 0) for name in ("at", "close")
        )
        enough = np.maximum(_FEWEST_AT_RAIL, 1e-3 * np.where(at_rail, samples, 0).sum(axis=0))
        railed = (spread > 0) & (at.sum(axis=0) >= enough) & (at.sum(axis=0) >= close.sum(axis=0) / 2)
        shares += np.where(railed, at, 0) / samples
    return shares


def standing(blocks: Sequence[SourceBlock]) -> dict[int, str]:
    """Find channels that never change: row → "all zero" or "constant".

    Parameters
    ----------
    blocks : sequence of SourceBlock
        All blocks of the recording.

    Returns
    -------
    dict of int to str
    """
    lows, highs = np.array([b.low for b in blocks]), np.array([b.high for b in blocks])
    same = (lows.min(axis=0) == highs.max(axis=0)) & ~np.any([b.broken for b in blocks], axis=0)
    return {int(row): "constant" if lows[0, row] else "all zero" for row in np.flatnonzero(same)}


def twins(blocks: Sequence[SourceBlock], types: Sequence[str]) -> dict[int, list[int]]:
    """Find channels of one type that hold the same samples: row → rows of the others.

    Channels are compared by the figures of all their blocks (median, extremes, samples near them, spectral ratios),
    which no two recorded channels have in common; those that never change are left to `standing`.

    Parameters
    ----------
    blocks : sequence of SourceBlock
        All blocks of the recording.
    types : sequence of str
        Type of each channel.

    Returns
    -------
    dict of int to list of int
    """
    figures = np.concatenate(
        [np.concatenate([[b.middle, b.low, b.high], b.at, b.close]) for b in blocks], dtype=np.float64
    )
    still = standing(blocks)
    groups: dict[tuple[str, bytes], list[int]] = {}
    for row, column in enumerate(np.ascontiguousarray(figures.T)):
        if row not in still:
            groups.setdefault((types[row], column.tobytes()), []).append(row)
    spectra = np.concatenate([[b.high_freq, *b.line_ratios] for b in blocks])
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


def robust_sd(block_CN: np.ndarray) -> np.ndarray:
    """1.4826 times the median distance from the mean, per channel, of every fourth sample: cheap, and robust."""
    thin_CN = block_CN[:, :: _thinning(block_CN)]
    distance = thin_CN - thin_CN.mean(axis=1, keepdims=True)
    return 1.4826 * median(np.abs(distance, out=distance))


def neighbour_correlation(
    block_CN: np.ndarray, usable: np.ndarray, near: np.ndarray | Sequence[np.ndarray]
) -> np.ndarray:
    """Largest absolute correlation of each EEG channel with a neighbour, on a temporary robust reference.

    Parameters
    ----------
    block_CN : np.ndarray, shape (C, N)
        EEG channels in µV.
    usable : np.ndarray of bool, shape (C,)
        Channels that the reference, the median over channels, is made of.
    near : sequence of np.ndarray
        As `neighbours` gives them.

    Returns
    -------
    np.ndarray, shape (C,)
        NaN with fewer than eight usable channels: then the reference would be one of them.
    """
    if usable.sum() < _FEWEST_FOR_REFERENCE:
        return np.full(len(block_CN), np.nan)
    thin_CN = block_CN[:, :: 2 * _thinning(block_CN)]
    centred = thin_CN - median(np.ascontiguousarray(thin_CN[usable].T))
    centred -= centred.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1)
    unit = centred / np.where(length > 0, length, 1)[:, None]
    matrix = np.abs(unit @ unit.T)
    if isinstance(near, np.ndarray):
        return matrix[np.arange(len(matrix))[:, None], near].max(axis=1).astype(np.float64)
    return np.array([matrix[row, others].max() for row, others in enumerate(near)], dtype=np.float64)


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


def _thinning(block_CN: np.ndarray) -> int:
    return _THINNING if block_CN.shape[1] >= _FEWEST_THINNED else 1


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
    block_CN: np.ndarray, low: np.ndarray, high: np.ndarray, may_be: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Count samples at the ends and close to them, (2, C) each; close only where more than one lies at an end."""
    at, close = np.zeros((2, 2, len(block_CN)), dtype=np.int64)
    for side, rows in enumerate(np.flatnonzero(one) for one in may_be):
        at[side, rows] = _at_one_end(block_CN, low, high, rows, side, _SLACK)
        close[side] = at[side]
        several = rows[at[side, rows] > 1]
        close[side, several] = _at_one_end(block_CN, low, high, several, side, _CLOSE)
    return at, close


def _at_one_end(
    block_CN: np.ndarray, low: np.ndarray, high: np.ndarray, rows: np.ndarray, side: int, share: float
) -> np.ndarray:
    reach = share * (high[rows] - low[rows])
    chosen = block_CN if len(rows) == len(block_CN) else block_CN[rows]
    if side == 0:
        return np.count_nonzero(chosen <= (low[rows] + reach).astype(chosen.dtype)[:, None], axis=1)
    return np.count_nonzero(chosen >= (high[rows] - reach).astype(chosen.dtype)[:, None], axis=1)
