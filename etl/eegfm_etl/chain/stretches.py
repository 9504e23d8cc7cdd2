"""Blocks of equal length that are looked at together: a call of NumPy costs as much as thousands of samples do."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_BLOCKS = 4
_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Stretch:
    """Consecutive blocks of a segment, all of one length.

    Attributes
    ----------
    start, stop : int
        Samples from the segment's start.
    blocks : int
    """

    start: int
    stop: int
    blocks: int

    def cut(self, samples_CN: np.ndarray) -> np.ndarray:
        """Give the stretch's samples (C, N) a blocks' axis, (C, B, N): a view."""
        return samples_CN.reshape(len(samples_CN), self.blocks, (self.stop - self.start) // self.blocks)


def stretches(borders: Sequence[tuple[int, int]], sample_bytes: int) -> list[Stretch]:
    """Put consecutive blocks of equal length together, four at most, and no more than 16 MiB.

    Parameters
    ----------
    borders : sequence of (int, int)
        First sample of each block, and the one after its last.
    sample_bytes : int
        Of all channels together.

    Returns
    -------
    list of Stretch
    """
    found: list[Stretch] = []
    for start, stop in borders:
        last, length = (found[-1] if found else None), stop - start
        if (
            last is not None
            and start == last.stop
            and length * last.blocks == last.stop - last.start
            and last.blocks < min(_BLOCKS, _BYTES // (length * sample_bytes))
        ):
            found[-1] = Stretch(last.start, stop, last.blocks + 1)
        else:
            found.append(Stretch(start, stop, 1))
    return found
