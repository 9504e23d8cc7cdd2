"""The signal chain: source samples in, a signal file and its figures out, in bounded memory.

Segments → channels → units → line frequency → source quality → resample → filter → stored quality → quantise.
Two passes over chunks: the first measures what the second needs to know of the whole recording. A recording
that fits in memory is read once. What is stored does not depend on the length of the chunks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eegfm_etl import record
from eegfm_etl.channels import ChannelPlan
from eegfm_etl.filters import Kernel, kernel_for
from eegfm_etl.measure import SourceFigures, measure, steps_uv
from eegfm_etl.quality import detect_line
from eegfm_etl.resample import Resampling
from eegfm_etl.samples import ArraySource, SampleSource, Segment, picked, without_trailing_zeros
from eegfm_etl.spectra import LINE_CANDIDATES_HZ
from eegfm_etl.store import Plan, store
from eegfm_lake.errors import EegfmError
from eegfm_lake.schema import Profile
from eegfm_lake.signals import SignalFile

__all__ = ["ArraySource", "Harmonised", "SampleSource", "Segment", "harmonise"]

SHORTEST_S = 1.0
"""A segment shorter than this is left out and counted."""


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
    trailing_zeros_cut: int  # source samples
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
    chunk_s: float = 60.0,
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
    stored = [channel for channel in channels if channel.status != "dropped"]
    if not stored:
        raise EegfmError(f"none of {len(channels)} channels is EEG, EOG, ECG, EMG or respiration")
    chunk = max(1, round(chunk_s * source.rate_hz))
    source = picked(source, [channel.source_index for channel in stored], chunk)
    kept, zeros_cut = _kept(source, segments)
    ratio = Resampling.between(source.rate_hz, profile.rate_hz, source.n_samples)
    lines = LINE_CANDIDATES_HZ if line_freq_hz is None else (float(line_freq_hz),)
    figures = measure(source, kept, ratio, profile.rate_hz, lines, chunk)
    line_hz, origin = _line(line_freq_hz, line_freq_origin, figures, stored)
    plan = Plan(
        profile=profile,
        rate_hz=source.rate_hz,
        stored=stored,
        segments=kept,
        ratio=ratio,
        line_freq_hz=line_hz,
        line_freq_origin=origin,
        kernels=[_kernels(stored, profile, line_hz, one.samples / source.rate_hz) for one in kept],
        steps_uv=steps_uv(figures),
    )
    tally = store(source, plan, figures, out, chunk)
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


def _kept(source: SampleSource, segments: Sequence[Segment]) -> tuple[list[Segment], int]:
    nonzero, zeros_cut = without_trailing_zeros(source, segments)
    kept = [segment for segment in nonzero if segment.samples >= SHORTEST_S * source.rate_hz]
    if not kept:
        raise EegfmError(
            f"no second of signal in {source.n_samples / source.rate_hz:.3g} s and {len(segments)} segments; "
            f"the last {zeros_cut} samples are zero in all channels"
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
    return [
        kernel_for(
            channel.type,
            profile,
            line_freq_hz=line_hz,
            source_nyquist_hz=channel.source_rate / 2,
            segment_s=segment_s,
        )
        for channel in stored
    ]
