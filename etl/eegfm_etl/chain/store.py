"""The second pass: resample, filter, judge, quantise and write, block by block."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal

from eegfm_etl.chain import quality
from eegfm_etl.chain.filters import TYPE_BANDS, Kernel, filtered, shortest_high_passed_s
from eegfm_etl.chain.fingerprint import Landmarks
from eegfm_etl.chain.measure import SourceFigures
from eegfm_etl.chain.medians import median
from eegfm_etl.chain.ransac import Covariances, unpredicted_share
from eegfm_etl.chain.resample import Resampling, resampled
from eegfm_etl.chain.samples import Segment, chunks
from eegfm_etl.chain.spectra import SHORTEST_S, SpectrumMean, spectrum
from eegfm_etl.chain.strands import Strand
from eegfm_etl.chain.tape import Frames, fitted, in_pieces
from eegfm_etl.chain.transform import transformed
from eegfm_etl.channels import ChannelPlan
from eegfm_lake.schema import BLOCK_S, Profile
from eegfm_lake.signals import SignalFile, SignalWriter

_INT16 = 32767
_LANDMARK_BAND_HZ = (1.0, 45.0)
_HISTOGRAM = 8192  # steps to either side of zero that the scale's histogram tells apart
_BLOCKS_HELD = 16


@dataclass(frozen=True)
class Plan:
    """What is fixed before the second pass."""

    profile: Profile
    stored: list[ChannelPlan]
    strands: list[Strand]  # the stored channels by rate, the fastest first
    line_freq_hz: float | None
    line_freq_origin: str | None
    kernels: list[list[Kernel]]  # per segment, per stored channel
    steps_uv: np.ndarray

    @property
    def rate_hz(self) -> float:
        """Rate of the fastest stored channel."""
        return self.strands[0].rate_hz

    @property
    def segments(self) -> list[Segment]:
        """Segments, counted at that rate."""
        return self.strands[0].segments

    @property
    def ratio(self) -> Resampling:
        """From that rate to the profile's; it says how many samples are stored."""
        return self.strands[0].ratio

    @property
    def block(self) -> int:
        """Stored samples of a block."""
        return round(BLOCK_S * self.profile.rate_hz)

    @property
    def eeg(self) -> np.ndarray:
        """Rows of the stored EEG channels."""
        return np.flatnonzero([channel.type == "eeg" for channel in self.stored])

    @property
    def comparable(self) -> np.ndarray:
        """Rows of the EEG channels that are judged against each other: those with one reference, else all."""
        one_reference = [row for row in self.eeg if self.stored[row].anode is None]
        return np.array(one_reference, dtype=np.int64) if one_reference else self.eeg


