"""EDF and BDF headers: what a file says of its samples, checked against the bytes that are there.

Kemp et al. 1992 (EDF) and Kemp and Olivan 2003 (EDF+); BDF is EDF with 24-bit samples.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from eegfm_etl.source import CUT_OFF, SourceError

_ANNOTATION_LABELS = ("edf annotations", "bdf annotations")
_CARRIER = re.compile(r"^empty event", re.IGNORECASE)  # a signal that is there because the format wants one
_FIXED_BYTES = {
    "version": 8, "patient": 80, "recording": 80, "date": 8, "time": 8, "header_bytes": 8, "reserved": 44,
    "records": 8, "record_s": 8, "signals": 4,
}  # fmt: skip
_FIELD_BYTES = {
    "label": 16, "transducer": 80, "unit": 8, "physical_min": 8, "physical_max": 8, "digital_min": 8,
    "digital_max": 8, "prefilter": 80, "samples": 8,
}  # fmt: skip
_NO_UNIT_LABELS = re.compile(r"status|trig|annotation|marker|event", re.IGNORECASE)
_VOLTS = {"v": 1.0, "mv": 1e-3, "uv": 1e-6, "µv": 1e-6, "μv": 1e-6, "nv": 1e-9}
_MOST_SIGNALS = 9999  # that four characters can count, unless they are 1e30
_NO_COUNT = 99_999_999  # the field filled with nines, as some recorders leave it


@dataclass(frozen=True)
class EdfHeader:
    """The fields of an EDF or BDF header, and how many records the file really holds.

    Attributes
    ----------
    records : int
        Records to be read: as many as the header counts and the file holds.
    further_records : int
        Whole records that lie behind those: more data, or something that was appended.
    ranges : tuple of (physical min, physical max, digital min, digital max), or None
        Of each signal; None where a field is no number.
    notes : tuple of str
        Where the header and the bytes disagree, in words.
    """

    path: Path
    header_bytes: int
    records: int
    further_records: int
    record_s: float
    sample_bytes: int
    labels: tuple[str, ...]
    units: tuple[str, ...]
    prefilters: tuple[str, ...]
    ranges: tuple[tuple[float, float, float, float] | None, ...]
    samples_per_record: tuple[int, ...]
    patient: str
    recording: str
    date: str
    time: str
    plus: bool  # EDF+ or BDF+: patient and recording have subfields
    notes: tuple[str, ...] = ()

    @property
    def record_bytes(self) -> int:
        """Bytes of one data record."""
        return self.sample_bytes * sum(self.samples_per_record)

    @property
    def annotations(self) -> list[int]:
        """Indices of the signals that are annotations."""
        return [i for i, label in enumerate(self.labels) if label.lower() in _ANNOTATION_LABELS]

    @property
    def signals(self) -> list[int]:
        """Indices of the signals that hold samples."""
        lists = set(self.annotations)
        return [
            i
            for i, label in enumerate(self.labels)
            if i not in lists and self.samples_per_record[i] > 0 and not (lists and _CARRIER.match(label))
        ]

    @property
    def cut_off(self) -> bool:
        """Whether the file ends before its last record."""
        return any(note.startswith(CUT_OFF) for note in self.notes)

    def rate_hz(self, signal: int) -> float:
        """Rate of a signal: 35 samples in 0.7 s are 50 Hz, not 50.00000000000001."""
        return _rate_hz(self.samples_per_record[signal], self.record_s)

    def offset_bytes(self, signal: int) -> int:
        """Bytes from a record's start to a signal's first sample."""
        return self.sample_bytes * sum(self.samples_per_record[:signal])


@lru_cache(maxsize=1024)
def _rate_hz(samples: int, record_s: float) -> float:
    return float(samples / Fraction(str(record_s)))


def read_header(path: Path) -> EdfHeader:
    """Read and check the header against the file's size.

    A file that ends early is read as far as it goes if at least half of what its header counts is there: a
    recorder that lost power leaves such files, and nobody can fetch them again.

    Raises
    ------
    SourceError
        Where a field is no number, the header's parts contradict each other, or less than half of the samples
        is there.
    """
    with path.open("rb") as file:
        fixed = file.read(256)
        if len(fixed) < 256:
            raise SourceError(
                "read", f"{path.name} ends within its header ({len(fixed)} of 256 bytes); fetch it again"
            )
        about = {name: values[0] for name, values in _cut(fixed, _FIXED_BYTES, 1).items()}
        n_signals = _integer(path, "number of signals", about["signals"])
        header_bytes = _integer(path, "header length", about["header_bytes"])
        rest = file.read(256 * min(max(n_signals, 0), _MOST_SIGNALS))
    if n_signals < 1 or header_bytes != 256 * (n_signals + 1) or len(rest) < 256 * n_signals:
        raise SourceError(
            "read",
            f"{path.name}: the header is damaged: it names {n_signals} signals and {header_bytes} bytes "
            f"(expected {256 * (n_signals + 1)}), and {256 + len(rest)} are there; fetch it again",
        )
    fields = _cut(rest, _FIELD_BYTES, n_signals)
    header = EdfHeader(
        path=path,
        header_bytes=header_bytes,
        records=_integer(path, "number of records", about["records"]),
        further_records=0,
        record_s=_number(path, "record duration", about["record_s"]),
        sample_bytes=3 if fixed[:1] == b"\xff" else 2,
        labels=_texts(fields["label"]),
        units=_texts(fields["unit"]),
        prefilters=_texts(fields["prefilter"]),
        ranges=_ranges(fields),
        samples_per_record=tuple(_integer(path, "samples a record", text) for text in fields["samples"]),
        patient=_text(about["patient"]),
        recording=_text(about["recording"]),
        date=_text(about["date"]),
        time=_text(about["time"]),
        plus=_text(about["reserved"])[:4].upper() in ("EDF+", "BDF+"),
    )
    return _with_records_there(header)


def unit_factor(unit: str, label: str = "") -> float | None:
    """Volts in one `unit`; None where the text names no voltage.

    Triggers count as volts: they are never scaled.
    """
    if _NO_UNIT_LABELS.search(label):
        return 1.0
    return _VOLTS.get(unit.lower())


def _with_records_there(header: EdfHeader) -> EdfHeader:
    path = header.path
    if min(header.samples_per_record) < 0 or header.record_bytes == 0:
        raise SourceError("read", f"{path.name}: its records hold no samples, so there is no signal in it")
    if header.record_s <= 0 and header.signals:
        raise SourceError(
            "read", f"{path.name}: the header gives records of {header.record_s:g} s, so no rate is known"
        )
    size = path.stat().st_size
    there, left = divmod(max(size - header.header_bytes, 0), header.record_bytes)
    # -1 and 0 are what a recorder leaves when it was not stopped properly: what is there counts.
    if counted := 0 < header.records != _NO_COUNT:
        missing = header.records * header.record_bytes - (size - header.header_bytes)
        if missing > 0.5 * header.records * header.record_bytes or (missing > 0 and there < 1):
            raise SourceError(
                "read",
                f"{path.name} is cut off: the header says {header.records:,} records of "
                f"{header.record_s:g} s, its {size:,} bytes hold {there:,}; fetch it again",
            )
    if there < 1:
        raise SourceError("read", f"{path.name} has a header and no samples; fetch it again")
    notes = []
    if not counted:
        notes.append(f"the header does not count the records ({header.records}): all {there:,} were read")
    elif there < header.records:
        notes.append(
            f"cut off: the header counts {header.records:,} records of {header.record_s:g} s, "
            f"the {there:,} whole ones that are there were read"
        )
    records = min(header.records, there) if counted else there
    if left and there >= (header.records if counted else 0):
        notes.append(f"{left:,} bytes after the last whole record were left out")
    return replace(header, records=records, further_records=there - records, notes=tuple(notes))


def _ranges(fields: dict[str, list[bytes]]) -> tuple[tuple[float, float, float, float] | None, ...]:
    names = ("physical_min", "physical_max", "digital_min", "digital_max")
    rows = zip(*([_finite(text) for text in fields[name]] for name in names), strict=True)
    return tuple(
        None if None in (low, high, first, last) else (low or 0.0, high or 0.0, first or 0.0, last or 0.0)
        for low, high, first, last in rows
    )


def _cut(data: bytes, widths: dict[str, int], count: int) -> dict[str, list[bytes]]:
    fields, at = {}, 0
    for name, width in widths.items():
        fields[name] = [data[at + i * width : at + (i + 1) * width].strip(b" \x00") for i in range(count)]
        at += width * count
    return fields


def _texts(fields: list[bytes]) -> tuple[str, ...]:
    return tuple(_text(one) for one in fields)


def _text(field: bytes) -> str:
    """UTF-8 where it is, else latin-1; EDF allows ASCII alone, and writers do as they like."""
    try:
        text = field.decode("utf-8")
    except UnicodeDecodeError:
        text = field.decode("latin-1")
    return text.replace("\x00", " ").strip()


def _finite(field: bytes) -> float | None:
    try:
        value = float(field.strip(b" \x00").replace(b",", b"."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _number(path: Path, what: str, field: bytes) -> float:
    return _checked(path, what, field, _finite(field), lambda value: True)


def _integer(path: Path, what: str, field: bytes) -> int:
    return int(_checked(path, what, field, _finite(field), float.is_integer))


def _checked(
    path: Path, what: str, field: bytes, value: float | None, holds: Callable[[float], bool]
) -> float:
    if value is None or not holds(value):
        raise SourceError(
            "read", f"{path.name}: the header is damaged: {what} is {field.strip()!r}; fetch it again"
        )
    return value
