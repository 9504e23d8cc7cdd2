"""A recording's fingerprint: landmarks of its activity that a crop, a scale or another order of channels leave alone.

The moments at which fast activity over the whole cap is strongest within half a second to both sides are landmarks;
the four intervals to the next ones, in steps of 20 ms, make a hash (after Wang 2003, An industrial-strength audio
search algorithm, ISMIR). Of all hashes the smallest 128 are kept: of two recordings that share a stretch, the same
ones. `eegfm_lake.duplicates` finds recordings that share several at one distance in time.
"""

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

KEPT = 128
"""Landmarks that a row stores, 8 bytes each."""

UNIT_S = 0.01
"""A landmark's time is counted in hundredths of a second of stored samples."""

_LAG_S = 0.05  # differences over it are strongest at 10 Hz, and leave drifts and blinks out
_SMOOTH_S = 0.15
_ALONE_S = 0.5  # to both sides
_INTERVALS = 4
_STEP = 2  # hundredths of a second
_LIMIT = 5.0  # times a channel's typical difference: no single channel makes a landmark alone


class Landmarks:
    """Collect the landmarks of a recording while its stored samples pass, block by block.

    Parameters
    ----------
    scale_uv : np.ndarray, shape (C,)
        Amplitude of each EEG channel; those with none (0, NaN) are left out.
    rate_hz : float
        Of the stored samples; a multiple of 100.
    """

    def __init__(self, scale_uv: np.ndarray, rate_hz: float) -> None:
        self._rows = np.flatnonzero(np.isfinite(scale_uv) & (scale_uv > 0))
        self._weights = (1 / scale_uv[self._rows]).astype(np.float32)[:, None]
        self._rate_hz = rate_hz
        self._lag = round(_LAG_S * rate_hz)
        self._thin = round(UNIT_S * rate_hz)
        self._segments: list[tuple[int, list[np.ndarray]]] = []
        self._before: np.ndarray | None = None
        self._samples = 0

    def begin_segment(self) -> None:
        """Say that what follows does not join what came before."""
        self._segments.append((self._samples, []))
        self._before = None

    def add(self, uv_CN: np.ndarray) -> None:
        """Take a block of stored samples of the EEG channels, µV."""
        samples = uv_CN[self._rows] * self._weights
        before = np.repeat(samples[:, :1], self._lag, axis=1) if self._before is None else self._before
        joined = np.concatenate([before, samples], axis=1)
        change = np.clip(joined[:, self._lag :] - joined[:, : -self._lag], -_LIMIT, _LIMIT)
        self._before = joined[:, -self._lag :]
        self._segments[-1][1].append(np.einsum("cn,cn->n", change, change))
        self._samples += uv_CN.shape[1]

    def marks(self) -> list[int]:
        """Give the landmarks to store: hash × 2³² + time in hundredths of a second, sorted."""
        found: list[np.ndarray] = []
        for first, pieces in self._segments:
            if pieces and len(self._rows):
                found.append(self._of(np.concatenate(pieces), first))
        marks = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
        _, once = np.unique(marks >> 32, return_index=True)
        return sorted(marks[once][:KEPT].tolist())

    def _of(self, power: np.ndarray, first: int) -> np.ndarray:
        smooth = uniform_filter1d(power.astype(np.float64), round(_SMOOTH_S * self._rate_hz), mode="nearest")
        smooth = uniform_filter1d(smooth, round(_SMOOTH_S * self._rate_hz), mode="nearest")[:: self._thin]
        alone = round(_ALONE_S / UNIT_S)
        peaks = np.flatnonzero((smooth == maximum_filter1d(smooth, 2 * alone + 1)) & (smooth > 0))
        peaks = peaks[(peaks >= alone) & (peaks < len(smooth) - alone)]
        if len(peaks) <= _INTERVALS:
            return np.zeros(0, dtype=np.int64)
        before, at, after = smooth[peaks - 1], smooth[peaks], smooth[peaks + 1]
        bend = before - 2 * at + after
        exact = peaks + np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1), 0.0)
        steps = np.rint(np.diff(exact) / _STEP).astype(np.uint64)
        mixed = np.zeros(len(steps) - _INTERVALS + 1, dtype=np.uint64)
        with np.errstate(over="ignore"):
            for interval in range(_INTERVALS):
                mixed = (mixed ^ steps[interval : interval + len(mixed)]) * np.uint64(0x9E3779B97F4A7C15)
                mixed ^= mixed >> np.uint64(29)
        hashes = (mixed >> np.uint64(33)).astype(np.int64)
        return (hashes << 32) + peaks[: len(hashes)] + first // self._thin