@dataclass
class Tally:
    """What the second pass counts while it writes."""

    spectrum: SpectrumMean
    histogram: np.ndarray  # (C, 2 * _HISTOGRAM + 1) stored values, the outermost bins take the rest
    clipped: np.ndarray  # (C,) samples saturated by quantisation
    faulty_s: np.ndarray  # (faults, C) seconds of blocks that show each fault
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
            np.zeros((n_channels, 2 * _HISTOGRAM + 1), dtype=np.int64),
            np.zeros(n_channels, dtype=np.int64),
            np.zeros((len(quality.REASONS), n_channels)),
        )

    def count(self, stored: Sequence[np.ndarray]) -> None:
        """Count the values of blocks, (C, N) each."""
        values = np.concatenate(stored, axis=1)
        low, high = int(values.min()), int(values.max())
        if low < -_HISTOGRAM or high > _HISTOGRAM:
            np.clip(values, -_HISTOGRAM, _HISTOGRAM, out=values)
            low, high = max(low, -_HISTOGRAM), min(high, _HISTOGRAM)
        for counts, row in zip(
            self.histogram[:, low + _HISTOGRAM : high + _HISTOGRAM + 1], values, strict=True
        ):
            counts += np.bincount(row - low, minlength=high - low + 1)

    def scale_uv(self, steps_uv: np.ndarray) -> np.ndarray:
        """Robust standard deviation of the stored samples, 1.4826 MAD, per channel in µV."""
        used = np.flatnonzero(self.histogram.any(axis=0))
        below = np.zeros(
            (len(self.histogram), used[-1] - used[0] + 2), dtype=np.int64
        )  # samples under each value
        np.cumsum(self.histogram[:, used[0] : used[-1] + 1], axis=1, out=below[:, 1:])
        half = (below[:, -1:] + 1) // 2
        middle = np.count_nonzero(below[:, 1:] < half, axis=1)[:, None]
        near, far = np.full(middle.shape, -1), np.full(middle.shape, below.shape[1])
        while (far - near > 1).any():  # the smallest distance within which half of the samples lie
            distance = (near + far) // 2
            first, last = (
                np.maximum(middle - distance, 0),
                np.minimum(middle + distance + 1, below.shape[1] - 1),
            )
            inside = np.take_along_axis(below, last, axis=1) - np.take_along_axis(below, first, axis=1)
            near, far = np.where(inside < half, distance, near), np.where(inside < half, far, distance)
        return 1.4826 * far[:, 0] * steps_uv


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
        held: list[_Block] = []
        for index, segment in enumerate(plan.segments):
            total = plan.ratio.stored(segment.samples)
            landmarks.begin_segment()
            for number, filtered_CN in enumerate(_blocks(plan, index, figures.offsets_uv[index], total)):
                stored_CN, uv_CN = _quantised(filtered_CN, plan.steps_uv, tally)
                eeg_CN = uv_CN if len(rows) == len(uv_CN) else uv_CN[rows]
                covariances.add(eeg_CN)
                landmarks.add(eeg_CN)
                tally.spectrum.add(spectrum(uv_CN, rate_hz))
                correlation = _correlation(
                    uv_CN, rows, ~figures.blocks[len(tally.blocks) + len(held)].flat, near, rate_hz
                )
                start_s = segment.start_s + number * BLOCK_S
                held.append(_Block(start_s, stored_CN, quality.robust_sd(uv_CN), correlation))
                if len(held) == _BLOCKS_HELD:
                    _write(held, plan, figures, tally, writer)
        _write(held, plan, figures, tally, writer)
        tally.signal_file = writer.close()
    tally.fingerprint = landmarks.marks()
    tally.unpredicted = _unpredicted(covariances, positions, tally, plan)
    return tally


def _unpredicted(covariances: Covariances, positions_C3: np.ndarray, tally: Tally, plan: Plan) -> np.ndarray:
    """Judge every channel by what the others, good by every other criterion, predict of it."""
    rows = plan.comparable
    total_s = sum(block["samples"] for block in tally.blocks) / plan.profile.rate_hz
    usable = ~(tally.faulty_s[:, rows] > quality.BAD_SHARE * total_s).any(axis=0)
    shares = np.full(len(plan.stored), np.nan)
    shares[rows] = unpredicted_share(covariances.matrices, positions_C3[rows], usable)
    return shares


def _blocks(plan: Plan, index: int, offset_uv: np.ndarray, total: int) -> Iterator[np.ndarray]:
    """Yield the blocks of one segment: (C, at most a block's samples) float32 µV at the profile's rate."""
    pieces = [
        in_pieces(_harmonised(plan, strand, index, offset_uv[strand.rows], total), plan.block, total)
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
    plan: Plan, strand: Strand, index: int, offset_uv: np.ndarray, total: int
) -> Iterator[np.ndarray]:
    """Resample and filter one segment; a short one is detrended where it would have been high-passed."""
    segment, kernels = strand.segments[index], [plan.kernels[index][row] for row in strand.rows]
    centred = _centred(chunks(strand.source, segment, strand.chunk), offset_uv)
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


def _centred(frames: Frames, offset_uv: np.ndarray) -> Iterator[np.ndarray]:
    """float32 keeps what is left once the offset is gone; samples that are no number become the offset."""
    for frame in frames:
        centred = np.empty(frame.shape, np.float32)
        np.subtract(frame, offset_uv[:, None], out=centred, casting="same_kind")
        if not np.isfinite(centred.sum()):
            np.nan_to_num(centred, nan=0.0, posinf=0.0, neginf=0.0, copy=False)
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


