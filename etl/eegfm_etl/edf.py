"""EDF and BDF headers, read to see whether a file is whole, its units, and its gaps.

Kemp et al. 1992 (EDF) and Kemp and Olivan 2003 (EDF+); BDF is EDF with 24-bit samples.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from eegfm_etl.source import SourceError

_ANNOTATION_LABELS = ("EDF Annotations", "BDF Annotations")
_FIELD_BYTES = {
    "label": 16, "transducer": 80, "unit": 8, "physical_min": 8, "physical_max": 8, "digital_min": 8,
    "digital_max": 8, "prefilter": 80, "samples": 8,
}  # fmt: skip
_ONSET = re.compile(rb"^[+-]\d+(?:\.\d*)?")
_NO_UNIT_LABELS = re.compile(r"status|trig|annotation|marker|event", re.IGNORECASE)


@dataclass(frozen=True)
class EdfHeader:
    """The fields of an EDF or BDF header that decide whether its samples can be trusted."""

    header_bytes: int
    records: int
    record_s: float
    sample_bytes: int
    labels: tuple[str, ...]
    units: tuple[str, ...]
    samples_per_record: tuple[int, ...]

    @property
    def record_bytes(self) -> int:
        """Bytes of one data record."""
        return self.sample_bytes * sum(self.samples_per_record)

    @property
    def signals(self) -> list[int]:
        """Indices of the signals that are no annotations."""
        return [i for i, label in enumerate(self.labels) if label not in _ANNOTATION_LABELS]


def read_header(path: Path) -> EdfHeader:
    """Read and check the header against the file's size.

    Raises
    ------
    SourceError
        Where a field is no number, the header's parts contradict each other, or the file ends before its
        last record.
    """
    with path.open("rb") as file:
        fixed = file.read(256)
        if len(fixed) < 256:
            raise SourceError(
                "read", f"{path.name} ends within its header ({len(fixed)} of 256 bytes); fetch it again"
            )
        n_signals = _integer(path, "number of signals", fixed[252:256])
        header_bytes = _integer(path, "header length", fixed[184:192])
        rest = file.read(256 * max(n_signals, 0))
    if n_signals < 1 or header_bytes != 256 * (n_signals + 1) or len(rest) < 256 * n_signals:
        raise SourceError(
            "read",
            f"{path.name}: the header is damaged: it names {n_signals} signals and {header_bytes} bytes "
            f"(expected {256 * (n_signals + 1)}), and {256 + len(rest)} are there; fetch it again",
        )
    fields = _signal_fields(rest, n_signals)
    header = EdfHeader(
        header_bytes=header_bytes,
        records=_integer(path, "number of records", fixed[236:244]),
        record_s=_number(path, "record duration", fixed[244:252]),
        sample_bytes=3 if fixed[:1] == b"\xff" else 2,
        labels=tuple(text.decode("latin-1") for text in fields["label"]),
        units=tuple(_unit(text) for text in fields["unit"]),
        samples_per_record=tuple(_integer(path, "samples a record", text) for text in fields["samples"]),
    )
    return _with_records_there(path, header)


def unit_factor(unit: str, label: str = "") -> float | None:
    """Volts in one `unit`; None where the text names no voltage.

    Triggers count as volts: they are never scaled.
    """
    factors = {"v": 1.0, "mv": 1e-3, "uv": 1e-6, "µv": 1e-6, "μv": 1e-6, "nv": 1e-9}
    if _NO_UNIT_LABELS.search(label):
        return 1.0
    return factors.get(unit.lower())


def record_segments(path: Path, header: EdfHeader, rate_hz: float) -> list[tuple[float, int, int]]:
    """Return the segments (start_s, first, stop) that the onsets of the records tell.

    The flags EDF+C and EDF+D lie both ways.
    """
    per_record = header.record_s * rate_hz
    onsets_s = _record_onsets(path, header)
    if onsets_s is None:
        return [(0.0, 0, round(header.records * per_record))]
    jumps = np.abs(np.diff(onsets_s) - header.record_s)
    breaks = np.flatnonzero(jumps > max(1.0 / rate_hz, 1e-3)) + 1
    edges = [0, *breaks.tolist(), header.records]
    return [
        (float(onsets_s[a] - onsets_s[0]), round(a * per_record), round(b * per_record))
        for a, b in pairwise(edges)
    ]


def _with_records_there(path: Path, header: EdfHeader) -> EdfHeader:
    if not header.signals:
        raise SourceError(
            "read", f"{path.name} holds annotations and no signal: it goes with a recording beside it"
        )
    if min(header.samples_per_record) < 0 or header.record_bytes == 0:
        raise SourceError("read", f"{path.name}: its records hold no samples, so there is no signal in it")
    if header.record_s <= 0 and header.signals:
        raise SourceError(
            "read", f"{path.name}: the header gives records of {header.record_s:g} s, so no rate is known"
        )
    size = path.stat().st_size
    there = (size - header.header_bytes) // header.record_bytes
    if header.records > there:
        raise SourceError(
            "read",
            f"{path.name} is cut off: the header says {header.records:,} records of {header.record_s:g} s, "
            f"its {size:,} bytes hold {max(there, 0):,}; fetch it again",
        )
    # -1 and 0 are what a recorder leaves when it was not stopped properly: what is there counts.
    records = header.records if header.records > 0 else there
    if records < 1:
        raise SourceError("read", f"{path.name} has a header and no samples; fetch it again")
    return EdfHeader(**{**vars(header), "records": int(records)})


def _signal_fields(rest: bytes, n_signals: int) -> dict[str, list[bytes]]:
    fields, at = {}, 0
    for name, width in _FIELD_BYTES.items():
        fields[name] = [rest[at + i * width : at + (i + 1) * width].strip(b" \x00") for i in range(n_signals)]
        at += width * n_signals
    return fields


def _record_onsets(path: Path, header: EdfHeader) -> np.ndarray | None:
    """Onset of every record in s from its time-keeping annotation; None for plain EDF or unreadable ones."""
    annotations = [i for i, label in enumerate(header.labels) if label in _ANNOTATION_LABELS]
    if not annotations:
        return None
    first = header.sample_bytes * sum(header.samples_per_record[: annotations[0]])
    data = np.memmap(path, mode="r", dtype=np.uint8, offset=header.header_bytes)
    records = data[: header.records * header.record_bytes].reshape(header.records, header.record_bytes)
    texts = np.ascontiguousarray(records[:, first : first + 24])
    matches = [_ONSET.match(text.tobytes()) for text in texts]
    if any(match is None for match in matches):
        return None
    return np.array([float(match.group()) for match in matches if match])


def _unit(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _number(path: Path, what: str, text: bytes) -> float:
    try:
        return float(text.strip(b" \x00").replace(b",", b"."))
    except ValueError as error:
        raise SourceError(
            "read",
            f"{path.name}: the header is damaged: {what} is {text.strip()!r}; fetch it again",
        ) from error


def _integer(path: Path, what: str, text: bytes) -> int:
    return int(_number(path, what, text))
