"""The first pass: what must be known of the whole recording before a sample can be stored."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise

import numpy as np

from eegfm_etl.chain.quality import SourceBlock, clipped_shares, source_block
from eegfm_etl.chain.samples import Segment, chunks
from eegfm_etl.chain.spectra import SpectrumMean
from eegfm_etl.chain.strands import Strand
from eegfm_etl.chain.tape import Tape
from eegfm_lake.schema import BLOCK_S, STEP_UV

_FINE_STEPS_UV = (STEP_UV, 0.05, 0.02, 0.01)
_STEPS_AN_AMPLITUDE = 30
_EEG_BAND_HZ = (1.0, 45.0)
_INT16 = 32767
_HEADROOM = 1.25  # of the range: the filters' overshoot
_BLOCK_BYTES = 64 * 2**20  # a block of more is measured some channels at a time
_RANGE_QUANTILE = 0.98  # of blocks; in the others samples may saturate, and are counted

_Range = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class SourceFigures:
    """What the source's samples show, before any of them is changed."""

    blocks: list[SourceBlock]  # of all segments, one for each stored block
    clipped_share: np.ndarray  # (blocks, C)
    offsets_uv: np.ndarray  # (segments, C)
    spectrum: SpectrumMean
    lines_hz: tuple[float, ...]  # line frequencies that the blocks were measured at

    @cached_property
    def broken(self) -> bool:
        """Whether any sample is no number."""
        return any(np.any(block.broken) for block in self.blocks)

    def line_ratio(self, block: int, line_hz: float | None) -> np.ndarray:
        """Line ratio of a block's channels, shape (C,); NaN where the line frequency is unknown."""
        ratios = self.blocks[block].line_ratios
        return ratios[self.lines_hz.index(line_hz)] if line_hz else np.full(ratios.shape[1], np.nan)


def measure(strand: Strand, n_blocks: Sequence[int], lines_hz: tuple[float, ...]) -> SourceFigures:
    """Measure every block of 10 s on the samples as they came.

    Parameters
    ----------
    strand : Strand
        Channels of one rate.
    n_blocks : sequence of int
        Stored blocks of each segment.
    lines_hz : tuple of float
        Line frequencies in question.

    Returns
    -------
    SourceFigures
    """
    blocks: list[SourceBlock] = []
    offsets = []
    mean: SpectrumMean | None = None
    seen: _Range | None = None
    for segment, count in zip(strand.segments, n_blocks, strict=True):
        tape = Tape(chunks(strand.source, segment, strand.chunk))
        first = len(blocks)
        for start, stop in _block_borders(segment, count, strand.rate_hz):
            samples_CN = tape.take(start, stop)
            block, psd_CF = _measured(samples_CN, strand.rate_hz, lines_hz, seen)
            seen = _beside(seen, block)
            mean = SpectrumMean(len(samples_CN)) if mean is None else mean
            mean.add(psd_CF)
            blocks.append(block)
        sizes = [block.samples for block in blocks[first:]]
        offsets.append(
            np.average([block.middle for block in blocks[first:]], axis=0, weights=np.array(sizes))
        )
    if mean is None:
        raise ValueError("no segment to measure")
    return SourceFigures(blocks, clipped_shares(blocks), np.array(offsets), mean, lines_hz)


def together(strands: Sequence[Strand], parts: Sequence[SourceFigures]) -> SourceFigures:
    """Join the figures of a recording's strands: one value a stored channel again."""
    if len(parts) == 1:
        return parts[0]
    rows = [strand.rows for strand in strands]
    blocks = [_joined(rows, own) for own in zip(*(part.blocks for part in parts), strict=True)]
    return SourceFigures(
        blocks,
        _scattered(rows, [part.clipped_share for part in parts]),
        _scattered(rows, [part.offsets_uv for part in parts]),
        SpectrumMean.together([(own, part.spectrum) for own, part in zip(rows, parts, strict=True)]),
        parts[0].lines_hz,
    )


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


def _block_borders(segment: Segment, n_blocks: int, rate_hz: float) -> list[tuple[int, int]]:
    """Source samples under each stored block, from the segment's start; a slow channel's blocks may share one."""
    borders = [min(round(block * BLOCK_S * rate_hz), segment.samples - 1) for block in range(n_blocks)]
    stops = [max(own + 1, after) for own, after in pairwise(borders)]
    return list(zip(borders, [*stops, segment.samples], strict=True))


def _measured(
    samples_CN: np.ndarray, rate_hz: float, lines_hz: tuple[float, ...], seen: _Range | None
) -> tuple[SourceBlock, np.ndarray]:
    """Measure a block; one of many fast channels in parts, for measuring takes several times its memory."""
    step = max(1, _BLOCK_BYTES // (samples_CN.itemsize * max(samples_CN.shape[1], 1)))
    if step >= len(samples_CN):
        return source_block(samples_CN, rate_hz, lines_hz, seen)
    rows = [np.arange(at, min(at + step, len(samples_CN))) for at in range(0, len(samples_CN), step)]
    parts = [
        source_block(
            samples_CN[own], rate_hz, lines_hz, None if seen is None else (seen[0][own], seen[1][own])
        )
        for own in rows
    ]
    return _joined(rows, [block for block, _ in parts]), np.concatenate([psd_CF for _, psd_CF in parts])


def _beside(seen: _Range | None, block: SourceBlock) -> _Range:
    """Lowest and highest sample of each channel so far."""
    if seen is None:
        return block.low, block.high
    return np.minimum(seen[0], block.low), np.maximum(seen[1], block.high)


def _joined(rows: Sequence[np.ndarray], blocks: Sequence[SourceBlock]) -> SourceBlock:
    """Join one block's figures of different channels."""
    counts = [np.full(len(own), block.samples) for own, block in zip(rows, blocks, strict=True)]
    same = len({block.samples for block in blocks}) == 1
    columns = {
        one.name: _scattered(rows, [getattr(block, one.name) for block in blocks])
        for one in fields(SourceBlock)
        if one.name != "samples"
    }
    return SourceBlock(samples=blocks[0].samples if same else _scattered(rows, counts), **columns)


def _scattered(rows: Sequence[np.ndarray], parts: Sequence[np.ndarray]) -> np.ndarray:
    """Put columns, the last axis a channel, back to where their channels stand."""
    out = np.empty((*parts[0].shape[:-1], sum(len(own) for own in rows)), np.result_type(*parts))
    for own, part in zip(rows, parts, strict=True):
        out[..., own] = part
    return out


def _two_digits_up(values: np.ndarray) -> np.ndarray:
    unit = 10.0 ** (np.floor(np.log10(np.maximum(values, 1e-300))) - 1)
    return np.ceil(values / unit) * unit
