"""Electrodes by name: canonical 10-20, 10-10 and 10-05 names, template positions, scalp regions.

Positions are metres in MNE's head frame (x to the right ear, y to the nasion, z up). The template,
``electrodes.csv``, is MNE's ``colin27_1005`` montage; ``eegfm_etl.electrode_template`` wrote it. ``aliases.csv``
holds other names of the same places. Caps whose electrodes have numbers are `eegfm_lake.caps`.
"""

import csv
import math
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

VERSION = 3
"""Raised whenever a name, an alias, a cap, a position or a region's border changes."""

TEMPLATE = "colin27_1005"
"""MNE's name of the montage that the positions come from."""

LOBES = ("frontal", "sensorimotor", "temporal", "parietal", "occipital")
SIDES = ("left", "midline", "right")
UNKNOWN = "unknown"

EARS = frozenset({"A1", "A2", "M1", "M2"})
"""Earlobes and mastoids: against one of them a channel is referred, not bipolar."""

REGIONS: tuple[str, ...] = (*(f"{lobe}_{side}" for lobe in LOBES for side in SIDES), UNKNOWN)
"""Names of the regions; the index is the code that `regions` returns, the last one means unknown."""

MIDLINE_M = 0.008
"""Half the width of the midline band: outside are the 10-05 neighbours (C1h at 15 mm), inside is every z."""

_PREFIX = re.compile(r"^(?:EEG|POL|CHANNEL|CHAN|CH)(?:[\s_:\-]+|(?=[A-Z]))")
_REFERENCES = r"REF\d*|LER?|AR|AVG|AVE?|CAR|COM|CM|CMS|NOSE|LINKED|[AM][12](?:[+&/]?[AM][12])?"
_REFERENCE = re.compile(rf"^\(?(?:{_REFERENCES})\)?(?:/2)?$")
_UNSEPARATED = re.compile(rf"^(.+?)_?(\(?(?:{_REFERENCES})\)?(?:/2)?)$")  # C4A1, FP1_REF
_UNIT = re.compile(r"[\[(] ?[UMNµΜ]?V ?[\])]$")  # capital µ is a Greek letter
_DUPLICATE = re.compile(r"(?:-|#)\d+$")  # -1 as MNE numbers labels that a header repeats, #2 as we do

# Borders of the lobes: planes through the unit directions from the head's centre, the widest margins between
# the 10-10 rows of MNE's montages that split no mirrored pair of any of them, nor of the midpoints of derivations
# between 10-20 electrodes (P3-O1 and P4-O2 lie just behind the parietal lobe).
_CENTRE_M = np.array([0.0, 0.008, 0.040])
_FRONTAL, _PARIETAL, _OCCIPITAL, _TEMPORAL = 0.475, 0.470, 0.6766, -0.166


def canonical(label: str) -> str | None:
    """Give the 10-05 name of an electrode as a recording's header wrote it.

    Case, dots, spaces, ``EEG`` and ``POL`` prefixes and reference suffixes (``-REF``, ``-LE``, ``-A2`` …) are
    taken off; T3, T4, T5 and T6 become T7, T8, P7 and P8.

    Parameters
    ----------
    label : str
        A channel's label, for example ``EEG FP1-REF`` or ``Fc5.``.

    Returns
    -------
    str or None
        None where the label is no single electrode: a bipolar derivation, a trigger, a number.
    """
    electrode, _, reference = derivation(label)
    if electrode is None or (reference is not None and electrode in EARS and _is_ear(reference)):
        return None
    return electrode if reference is None or _REFERENCE.match(reference) else None


@lru_cache(maxsize=4096)
def derivation(label: str) -> tuple[str | None, str | None, str | None]:
    """Take a label apart into the electrode, what it is measured against, and that text as an electrode.

    Parameters
    ----------
    label : str
        A channel's label, for example ``EEG Fpz-Cz`` or ``C3-A2``.

    Returns
    -------
    electrode : str or None
        Canonical name of the first part; None where it is no electrode.
    cathode : str or None
        Canonical name of the second part, if that is an electrode.
    reference : str or None
        The second part as written, in capitals; None where there is none.
    """
    text = _plain(label)
    if "-" in (once := _DUPLICATE.sub("", text)) or once in _names():
        text = once  # T8-P8-0
    first, second = [*re.split(r"[-–:/_]", text, maxsplit=1), ""][:2]
    if first not in _names() and (joined := _UNSEPARATED.match(text)) and joined[1] in _names():
        first, second = joined.groups()
    reference = second.rstrip(".") or None
    return _names().get(first), _names().get(reference or ""), reference


