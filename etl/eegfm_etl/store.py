"""The second pass: resample, filter, judge, quantise and write, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal

from eegfm_etl import quality
from eegfm_etl.channels import ChannelPlan
from eegfm_etl.filters import TYPE_BANDS, Kernel, filtered, shortest_high_passed_s
from eegfm_etl.fingerprint import Landmarks
from eegfm_etl.measure import SourceFigures
from eegfm_etl.ransac import WINDOW_S, Covariances, unpredicted_share
from eegfm_etl.resample import Resampling, resampled
from eegfm_etl.samples import Segment, chunks
from eegfm_etl.spectra import SHORTEST_S, SpectrumMean, spectrum
from eegfm_etl.strands import Strand
from eegfm_etl.tape import Frames, fitted, in_pieces
from eegfm_etl.transform import transformed
from eegfm_lake.schema import BLOCK_S, Profile
from eegfm_lake.signals import SignalFile, SignalWriter

_INT16 = 32767
_LANDMARK_BAND_HZ = (1.0, 45.0)
_HISTOGRAM = 8192  # steps to either side of zero that the scale's histogram tells apart
_BLOCKS_HELD = 32
_THINNING = 4  # every fourth stored sample is counted there


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
    held: list[np.ndarray] = field(default_factory=list)  # not counted yet
    blocks: list[dict[str, Any]] = field(default_factory=list)  # as schema.BLOCKS
    signal_file: SignalFile | None = None
    unpredicted: np.ndarray | None = None  # (C,) share of windows in which RANSAC does not predict a channel
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

    def count(self, stored_CN: np.ndarray) -> None:
        """Count a block's values: every fourth sample, many blocks at a time."""
        self.held.append(stored_CN[:, ::_THINNING])
        if len(self.held) >= _BLOCKS_HELD:
            self._count_held()

    def _count_held(self) -> None:
        if not self.held:
            return
        values = np.clip(np.concatenate(self.held, axis=1), -_HISTOGRAM, _HISTOGRAM).astype(np.int64)
        first = values.min()
        values -= first
        for counts, row in zip(self.histogram[:, first + _HISTOGRAM :], values, strict=True):
            found = np.bincount(row)
            counts[: len(found)] += found
        self.held.clear()

    def scale_uv(self, steps_uv: np.ndarray) -> np.ndarray:
        """Robust standard deviation of the stored samples, 1.4826 MAD, per channel in µV."""
        self._count_held()
        used = np.flatnonzero(self.histogram.any(axis=0))
        histogram = self.histogram[:, used[0] : used[-1] + 1]
        half = (histogram.sum(axis=1) + 1) // 2
        scales = []
        for counts, least in zip(histogram, half, strict=True):
            middle = int(np.searchsorted(counts.cumsum(), least))
            above, below = counts[middle + 1 :], counts[:middle][::-1]
            within = np.zeros(max(len(above), len(below)) + 1, dtype=np.int64)  # at each distance
            within[0] = counts[middle]
            within[1 : len(above) + 1] += above
            within[1 : len(below) + 1] += below
            scales.append(1.4826 * int(np.searchsorted(within.cumsum(), least)))
        return np.array(scales) * steps_uv


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
    covariances = Covariances(rows, round(WINDOW_S * rate_hz), total_stored)
    landmarks = Landmarks(figures.spectrum.rms_uv(*_LANDMARK_BAND_HZ)[rows], rate_hz)
    with SignalWriter(out, rate_hz=plan.profile.rate_hz, channels=names, steps_uv=plan.steps_uv) as writer:
        first = 0
        for index, segment in enumerate(plan.segments):
            total = plan.ratio.stored(segment.samples)
            landmarks.begin_segment()
            for start, filtered_CN in enumerate(_blocks(plan, index, figures.offsets_uv[index], total)):
                stored_CN = _quantised(filtered_CN, plan.steps_uv, tally)
                uv_CN = stored_CN * plan.steps_uv[:, None].astype(np.float32)
                judged = _judge(uv_CN, plan, figures, len(tally.blocks), near, tally)
                covariances.add(uv_CN)
                landmarks.add(uv_CN[rows])
                writer.write_block(stored_CN, judged.columns)
                tally.blocks.append(
                    _block_row(judged, plan, segment.start_s + start * BLOCK_S, first, stored_CN)
                )
                first += stored_CN.shape[1]
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


def _quantised(samples_CN: np.ndarray, steps_uv: np.ndarray, tally: Tally) -> np.ndarray:
    units = samples_CN * (1 / steps_uv[:, None]).astype(np.float32)
    np.rint(units, out=units)
    beyond = np.abs(units).max(axis=1) > _INT16
    if beyond.any():
        tally.clipped[beyond] += np.count_nonzero(np.abs(units[beyond]) > _INT16, axis=1)
        np.clip(units, -_INT16, _INT16, out=units)
    stored_CN = units.astype(np.int16)
    tally.count(stored_CN)
    return stored_CN


@dataclass(frozen=True)
class _Judged:
    columns: dict[str, np.ndarray]  # the quality columns of schema.SIGNAL
    bad_share: float  # of the EEG channels


def _judge(
    uv_CN: np.ndarray,
    plan: Plan,
    figures: SourceFigures,
    block: int,
    near: list[np.ndarray],
    tally: Tally,
) -> _Judged:
    """Judge a block on its source figures and its stored samples; short blocks only by the source."""
    source = figures.blocks[block]
    tally.spectrum.add(spectrum(uv_CN, plan.profile.rate_hz))
    clipped_share = figures.clipped_share[block]
    amplitude_uv = quality.robust_sd(uv_CN)
    correlation = np.full(len(uv_CN), np.nan)
    rows = plan.comparable
    if uv_CN.shape[1] >= SHORTEST_S * plan.profile.rate_hz and len(rows):
        correlation[rows] = quality.neighbour_correlation(uv_CN[rows], ~source.flat[rows], near)
    found = quality.faults(source, clipped_share, amplitude_uv, correlation, rows)
    tally.faulty_s += found * (uv_CN.shape[1] / plan.profile.rate_hz)
    bad = found.any(axis=0)
    columns = {
        "flat": source.flat,
        "clipped_share": clipped_share,
        "line_ratio": figures.line_ratio(block, plan.line_freq_hz),
        "high_freq_ratio": source.high_freq,
        "amplitude_uv": amplitude_uv,
        "correlation": correlation,
        "good": ~bad,
    }
    return _Judged(columns, float(bad[plan.eeg].mean()) if len(plan.eeg) else 0.0)


def _block_row(
    judged: _Judged, plan: Plan, start_s: float, first: int, stored_CN: np.ndarray
) -> dict[str, Any]:
    """Shape a block's figures over the EEG channels like an element of schema.BLOCKS."""
    columns = {name: values[plan.eeg] for name, values in judged.columns.items()}
    return {
        "start_s": start_s,
        "first_sample": first,
        "samples": stored_CN.shape[1],
        "flat_share": float(columns["flat"].mean()) if len(plan.eeg) else None,
        "clipped_share": float(columns["clipped_share"].max()) if len(plan.eeg) else None,
        "line_ratio": median_or_none(columns["line_ratio"]),
        "high_freq_ratio": median_or_none(columns["high_freq_ratio"]),
        "amplitude_uv": median_or_none(columns["amplitude_uv"]),
        "correlation": median_or_none(columns["correlation"]),
        "bad_channels": int((~columns["good"]).sum()),
        "good": judged.bad_share <= quality.BLOCK_BAD_SHARE,
    }


def median_or_none(values: np.ndarray) -> float | None:
    """Median of the values that are known; None where none is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None
