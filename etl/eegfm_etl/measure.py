"""The first pass: what must be known of the whole recording before a sample can be stored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eegfm_etl.quality import SourceBlock, clipped_shares, source_block
from eegfm_etl.resample import Resampling
from eegfm_etl.samples import SampleSource, Segment, chunks
from eegfm_etl.spectra import SpectrumMean
from eegfm_etl.tape import Tape
from eegfm_lake.schema import BLOCK_S, STEP_UV

_FINE_STEPS_UV = (STEP_UV, 0.05, 0.02, 0.01)
_STEPS_AN_AMPLITUDE = 30
_EEG_BAND_HZ = (1.0, 45.0)
_INT16 = 32767
_HEADROOM = 1.25  # of the range: the filters' overshoot
_RANGE_QUANTILE = 0.98  # of blocks; in the others samples may saturate, and are counted


@dataclass(frozen=True)
class SourceFigures:
    """What the source's samples show, before any of them is changed."""

    blocks: list[SourceBlock]  # of all segments, one for each stored block
    clipped_share: np.ndarray  # (blocks, C)
    offsets_uv: np.ndarray  # (segments, C)
    spectrum: SpectrumMean
    lines_hz: tuple[float, ...]  # line frequencies that the blocks were measured at

    def line_ratio(self, block: int, line_hz: float | None) -> np.ndarray:
        """Line ratio of a block's channels, shape (C,); NaN where the line frequency is unknown."""
        ratios = self.blocks[block].line_ratios
        return ratios[self.lines_hz.index(line_hz)] if line_hz else np.full(ratios.shape[1], np.nan)


def measure(
    source: SampleSource,
    segments: Sequence[Segment],
    ratio: Resampling,
    stored_rate_hz: float,
    lines_hz: tuple[float, ...],
    chunk: int,
) -> SourceFigures:
    """Measure every block of 10 s on the samples as they came.

    Parameters
    ----------
    source : SampleSource
        Only the channels to be stored.
    segments : sequence of Segment
    ratio : Resampling
    stored_rate_hz : float
    lines_hz : tuple of float
        Line frequencies in question.
    chunk : int
        Samples read at once.

    Returns
    -------
    SourceFigures
    """
    blocks: list[SourceBlock] = []
    offsets = []
    mean: SpectrumMean | None = None
    for segment in segments:
        tape = Tape(chunks(source, segment, chunk))
        first = len(blocks)
        for start, stop in _block_borders(segment, ratio, source.rate_hz, stored_rate_hz):
            samples_CN = tape.take(start, stop)
            block, psd_CF = source_block(samples_CN, source.rate_hz, lines_hz)
            mean = SpectrumMean(len(samples_CN)) if mean is None else mean
            mean.add(psd_CF)
            blocks.append(block)
        sizes = [block.samples for block in blocks[first:]]
        offsets.append(np.average([block.middle for block in blocks[first:]], axis=0, weights=sizes))
    if mean is None:
        raise ValueError("no segment to measure")
    return SourceFigures(blocks, clipped_shares(blocks), np.array(offsets), mean, lines_hz)


def steps_uv(figures: SourceFigures) -> np.ndarray:
    """Choose the quantisation step of every channel: 0.1 µV, more for a wide range, less for a quiet channel.

    Rounding to 0.1 µV adds 0.02 µV at 1 to 45 Hz: one per cent of a channel that has 2 µV there, as
    electrodes close to the reference do. A step of a thirtieth of that amplitude keeps it under 0.7 %.

    Parameters
    ----------
    figures : SourceFigures

    Returns
    -------
    np.ndarray, shape (C,)
        µV. The range is that of the source around each block's median, in 98 % of the blocks: what lies
        beyond may saturate.
    """
    ranges = np.array([block.range_uv for block in figures.blocks])
    need = _HEADROOM * np.quantile(ranges, _RANGE_QUANTILE, axis=0, method="higher") / _INT16
    finest = figures.spectrum.rms_uv(*_EEG_BAND_HZ) / _STEPS_AN_AMPLITUDE
    fine = np.full(len(need), _FINE_STEPS_UV[-1])
    for step in reversed(_FINE_STEPS_UV):
        fine = np.where(finest >= step, step, fine)
    fine = np.where(np.isfinite(finest) & (finest < STEP_UV), fine, STEP_UV)
    return np.where(need <= fine, fine, _two_digits_up(need))


def _block_borders(
    segment: Segment, ratio: Resampling, rate_hz: float, stored_rate_hz: float
) -> list[tuple[int, int]]:
    """Source samples under each stored block, from the segment's start."""
    n_blocks = -(-ratio.stored(segment.samples) // round(BLOCK_S * stored_rate_hz))
    borders = [min(round(block * BLOCK_S * rate_hz), segment.samples - 1) for block in range(n_blocks)]
    return list(zip(borders, [*borders[1:], segment.samples], strict=True))


def _two_digits_up(values: np.ndarray) -> np.ndarray:
    unit = 10.0 ** (np.floor(np.log10(np.maximum(values, 1e-300))) - 1)
    return np.ceil(values / unit) * unit
