"""Source samples: who gives them, in which segments, and which of them are no signal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

IN_MEMORY_BYTES = 256 * 2**20
"""A recording whose stored channels fit into this is held in memory and read once."""


class SampleSource(Protocol):
    """Whatever can give source samples: a reader process, or an array."""

    @property
    def rate_hz(self) -> float:
        """Sampling rate of the fastest channel."""
        ...

    @property
    def n_samples(self) -> int:
        """Samples of the fastest channel."""
        ...

    def read(self, start: int, stop: int, rows: Sequence[int] | None = None) -> np.ndarray:
        """Give samples start to stop, counted at the rows' own rate: (rows, stop - start) float64 µV.

        All rows of one call have one rate; None asks for every channel. A channel at a share of the fastest
        one's rate has that share of its samples, rounded.
        """
        ...


@dataclass(frozen=True)
class ArraySource:
    """Samples that are already in memory.

    Parameters
    ----------
    data_uv : np.ndarray, shape (C, N)
        µV.
    rate_hz : float
    """

    data_uv: np.ndarray
    rate_hz: float

    @property
    def n_samples(self) -> int:
        """Samples per channel."""
        return self.data_uv.shape[1]

    def read(self, start: int, stop: int, rows: Sequence[int] | None = None) -> np.ndarray:
        """Give samples start to stop of rows, of every channel where None."""
        chosen = self.data_uv if rows is None else self.data_uv[np.asarray(rows, dtype=np.int64)]
        return np.asarray(chosen[:, start:stop], dtype=np.float64)


@dataclass(frozen=True)
class Segment:
    """An uninterrupted stretch of the source."""

    start_s: float  # from the recording's first sample, gaps included
    first: int  # source samples
    stop: int

    @property
    def samples(self) -> int:
        """Source samples per channel."""
        return self.stop - self.first


def picked(
    source: SampleSource, rows: Sequence[int], chunk: int, *, rate_hz: float, in_memory: bool
) -> SampleSource:
    """Leave only some channels of a source, all of one rate.

    Parameters
    ----------
    source : SampleSource
    rows : sequence of int
        Source channels to keep, in the order wanted.
    chunk : int
        Samples read at once.
    rate_hz : float
        Of these channels.
    in_memory : bool
        Read all of them now, once.
    """
    part = _Picked(source, np.asarray(rows), rate_hz)
    if not in_memory:
        return part
    if part.n_samples <= chunk:
        return ArraySource(part.read(0, part.n_samples), rate_hz)
    data_uv = np.empty((len(rows), part.n_samples))
    for start in range(0, part.n_samples, chunk):
        stop = min(start + chunk, part.n_samples)
        data_uv[:, start:stop] = part.read(start, stop)
    return ArraySource(data_uv, rate_hz)


def chunks(source: SampleSource, segment: Segment, chunk: int) -> Iterator[np.ndarray]:
    """Read a segment piece by piece: (C, at most chunk) float64 µV."""
    for start in range(segment.first, segment.stop, chunk):
        yield source.read(start, min(start + chunk, segment.stop))


def without_trailing_zeros(source: SampleSource, segments: Sequence[Segment]) -> tuple[list[Segment], int]:
    """Cut the samples at the recording's end that are exactly zero in all channels: padding, no signal.

    Parameters
    ----------
    source : SampleSource
    segments : sequence of Segment
        In time's order.

    Returns
    -------
    segments : list of Segment
        The last one shortened; those that were nothing but zeros are gone.
    cut : int
        Source samples cut.
    """
    kept, cut = list(segments), 0
    step = max(1, round(source.rate_hz))
    while kept:
        last = kept.pop()
        stop = last.stop
        while stop > last.first:
            start = max(last.first, stop - step)
            signal = np.flatnonzero((source.read(start, stop) != 0).any(axis=0))
            if signal.size:
                stop = start + int(signal[-1]) + 1
                kept.append(replace(last, stop=stop))
                return kept, cut + last.stop - stop
            stop = start
        cut += last.samples
    return kept, cut


@dataclass(frozen=True)
class _Picked:
    source: SampleSource
    rows: np.ndarray
    rate_hz: float

    @property
    def n_samples(self) -> int:
        total, own, fastest = self.source.n_samples, self.rate_hz, self.source.rate_hz
        return total if own == fastest else round(total * (own / fastest))

    def read(self, start: int, stop: int, rows: Sequence[int] | None = None) -> np.ndarray:
        chosen = self.rows if rows is None else self.rows[np.asarray(rows, dtype=np.int64)]
        return np.asarray(self.source.read(start, stop, chosen.tolist()), dtype=np.float64)
