"""The first pass: what must be known of the whole recording before a sample can be stored."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from eegfm_etl.chain.quality import SourceBlocks, clipped_shares, source_blocks
from eegfm_etl.chain.samples import Segment, chunks
from eegfm_etl.chain.spectra import SpectrumMean
from eegfm_etl.chain.strands import Strand
from eegfm_etl.chain.stretches import stretches
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

    blocks: SourceBlocks  # of all segments, one for each stored block
    clipped_share: np.ndarray  # (blocks, C)
    offsets_uv: np.ndarray  # (segments, C)
    spectrum: SpectrumMean
    lines_hz: tuple[float, ...]  # line frequencies that the blocks were measured at
    broken: bool  # whether any sample is no number

    def line_ratios(self, blocks: slice, line_hz: float | None) -> np.ndarray:
        """Line ratios of some blocks, shape (B, C); NaN where the line frequency is unknown."""
        ratios = self.blocks.line_ratios[blocks]
        return ratios[:, self.lines_hz.index(line_hz)] if line_hz else np.full_like(ratios[:, 0], np.nan)


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
    found: list[SourceBlocks] = []
    offsets, mean = [], SpectrumMean(len(strand.rows))
    seen: _Range | None = None
    for segment, count in zip(strand.segments, n_blocks, strict=True):
        tape = Tape(chunks(strand.source, segment, strand.chunk))
        of_segment: list[SourceBlocks] = []
        for stretch in stretches(_block_borders(segment, count, strand.rate_hz), 8 * len(strand.rows)):
            samples_CBN = stretch.cut(tape.take(stretch.start, stretch.stop))
            blocks, psd_CBF = _measured(samples_CBN, strand.rate_hz, lines_hz, seen)
            seen = _beside(seen, blocks)
            mean.add(psd_CBF)
            of_segment.append(blocks)
        offsets.append(
            np.average(
                np.concatenate([one.middle for one in of_segment]),
                axis=0,
                weights=np.concatenate([one.samples for one in of_segment]),
            )
        )
        found += of_segment
    return _figures(_after_each_other(found), np.array(offsets), mean, lines_hz)


def together(strands: Sequence[Strand], parts: Sequence[SourceFigures]) -> SourceFigures:
    """Join the figures of a recording's strands: one value a stored channel again."""
    if len(parts) == 1:
        return parts[0]
    rows = [strand.rows for strand in strands]
    return _figures(
        _joined(rows, [part.blocks for part in parts]),
        _scattered(rows, [part.offsets_uv for part in parts]),
        SpectrumMean.together([(own, part.spectrum) for own, part in zip(rows, parts, strict=True)]),
        parts[0].lines_hz,
    )


def _figures(
    blocks: SourceBlocks, offsets_uv: np.ndarray, spectrum: SpectrumMean, lines_hz: tuple[float, ...]
) -> SourceFigures:
    broken = bool(blocks.broken.any())
    return SourceFigures(blocks, clipped_shares(blocks), offsets_uv, spectrum, lines_hz, broken)


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
    need = _HEADROOM * np.quantile(figures.blocks.range_uv, _RANGE_QUANTILE, axis=0, method="higher") / _INT16
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
    samples_CBN: np.ndarray, rate_hz: float, lines_hz: tuple[float, ...], seen: _Range | None
) -> tuple[SourceBlocks, np.ndarray]:
    """Measure blocks; one of many fast channels in parts, for measuring takes several times its memory."""
    step = max(1, _BLOCK_BYTES // max(samples_CBN[0].nbytes, 1))
    if step >= len(samples_CBN):
        return source_blocks(samples_CBN, rate_hz, lines_hz, seen)
    rows = [np.arange(at, min(at + step, len(samples_CBN))) for at in range(0, len(samples_CBN), step)]
    parts = [
        source_blocks(
            samples_CBN[own], rate_hz, lines_hz, None if seen is None else (seen[0][own], seen[1][own])
        )
        for own in rows
    ]
    return _joined(rows, [blocks for blocks, _ in parts]), np.concatenate([psd for _, psd in parts])


def _beside(seen: _Range | None, blocks: SourceBlocks) -> _Range:
    """Lowest and highest sample of each channel so far."""
    low, high = blocks.low.min(axis=0), blocks.high.max(axis=0)
    return (low, high) if seen is None else (np.minimum(seen[0], low), np.maximum(seen[1], high))


def _after_each_other(parts: Sequence[SourceBlocks]) -> SourceBlocks:
    return SourceBlocks(
        **{
            one.name: np.concatenate([getattr(part, one.name) for part in parts])
            for one in fields(SourceBlocks)
        }
    )


def _joined(rows: Sequence[np.ndarray], parts: Sequence[SourceBlocks]) -> SourceBlocks:
    """Join the figures of different channels of the same blocks."""
    return SourceBlocks(
        **{
            one.name: _scattered(rows, [getattr(part, one.name) for part in parts])
            for one in fields(SourceBlocks)
        }
    )


def _scattered(rows: Sequence[np.ndarray], parts: Sequence[np.ndarray]) -> np.ndarray:
    """Put columns, the last axis a channel, back to where their channels stand."""
    out = np.empty((*parts[0].shape[:-1], sum(len(own) for own in rows)), np.result_type(*parts))
    for own, part in zip(rows, parts, strict=True):
        out[..., own] = part
    return out


def _two_digits_up(values: np.ndarray) -> np.ndarray:
    unit = 10.0 ** (np.floor(np.log10(np.maximum(values, 1e-300))) - 1)
    return np.ceil(values / unit) * unit
