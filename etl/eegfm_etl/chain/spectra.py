"""Spectra in bins of 0.5 Hz, and the two ratios that tell hum and muscle from EEG."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import fft

from eegfm_etl.chain.medians import median

FREQS_HZ = np.arange(0.5, 100.5, 0.5)
"""Frequencies of every stored spectrum."""

LINE_CANDIDATES_HZ = (50.0, 60.0)

SHORTEST_S = 2.0
"""Shorter blocks have no spectrum."""

_FEWEST = 4  # samples: a Hann window over fewer is zero


def without_mean(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take the mean over the last axis off: float32, which keeps what is left once an offset is gone, and the means."""
    means = blocks.mean(axis=-1)
    centred = np.empty(blocks.shape, np.float32)
    np.subtract(blocks, means[..., None], out=centred, casting="same_kind")
    return centred, means


def spectrum(centred: np.ndarray, rate_hz: float) -> np.ndarray:
    """Power spectral density in bins of 0.5 Hz: one Hann window over a block.

    Parameters
    ----------
    centred : np.ndarray, shape (..., N), float32
        µV of blocks, as `without_mean` gives them.
    rate_hz : float

    Returns
    -------
    np.ndarray, shape (..., F)
        µV²/Hz at `FREQS_HZ`; NaN above the Nyquist frequency and for blocks under 2 s.
    """
    lead, n = centred.shape[:-1], centred.shape[-1]
    psd = np.full((*lead, len(FREQS_HZ)), np.nan)
    if n < max(SHORTEST_S * rate_hz, _FEWEST):
        return psd
    window, (first, edges, widths) = _hann(n), _bins(n, rate_hz)
    # Real and imaginary parts side by side: twice as many numbers, one pass
    squares = fft.rfft(centred * window, axis=-1, overwrite_x=True).view(np.float32)
    np.square(squares, out=squares)
    known = len(widths)
    if known and (widths == widths[0]).all():
        width = 2 * int(widths[0])
        bins = squares[..., 2 * first : 2 * first + known * width].reshape(*lead, known, width)
        sums = bins @ np.ones(width, np.float32)  # a quarter of the time that adding ragged bins takes
    elif known:
        sums = np.add.reduceat(squares[..., : 2 * edges[-1]], 2 * edges[:-1], axis=-1)
    else:
        return psd
    np.multiply(sums, 2 / (rate_hz * np.square(window).sum()) / widths, out=psd[..., :known])
    return psd


