"""The signal chain: source samples in, a signal file and its figures out, in bounded memory.

Segments → channels → units → line frequency → source quality → resample → filter → stored quality → quantise.
Channels of different rates go through it side by side, each at its own rate until it is resampled.
Two passes over chunks: the first measures what the second needs to know of the whole recording. A recording
that fits in memory is read once. What is stored does not depend on the length of the chunks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from eegfm_etl.chain import record
from eegfm_etl.chain.filters import Kernel, kernel_for
from eegfm_etl.chain.measure import SourceFigures, measure, steps_uv, together
from eegfm_etl.chain.plan import Plan
from eegfm_etl.chain.quality import detect_line
from eegfm_etl.chain.samples import ArraySource, SampleSource, Segment
from eegfm_etl.chain.spectra import LINE_CANDIDATES_HZ
from eegfm_etl.chain.store import store
from eegfm_etl.chain.strands import Strand, strands_of, with_segments, without_common_zeros
from eegfm_etl.channels import ChannelPlan
from eegfm_etl.source import SourceError
from eegfm_lake.errors import EegfmError
from eegfm_lake.schema import BLOCK_S, Profile
from eegfm_lake.signals import SignalFile

__all__ = ["ArraySource", "Harmonised", "SampleSource", "Segment", "harmonise"]

_LINEAR_ALGEBRA = ThreadpoolController()  # NumPy's and SciPy's, which the imports above have loaded

SHORTEST_S = 1.0
"""A segment shorter than this is left out and counted."""

SLOWEST_HZ = 0.5
"""A channel with fewer samples a second is listed and left out: no biosignal that is stored lies there."""

FASTEST_HZ = 1e6
"""A channel with more is listed and left out: no amplifier does that, its header lies."""


@dataclass(frozen=True)
class Harmonised:
    """A stored recording; everything but the file in the shape of `eegfm_lake.schema.RECORDINGS`."""

    signal_file: SignalFile
    segments: list[dict[str, Any]]
    channels: list[dict[str, Any]]
    chain: dict[str, Any]
    spectrum: dict[str, Any]
    blocks: list[dict[str, Any]]
    samples: int
    duration_s: float
    trailing_zeros_cut: int  # samples of the fastest stored channel
    line_freq_hz: float | None
    line_freq_origin: str | None  # None: unknown, so nothing was notched
    fingerprint: list[int]


def harmonise(
    source: SampleSource,
    channels: Sequence[ChannelPlan],
    *,
    profile: Profile,
    segments: Sequence[Segment],
    line_freq_hz: float | None,
    line_freq_origin: str | None,
    hardware_band: tuple[float | None, float | None] | None,
    out: Path,
    chunk_s: float = 600.0,
) -> Harmonised:
    """Run a recording through the chain and write its signal file.

    Parameters
    ----------
    source : SampleSource
    channels : sequence of ChannelPlan
        One per source channel; those with status "dropped" are listed, the others stored in this order.
    profile : Profile
    segments : sequence of Segment
        In time's order; nothing crosses their borders.
    line_freq_hz : float or None
        None: look for 50 or 60 Hz in the source.
    line_freq_origin : str or None
        Where `line_freq_hz` comes from: "recorded" or "declared".
    hardware_band : tuple of (float or None), or None
        High-pass and low-pass of the amplifier in Hz.
    out : Path
        The signal file to write.
    chunk_s : float
        Seconds read at once; does not change what is stored.

    Returns
    -------
    Harmonised

    Raises
    ------
    EegfmError
        No channel is to be stored, or no segment of a second or more holds anything but zeros.
    """
    # More threads round otherwise, and that would be stored
    with _LINEAR_ALGEBRA.limit(limits=1, user_api="blas"):
        channels = [_at_a_true_rate(channel) for channel in channels]
        stored = [channel for channel in channels if channel.status != "dropped"]
        if not stored:
            raise EegfmError(f"none of {len(channels)} channels is EEG, EOG, ECG, EMG or respiration")
        strands = strands_of(source, stored, segments, profile.rate_hz, chunk_s)
        kept, zeros_cut = _kept(strands)
        strands = with_segments(strands, kept)
        lead = strands[0]
        n_blocks = [-(-lead.ratio.stored(one.samples) // round(BLOCK_S * profile.rate_hz)) for one in kept]
        lines = LINE_CANDIDATES_HZ if line_freq_hz is None else (float(line_freq_hz),)
        parts = [measure(strand, n_blocks, lines) for strand in strands]
        figures = together(strands, parts)
        line_hz, origin = _line(line_freq_hz, line_freq_origin, figures, stored)
        plan = Plan(
            profile=profile,
            stored=stored,
            strands=strands,
            line_freq_hz=line_hz,
            line_freq_origin=origin,
            kernels=[_kernels(stored, profile, line_hz, one.samples / lead.rate_hz) for one in kept],
            steps_uv=_steps(strands, parts),
        )
        tally = store(plan, figures, out)
        hardware = hardware_band or (None, None)
        return _harmonised(record.Facts(plan, figures, tally, channels, hardware, zeros_cut, len(segments)))


def _harmonised(facts: record.Facts) -> Harmonised:
    last = facts.plan.segments[-1]
    return Harmonised(
        signal_file=facts.tally.signal_file,
        segments=record.segment_rows(facts),
        channels=record.channel_rows(facts),
        chain=record.chain(facts),
        spectrum=record.spectrum(facts),
        blocks=facts.tally.blocks,
        samples=facts.tally.signal_file.samples,
        duration_s=last.start_s + last.samples / facts.plan.rate_hz,
        trailing_zeros_cut=facts.zeros_cut,
        line_freq_hz=facts.plan.line_freq_hz,
        line_freq_origin=facts.plan.line_freq_origin,
        fingerprint=facts.tally.fingerprint,
    )


def _at_a_true_rate(channel: ChannelPlan) -> ChannelPlan:
    if channel.status == "dropped" or SLOWEST_HZ <= channel.source_rate <= FASTEST_HZ:
        return channel
    how = "few" if channel.source_rate < SLOWEST_HZ else "many"
    limits = f"{SLOWEST_HZ:g} to {FASTEST_HZ:g}"
    reason = f"{channel.source_rate:.3g} samples a second are too {how} to be true of a biosignal ({limits})"
    return replace(channel, status="dropped", reasons=(*channel.reasons, reason))


def _steps(strands: Sequence[Strand], parts: Sequence[SourceFigures]) -> np.ndarray:
    steps = np.empty(sum(len(strand.rows) for strand in strands))
    for strand, figures in zip(strands, parts, strict=True):
        steps[strand.rows] = steps_uv(figures)
    return steps


def _kept(strands: Sequence[Strand]) -> tuple[list[Segment], int]:
    lead = strands[0]
    nonzero, zeros_cut = without_common_zeros(strands)
    kept = [segment for segment in nonzero if segment.samples >= SHORTEST_S * lead.rate_hz]
    if not kept:
        longest_s = max((segment.samples for segment in nonzero), default=0) / lead.rate_hz
        why = (
            f"its longest stretch without a gap has {longest_s:.3g} s"
            if nonzero
            else "every sample is zero in all channels"
        )
        raise SourceError(
            "segments",
            f"no second of signal in {lead.source.n_samples / lead.rate_hz:.3g} s of recording "
            f"({len(lead.segments)} segments): {why}",
        )
    return kept, zeros_cut


def _line(
    given_hz: float | None, origin: str | None, figures: SourceFigures, stored: Sequence[ChannelPlan]
) -> tuple[float | None, str | None]:
    if given_hz is not None:
        return float(given_hz), origin
    eeg = np.flatnonzero([channel.type == "eeg" for channel in stored])
    found = detect_line(figures.blocks, figures.lines_hz, eeg)
    return found, None if found is None else "detected"


def _kernels(
    stored: Sequence[ChannelPlan], profile: Profile, line_hz: float | None, segment_s: float
) -> list[Kernel]:
    kernels = {
        (kind, rate_hz): kernel_for(
            kind, profile, line_freq_hz=line_hz, source_nyquist_hz=rate_hz / 2, segment_s=segment_s
        )
        for kind, rate_hz in {(channel.type, channel.source_rate) for channel in stored}
    }
    return [kernels[channel.type, channel.source_rate] for channel in stored]
