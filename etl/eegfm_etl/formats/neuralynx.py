"""Neuralynx: a folder of .ncs, one channel each; gaps between its records are gaps.

Through neo, as MNE does, which refuses recordings with gaps.
"""

import logging
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from eegfm_etl import companions
from eegfm_etl.formats.of_mne import explained
from eegfm_etl.formats.recording import Recording, factor_uv, unique
from eegfm_etl.source import Ask, SourceError, SourceHeader

_GAP_MS = 1.0  # time stamps of records are rounded to microseconds


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open a folder of .ncs files.

    Raises
    ------
    SourceError
        Where they cannot be read, or their channels do not lie side by side in time.
    """
    with explained(path, "Neuralynx") as warned:
        from neo.rawio import NeuralynxRawIO  # only for this format

        logging.getLogger("neo").setLevel(logging.ERROR)
        reader = NeuralynxRawIO(dirname=str(path), gap_tolerance_ms=_GAP_MS)
        reader.parse_header()
        streams = reader.header["signal_streams"]
        if len(streams) == 0:
            raise SourceError("read", f"{path.name} holds no channel with samples; fetch it again")
        channels, stream = _widest(reader, path)
        rate_hz = float(channels["sampling_rate"][0])
        sizes = [reader.get_signal_size(0, i, stream) for i in range(reader.segment_count(0))]
        starts = [reader.get_signal_t_start(0, i, stream) for i in range(reader.segment_count(0))]
        events = _events(reader, starts[0])
    edges = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    segments = [
        (float(start - starts[0]), int(a), int(b))
        for start, (a, b) in zip(starts, pairwise(edges.tolist()), strict=True)
        if b > a
    ]
    units = [str(unit) for unit in channels["units"]]
    factors = np.array([factor_uv(unit) or 1.0 for unit in units])
    notes = ["where its electrodes lie no file says; Neuralynx systems mostly record from within the head"]
    if len(segments) > 1:
        notes.append(f"{len(segments) - 1} gaps between records of samples; MNE refuses such a recording")
    if len(streams) > 1:
        notes.append(f"{len(streams) - 1} further groups of channels at other rates are left out")

    samples = _reading(reader, stream, edges.tolist(), factors)
    return Recording(
        SourceHeader(
            path=str(path),
            format="Neuralynx",
            reader=f"neo {_version()}",
            rate_hz=rate_hz,
            n_samples=int(edges[-1]),
            names=unique([str(name) for name in channels["name"]]),
            types=("eeg",) * len(channels),
            rates=(rate_hz,) * len(channels),
            units=tuple(units),
            positions={},
            annotations=tuple(events),
            segments=tuple(segments),
            warnings=tuple(warned),
            parts=tuple(str(one) for one in companions.parts(path)),
            notes=tuple(notes),
        ),
        samples,
    )


def _reading(
    reader: Any, stream: int, edges: list[int], factors: np.ndarray
) -> Callable[[int, int, Sequence[int] | None], np.ndarray]:
    """Give samples across neo's segments, which lie end to end here."""

    def samples(start: int, stop: int, rows: Sequence[int] | None) -> np.ndarray:
        chosen = np.arange(len(factors)) if rows is None else np.asarray(rows, dtype=np.int64)
        out = np.empty((len(chosen), max(stop - start, 0)))
        for index, (a, b) in enumerate(pairwise(edges)):
            first, last = max(start, a), min(stop, b)
            if first < last:
                counts = reader.get_analogsignal_chunk(
                    block_index=0, seg_index=index, i_start=first - a, i_stop=last - a, stream_index=stream
                )
                values = reader.rescale_signal_raw_to_float(counts, dtype="float64", stream_index=stream)
                out[:, first - start : last - start] = values.T[chosen] * factors[chosen, None]
        return out

    return samples


def _widest(reader: Any, path: Path) -> tuple[np.ndarray, int]:
    """Find the stream with most channels: those of one rate and one set of records."""
    channels, streams = reader.header["signal_channels"], reader.header["signal_streams"]
    groups = [channels[channels["stream_id"] == stream_id] for stream_id in streams["id"]]
    best = max(range(len(groups)), key=lambda i: len(groups[i]))
    return groups[best], best


def _events(reader: Any, start_s: float) -> list[tuple[float, float, str]]:
    events = []
    for index in range(reader.event_channels_count()):
        for segment in range(reader.segment_count(0)):
            times, _, labels = reader.get_event_timestamps(
                block_index=0, seg_index=segment, event_channel_index=index
            )
            seconds = reader.rescale_event_timestamp(times, dtype="float64")
            events += [
                (float(at - start_s), 0.0, str(text)) for at, text in zip(seconds, labels, strict=True)
            ]
    return sorted({event for event in events if event[0] >= 0})


def _version() -> str:
    import neo

    return neo.__version__
