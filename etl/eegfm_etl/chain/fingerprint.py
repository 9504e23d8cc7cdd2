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
_SMOOTH, _ALONE = 15, 50  # hundredths of a second; alone to both sides
_MARGIN = _ALONE + 2 * _SMOOTH  # where the power's end would show
_BUFFER = 6_000  # a minute: memory does not grow with the recording
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
        Of the samples that pass; a multiple of 100.
    """

    def __init__(self, scale_uv: np.ndarray, rate_hz: float) -> None:
        self._rows = np.flatnonzero(np.isfinite(scale_uv) & (scale_uv > 0))
        self._weights = (1 / scale_uv[self._rows]).astype(np.float32)[:, None]
        self._lag = round(_LAG_S * rate_hz)
        self._thin = round(UNIT_S * rate_hz)
        self._marks: list[np.ndarray] = []
        self._power: list[np.ndarray] = []  # of the segment, hundredths of a second not looked at yet
        self._peaks: list[np.ndarray] = []  # of the segment, in hundredths of a second from its start
        self._first = self._looked = (
            0  # hundredths of a second: the segment's start; what was dropped of its power
        )
        self._before: np.ndarray | None = None

    def begin_segment(self, stored_s: float) -> None:
        """Say that what follows does not join what came before: seconds of stored samples, without the gaps."""
        self._end_segment()
        self._first, self._looked, self._before = round(stored_s / UNIT_S), 0, None

    def add(self, uv_CN: np.ndarray) -> None:
        """Take a block of samples of the EEG channels, µV."""
        if not len(self._rows) or not uv_CN.shape[1]:
            return
        samples = uv_CN if len(self._rows) == len(uv_CN) else uv_CN[self._rows]
        before = np.repeat(samples[:, :1], self._lag, axis=1) if self._before is None else self._before
        lagged = min(self._lag, samples.shape[1])
        change = np.empty_like(samples)
        np.subtract(samples[:, :lagged], before[:, :lagged], out=change[:, :lagged])
        np.subtract(samples[:, lagged:], samples[:, :-lagged], out=change[:, lagged:])
        change *= self._weights
        np.clip(change, -_LIMIT, _LIMIT, out=change)
        self._before = np.concatenate([before, samples[:, -lagged:]], axis=1)[:, -self._lag :]
        power = np.einsum("cn,cn->n", change, change)
        whole = len(power) // self._thin * self._thin
        self._power.append(power[:whole].reshape(-1, self._thin).mean(axis=1))
        if sum(map(len, self._power)) > _BUFFER:
            self._look(last=False)

    def marks(self) -> list[int]:
        """Give the landmarks to store: hash × 2³² + time in hundredths of a second, sorted."""
        self._end_segment()
        marks = np.concatenate(self._marks) if self._marks else np.zeros(0, dtype=np.int64)
        _, once = np.unique(marks >> 32, return_index=True)
        return [int(mark) for mark in marks[once][:KEPT]]

    def _end_segment(self) -> None:
        if self._power:
            self._look(last=True)
            self._marks.append(_hashed(np.concatenate(self._peaks), self._first))
        self._power, self._peaks = [], []

    def _look(self, last: bool) -> None:
        """Find the peaks of the power so far; what lies near its end is looked at again with what follows."""
        power = np.concatenate(self._power).astype(np.float64)
        smooth = uniform_filter1d(uniform_filter1d(power, _SMOOTH, mode="nearest"), _SMOOTH, mode="nearest")
        begin = _ALONE if self._looked == 0 else _MARGIN
        end = len(smooth) - (_ALONE if last else _MARGIN)
        peaks = np.flatnonzero((smooth == maximum_filter1d(smooth, 2 * _ALONE + 1)) & (smooth > 0))
        peaks = peaks[(peaks >= begin) & (peaks < end)]
        before, at, after = smooth[peaks - 1], smooth[peaks], smooth[peaks + 1]
        bend = before - 2 * at + after
        exact = peaks + np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1), 0.0)
        self._peaks.append(exact + self._looked)
        kept = 0 if last else max(0, end - _MARGIN)
        self._looked += kept
        self._power = [power[kept:].astype(np.float32)]


def _hashed(exact: np.ndarray, first: int) -> np.ndarray:
    """Hash the intervals that follow each peak: (peaks - 4) marks."""
    if len(exact) <= _INTERVALS:
        return np.zeros(0, dtype=np.int64)
    steps = np.rint(np.diff(exact) / _STEP).astype(np.uint64)
    mixed = np.zeros(len(steps) - _INTERVALS + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for interval in range(_INTERVALS):
            mixed = (mixed ^ steps[interval : interval + len(mixed)]) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
    hashes = (mixed >> np.uint64(33)).astype(np.int64)
    return (hashes << 32) + np.rint(exact[: len(hashes)]).astype(np.int64) + first
