"""Tables beside recordings: participants, events, recording lists."""

import csv
import math
from pathlib import Path

OLDEST_YEARS = 120.0
_SEXES = {"m": "male", "male": "male", "f": "female", "female": "female"}
_HANDS = {
    "r": "right",
    "right": "right",
    "l": "left",
    "left": "left",
    "a": "ambidextrous",
    "both": "ambidextrous",
}


def table(path: Path) -> list[dict[str, str]]:
    """Read a .tsv or .csv, its column names in lower case; cells that say nothing (``n/a``) are left out.

    An absent table, and one that is no text, has no rows.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return []
    rows = csv.DictReader(text.splitlines(), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    return [
        {
            name.strip().lower(): cell.strip()
            for name, cell in row.items()
            if name and isinstance(cell, str) and cell.strip().lower() not in ("", "n/a", "nan")
        }
        for row in rows
    ]


def number(text: str | None) -> float | None:
    """Read a finite number; None for anything else."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def age_years(text: str | None) -> float | None:
    """Read an age in years; None where nothing plausible is said."""
    years = number(text)
    return years if years is not None and 0 < years <= OLDEST_YEARS else None


def sex(text: str | None) -> str | None:
    """Read a sex: ``female`` or ``male``; None where it is not said."""
    return _SEXES.get((text or "").lower())


def hand(text: str | None) -> str | None:
    """Read a handedness: ``right``, ``left`` or ``ambidextrous``; None where it is not said."""
    return _HANDS.get((text or "").lower())
