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
        self._counts = np.zeros((n_channels, 2 * _REACH + 1), dtype=np.int64)

    def add(self, stored: Sequence[np.ndarray]) -> None:
        """Count the values of blocks, each (C, N) int16; fewest calls are fastest."""
        values = np.concatenate(stored, axis=1)
        low, high = int(values.min()), int(values.max())
        if low < -_REACH or high > _REACH:
            np.clip(values, -_REACH, _REACH, out=values)
            low, high = max(low, -_REACH), min(high, _REACH)
        for counts, row in zip(self._counts[:, low + _REACH : high + _REACH + 1], values, strict=True):
            counts += np.bincount(row - low, minlength=high - low + 1)

    def robust_sd(self) -> np.ndarray:
        """Give 1.4826 times the median distance from the median, (C,), in stored steps."""
        used = np.flatnonzero(self._counts.any(axis=0))
        below = np.zeros((len(self._counts), used[-1] - used[0] + 2), dtype=np.int64)  # values under each one
        np.cumsum(self._counts[:, used[0] : used[-1] + 1], axis=1, out=below[:, 1:])
        top, half = below.shape[1] - 1, (below[:, -1:] + 1) // 2
        middle = np.count_nonzero(below[:, 1:] < half, axis=1)[:, None]
        near, far = np.full(middle.shape, -1), np.full(middle.shape, top + 1)
        while (far - near > 1).any():  # the smallest distance within which half of the values lie
            distance = (near + far) // 2
            first, last = np.maximum(middle - distance, 0), np.minimum(middle + distance + 1, top)
            inside = np.take_along_axis(below, last, axis=1) - np.take_along_axis(below, first, axis=1)
            near, far = np.where(inside < half, distance, near), np.where(inside < half, far, distance)
        return np.asarray(1.4826 * far[:, 0])
