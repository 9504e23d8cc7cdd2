"""Tables about people, as data sets publish them: what is unknown or cannot be is None, never guessed."""

import csv
import math
from pathlib import Path

OLDEST_YEARS = 120.0

_SEXES = {"f": "F", "female": "F", "w": "F", "m": "M", "male": "M"}


def table(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """Rows of a text table with a header line, cells and column names stripped; none where there is no such file.

    Files are read as UTF-8, and as Latin-1 where they are none.
    """
    if not path.is_file():
        return []
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    lines = [line for line in text.splitlines() if line.strip()]
    return [
        {(name or "").strip(): (cell or "").strip() for name, cell in row.items() if isinstance(cell, str)}
        for row in csv.DictReader(lines, delimiter=delimiter)
    ]


def age_years(text: str | None) -> float | None:
    """Age in years; None where the text is no number or no age that a person reaches."""
    try:
        age = float(text or "")
    except ValueError:
        return None
    return age if math.isfinite(age) and 0 <= age <= OLDEST_YEARS else None


def sex_letter(text: str | None) -> str | None:
    """``F`` or ``M``; None for anything that is not one of the usual words for them."""
    return _SEXES.get((text or "").strip().lower())