@lru_cache(maxsize=64)
def _bins(n: int, rate_hz: float) -> tuple[int, np.ndarray, np.ndarray]:
    """Bins of a transform of n samples: the first one used, the edges and widths of the bands below Nyquist."""
    known = np.count_nonzero(rate_hz / 2 >= FREQS_HZ + 0.25)
    borders = np.append(FREQS_HZ - 0.25, FREQS_HZ[-1] + 0.25)[: known + 1]
    edges = np.searchsorted(np.arange(n // 2 + 1) * rate_hz / n, borders)
    return int(edges[0]), edges, np.diff(edges)


@lru_cache(maxsize=64)
def _hann(n: int) -> np.ndarray:
    window = np.hanning(n).astype(np.float32)
    window.setflags(write=False)
    return window


def line_ratio(psd: np.ndarray, line_hz: float) -> np.ndarray:
    """Power at the line frequency over the median power 2 to 6 Hz beside it.

    Parameters
    ----------
    psd : np.ndarray, shape (..., F)
        Of channels of one rate.
    line_hz : float

    Returns
    -------
    np.ndarray, shape (...)
        NaN where the line lies outside the source's band.
    """
    known = np.count_nonzero(np.isfinite(psd.reshape(-1, psd.shape[-1])[:1]))
    peak, beside = _around(line_hz, int(known))
    if not len(peak) or not len(beside):
        return np.full(psd.shape[:-1], np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(psd[..., peak].max(axis=-1) / median(psd[..., beside]))


@lru_cache(maxsize=64)
def _around(line_hz: float, known: int) -> tuple[np.ndarray, np.ndarray]:
    """Bins at a line frequency and beside it, of the lowest that are known."""
    distance = np.abs(FREQS_HZ[:known] - line_hz)
    return np.flatnonzero(distance <= 0.5), np.flatnonzero((distance >= 2) & (distance <= 6))


def high_freq_ratio(psd: np.ndarray, nyquist_hz: float) -> np.ndarray:
    """Amplitude above 50 Hz over amplitude at 1 to 50 Hz, surroundings of 50 and 60 Hz left out.

    Parameters
    ----------
    psd : np.ndarray, shape (..., F)
    nyquist_hz : float
        Of the source.

    Returns
    -------
    np.ndarray, shape (...)
        NaN where the source's band ends below 55 Hz.
    """
    top = min(0.84 * nyquist_hz, 100.0)
    if top < 55.0:
        return np.full(psd.shape[:-1], np.nan)
    weights_F2 = _upper_and_lower(top)
    power = psd[..., : len(weights_F2)] @ weights_F2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(power[..., 0] / power[..., 1])


@lru_cache(maxsize=64)
def _upper_and_lower(top_hz: float) -> np.ndarray:
    """1 in the bins of either band, (F, 2), up to a frequency beyond which a spectrum may be unknown."""
    clear = np.all([np.abs(FREQS_HZ - line) > 2 for line in LINE_CANDIDATES_HZ], axis=0)
    upper, lower = clear & (FREQS_HZ > 50), clear & (FREQS_HZ >= 1) & (FREQS_HZ < 50)
    return np.stack([upper, lower], axis=1)[top_hz >= FREQS_HZ].astype(np.float64)


class SpectrumMean:
    """Mean of many blocks' spectra; a block without a spectrum does not count.

    Parameters
    ----------
    n_channels : int
    """

    def __init__(self, n_channels: int) -> None:
        self._sum_CF = np.zeros((n_channels, len(FREQS_HZ)))
        self._blocks_C = np.zeros(n_channels, dtype=np.int64)

    def add(self, psd_CBF: np.ndarray) -> None:
        """Count the spectra of blocks of one length, shape (C, B, F)."""
        if np.isfinite(psd_CBF).any():
            self._sum_CF += psd_CBF.sum(axis=1)
            self._blocks_C += psd_CBF.shape[1]

    def median(self, rows: np.ndarray) -> np.ndarray:
        """Give the median over some channels, shape (F,): µV²/Hz, NaN where unknown."""
        mean_CF = self._sum_CF[rows] / np.maximum(self._blocks_C[rows], 1)[:, None]
        mean_CF[self._blocks_C[rows] == 0] = np.nan
        return median(np.ascontiguousarray(mean_CF.T))

    def rms_uv(self, low_hz: float, high_hz: float) -> np.ndarray:
        """Give each channel's amplitude in a band, shape (C,): µV, NaN without a spectrum."""
        if not self._blocks_C.any():
            return np.full(len(self._sum_CF), np.nan)
        inside = (low_hz <= FREQS_HZ) & (high_hz >= FREQS_HZ) & np.isfinite(self._sum_CF).all(axis=0)
        if not inside.any():
            return np.full(len(self._sum_CF), np.nan)
        return np.sqrt(
            self._sum_CF[:, inside].sum(axis=1) / self._blocks_C.max() * (FREQS_HZ[1] - FREQS_HZ[0])
        )

    @classmethod
    def together(cls, parts: Sequence[tuple[np.ndarray, "SpectrumMean"]]) -> "SpectrumMean":
        """Join means of different channels: (rows, mean) of each part."""
        joined = cls(sum(len(rows) for rows, _ in parts))
        for rows, part in parts:
            joined._sum_CF[rows], joined._blocks_C[rows] = part._sum_CF, part._blocks_C
        return joined
