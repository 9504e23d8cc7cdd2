"""Spectra in bins of 0.5 Hz, and the two ratios that tell hum and muscle from EEG."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import fft

FREQS_HZ = np.arange(0.5, 100.5, 0.5)
"""Frequencies of every stored spectrum."""

LINE_CANDIDATES_HZ = (50.0, 60.0)

SHORTEST_S = 2.0
"""Shorter blocks have no spectrum."""

_FEWEST = 4  # samples: a Hann window over fewer is zero


def spectrum(block_CN: np.ndarray, rate_hz: float) -> np.ndarray:
    """Power spectral density in bins of 0.5 Hz: one Hann window over the block.

    Returns
    -------
    np.ndarray, shape (C, F)
        µV²/Hz at `FREQS_HZ`; NaN above the Nyquist frequency and for blocks under 2 s.
    """
    n_channels, n = block_CN.shape
    psd_CF = np.full((n_channels, len(FREQS_HZ)), np.nan)
    if n < max(SHORTEST_S * rate_hz, _FEWEST):
        return psd_CF
    window = _hann(n)
    centred = (block_CN - block_CN.mean(axis=1, keepdims=True)).astype(np.float32)
    centred *= window
    bins = fft.rfft(centred, axis=1, overwrite_x=True)
    power = np.square(bins.real)
    power += np.square(bins.imag)
    edges = np.searchsorted(
        np.arange(power.shape[1]) * rate_hz / n, np.append(FREQS_HZ - 0.25, FREQS_HZ[-1] + 0.25)
    )
    widths = np.diff(edges)
    known = (widths > 0) & (rate_hz / 2 >= FREQS_HZ + 0.25)
    if known.any():
        sums = np.add.reduceat(power[:, : edges[1:][known][-1]], edges[:-1][known], axis=1)
        psd_CF[:, known] = sums * (2 / (rate_hz * np.square(window).sum())) / widths[known]
    return psd_CF


@lru_cache(maxsize=64)
def _hann(n: int) -> np.ndarray:
    window = np.hanning(n).astype(np.float32)
    window.setflags(write=False)
    return window


def line_ratio(psd_CF: np.ndarray, line_hz: float) -> np.ndarray:
    """Power at the line frequency over the median power 2 to 6 Hz beside it.

    Returns
    -------
    np.ndarray, shape (C,)
        NaN where the line lies outside the source's band.
    """
    distance = np.abs(FREQS_HZ - line_hz)
    peak = _at(psd_CF, distance <= 0.5).max(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return peak / np.median(_at(psd_CF, (distance >= 2) & (distance <= 6)), axis=-1)


def high_freq_ratio(psd_CF: np.ndarray, nyquist_hz: float) -> np.ndarray:
    """Amplitude above 50 Hz over amplitude at 1 to 50 Hz, surroundings of 50 and 60 Hz left out.

    Returns
    -------
    np.ndarray, shape (C,)
        NaN where the source's band ends below 55 Hz.
    """
    top = min(0.84 * nyquist_hz, 100.0)
    if top < 55.0:
        return np.full(psd_CF.shape[:-1], np.nan)
    clear = np.all([np.abs(FREQS_HZ - line) > 2 for line in LINE_CANDIDATES_HZ], axis=0)
    upper = _at(psd_CF, clear & (FREQS_HZ > 50) & (top >= FREQS_HZ)).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(upper / _at(psd_CF, clear & (FREQS_HZ >= 1) & (FREQS_HZ < 50)).sum(axis=-1))


def _at(psd_CF: np.ndarray, bins: np.ndarray) -> np.ndarray:
    known = bins & np.isfinite(psd_CF).all(axis=tuple(range(psd_CF.ndim - 1)))
    return psd_CF[..., known] if known.any() else np.full((*psd_CF.shape[:-1], 1), np.nan)


class SpectrumMean:
    """Mean of many blocks' spectra; a block without a spectrum does not count.

    Parameters
    ----------
    n_channels : int
    """

    def __init__(self, n_channels: int) -> None:
        self._sum_CF = np.zeros((n_channels, len(FREQS_HZ)))
        self._blocks_C = np.zeros(n_channels, dtype=np.int64)

    def add(self, psd_CF: np.ndarray) -> None:
        """Count a block's spectrum, shape (C, F)."""
        if np.isfinite(psd_CF).any():
            self._sum_CF += psd_CF
            self._blocks_C += 1

    def median(self, rows: np.ndarray) -> np.ndarray:
        """Give the median over some channels, shape (F,): µV²/Hz, NaN where unknown."""
        mean_CF = self._sum_CF[rows] / np.maximum(self._blocks_C[rows], 1)[:, None]
        mean_CF[self._blocks_C[rows] == 0] = np.nan
        known = np.isfinite(mean_CF).any(axis=0)
        middle = np.full(len(FREQS_HZ), np.nan)
        middle[known] = np.nanmedian(mean_CF[:, known], axis=0)
        return middle

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
