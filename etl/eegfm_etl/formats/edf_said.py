"""What an EDF header says beside its samples: when, with which equipment and filters, and about whom."""

import datetime
import re
from collections.abc import Sequence

from eegfm_etl.edf import EdfHeader, unit_factor

_PATIENT = ("patient code", "patient sex", "patient birthdate", "patient name")
_RECORDING = ("administration code", "technician")
_NO_AMPLIFIER = re.compile(r"[/\\]|\.\w{3}$|export|generator|bci2000|openvibe|labstreaming", re.IGNORECASE)
_FILTER = r"\b{}[:=]?\s*(\d+(?:[.,]\d+)?|DC)"
_EPOCH_YEAR = 85  # two digits: 85 to 99 are the 20th century


def start_time(header: EdfHeader, first_s: float) -> tuple[datetime.datetime | None, list[str]]:
    """Give the time of the first sample, None where the header has no possible one, and what is wrong with it."""
    own = _date(header.date)
    named = _named_date(header)
    notes = []
    if own is None:
        notes.append(f"the header's date {header.date!r} is impossible")
    elif named is not None and named != own:
        notes.append("the header gives two dates; that of its recording field was taken")
    clock = re.fullmatch(r"(\d{1,2})[.:](\d{1,2})[.:](\d{1,2})", header.time)
    date = named or own
    try:
        time = datetime.time(int(clock[1]), int(clock[2]), int(clock[3])) if clock else None
    except ValueError:
        time = None
    if time is None:
        notes.append(f"the header's time {header.time!r} is impossible")
    if date is None or time is None or abs(first_s) > 1e9:
        return None, notes
    try:
        start = datetime.datetime.combine(date, time) + datetime.timedelta(seconds=first_s)
    except OverflowError:
        return None, notes
    return start, notes


def personal(header: EdfHeader) -> tuple[str, ...]:
    """Name the fields about a person that are filled in."""
    if not header.plus:
        fields = {"patient": header.patient, "recording": header.recording}
        return tuple(name for name, text in fields.items() if text.replace("X", "").strip())
    patient = header.patient.split()
    found = [name for name, text in zip(_PATIENT, patient, strict=False) if text != "X"]
    found += ["patient additional"] if len(patient) > len(_PATIENT) else []
    return (
        *found,
        *(name for name, text in zip(_RECORDING, _subfields(header), strict=False) if text != "X"),
    )


def recorded(header: EdfHeader) -> tuple[tuple[str, str], ...]:
    """Give the methodology that the header states: the equipment and the mains filter."""
    found = []
    equipment = _subfields(header)[2] if header.plus and len(_subfields(header)) > 2 else "X"
    if equipment != "X" and not _NO_AMPLIFIER.search(equipment):
        found.append(("amplifier", equipment.replace("_", " ")))
    notch = _common(header, "(?:N|NF|RF|Notch)")
    if notch:
        found.append(("hardware_notch", f"{notch:g}"))
    return tuple(found)


def hardware_band(header: EdfHeader) -> tuple[float | None, float | None] | None:
    """Give the recording hardware's band in Hz where all channels of a voltage say the same.

    0 Hz, DC and a low-pass at the Nyquist frequency are how writers say that they do not know.
    """
    low, high = _common(header, "HP"), _common(header, "LP")
    nyquist_hz = max((header.samples_per_record[i] for i in header.signals), default=0) / header.record_s / 2
    low = low if low and low < nyquist_hz else None
    high = high if high and high < 0.998 * nyquist_hz and high > (low or 0.0) else None
    return None if low is None and high is None else (low, high)


def _common(header: EdfHeader, name: str) -> float | None:
    pattern = re.compile(_FILTER.format(name), re.IGNORECASE)
    found = {_filter(pattern, text) for text in {header.prefilters[i] for i in _voltages(header)}}
    return found.pop() if len(found) == 1 else None


def _voltages(header: EdfHeader) -> Sequence[int]:
    known = [i for i in header.signals if unit_factor(header.units[i]) is not None]
    return [i for i in known if "status" not in header.labels[i].lower()]


def _filter(pattern: re.Pattern[str], text: str) -> float | None:
    match = pattern.search(text)
    if match is None or "rectif" in text.lower():
        return None
    return 0.0 if match[1].upper() == "DC" else float(match[1].replace(",", "."))


def _subfields(header: EdfHeader) -> list[str]:
    """Administration code, technician, equipment … of an EDF+ recording field."""
    parts = header.recording.split()
    return parts[2:] if parts[:1] == ["Startdate"] else []


def _named_date(header: EdfHeader) -> datetime.date | None:
    match = re.match(r"Startdate\s+(\d{1,2})-([A-Z]{3})-(\d{4})\b", header.recording)
    months = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
    if match is None or match[2] not in months:
        return None
    return _possible(int(match[3]), months.index(match[2]) + 1, int(match[1]))


def _date(text: str) -> datetime.date | None:
    match = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d\d)", text)
    if match is None:
        return None
    day, month, year = (int(part) for part in match.groups())
    return _possible(year + (1900 if year >= _EPOCH_YEAR else 2000), month, day)


def _possible(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None
