"""Each channel's robust standard deviation over a whole recording, from a histogram of its stored values."""

from collections.abc import Sequence

import numpy as np

_REACH = 8192  # steps to either side of zero that are told apart; the outermost bins take the rest


class Scales:
    """Count the stored values of channels, block by block, and say how they spread.

    Parameters
    ----------
    n_channels : int
    """

    def __init__(self, n_channels: int) -> None:
        self._counts = np.zeros((n_channels, 2 * _REACH + 1), dtype=np.int32)
        self._first, self._last = _REACH, _REACH  # columns that hold counts

    def add(self, stored: Sequence[np.ndarray]) -> None:
        """Count every other value of blocks, each (C, N) int16: neighbours say the same. Fewest calls are fastest."""
        values = np.concatenate([block[:, ::2] for block in stored], axis=1)
        lows, highs = values.min(axis=1).astype(np.int64), values.max(axis=1).astype(np.int64)
        if lows.min() < -_REACH or highs.max() > _REACH:
            np.clip(values, -_REACH, _REACH, out=values)
            lows, highs = np.clip(lows, -_REACH, _REACH), np.clip(highs, -_REACH, _REACH)
        self._first = min(self._first, int(lows.min()) + _REACH)
        self._last = max(self._last, int(highs.max()) + _REACH)
        for counts, row, low, high in zip(self._counts, values, lows.tolist(), highs.tolist(), strict=True):
            counts[low + _REACH : high + _REACH + 1] += np.bincount(row - low)

    def robust_sd(self) -> np.ndarray:
        """Give 1.4826 times the median distance from the median, (C,), in stored steps."""
        used = self._counts[:, self._first : self._last + 1]
        below = np.zeros((len(used), used.shape[1] + 1), dtype=np.int32)  # values under each one
        np.cumsum(used, axis=1, out=below[:, 1:])
        top, half = below.shape[1] - 1, (below[:, -1:] + 1) // 2
        middle = np.count_nonzero(below[:, 1:] < half, axis=1)[:, None]
        near, far = np.full(middle.shape, -1), np.full(middle.shape, top + 1)
        while (far - near > 1).any():  # the smallest distance within which half of the values lie
            distance = (near + far) // 2
            first, last = np.maximum(middle - distance, 0), np.minimum(middle + distance + 1, top)
            inside = np.take_along_axis(below, last, axis=1) - np.take_along_axis(below, first, axis=1)
            near, far = np.where(inside < half, distance, near), np.where(inside < half, far, distance)
        return np.asarray(1.4826 * far[:, 0])
