"""GDF 1 and 2: EDF's successor, with events in a table.

MNE reads the header and the events. Read here: the samples (`eegfm_etl.formats.gdf_records`); the unit of every
channel, for MNE knows µV (and in GDF 2 mV) and takes the rest for volts; and where a new run begins (event 0x7FFE),
with the missing values that stand there.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import mne
import numpy as np

from eegfm_etl.formats.gdf_records import GdfRecords, read_records
from eegfm_etl.formats.of_mne import (
    Annotations,
    Segments,
    annotations_of,
    explained,
    header_of,
    recorded_by,
    refuse_without_eeg,
)
from eegfm_etl.formats.recording import IMPOSSIBLE_UV, Recording, factor_uv
from eegfm_etl.source import CUT_OFF, Ask, SourceError

VERSION = "1"
"""Raised whenever the same file would be read differently."""

_NEW_RUN = "32766"


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open a .gdf.

    Raises
    ------
    SourceError
        Where it cannot be read.
    """
    with explained(path, "GDF") as warned:
        records = read_records(path)
        widths = {np.dtype(kind).itemsize for kind in records.formats}
        if len(widths) > 1:
            raise SourceError(
                "read",
                f"{path.name}: its channels are stored in numbers of {' and '.join(map(str, sorted(widths)))} bytes, "
                "which MNE refuses: save it with one number format for all, or export it as EDF",
            )
        raw = mne.io.read_raw_gdf(path, verbose="warning")
        refuse_without_eeg(raw.info, path)
        rows = [i for i, count in enumerate(records.samples_per_record) if count]
        rates = tuple(records.rate_hz(i) for i in rows)
        units = tuple(records.units[i] for i in rows)
        rate_hz, n = max(rates), records.records * records.fastest
        notes = _notes(records, rates, units)
        annotations = _annotations(raw, records, rate_hz, n, notes)
        joints = sorted({round(onset * rate_hz) for onset, _, text in annotations if text == _NEW_RUN})
        segments = _segments(records, [one for one in joints if one < n], rate_hz, notes)
        gains, zeros, faults = _scaling(records, rows)
        header = header_of(raw.info, path, "GDF", n)
    header = replace(
        header,
        reader=f"eegfm gdf {VERSION}, {header.reader}",
        rate_hz=rate_hz,
        names=tuple(header.names[i] for i in rows),
        types=tuple(header.types[i] for i in rows),
        rates=rates,
        units=units,
        annotations=tuple(annotations),
        segments=tuple(segments),
        warnings=tuple(dict.fromkeys(warned)),
        notes=(*notes, *(f"{header.names[rows[row]]}: {reason}" for row, reason in faults)),
        recorded=recorded_by(raw.info),
        faults=tuple(faults),
    )

    def samples(start: int, stop: int, wanted: Sequence[int] | None) -> np.ndarray:
        chosen = list(range(len(rows))) if wanted is None else [int(row) for row in wanted]
        if len({rates[row] for row in chosen}) > 1:
            raise ValueError("rows of several rates in one call; ask for the rows of one rate")
        data = np.empty((len(chosen), stop - start))
        for out, row in zip(data, chosen, strict=True):
            out[:] = records.stored(rows[row], start, stop)
        data *= gains[chosen, None]
        data += zeros[chosen, None]
        return data

    return Recording(header, samples)


def _notes(records: GdfRecords, rates: Sequence[float], units: Sequence[str]) -> list[str]:
    notes = []
    if records.records < records.counted:
        notes.append(
            f"{CUT_OFF}: the header counts {records.counted:,} records of {records.record_s:g} s, the "
            f"{records.records:,} whole ones that are there were read"
        )
    if len(set(rates)) > 1:
        found = ", ".join(f"{rate:g}" for rate in sorted(set(rates), reverse=True))
        notes.append(f"channels of {found} Hz are read each at its own rate; MNE brings all to the fastest")
    if len(set(records.formats)) > 1:
        notes.append(f"channels are stored as {', '.join(sorted(set(records.formats)))}: each is read so")
    if empty := records.samples_per_record.count(0):
        notes.append(f"channels without samples in the records, left out: {empty}")
    known = ("uV", "mV", "V") if records.version >= 1.9 else ("uV", "V")
    if any(_plain(unit) not in known and factor_uv(unit) is not None for unit in units):
        notes.append(
            f"units {', '.join(sorted(set(units)))} are taken as the header says; MNE takes them for volts"
        )
    return notes


def _plain(unit: str) -> str:
    return {1.0: "uV", 1e6: "V"}.get(factor_uv(unit) or 0.0, unit)


def _annotations(
    raw: mne.io.BaseRaw, records: GdfRecords, rate_hz: float, n: int, notes: list[str]
) -> Annotations:
    """Events at the rate at which their table counts them; MNE counts at the signals'."""
    found = annotations_of(raw.annotations)
    of_mne_hz, own_hz = float(raw.info["sfreq"]), records.event_rate_hz()
    if not found or own_hz is None or abs(own_hz - of_mne_hz) < 1e-6 * of_mne_hz:
        return found
    scale = of_mne_hz / own_hz
    if max(onset for onset, _, _ in found) * scale > n / rate_hz:
        notes.append(
            f"the table of events says {own_hz:g} Hz, which puts events after the end: they count at {of_mne_hz:g} Hz"
        )
        return found
    notes.append(f"events count at {own_hz:g} Hz, as their table says")
    return [(onset * scale, length * scale, text) for onset, length, text in found]


def _scaling(
    records: GdfRecords, rows: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, str]]]:
    """Factor and offset from stored numbers to µV; 0 where the header gives none, with the reason."""
    gains, zeros, faults = [], [], []
    for row, i in enumerate(rows):
        low, high, first, last = records.ranges[:, i]
        factor = factor_uv(records.units[i]) or 1.0
        gain = (high - low) / (last - first) if last != first else np.nan
        zero = low - first * gain
        rail = max(abs(first), abs(last))
        kind = np.dtype(records.formats[i])
        if kind.kind != "f":
            rail = max(rail, float(np.iinfo(kind).max))
        reason = None
        if not np.isfinite([gain, zero]).all() or gain == 0:
            reason = f"its range {low:g} to {high:g} for {first:g} to {last:g} gives no scale"
        elif not (abs(gain) * rail + abs(zero)) * factor < IMPOSSIBLE_UV:
            shown = f"{low:g} to {high:g} {records.units[i]}".strip()
            reason = (
                f"its physical range of {shown} means more than a hundred million volts, which is impossible"
            )
        if reason:
            faults.append((row, f"{reason}: its samples mean nothing, zeros were read"))
        gains.append(0.0 if reason else gain * factor)
        zeros.append(0.0 if reason else zero * factor)
    return np.array(gains), np.array(zeros), faults


def _segments(records: GdfRecords, joints: list[int], rate_hz: float, notes: list[str]) -> Segments:
    """Pieces between starts of runs and stretches of missing values."""
    gone, n = records.missing(), records.records * records.fastest
    if gone:
        samples = sum(stop - first for first, stop in gone)
        notes.append(f"{samples} missing samples became {len(gone)} gaps; MNE reads them as potentials")
    # both edges of a missing stretch, and the start of each run, are edges of segments
    edges = sorted({0, n, *joints, *(edge for stretch in gone for edge in stretch)})
    starts_of_gaps = {first for first, _ in gone}
    segments = [
        (first / rate_hz, first, stop) for first, stop in pairwise(edges) if first not in starts_of_gaps
    ]
    if not segments:
        raise SourceError("segments", "every sample is missing")
    return segments
