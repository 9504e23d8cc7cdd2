r"""Annotations of EDF+ and BDF+: events, and the time stamp of every record.

A time-stamped annotation list (TAL) is ``+onset[\x15duration]\x14text\x14…\x00``; the first one of a record has an
empty text and is the record's own time (Kemp and Olivan 2003).
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eegfm_etl.edf import EdfHeader, read_header
from eegfm_etl.formats.edf_records import EdfRecords
from eegfm_etl.source import SourceError

Annotation = tuple[float, float, str]
"""Onset and duration in seconds (NaN: none was given), and text."""

_TAL = re.compile(rb"^([+-]\d+(?:[.,]\d*)?)(?:\x15(\d+(?:[.,]\d*)?)?)?\x14(.*)$", re.DOTALL)
_ONLY_STAMP = re.compile(rb"([+-]\d{1,15}(?:\.(\d*))?)\x14\x14\x00*\Z")
_STAMP = re.compile(r"^[+-]\d+(?:[.,]\d*)?$")


@dataclass(frozen=True)
class RecordTimes:
    """The annotations of a file and the onsets of its records.

    Attributes
    ----------
    onsets_s : np.ndarray, shape (records,)
        As the file writes them; NaN where a record has none that can be read.
    resolution_s : float
        Of the onsets, as they are written.
    annotations : list of Annotation
        By onset, on the file's own clock.
    unreadable : int
        Lists that break the format's rules.
    """

    onsets_s: np.ndarray
    resolution_s: float
    annotations: list[Annotation]
    unreadable: int

    @property
    def first_s(self) -> float:
        """Time of the first sample on the file's own clock."""
        return 0.0 if len(self.onsets_s) == 0 or np.isnan(self.onsets_s[0]) else float(self.onsets_s[0])


def record_times(records: EdfRecords, count: int) -> RecordTimes | None:
    """Read all annotations of the first `count` records; None where the file has no channel for them."""
    header = records.header
    if not header.annotations:
        return None
    onsets_s, digits = np.full(count, np.nan), 0
    annotations: list[Annotation] = []
    unreadable = 0
    for place, signal in enumerate(header.annotations):
        n_bytes, record = header.samples_per_record[signal] * header.sample_bytes, 0
        for batch in records.columns(0, count, header.offset_bytes(signal), n_bytes):
            for row in batch:
                data = row.tobytes()
                if place == 0 and (stamp := _ONLY_STAMP.match(data)):  # most records hold nothing else
                    onsets_s[record] = float(stamp[1])
                    digits = max(digits, len(stamp[2] or b""))
                    record += 1
                    continue
                found, bad = _tals(data)
                unreadable += bad
                if place == 0 and found and found[0][2][:1] == [""] and data[:1] in b"+-":
                    onsets_s[record] = found[0][0]
                    digits = max(digits, _digits(data))
                annotations += [
                    (onset, length, text)
                    for onset, length, texts in found
                    for text in texts
                    if text and not _own_time(text, onset)
                ]
                record += 1
    annotations.sort(key=lambda one: one[0])
    return RecordTimes(onsets_s, 10.0**-digits, annotations, unreadable)


def read_annotations(path: Path) -> tuple[EdfHeader, list[Annotation]]:
    """Read the annotations of an EDF or BDF alone, as of a hypnogram that lies beside its recording.

    Returns
    -------
    header : EdfHeader
    annotations : list of Annotation
        Seconds from that file's own first sample.

    Raises
    ------
    SourceError
        Where it cannot be read or has no annotations.
    """
    header = read_header(path)
    times = record_times(EdfRecords(header), header.records)
    if times is None or not times.annotations:
        raise SourceError("annotations", f"{path.name} was named for its annotations and has none")
    return header, relative(times.annotations, times.first_s)


def relative(annotations: list[Annotation], first_s: float) -> list[Annotation]:
    """Count from the first sample; nanoseconds, for subtraction leaves noise behind them."""
    return [(round(onset - first_s, 9), length, text) for onset, length, text in annotations]


def _tals(data: bytes) -> tuple[list[tuple[float, float, list[str]]], int]:
    found, unreadable = [], 0
    for piece in data.rstrip(b"\x00").split(b"\x00"):
        if not piece.strip():
            continue
        match = _TAL.match(piece)
        if match is None or not np.isfinite(_seconds(match[1])):
            unreadable += 1
            continue
        texts = [_text(one) for one in match[3].split(b"\x14")]
        onset, length = _seconds(match[1]), _seconds(match[2]) if match[2] else np.nan
        found += _restarted(onset, length, texts[:-1] if len(texts) > 1 and not texts[-1] else texts)
    return found, unreadable


def _restarted(onset: float, length: float, texts: list[str]) -> list[tuple[float, float, list[str]]]:
    """Nihon Kohden writes the time stamp's list and the event's as one: empty text, onset, text."""
    if len(texts) > 1 and not texts[0] and _STAMP.match(texts[1]):
        return [(onset, length, [""]), (_seconds(texts[1].encode()), np.nan, texts[2:])]
    return [(onset, length, texts)]


def _own_time(text: str, onset: float) -> bool:
    """Whether a text is nothing but its own onset, as some exports write beside the time stamp."""
    return "." in text and bool(_STAMP.match(text)) and abs(_seconds(text.encode()) - onset) < 1e-6


def _seconds(text: bytes) -> float:
    return float(text.replace(b",", b"."))


def _digits(data: bytes) -> int:
    stamp = data[: data.index(b"\x14")].split(b"\x15")[0].replace(b",", b".")
    return len(stamp.partition(b".")[2])


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.strip()