def _correlation(
    uv_CN: np.ndarray,
    rows: np.ndarray,
    live: np.ndarray,
    near: np.ndarray | Sequence[np.ndarray],
    rate_hz: float,
) -> np.ndarray:
    """Correlate the comparable channels of a block with their neighbours; NaN for the others, and in short blocks."""
    correlation = np.full(len(uv_CN), np.nan)
    if uv_CN.shape[1] >= SHORTEST_S * rate_hz and len(rows):
        correlation[rows] = quality.neighbour_correlation(uv_CN[rows], live[rows], near)
    return correlation


@dataclass(frozen=True)
class _Block:
    """A block that waits to be judged and written with others: that is cheaper."""

    start_s: float
    stored_CN: np.ndarray
    amplitude_uv: np.ndarray
    correlation: np.ndarray


def _write(
    held: list[_Block], plan: Plan, figures: SourceFigures, tally: Tally, writer: SignalWriter
) -> None:
    """Judge the blocks held on their source figures and their stored samples, write them, and forget them."""
    if not held:
        return
    first = len(tally.blocks)
    source = figures.blocks[first : first + len(held)]
    judged = quality.Judged(
        flat=np.array([block.flat for block in source]),
        clipped_share=figures.clipped_share[first : first + len(held)],
        broken_share=np.array([block.broken / block.samples for block in source]),
        high_freq=np.array([block.high_freq for block in source]),
        amplitude_uv=np.array([block.amplitude_uv for block in held]),
        correlation=np.array([block.correlation for block in held]),
    )
    found = quality.faults(judged, plan.comparable)
    samples = np.array([block.stored_CN.shape[1] for block in held])
    tally.faulty_s += (found * (samples / plan.profile.rate_hz)[:, None]).sum(axis=1)
    columns: dict[str, np.ndarray] = {
        "flat": judged.flat,
        "clipped_share": judged.clipped_share,
        "line_ratio": np.array(
            [figures.line_ratio(block, plan.line_freq_hz) for block in range(first, first + len(held))]
        ),
        "high_freq_ratio": judged.high_freq,
        "amplitude_uv": judged.amplitude_uv,
        "correlation": judged.correlation,
        "good": np.logical_not(found.any(axis=0)),
    }
    stored = [block.stored_CN for block in held]
    writer.write_blocks(stored, columns)
    tally.count(stored)
    tally.blocks += _block_rows(
        held, samples, {name: values[:, plan.eeg] for name, values in columns.items()}, tally
    )
    held.clear()


def _block_rows(
    held: Sequence[_Block], samples: np.ndarray, columns: dict[str, np.ndarray], tally: Tally
) -> list[dict[str, Any]]:
    """Shape blocks' figures over the EEG channels, (B, C) each, like elements of schema.BLOCKS."""
    n_eeg = columns["good"].shape[1]
    first = tally.blocks[-1]["first_sample"] + tally.blocks[-1]["samples"] if tally.blocks else 0
    bad = (~columns["good"]).sum(axis=1)
    medians = {
        name: _none_for_nan(median(columns[name]))
        for name in ("line_ratio", "high_freq_ratio", "amplitude_uv", "correlation")
    }
    return [
        {
            "start_s": block.start_s,
            "first_sample": int(begin),
            "samples": int(length),
            "flat_share": float(columns["flat"][row].mean()) if n_eeg else None,
            "clipped_share": float(columns["clipped_share"][row].max()) if n_eeg else None,
            **{name: values[row] for name, values in medians.items()},
            "bad_channels": int(bad[row]),
            "good": not n_eeg or bool(bad[row] <= quality.BLOCK_BAD_SHARE * n_eeg),
        }
        for row, (block, begin, length) in enumerate(
            zip(held, first + np.cumsum(samples) - samples, samples, strict=True)
        )
    ]


def _none_for_nan(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
