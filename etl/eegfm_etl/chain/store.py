"""The second pass: resample, filter, judge, quantise and write, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal

from eegfm_etl.chain import quality
from eegfm_etl.chain.filters import TYPE_BANDS, filtered, shortest_high_passed_s
from eegfm_etl.chain.fingerprint import Landmarks
from eegfm_etl.chain.judge import Block, judge
from eegfm_etl.chain.measure import SourceFigures
from eegfm_etl.chain.plan import Plan
from eegfm_etl.chain.ransac import Covariances, unpredicted_share
from eegfm_etl.chain.resample import resampled
from eegfm_etl.chain.samples import chunks
from eegfm_etl.chain.scales import Scales
from eegfm_etl.chain.spectra import SHORTEST_S, SpectrumMean, spectrum, without_mean
from eegfm_etl.chain.strands import Strand
from eegfm_etl.chain.tape import Frames, fitted, in_pieces
from eegfm_etl.chain.transform import transformed
from eegfm_etl.channels import ChannelPlan
from eegfm_lake.schema import BLOCK_S
from eegfm_lake.signals import SignalFile, SignalWriter

_INT16 = 32767
_LANDMARK_BAND_HZ = (1.0, 45.0)
_BLOCKS_HELD = 16


@dataclass
class Tally:
    """What the second pass counts while it writes."""

    spectrum: SpectrumMean
    scales: Scales
    clipped: np.ndarray  # (C,) samples saturated by quantisation
    faulty_s: np.ndarray  # (faults, C) seconds of blocks that show each fault
    samples: int = 0  # stored ones of each channel
    blocks: list[dict[str, Any]] = field(default_factory=list)  # as schema.BLOCKS
    signal_file: SignalFile = field(init=False)  # these two are known at the end
    unpredicted: np.ndarray = field(
        init=False
    )  # (C,) share of windows in which RANSAC does not predict a channel
    fingerprint: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, n_channels: int) -> "Tally":
        """Begin to count."""
        return cls(
            SpectrumMean(n_channels),
            Scales(n_channels),
            np.zeros(n_channels, dtype=np.int64),
            np.zeros((len(quality.REASONS), n_channels)),
        )


def store(plan: Plan, figures: SourceFigures, out: Path) -> Tally:
    """Write the signal file of a recording.

    Parameters
    ----------
    plan : Plan
    figures : SourceFigures
        Of the same strands.
    out : Path
        The signal file to write.

    Returns
    -------
    Tally
    """
    tally = Tally.of(len(plan.stored))
    positions = np.array([channel.position or (np.nan,) * 3 for channel in plan.stored])
    near = quality.neighbours(positions[plan.comparable])
    names = [channel.name for channel in plan.stored]
    rows, rate_hz = plan.comparable, plan.profile.rate_hz
    total_stored = sum(plan.ratio.stored(segment.samples) for segment in plan.segments)
    covariances = Covariances(rate_hz, total_stored)
    landmarks = Landmarks(figures.spectrum.rms_uv(*_LANDMARK_BAND_HZ)[rows], rate_hz)
    with SignalWriter(out, rate_hz=plan.profile.rate_hz, channels=names, steps_uv=plan.steps_uv) as writer:
        held: list[Block] = []
        for index, segment in enumerate(plan.segments):
            total = plan.ratio.stored(segment.samples)
            landmarks.begin_segment()
            for number, filtered_CN in enumerate(_blocks(plan, figures, index, total)):
                stored_CN, uv_CN = _quantised(filtered_CN, plan.steps_uv, tally)
                eeg_CN = uv_CN if len(rows) == len(uv_CN) else uv_CN[rows]
                covariances.add(eeg_CN)
                landmarks.add(eeg_CN)
                tally.spectrum.add(spectrum(without_mean(uv_CN)[0], rate_hz))
                correlation = np.full(len(uv_CN), np.nan)
                if len(rows) and uv_CN.shape[1] >= SHORTEST_S * rate_hz:
                    live = ~figures.blocks[len(tally.blocks) + len(held)].flat[rows]
                    correlation[rows] = quality.neighbour_correlation(eeg_CN, live, near)
                start_s = segment.start_s + number * BLOCK_S
                held.append(Block(start_s, stored_CN, quality.robust_sd(uv_CN), correlation))
                if len(held) == _BLOCKS_HELD:
                    _write(held, plan, figures, tally, writer)
        if held:
            _write(held, plan, figures, tally, writer)
        tally.signal_file = writer.close()
    tally.fingerprint = landmarks.marks()
    tally.unpredicted = _unpredicted(covariances, positions, tally, plan)
    return tally


def _write(held: list[Block], plan: Plan, figures: SourceFigures, tally: Tally, writer: SignalWriter) -> None:
    """Judge and write the blocks held, and forget them."""
    judged = judge(held, plan, figures, len(tally.blocks), tally.samples)
    stored = [block.stored_CN for block in held]
    writer.write_blocks(stored, judged.columns)
    tally.scales.add(stored)
    tally.faulty_s += judged.faulty_s
    tally.blocks += judged.rows
    tally.samples += sum(block.shape[1] for block in stored)
    held.clear()


def _unpredicted(covariances: Covariances, positions_C3: np.ndarray, tally: Tally, plan: Plan) -> np.ndarray:
    """Judge every channel by what the others, good by every other criterion, predict of it."""
    rows = plan.comparable
    total_s = tally.samples / plan.profile.rate_hz
    usable = np.asarray((tally.faulty_s[:, rows] <= quality.BAD_SHARE * total_s).all(axis=0))
    shares = np.full(len(plan.stored), np.nan)
    shares[rows] = unpredicted_share(covariances.matrices, positions_C3[rows], usable)
    return shares


def _blocks(plan: Plan, figures: SourceFigures, index: int, total: int) -> Iterator[np.ndarray]:
    """Yield the blocks of one segment: (C, at most a block's samples) float32 µV at the profile's rate."""
    pieces = [
        in_pieces(_harmonised(plan, figures, strand, index, total), plan.block, total)
        for strand in plan.strands
    ]
    if len(pieces) == 1:
        yield from pieces[0]
        return
    for parts in zip(*pieces, strict=True):
        block_CN = np.empty((len(plan.stored), parts[0].shape[1]), np.float32)
        for strand, part in zip(plan.strands, parts, strict=True):
            block_CN[strand.rows] = part
        yield block_CN


def _harmonised(
    plan: Plan, figures: SourceFigures, strand: Strand, index: int, total: int
) -> Iterator[np.ndarray]:
    """Resample and filter one segment; a short one is detrended where it would have been high-passed."""
    segment, kernels = strand.segments[index], [plan.kernels[index][row] for row in strand.rows]
    frames_CN = chunks(strand.source, segment, strand.chunk)
    centred = _centred(frames_CN, figures.offsets_uv[index][strand.rows], figures.broken)
    segment_s = plan.segments[index].samples / plan.rate_hz
    long = segment_s >= shortest_high_passed_s(plan.profile) - 1e-9
    if long:
        frames: Frames = transformed(centred, strand.ratio, kernels, segment.samples)
    else:
        frames = resampled(centred, strand.ratio, segment.samples)
    if strand.ratio.stored(segment.samples) != total:
        frames = fitted(frames, total)
    if long:
        return iter(frames)
    stored = [plan.stored[row] for row in strand.rows]
    return filtered([_detrended(np.concatenate(list(frames), axis=1), stored)], kernels, total)


def _centred(frames: Frames, offset_uv: np.ndarray, broken: bool) -> Iterator[np.ndarray]:
    """float32 keeps what is left once the offset is gone; samples that are no number become the offset."""
    for frame in frames:
        if broken:
            frame = np.where(np.abs(frame) < quality.LARGEST_UV, frame, offset_uv[:, None])
        centred = np.empty(frame.shape, np.float32)
        np.subtract(frame, offset_uv[:, None], out=centred, casting="same_kind")
        yield centred


def _detrended(samples_CN: np.ndarray, stored: list[ChannelPlan]) -> np.ndarray:
    rows = [row for row, channel in enumerate(stored) if TYPE_BANDS.get(channel.type, (0.0,))[0] is not None]
    if rows:
        samples_CN[rows] = signal.detrend(samples_CN[rows].astype(np.float64), axis=1)
    return samples_CN


def _quantised(samples_CN: np.ndarray, steps_uv: np.ndarray, tally: Tally) -> tuple[np.ndarray, np.ndarray]:
    """Round to whole steps: int16 as stored, and what they stand for in µV; `samples_CN` is used up."""
    units = samples_CN * (1 / steps_uv[:, None]).astype(np.float32)
    np.rint(units, out=units)
    if max(units.max(), -units.min()) > _INT16:
        tally.clipped += np.count_nonzero(np.abs(units) > _INT16, axis=1)
        np.clip(units, -_INT16, _INT16, out=units)
    stored_CN = units.astype(np.int16)
    units *= steps_uv[:, None].astype(np.float32)
    return stored_CN, units
