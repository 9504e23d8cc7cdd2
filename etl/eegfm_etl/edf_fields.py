"""What a recipe may ask of an EDF's header without reading the file: clock, length, labels, age and sex.

For planning thousands of files. The patient's name and birth date stay in the file.
"""

import math
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from eegfm_etl.demographics import age_years, sex_letter

_LABEL_BYTES = 16
_SAMPLES_AT = 216  # bytes of a signal's fields before its samples a record


@dataclass(frozen=True)
class EdfFields:
    """A few fields of an EDF or EDF+ header; None where the field says nothing that can be read.

    Attributes
    ----------
    start
        Of the first sample, on the recorder's clock; years are often shifted by whoever published it.
    duration_s
        By the number of records that the header names.
    labels
        Of the signals, in order, annotation signals included.
    whole
        The file has all bytes that the header promises.
    age, sex
        Where the patient field holds ``Age:38`` and ``F`` or ``M``, as the TUH corpora write it.
    """

    start: datetime | None
    duration_s: float | None
    labels: tuple[str, ...]
    whole: bool
    age: float | None
    sex: str | None


def edf_fields(path: Path) -> EdfFields | None:
    """Read the fields; None where the file cannot be opened or is no EDF."""
    try:
        with path.open("rb") as file:
            fixed = file.read(256)
            signals = _number(fixed[252:256])
            rest = file.read(256 * int(signals)) if signals and 0 < signals < 10_000 else b""
        size = path.stat().st_size
    except OSError:
        return None
    if len(fixed) < 256 or fixed[:8].rstrip() != b"0":
        return None
    patient = fixed[8:88].decode("latin-1")
    age, sex = re.search(r"\bAge:(\S+)", patient), re.search(r"(?<=\s)[FM](?=\s)", patient)
    records, record_s = _number(fixed[236:244]), _number(fixed[244:252])
    count = len(rest) // 256
    labels = [rest[_LABEL_BYTES * i : _LABEL_BYTES * (i + 1)] for i in range(count)]
    samples = [_number(rest[_SAMPLES_AT * count + 8 * i :][:8]) or 0.0 for i in range(count)]
    promised = 256 * (count + 1) + 2 * sum(samples) * max(records or 0.0, 0.0)
    return EdfFields(
        start=_start(fixed[168:184].decode("latin-1")),
        duration_s=records * record_s if records and record_s and records > 0 and record_s > 0 else None,
        labels=tuple(label.decode("latin-1").strip(" \x00") for label in labels),
        whole=count > 0 and size >= promised,
        age=age_years(age[1]) if age else None,
        sex=sex_letter(sex[0]) if sex else None,
    )


def _start(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%d.%m.%y%H.%M.%S")
    except ValueError:
        return None


def _number(field: bytes) -> float | None:
    try:
        number = float(field.strip(b" \x00"))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
