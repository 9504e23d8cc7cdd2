"""EDF, EDF+, BDF and BDF+: every channel at its own rate, in µV, in bounded memory.

MNE brings all channels to the fastest rate with ringing, drops gaps, and takes units that it does not know for
volts; this reads the bytes as the format's papers say.
"""

import datetime
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eegfm_etl.edf import EdfHeader, read_header, unit_factor
from eegfm_etl.formats import edf_gaps, edf_said
from eegfm_etl.formats.edf_annotations import (
    Annotation,
    RecordTimes,
    read_annotations,
    record_times,
    relative,
)
from eegfm_etl.formats.edf_records import EdfRecords
from eegfm_etl.formats.edf_triggers import status_channel, trigger_events
from eegfm_etl.formats.recording import IMPOSSIBLE_UV
from eegfm_etl.source import Ask, Headed, SourceError, SourceHeader

VERSION = "1"
"""Raised whenever the same file would be read differently."""

_STIM = ("status", "trigger")


class EdfSource(Headed):
    """An open EDF or BDF; a `SampleSource` for `eegfm_etl.chain.harmonise`.

    Parameters
    ----------
    path : Path
    ask : Ask, optional
        `Ask.annotations` names EDF or BDF files whose annotations belong to this one.

    Raises
    ------
    SourceError
        Where the file cannot be read, with a reason that a scientist understands.
    """

    def __init__(self, path: Path, ask: Ask | None = None) -> None:
        header = read_header(Path(path))
        if not header.signals:
            raise SourceError(
                "annotations",
                f"{header.path.name} holds annotations and no signal: it goes with a recording beside it",
            )
        header, times = _settled(header)
        self._edf, self._records = header, EdfRecords(header)
        self._signals = header.signals
        self._rates = tuple(header.rate_hz(i) for i in self._signals)
        self._gain, self._zero, faults = _scaling(header)
        self.header = self._described(times, faults, ask or Ask())

    def read(self, start: int, stop: int, rows: Sequence[int] | None = None) -> np.ndarray:
        """Return samples start to stop of rows of one rate, counted at that rate: (rows, stop - start) µV."""
        chosen = list(range(len(self._signals))) if rows is None else [int(row) for row in rows]
        if not chosen:
            return np.empty((0, max(stop - start, 0)))
        signals = [self._signals[row] for row in chosen]
        counts = {self._edf.samples_per_record[i] for i in signals}
        if len(counts) > 1:
            raise ValueError(f"rows of {len(counts)} rates in one call; ask for the rows of one rate")
        total = self._edf.records * counts.pop()
        start, stop = min(max(start, 0), total), min(max(stop, 0), total)
        data = self._records.digital(signals, start, stop)
        data *= self._gain[chosen, None]
        data += self._zero[chosen, None]
        return data

    def _described(self, times: RecordTimes | None, faults: list[tuple[int, str]], ask: Ask) -> SourceHeader:
        header = self._edf
        per_record = max(header.samples_per_record[i] for i in self._signals)
        rate_hz = max(self._rates)
        first_s = 0.0 if times is None else times.first_s
        start, notes = edf_said.start_time(header, first_s)
        segments, gap_notes = _segments(header, times, per_record, rate_hz)
        annotations, event_notes = self._annotations(times, ask, start)
        outside = _outside(annotations, segments[-1], rate_hz)
        stored = [header.labels[i] for i in self._signals]
        repeated = len(stored) - len(set(stored))
        return SourceHeader(
            path=str(header.path),
            format="BDF" if header.sample_bytes == 3 else "EDF",
            reader=f"eegfm edf {VERSION}",
            rate_hz=rate_hz,
            n_samples=header.records * per_record,
            names=tuple(stored),
            types=tuple("stim" if label.lower() in _STIM else "eeg" for label in stored),
            rates=self._rates,
            units=tuple(header.units[i] for i in self._signals),
            positions={},
            annotations=tuple(annotations),
            segments=tuple(segments),
            hardware_band=edf_said.hardware_band(header),
            start_time=None if start is None else start.isoformat(),
            recorded=edf_said.recorded(header),
            parts=ask.annotations,
            personal=edf_said.personal(header),
            faults=tuple(faults),
            notes=(
                *header.notes,
                *notes,
                *gap_notes,
                *event_notes,
                *outside,
                *([f"labels that repeat another's: {repeated}"] if repeated else []),
                *(f"{stored[row]}: {reason}" for row, reason in faults),
            ),
        )

    def _annotations(
        self, times: RecordTimes | None, ask: Ask, start: datetime.datetime | None
    ) -> tuple[list[Annotation], list[str]]:
        header, notes = self._edf, []
        annotations = [] if times is None else relative(times.annotations, times.first_s)
        if times is not None and times.unreadable:
            notes.append(f"damaged annotation lists, left out: {times.unreadable:,}")
        for path in ask.annotations:
            found, shift_s, said = _of_sidecar(Path(path), start)
            annotations += [(onset + shift_s, length, text) for onset, length, text in found]
            notes += said
        status = status_channel(header)
        if not annotations and status is not None:
            annotations, said = trigger_events(self._records, status, header.rate_hz(status))
            notes += said
        return sorted(annotations, key=lambda one: one[0]), notes


