"""Write ``eegfm_lake/electrodes.csv`` from MNE's template: ``python -m eegfm_etl.electrode_template``.

The template is ``colin27_1005`` (until MNE 1.13 ``standard_1005``): realistic positions, and the ones that
most published recordings carry. The spherical montages are not taken: their fiducials lie on the sphere's
equator, so that in the head frame the whole cap sits 4 cm too low.
"""

import csv
from pathlib import Path

import mne
from mne.channels.montage import transform_to_head

import eegfm_lake.electrodes
from eegfm_lake.electrodes import TEMPLATE

_RENAMED = ("T3", "T4", "T5", "T6")  # the template lists them beside T7, T8, P7, P8


def template_positions(montage: str = TEMPLATE) -> dict[str, tuple[float, float, float]]:
    """Read a montage of MNE's in the head frame, the nasion as Nz beside it.

    Parameters
    ----------
    montage : str
        A name that `mne.channels.make_standard_montage` knows.

    Returns
    -------
    dict of str to tuple of float
        Electrode → x, y, z in metres.
    """
    head = transform_to_head(mne.channels.make_standard_montage(montage)).get_positions()
    found = {name: xyz for name, xyz in head["ch_pos"].items() if name not in _RENAMED}
    found.setdefault("Nz", head["nasion"])
    return {name: tuple(float(value) for value in xyz) for name, xyz in found.items()}


def write_template(path: Path) -> None:
    """Write the template as CSV, one electrode a row, to a hundredth of a millimetre."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "x_m", "y_m", "z_m"])
        for name, xyz in template_positions().items():
            writer.writerow([name, *(f"{value + 0.0:.5f}".replace("-0.00000", "0.00000") for value in xyz)])


if __name__ == "__main__":
    write_template(Path(eegfm_lake.electrodes.__file__).with_name("electrodes.csv"))
