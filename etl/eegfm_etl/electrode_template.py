"""Write the data beside ``eegfm_lake/electrodes.py`` from MNE's templates: ``python -m eegfm_etl.electrode_template``.

The template of named electrodes is ``colin27_1005`` (until MNE 1.13 ``standard_1005``): realistic positions, and
the ones that most published recordings carry. Caps whose electrodes have numbers are brought to the same head:

- BioSemi and EasyCap publish angles on a sphere. MNE has caps of the same convention whose electrodes have 10-10
  names; a thin-plate spline from their directions to the template's positions carries the others along (left out
  one at a time, the 130 named electrodes are met within 3 mm on average, 9 mm at worst).
- HydroCel nets are measured on another head; the affine map comes from the 10-10 equivalents of the 128-channel net
  (Luu and Ferree 2005, Determination of the HydroCel Geodesic Sensor Nets' average electrode positions and their
  10-10 international equivalents, Electrical Geodesics, Inc.).
"""

import csv
from pathlib import Path

import mne
import numpy as np
from mne.channels.montage import transform_to_head
from scipy.interpolate import RBFInterpolator

import eegfm_lake.electrodes
from eegfm_lake.electrodes import TEMPLATE

OLD_TEMPLATE = "standard_1005"
"""What MNE before 1.13 calls the template."""

_RENAMED = ("T3", "T4", "T5", "T6")  # the template lists them beside T7, T8, P7, P8
_NAMED_SPHERES = ("biosemi64", "easycap-M1", "brainproducts-RNP-BA-128")
_SPHERE_CENTRE_M = np.array([0.0, 0.0, 0.0401])
_SOCKETS = {"biosemi16": "A", "biosemi32": "A", "biosemi64": "AB"}  # 32 a row, in the order of MNE's names
_NUMBERED_SPHERES = ("biosemi128", "biosemi160", "biosemi256", "easycap-M10", "easycap-M43")
_NETS = ("GSN-HydroCel-32", "GSN-HydroCel-64_1.0", "GSN-HydroCel-65_1.0", "GSN-HydroCel-128",
         "GSN-HydroCel-129", "GSN-HydroCel-256", "GSN-HydroCel-257")  # fmt: skip
_NET_EQUIVALENTS = {
    "Fp1": "E22", "Fp2": "E9", "F7": "E33", "F3": "E24", "Fz": "E11", "F4": "E124", "F8": "E122", "T7": "E45",
    "C3": "E36", "Cz": "Cz", "C4": "E104", "T8": "E108", "P7": "E58", "P3": "E52", "Pz": "E62", "P4": "E92",
    "P8": "E96", "O1": "E70", "Oz": "E75", "O2": "E83",
}  # fmt: skip

XYZ = tuple[float, float, float]


def template_positions(montage: str = TEMPLATE) -> dict[str, XYZ]:
    """Read a montage of MNE's in the head frame, the nasion as Nz beside it.

    Parameters
    ----------
    montage : str
        A name that `mne.channels.make_standard_montage` knows; for the template also its older name.

    Returns
    -------
    dict of str to tuple of float
        Electrode → x, y, z in metres.
    """
    known = mne.channels.get_builtin_montages()
    name = OLD_TEMPLATE if montage == TEMPLATE and TEMPLATE not in known else montage
    head = transform_to_head(mne.channels.make_standard_montage(name)).get_positions()
    found = {name: xyz for name, xyz in head["ch_pos"].items() if name not in _RENAMED}
    found.setdefault("Nz", head["nasion"])
    return {name: _xyz(xyz) for name, xyz in found.items()}


def cap_electrodes() -> list[tuple[str, str, str, XYZ | None]]:
    """Give every cap whose labels are no electrode names: (cap, label, canonical name or "", position).

    Returns
    -------
    list of tuple
        The position is None where a canonical name says it; else metres in MNE's head frame.
    """
    rows: list[tuple[str, str, str, XYZ | None]] = []
    for cap, banks in _SOCKETS.items():
        sockets = [f"{bank}{number}" for bank in banks for number in range(1, 33)]
        rows += [(cap, *pair, None) for pair in zip(sockets, _montage(cap), strict=False)]
    onto_head = _from_sphere()
    for cap in _NUMBERED_SPHERES:
        placed = onto_head(_directions(_montage(cap)))
        rows += [
            (cap, label, "", _xyz(xyz))
            for label, xyz in zip(_montage(cap), placed, strict=True)
            if label != "Ref"
        ]
    matrix = _from_net()
    for cap in _NETS:
        montage = _montage(cap)
        placed = _with_one(np.array(list(montage.values()))) @ matrix
        vertex = _vertex(cap)
        for label, xyz in zip(montage, placed, strict=True):
            rows.append((cap, vertex, "Cz", None) if label == "Cz" else (cap, label, "", _xyz(xyz)))
    return rows


def write_template(folder: Path) -> None:
    """Write ``electrodes.csv`` and ``caps.csv``, one electrode a row, to a hundredth of a millimetre."""
    with (folder / "electrodes.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "x_m", "y_m", "z_m"])
        for name, xyz in template_positions().items():
            writer.writerow([name, *_digits(xyz)])
    with (folder / "caps.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["cap", "label", "name", "x_m", "y_m", "z_m"])
        for cap, label, name, place in cap_electrodes():
            writer.writerow([cap, label, name, *(_digits(place) if place else ("", "", ""))])


def _montage(cap: str) -> dict[str, np.ndarray]:
    positions = transform_to_head(mne.channels.make_standard_montage(cap)).get_positions()["ch_pos"]
    return {name: np.asarray(xyz) for name, xyz in positions.items()}


def _directions(montage: dict[str, np.ndarray]) -> np.ndarray:
    offset = np.array(list(montage.values())) - _SPHERE_CENTRE_M
    return offset / np.linalg.norm(offset, axis=1, keepdims=True)


def _from_sphere() -> RBFInterpolator:
    """Directions on the sphere → metres on the template's head."""
    template = template_positions()
    pairs: dict[str, np.ndarray] = {}
    for cap in _NAMED_SPHERES:
        montage = _montage(cap)
        for name, direction in zip(montage, _directions(montage), strict=True):
            if name in template:
                pairs.setdefault(name, direction)
    heads = np.array([template[name] for name in pairs])
    return RBFInterpolator(
        np.array(list(pairs.values())), heads, kernel="thin_plate_spline", smoothing=1e-2, degree=1
    )


def _from_net() -> np.ndarray:
    """Affine map (4, 3) from the nets' head to the template's."""
    net, template = _montage("GSN-HydroCel-129"), template_positions()
    here = _with_one(np.array([net[label] for label in _NET_EQUIVALENTS.values()]))
    there = np.array([template[name] for name in _NET_EQUIVALENTS])
    return np.linalg.lstsq(here, there, rcond=None)[0]


def _with_one(points: np.ndarray) -> np.ndarray:
    return np.column_stack([points, np.ones(len(points))])


def _vertex(cap: str) -> str:
    """Label of the vertex electrode, which the amplifier numbers last: E129 of 129."""
    size = cap.removeprefix("GSN-HydroCel-").split("_")[0]
    return {"32": "E33"}.get(size, f"E{size}")


def _xyz(position: np.ndarray) -> XYZ:
    return float(position[0]), float(position[1]), float(position[2])


def _digits(xyz: XYZ) -> list[str]:
    return [f"{value + 0.0:.5f}".replace("-0.00000", "0.00000") for value in xyz]


if __name__ == "__main__":
    write_template(Path(eegfm_lake.electrodes.__file__).parent)