def open_recording(path: Path, ask: Ask) -> EdfSource:
    """Open an EDF or BDF."""
    return EdfSource(path, ask)


def _settled(header: EdfHeader) -> tuple[EdfHeader, RecordTimes | None]:
    """Decide how many records are read, with the records' time stamps as evidence."""
    there = header.records + header.further_records
    times = record_times(EdfRecords(header), there)
    name, notes = header.path.name, list(header.notes)
    stamped = times is not None and np.isfinite(times.onsets_s[: header.records]).mean() >= 0.5
    if header.further_records and stamped and times is not None:
        count = edf_gaps.further(times, header.records, header.record_s)
        if count > header.records:
            notes.append(f"the header counts {header.records:,} records; the time stamps of {count:,} go on")
        header = replace(header, records=count, further_records=there - count)
    if header.further_records > header.records:
        raise SourceError(
            "read",
            f"{name}: the header describes {header.records:,} records of {header.record_bytes:,} bytes, and the file "
            f"holds {there:,}: one of them is wrong, so no sample can be trusted; fetch it again",
        )
    if header.further_records:
        notes.append(
            f"records behind the {header.records:,} that the header counts, left out: {header.further_records:,}"
        )
    if times is not None and not stamped:
        if header.cut_off:
            raise SourceError(
                "read",
                f"{name} is cut off, and its records do not begin with a time: the header is in doubt; fetch it again",
            )
        notes.append("most records have no time stamp that can be read: taken as uninterrupted")
    if times is not None and (header.records < there or not stamped):
        times = record_times(EdfRecords(header), header.records)
    if times is not None and not stamped:
        times = replace(times, onsets_s=np.arange(header.records) * header.record_s)
    return replace(header, notes=tuple(notes)), times


def _segments(
    header: EdfHeader, times: RecordTimes | None, per_record: int, rate_hz: float
) -> tuple[list[tuple[float, int, int]], list[str]]:
    if times is None:
        return [(0.0, 0, header.records * per_record)], []
    return edf_gaps.segments(times, header.record_s, per_record, rate_hz)


def _scaling(header: EdfHeader) -> tuple[np.ndarray, np.ndarray, list[tuple[int, str]]]:
    """Factor and offset from stored integers to µV; 0 where the header gives none, with the reason."""
    gains, zeros, faults, rail = [], [], [], 2.0 ** (8 * header.sample_bytes - 1)
    for row, i in enumerate(header.signals):
        found, unit = header.ranges[i], unit_factor(header.units[i], header.labels[i])
        factor = 1.0 if unit is None or (unit == 1.0 and header.units[i].lower() != "v") else 1e6 * unit
        low, high, first, last = found or (0.0, 0.0, 0.0, 0.0)
        gain = (high - low) / (last - first) if last != first else 0.0
        reason = None
        if found is None:
            reason = "its physical or digital range is no number"
        elif first == last:
            reason = f"its digital minimum equals its maximum ({first:g})"
        elif low == high:
            reason = f"its physical minimum equals its maximum ({low:g})"
        elif not abs(gain * factor) * rail + abs((low - first * gain) * factor) < IMPOSSIBLE_UV:
            shown = f"{low:g} to {high:g} {header.units[i]}".strip()
            reason = (
                f"its physical range of {shown} means more than a hundred million volts, which is impossible"
            )
        if reason:
            faults.append((row, f"{reason}: its samples mean nothing, zeros were read"))
        gains.append(0.0 if reason else gain * factor)
        zeros.append(0.0 if reason else (low - first * gain) * factor)
    return np.array(gains), np.array(zeros), faults


def _of_sidecar(path: Path, start: datetime.datetime | None) -> tuple[list[Annotation], float, list[str]]:
    """Read another file's annotations, moved by the difference of the two starts where both are on one day."""
    header, found = read_annotations(path)
    other, _ = edf_said.start_time(header, 0.0)
    if start is None or other is None or start == other:
        return found, 0.0, []
    shift_s = (other - start).total_seconds()
    if abs(shift_s) > 86400.0:
        return (
            found,
            0.0,
            [f"{path.name} starts on another day: its annotations were counted from the first sample"],
        )
    return (
        found,
        shift_s,
        [f"{path.name} starts {shift_s:g} s after the recording: its annotations were moved"],
    )


def _outside(annotations: Sequence[Annotation], last: tuple[float, int, int], rate_hz: float) -> list[str]:
    end_s = last[0] + (last[2] - last[1]) / rate_hz
    onsets = [onset for onset, _, _ in annotations if onset < 0 or onset > end_s]
    if not onsets:
        return []
    return [
        f"annotations outside the {end_s:g} s of signal: {len(onsets):,}, at {min(onsets):g} to {max(onsets):g} s"
    ]