@lru_cache(maxsize=4096)
def without_decoration(label: str) -> str:
    """Take prefixes, a reference, dots, units and the numbers of repeats off a label of any kind.

    Parameters
    ----------
    label : str

    Returns
    -------
    str
        In capitals: ``EEG e36-Ref`` gives ``E36``, ``POL $A1`` gives ``$A1``.
    """
    text = _DUPLICATE.sub("", _plain(label))
    while (parts := re.match(r"^(.+)[-_](.+)$", text)) and _REFERENCE.match(parts[2]):
        text = _DUPLICATE.sub("", parts[1])
    return text.strip(".")


def position(name: str) -> tuple[float, float, float] | None:
    """Give an electrode's template position.

    Parameters
    ----------
    name : str
        A canonical name.

    Returns
    -------
    tuple of float or None
        x, y, z in metres in MNE's head frame; None for an unknown name.
    """
    return _template().get(name)


def positions(names: Sequence[str]) -> np.ndarray:
    """Give the template positions of several electrodes.

    Parameters
    ----------
    names : sequence of str
        Canonical names.

    Returns
    -------
    np.ndarray, shape (channels, 3)
        Metres in MNE's head frame; NaN for an unknown name.
    """
    missing = (math.nan, math.nan, math.nan)
    return np.array([_template().get(name, missing) for name in names], dtype=np.float64).reshape(-1, 3)


@lru_cache(maxsize=4096)
def region(x: float, y: float, z: float) -> str:
    """Name the region of scalp under a position, lobe × side.

    The FC, C and CP rows are sensorimotor; FT, T and TP temporal; PO occipital. Mirrored positions have
    mirrored regions.

    Parameters
    ----------
    x, y, z : float
        Metres in MNE's head frame.

    Returns
    -------
    str
        One of `REGIONS`, ``unknown`` where a coordinate is not finite.
    """
    return REGIONS[int(regions(np.array([[x, y, z]], dtype=np.float64))[0])]


def regions(positions_C3: np.ndarray) -> np.ndarray:
    """Give the region's code for many positions; see `region`.

    Parameters
    ----------
    positions_C3 : np.ndarray, shape (..., 3)
        Metres in MNE's head frame; not finite means unknown.

    Returns
    -------
    np.ndarray of int64, shape (...)
        Indices into `REGIONS`.
    """
    positions_C3 = np.asarray(positions_C3, dtype=np.float64)
    known = np.isfinite(positions_C3).all(axis=-1)
    offset = np.where(known[..., None], positions_C3, 0.0) - _CENTRE_M
    distance = np.linalg.norm(offset, axis=-1, keepdims=True)
    direction = offset / np.maximum(distance, 1e-9)
    # |x| makes mirrored positions fall into mirrored regions by construction
    lateral, front, up = np.abs(direction[..., 0]), direction[..., 1], direction[..., 2]
    rules = {
        "frontal": front - 0.15 * up > _FRONTAL,
        "occipital": -front - 0.197 * up - 0.036 * lateral > _OCCIPITAL,
        "parietal": -front - 0.065 * lateral > _PARIETAL,
        "sensorimotor": up - 0.34 * lateral > _TEMPORAL,
    }
    lobe = np.select(list(rules.values()), [LOBES.index(name) for name in rules], LOBES.index("temporal"))
    x = positions_C3[..., 0]
    side = np.where(np.abs(x) < MIDLINE_M, 1, np.where(x < 0, 0, 2))
    return np.where(known, lobe * len(SIDES) + side, len(REGIONS) - 1).astype(np.int64)


def _plain(label: str) -> str:
    """Capitals, without prefixes, unit, spaces and outer dots."""
    text = re.sub(r"\s+", " ", label.upper()).strip(" .")
    text = _UNIT.sub("", text).strip(" .")
    while (shorter := _PREFIX.sub("", text)) != text:
        text = shorter
    return text.replace(" ", "")


def _is_ear(reference: str) -> bool:
    return any(ear in reference for ear in EARS)


@cache
def _template() -> dict[str, tuple[float, float, float]]:
    with (Path(__file__).parent / "electrodes.csv").open(newline="", encoding="utf-8") as file:
        return {
            row["name"]: (float(row["x_m"]), float(row["y_m"]), float(row["z_m"]))
            for row in csv.DictReader(file)
        }


@cache
def _names() -> dict[str, str]:
    with (Path(__file__).parent / "aliases.csv").open(newline="", encoding="utf-8") as file:
        aliases = {row["alias"]: row["name"] for row in csv.DictReader(file)}
    return {name.upper(): name for name in _template()} | aliases
