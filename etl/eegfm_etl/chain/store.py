"""The second pass: resample, filter, judge, quantise and write, block by block."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal

from eegfm_etl.chain import quality
from eegfm_etl.chain.filters import TYPE_BANDS, filtered, shortest_high_passed_s
from eegfm_etl.chain.fingerprint import Landmarks
from eegfm_etl.chain.judge import StoredBlocks, judge
from eegfm_etl.chain.measure import SourceFigures
from eegfm_etl.chain.plan import Plan
from eegfm_etl.chain.ransac import Covariances, unpredicted_share
from eegfm_etl.chain.resample import resampled
from eegfm_etl.chain.samples import chunks
from eegfm_etl.chain.scales import Scales
from eegfm_etl.chain.spectra import SHORTEST_S, SpectrumMean, spectrum, without_mean
from eegfm_etl.chain.strands import Strand
from eegfm_etl.chain.stretches import Stretch, stretches
from eegfm_etl.chain.tape import Frames, Tape, fitted
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
    totals = [plan.ratio.stored(segment.samples) for segment in plan.segments]
    firsts = accumulate(totals[:-1], initial=0)
    covariances = Covariances(rate_hz / 2, sum(totals) // 2)
    landmarks = Landmarks(figures.spectrum.rms_uv(*_LANDMARK_BAND_HZ)[rows], rate_hz / 2)
    with SignalWriter(out, rate_hz=plan.profile.rate_hz, channels=names, steps_uv=plan.steps_uv) as writer:
        held: list[StoredBlocks] = []
        for index, (segment, total, first) in enumerate(zip(plan.segments, totals, firsts, strict=True)):
            landmarks.begin_segment(first / rate_hz)
            borders = [(start, min(start + plan.block, total)) for start in range(0, total, plan.block)]
            parts = stretches(borders, 4 * len(names))
            for stretch, filtered_CN in zip(parts, _pieces(plan, figures, index, parts), strict=True):
                stored_CN, uv_CN = _quantised(filtered_CN, plan.steps_uv, tally)
                eeg_CN = uv_CN if len(rows) == len(uv_CN) else uv_CN[rows]
                halved_CN = _halved(eeg_CN)
                covariances.add(halved_CN)
                landmarks.add(halved_CN)
                tally.spectrum.add(spectrum(without_mean(stretch.cut(uv_CN))[0], rate_hz))
                done = len(tally.blocks) + sum(len(one.starts_s) for one in held)
                live = ~figures.blocks.flat[done : done + stretch.blocks, rows]
                numbers = stretch.start // plan.block + np.arange(stretch.blocks)
                held.append(
                    StoredBlocks(
                        starts_s=segment.start_s + BLOCK_S * numbers,
                        stored_CBN=stretch.cut(stored_CN),
                        amplitude_uv=quality.robust_sd(stretch.cut(uv_CN)).T,
                        correlation=_correlation(plan, stretch.cut(eeg_CN), live, near),
                    )
                )
                if done + stretch.blocks - len(tally.blocks) >= _BLOCKS_HELD:
                    _write(held, plan, figures, tally, writer)
        if held:
            _write(held, plan, figures, tally, writer)
        tally.signal_file = writer.close()
    tally.fingerprint = landmarks.marks()
    tally.unpredicted = _unpredicted(covariances, positions, tally, plan)
    return tally


def _correlation(
    plan: Plan, eeg_CBN: np.ndarray, live: np.ndarray, near: np.ndarray | Sequence[np.ndarray]
) -> np.ndarray:
    """Correlation of every stored channel with its neighbours, (B, C); NaN where it is not compared."""
    correlation = np.full((len(live), len(plan.stored)), np.nan)
    if len(eeg_CBN) and eeg_CBN.shape[2] >= SHORTEST_S * plan.profile.rate_hz:
        correlation[:, plan.comparable] = quality.neighbour_correlation(eeg_CBN, live, near)
    return correlation


def _halved(samples_CN: np.ndarray) -> np.ndarray:
    """Make one sample of two: what goes on below 50 Hz takes half of the numbers."""
    even = samples_CN.shape[1] // 2 * 2
    halved_CN: np.ndarray = samples_CN[:, :even:2] + samples_CN[:, 1:even:2]
    halved_CN *= np.float32(0.5)
    return halved_CN


def _write(
    held: list[StoredBlocks], plan: Plan, figures: SourceFigures, tally: Tally, writer: SignalWriter
) -> None:
    """Judge and write the blocks held, and forget them."""
    judged = judge(held, plan, figures, len(tally.blocks), tally.samples)
    writer.write_blocks([block for one in held for block in one.stored_CBN.swapaxes(0, 1)], judged.columns)
    tally.scales.add([one.stored_CBN.reshape(len(one.stored_CBN), -1) for one in held])
    tally.faulty_s += judged.faulty_s
    tally.blocks += judged.rows
    tally.samples += sum(one.stored_CBN[0].size for one in held)
    held.clear()


def _unpredicted(covariances: Covariances, positions_C3: np.ndarray, tally: Tally, plan: Plan) -> np.ndarray:
    """Judge every channel by what the others, good by every other criterion, predict of it."""
    rows = plan.comparable
    total_s = tally.samples / plan.profile.rate_hz
    usable = np.asarray((tally.faulty_s[:, rows] <= quality.BAD_SHARE * total_s).all(axis=0))
    shares = np.full(len(plan.stored), np.nan)
    shares[rows] = unpredicted_share(covariances.matrices, positions_C3[rows], usable)
    return shares


def _pieces(plan: Plan, figures: SourceFigures, index: int, parts: Sequence[Stretch]) -> Iterator[np.ndarray]:
    """Yield the stretches of one segment: (C, N) float32 µV at the profile's rate."""
    tapes = [Tape(_harmonised(plan, figures, strand, index, parts[-1].stop)) for strand in plan.strands]
    for part in parts:
        taken = [tape.take(part.start, part.stop) for tape in tapes]
        if len(taken) == 1:
            yield taken[0]
            continue
        samples_CN = np.empty((len(plan.stored), taken[0].shape[1]), np.float32)
        for strand, own in zip(plan.strands, taken, strict=True):
            samples_CN[strand.rows] = own
        yield samples_CN


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
