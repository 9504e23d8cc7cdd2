"""MATLAB and NumPy files: EEGLAB under .mat, FieldTrip, and arrays whose place is declared.

A plain array has no rate, no names and no unit: without a declared `ArrayLayout` it is refused with what was found.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eegfm_etl.formats import eeglab, fieldtrip
from eegfm_etl.formats.of_mne import explained
from eegfm_etl.formats.recording import Recording, factor_uv, of_array, unique
from eegfm_etl.source import ArrayLayout, Ask, SourceError, SourceHeader

_EEGLAB_FIELDS = {"nbchan", "srate", "data"}
_TRIAL, _CHANNEL, _TIME = "trial", "channel", "time"


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open a .mat, .npz or .npy.

    Raises
    ------
    SourceError
        Where it is neither EEGLAB's nor FieldTrip's and no layout is declared, or the declared one does not fit.
    """
    found = _variables(path)
    if isinstance(ask.layout, ArrayLayout):
        return _declared(path, ask.layout)
    if "EEG" in found or set(found) >= _EEGLAB_FIELDS:
        opened = eeglab.open_renamed(path, ask)
        note = "EEGLAB's format under the name .mat"
        return replace(opened, header=replace(opened.header, notes=(*opened.header.notes, note)))
    structs = [name for name, shape in found.items() if shape is None]
    for name in structs:
        if (data := fieldtrip.loaded(path, name)) is not None:
            return fieldtrip.open_struct(path, data)
    arrays = (
        ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in found.items() if shape)
        or "no array"
    )
    raise SourceError(
        "read",
        f"{path.name} holds plain arrays ({arrays}) with no rate, names or unit; declare them: --param variable=NAME "
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
        import scipy.io

        return {
            name: None if kind in ("struct", "object", "cell") else tuple(shape)
            for name, shape, kind in scipy.io.whosmat(path)
        }


def _declared(path: Path, layout: ArrayLayout) -> Recording:
    if (factor := factor_uv(layout.unit)) is None:
        raise SourceError(
            "units", f"{path.name}: the declared unit {layout.unit!r} is no voltage (uV, mV, V, nV)"
        )
    array = np.asarray(_array(path, layout.variable))
    axes = layout.axes.split()
    if sorted(axes) not in (sorted([_CHANNEL, _TIME]), sorted([_TRIAL, _CHANNEL, _TIME])):
        raise SourceError(
            "read", f"{path.name}: declared axes {layout.axes!r} must be of trial, channel and time"
        )
    shape = "×".join(map(str, array.shape))
    if (
        array.ndim != len(axes)
        or array.dtype.kind not in "iuf"
        or array.shape[axes.index(_CHANNEL)] != len(layout.channels)
    ):
        raise SourceError(
            "read",
            f"{path.name}: {layout.variable} is {shape} of {array.dtype}, declared are axes '{layout.axes}' and "
            f"{len(layout.channels)} channels; correct --param axes or columns",
        )
    if _TRIAL not in axes:
        array, axes = array[None], [_TRIAL, *axes]
    array = array.transpose([axes.index(name) for name in (_TRIAL, _CHANNEL, _TIME)])
    trials, _, samples = array.shape
    rate_hz = float(layout.rate_hz)
    kept = [i for i, name in enumerate(layout.channels) if name]
    names = [layout.channels[i] for i in kept]
    header = SourceHeader(
        path=str(path),
        format="NumPy" if path.suffix.lower() in (".npy", ".npz") else "MATLAB",
        reader="eegfm",
        rate_hz=rate_hz,
        n_samples=trials * samples,
        names=unique(names),
        types=("eeg",) * len(names),
        rates=(rate_hz,) * len(names),
        units=(layout.unit,) * len(names),
        positions={},
        annotations=(),
        segments=tuple((i * samples / rate_hz, i * samples, (i + 1) * samples) for i in range(trials)),
        notes=(
            f"{layout.variable}: rate ({rate_hz:g} Hz), unit ({layout.unit}), axes and names are declared",
        ),
    )
    return of_array(header, array[:, kept].transpose(1, 0, 2).reshape(len(kept), trials * samples), factor)


def _array(path: Path, variable: str) -> Any:
    suffix = path.suffix.lower()
    with explained(path, suffix):
        if suffix == ".npy":
            return np.load(path, allow_pickle=False)
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                if variable in archive.files:
                    return archive[variable]
                raise SourceError(
                    "read", f"{path.name} has no array {variable!r}; it has {', '.join(archive.files)}"
                )
        import pymatreader

        first, *rest = variable.split(".")
        value: Any = pymatreader.read_mat(path, variable_names=[first])
        for name in (first, *rest):
            if not isinstance(value, dict) or name not in value:
                there = ", ".join(value) if isinstance(value, dict) else type(value).__name__
                raise SourceError(
                    "read", f"{path.name} has no {variable!r}: {name!r} is not among {there or 'nothing'}"
                )
            value = value[name]
        return value
