"""Caps whose electrodes have numbers instead of names: BioSemi's sockets, EGI's nets, EasyCap's equidistant layouts.

``caps.csv`` says of every cap's label which 10-05 electrode it is, or where it lies (metres in MNE's head frame, on
the head of the template); ``eegfm_etl.electrode_template`` wrote it. Its version is `eegfm_lake.electrodes.VERSION`.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

XYZ = tuple[float, float, float]

COVERED = 0.6
"""Share of a cap's labels that a recording must have to be taken for a recording with that cap."""

_FEWEST = 12
_FAMILIES = (
    (re.compile(r"^[A-H](?:[1-9]|[12]\d|3[0-2])$"), ("biosemi32", "biosemi64", "biosemi128", "biosemi160",
                                                     "biosemi256")),
    (re.compile(r"^E(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-7])$"), ("GSN-HydroCel-32", "GSN-HydroCel-64_1.0",
     "GSN-HydroCel-65_1.0", "GSN-HydroCel-128", "GSN-HydroCel-129", "GSN-HydroCel-256", "GSN-HydroCel-257")),
)  # fmt: skip
# Plain numbers (EasyCap's M10 and M43) name no maker, and A1 to A16 are the first sockets of every larger cap:
# such a cap must be declared.


@dataclass(frozen=True)
class CapElectrode:
    """One electrode of a cap.

    Attributes
    ----------
    name : str or None
        Its 10-05 name, where the maker put it there.
    position : tuple of float or None
        Metres in MNE's head frame; None where the name says it.
    """

    name: str | None
    position: XYZ | None


def caps() -> tuple[str, ...]:
    """Names of all caps, as MNE calls its templates."""
    return tuple(_caps())


def cap(name: str) -> Mapping[str, CapElectrode]:
    """Give a cap's electrodes by label, in capitals.

    Raises
    ------
    KeyError
        The cap is unknown; see `caps`.
    """
    return _caps()[name]


def recognised(labels: Iterable[str]) -> str | None:
    """Tell by its labels which cap a recording was made with.

    Parameters
    ----------
    labels : iterable of str
        Bare labels in capitals (`eegfm_lake.electrodes.without_decoration`); others may be among them.

    Returns
    -------
    str or None
        The smallest cap of a maker that has all sockets named in the maker's way, where at least 60 % of its own
        are there; None where no cap has, or fewer than 12 are there (A1 and A2 alone are ears, E1 and E2 eyes).
    """
    present = set(labels)
    for pattern, members in _FAMILIES:
        sockets = {label for label in present if pattern.match(label)}
        if len(sockets) < _FEWEST:
            continue
        smallest = next((name for name in members if sockets <= _caps()[name].keys()), None)
        if smallest is not None and len(sockets) >= COVERED * len(_caps()[smallest]):
            return smallest
    return None


@cache
def _caps() -> dict[str, dict[str, CapElectrode]]:
    found: dict[str, dict[str, CapElectrode]] = {}
    with (Path(__file__).parent / "caps.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            place = (float(row["x_m"]), float(row["y_m"]), float(row["z_m"])) if row["x_m"] else None
            electrode = CapElectrode(row["name"] or None, place)
            found.setdefault(row["cap"], {})[row["label"].upper()] = electrode
    return found
