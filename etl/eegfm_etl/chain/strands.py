"""The stored channels of one rate, a strand: read, measured and resampled apart from those of other rates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eegfm_etl.chain.resample import Resampling
from eegfm_etl.chain.samples import IN_MEMORY_BYTES, SampleSource, Segment, picked, without_trailing_zeros
from eegfm_etl.channels import ChannelPlan

_CHUNK_BYTES = 16 * 2**20  # read at once: a pipe and a pickle hold it several times
_ROUNDING = 1e-6  # of a sample


@dataclass(frozen=True)
class Strand:
    """Channels of one rate.

    Attributes
    ----------
    rows : np.ndarray of int
        Where they stand among the stored channels.
    source : SampleSource
        Only these channels, counted at their rate.
    segments : list of Segment
        Counted at their rate; the same stretches of time in every strand.
    ratio : Resampling
        From their rate to the profile's.
    chunk : int
        Samples read at once.
    """

    rows: np.ndarray
    source: SampleSource
    segments: list[Segment]
    ratio: Resampling
    chunk: int

    @property
    def rate_hz(self) -> float:
        """Rate of these channels in the source."""
        return self.source.rate_hz


def strands_of(
    source: SampleSource,
    stored: Sequence[ChannelPlan],
    segments: Sequence[Segment],
    stored_rate_hz: float,
    chunk_s: float,
) -> list[Strand]:
    """Sort the stored channels by rate, the fastest first: all counts of a recording are its strand's.

    Parameters
    ----------
    source : SampleSource
    stored : sequence of ChannelPlan
    segments : sequence of Segment
        Counted at the source's rate.
    stored_rate_hz : float
        The profile's rate.
    chunk_s : float
        Seconds read at once, less where that is more than 16 MiB.

    Returns
    -------
    list of Strand
        In memory where all of them fit there.
    """
    rates = sorted({channel.source_rate for channel in stored}, reverse=True)
    rows = [np.flatnonzero([one.source_rate == rate for one in stored]) for rate in rates]
    totals = [_counted(source.n_samples, rate / source.rate_hz) for rate in rates]
    values = sum(len(own) * total for own, total in zip(rows, totals, strict=True))
    in_memory = values * 8 <= IN_MEMORY_BYTES
    strands = []
    for rate, own, total in zip(rates, rows, totals, strict=True):
        chunk = max(1, min(round(chunk_s * rate), _CHUNK_BYTES // (8 * len(own))))
        indices = [stored[row].source_index for row in own.tolist()]
        part = picked(source, indices, chunk, rate_hz=rate, in_memory=in_memory)
        moved = [_at_rate(one, source.rate_hz, rate, total) for one in segments]
        ratio = Resampling.between(rate, stored_rate_hz, total)
        strands.append(Strand(own, part, moved, ratio, chunk))
    return strands


def without_common_zeros(strands: Sequence[Strand]) -> tuple[list[Segment], int]:
    """Cut what is zero in all channels of all strands at the recording's end.

    Returns
    -------
    segments : list of Segment
        Counted at the first strand's rate.
    cut : int
        Samples cut, counted at that rate.
    """
    lead = strands[0]
    kept, cut = without_trailing_zeros(lead.source, lead.segments)
    if len(strands) == 1 or not cut:
        return kept, cut
    stop = kept[-1].stop if kept else 0
    for other in strands[1:]:
        signal, _ = without_trailing_zeros(other.source, other.segments)
        if signal:
            stop = max(stop, math.ceil(signal[-1].stop * lead.rate_hz / other.rate_hz - _ROUNDING))
    kept = [replace(one, stop=min(one.stop, stop)) for one in lead.segments if one.first < stop]
    return kept, sum(one.samples for one in lead.segments) - sum(one.samples for one in kept)


def with_segments(strands: Sequence[Strand], segments: list[Segment]) -> list[Strand]:
    """Give all strands the segments that are left, counted at the first strand's rate."""
    lead = strands[0]
    return [
        replace(
            one,
            segments=[_at_rate(cut, lead.rate_hz, one.rate_hz, one.source.n_samples) for cut in segments],
        )
        for one in strands
    ]


def _at_rate(segment: Segment, from_hz: float, to_hz: float, total: int) -> Segment:
    """Count a segment in another rate's samples: at least one, the last one whole."""
    if from_hz == to_hz:
        return segment
    share = to_hz / from_hz
    first = min(_counted(segment.first, share), total - 1)
    stop = min(max(math.ceil(segment.stop * share - _ROUNDING), first + 1), total)
    return replace(segment, first=first, stop=stop)


def _counted(samples: int, share: float) -> int:
    return samples if share == 1 else round(samples * share)
