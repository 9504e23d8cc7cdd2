"""BIDS' tables beside recordings: cells that say ``n/a`` are no cells."""

import math
import re
from pathlib import Path

from eegfm_etl import demographics
from eegfm_etl.recipe import files_below

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

    An absent table has no rows; one that is no UTF-8 is read as Latin-1.
    """
    rows = demographics.table(path, "\t" if path.suffix.lower() == ".tsv" else ",")
    return [
        {name.lower(): cell for name, cell in row.items() if name and cell.lower() not in ("", "n/a", "nan")}
        for row in rows
    ]


def participants(root: Path) -> dict[str, dict[str, str]]:
    """Rows of every ``participants.tsv`` below a root by the person's id, without its ``sub-``."""
    return {
        row.get("participant_id", "").removeprefix("sub-"): row
        for rel, _ in files_below(root, re.compile(r"participants\.tsv"))
        for row in table(root / rel)
    }


def number(text: str | None) -> float | None:
    """Read a finite number; None for anything else."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def hand(text: str | None) -> str | None:
    """Read a handedness: ``right``, ``left`` or ``ambidextrous``; None where it is not said."""
    return _HANDS.get((text or "").lower())
