"""MATLAB and NumPy files: EEGLAB under .mat, FieldTrip, and arrays whose place is declared.

A plain array has no rate, no names and no unit: without a declared `ArrayLayout` it is refused with what was found.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from eegfm_etl.formats import arrays, eeglab, fieldtrip
from eegfm_etl.formats.matlab5 import refuse_damaged_matlab
from eegfm_etl.formats.of_mne import explained
from eegfm_etl.source import ArrayLayout, Ask, OpenSource, SourceError

_EEGLAB_FIELDS = {"nbchan", "srate", "data"}
_TRIAL, _CHANNEL, _TIME = "trial", "channel", "time"


def open_recording(path: Path, ask: Ask) -> OpenSource:
    """Open a .mat, .npz or .npy.

    Raises
    ------
    SourceError
        Where it is neither EEGLAB's nor FieldTrip's and no layout is declared, or the declared one does not fit.
    """
    if isinstance(ask.layout, ArrayLayout):
        return arrays.open_recording(path, ask)
    found = _variables(path)
    if "EEG" in found or set(found) >= _EEGLAB_FIELDS:
        opened = eeglab.open_renamed(path, ask)
        note = "EEGLAB's format under the name .mat"
        return replace(opened, header=replace(opened.header, notes=(*opened.header.notes, note)))
    structs = [name for name, shape in found.items() if shape is None]
    for name in structs:
        if (data := fieldtrip.loaded(path, name)) is not None:
            return fieldtrip.open_struct(path, data)
    plain = (
        ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in found.items() if shape)
        or "no array"
    )
    raise SourceError(
        "read",
        f"{path.name} holds plain arrays ({plain}) with no rate, names or unit; declare them: --param variable=NAME "
        "--param axes='channel time' --param columns=C3,C4,… --param rate=250 --param unit=uV",
    )


def _variables(path: Path) -> dict[str, tuple[int, ...] | None]:
    """Name of every variable to its shape; None for a struct."""
    with explained(path, path.suffix):
        if path.suffix.lower() == ".npy":
            return {"array": np.load(path, mmap_mode="r", allow_pickle=False).shape}
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name].shape for name in archive.files}
        if path.open("rb").read(4) == b"\x89HDF":
            import h5py

            with h5py.File(path) as file:
                return {
                    name: None if isinstance(one, h5py.Group) else tuple(one.shape)
                    for name, one in file.items()
                    if not name.startswith("#")
                }
        refuse_damaged_matlab(path)
        import scipy.io

        return {
            name: None if kind in ("struct", "object", "cell") else tuple(shape)
            for name, shape, kind in scipy.io.whosmat(path)
        }
