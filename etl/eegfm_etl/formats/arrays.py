"""MATLAB and NumPy files that hold nothing but arrays; an `ArrayLayout` says what they mean.

Axes are named in MATLAB's order. Files of version 7.3 are HDF5, which turns the axes round: they are turned back
here, so that one layout reads both. The arrays are held in memory in their own type.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

import h5py
import numpy as np
import scipy
from scipy.io import loadmat, whosmat

from eegfm_etl.edf import unit_factor
from eegfm_etl.formats.matlab5 import refuse_damaged_matlab
from eegfm_etl.source import NO_VARIABLE, ArrayLabels, ArrayLayout, Ask, Headed, SourceError, SourceHeader

SUFFIXES = (".mat", ".npz", ".npy")
_AXES = ("channel", "time", "trial")
_HDF5 = b"\x89HDF\r\n\x1a\n"


class ArrayFile(Headed):
    """Arrays of samples as a recording; a `SampleSource` for `eegfm_etl.chain.harmonise`.

    Parameters
    ----------
    path : Path
        A .mat (any version), .npz or .npy file.
    layout : ArrayLayout

    Raises
    ------
    SourceError
        Where the file cannot be read, or is not laid out as said.
    """

    def __init__(self, path: Path, layout: ArrayLayout) -> None:
        self._path = Path(path)
        with explained(self._path):
            self._lay_out(_opened(self._path), layout)

    def _lay_out(self, variables: "_Variables", layout: ArrayLayout) -> None:
        names = layout.channels
        if layout.names:
            names = tuple(text for one in variables(layout.names) for text in _texts(one, one.size))
        arrays = [self._ordered(array, layout, len(names)) for array in variables(layout.variable)]
        if not arrays:
            raise self._error(f"{NO_VARIABLE} {layout.variable!r}; it is of another kind or damaged")
        kept = [row for row, name in enumerate(names) if name]
        names = tuple(names[row] for row in kept)
        self._trials_CN = [
            trial_CN if len(kept) == len(trial_CN) else trial_CN[kept]
            for array_KCN in arrays
            for trial_CN in array_KCN
        ]
        self._edges = np.cumsum([0, *(trial_CN.shape[1] for trial_CN in self._trials_CN)])
        volts = unit_factor(layout.unit)
        self._to_uv = 1.0 if volts is None else 1e6 * volts
        rate_hz = layout.rate_hz
        self.header = SourceHeader(
            path=str(self._path),
            format="NumPy" if self._path.suffix.lower() in (".npz", ".npy") else "MATLAB",
            reader=variables.reader,
            rate_hz=rate_hz,
            n_samples=int(self._edges[-1]),
            names=names,
            types=("eeg",) * len(names),
            rates=(rate_hz,) * len(names),
            units=(layout.unit,) * len(names),
            positions={},
            annotations=tuple(self._annotations(variables, layout, [len(array) for array in arrays])),
            segments=tuple(
                (first / rate_hz, int(first), int(stop))
                for first, stop in zip(self._edges[:-1], self._edges[1:], strict=True)
            ),
            notes=(f"{layout.variable}: its axes, rate, unit and channels are declared, not in the file",),
        )

    def read(self, start: int, stop: int, rows: Sequence[int] | None = None) -> np.ndarray:
        """Return samples ``start`` to ``stop`` of rows (all: None), float64 in µV, (rows, stop - start)."""
        chosen = slice(None) if rows is None else np.asarray(rows, dtype=np.int64)
        first = int(np.searchsorted(self._edges, start, side="right")) - 1
        pieces = []
        for trial, edge in zip(self._trials_CN[first:], self._edges[first:], strict=False):
            if edge >= stop:
                break
            pieces.append(trial[chosen, max(start - edge, 0) : stop - edge])
        data = np.concatenate(pieces, axis=1).astype(np.float64) * self._to_uv
        if not np.isfinite(data).all():
            raise self._error("holds samples that are not numbers (NaN); it is damaged or a broken export")
        return data

    def _ordered(self, array: np.ndarray, layout: ArrayLayout, channels: int) -> np.ndarray:
        """Bring an array to (trial, channel, time); a view where that is possible."""
        axes = layout.axes.split()
        if sorted(axes) not in (sorted(_AXES), sorted(_AXES[:2])):
            raise self._error(f"is declared with axes {layout.axes!r}; name channel, time and perhaps trial")
        if array.ndim == len(axes) - 1 and axes[-1] == "trial":  # MATLAB drops a last axis of length one
            array = array[..., None]
        if array.ndim != len(axes) or array.dtype.kind not in "iuf":
            raise self._error(
                f"holds {layout.variable} as {array.dtype} of shape {array.shape}, where numbers by "
                f"{layout.axes.replace(' ', ' × ')} were expected"
            )
        order = [axes.index(axis) for axis in ("trial", "channel", "time") if axis in axes]
        array_KCN = array.transpose(order) if len(axes) == len(_AXES) else array.transpose(order)[None]
        if array_KCN.shape[1] != channels:
            raise self._error(
                f"holds {layout.variable} of shape {array.shape}: {array_KCN.shape[1]} channels by the axes "
                f"{layout.axes!r}, where the layout names {channels} channels; correct one of them"
            )
        if not array_KCN.shape[0] or not array_KCN.shape[2]:
            raise self._error(f"holds no samples: {layout.variable} has shape {array.shape}")
        return array_KCN

    def _annotations(
        self, variables: "_Variables", layout: ArrayLayout, trials: list[int]
    ) -> list[tuple[float, float, str]]:
        starts_s = self._edges[:-1] / layout.rate_hz
        lengths_s = np.diff(self._edges) / layout.rate_hz
        if not layout.labels:
            return [(float(a), float(b), "trial") for a, b in zip(starts_s, lengths_s, strict=True)]
        found = []
        for labels in layout.labels:
            groups = variables(labels.values)
            counts = [sum(trials)] if len(groups) == 1 else trials  # one for all arrays, or one each
            if len(groups) != len(counts):
                raise self._error(f"holds {len(groups)} × {labels.values} for {len(counts)} arrays")
            if labels.onsets:
                found += self._placed(variables, labels, groups, starts_s, trials, layout.rate_hz)
                continue
            texts = [
                text for group, count in zip(groups, counts, strict=True) for text in _texts(group, count)
            ]
            if len(texts) != len(starts_s):
                raise self._error(f"holds {len(texts)} labels in {labels.values} for {len(starts_s)} trials")
            lengths = lengths_s if labels.duration_s is None else [labels.duration_s] * len(texts)
            found += [
                (float(start + labels.shift_s), float(length), f"{labels.prefix}{text}")
                for start, length, text in zip(starts_s, lengths, texts, strict=True)
            ]
        return sorted(found, key=lambda one: one[0])

    def _placed(
        self,
        variables: "_Variables",
        labels: ArrayLabels,
        groups: list[np.ndarray],
        starts_s: np.ndarray,
        trials: list[int],
        rate_hz: float,
    ) -> list[tuple[float, float, str]]:
        """Labels that hold from a sample on, counted from one within their own array."""
        first_trials = np.cumsum([0, *trials])[:-1]
        duration_s = float("nan") if labels.duration_s is None else labels.duration_s
        found, places = [], variables(labels.onsets)
        if not len(groups) == len(places) == len(trials):
            raise self._error(f"holds {len(groups)} × {labels.values} and {len(places)} × {labels.onsets}")
        for group, onsets, first in zip(groups, places, first_trials, strict=True):
            texts, samples = _texts(group, group.size), np.ravel(onsets)
            if len(texts) != len(samples):
                raise self._error(
                    f"holds {len(texts)} × {labels.values} and {len(samples)} × {labels.onsets}"
                )
            found += [
                (
                    float(starts_s[first] + (sample - 1) / rate_hz + labels.shift_s),
                    duration_s,
                    labels.prefix + text,
                )
                for text, sample in zip(texts, samples, strict=True)
            ]
        return found

    def _error(self, words: str) -> SourceError:
        return SourceError("read", f"{self._path.name} {words}")


def open_recording(path: Path, ask: Ask) -> ArrayFile:
    """Open a file of arrays whose `Ask.layout` is an `ArrayLayout`."""
    if not isinstance(ask.layout, ArrayLayout):
        raise SourceError(
            "read", f"{path.name} holds arrays without names, rate or unit; declare an ArrayLayout"
        )
    return ArrayFile(path, ask.layout)


class _Variables:
    """The arrays of a file by name: `ArrayLayout.variable` says what a name may be."""

    def __init__(self, reader: str, names: list[str], load: Callable[[str], object]) -> None:
        self.reader, self._names, self._load = reader, names, load
        self._loaded: dict[str, object] = {}  # samples, labels and names may be fields of one struct

    def __call__(self, wanted: str) -> list[np.ndarray]:
        top, *below = wanted.split(".")
        found = [name for name in self._names if fnmatchcase(name, top)]
        arrays: list[np.ndarray] = []
        for name in sorted(found, key=_by_number):
            if name not in self._loaded:
                self._loaded[name] = self._load(name)
            arrays += _inside(self._loaded[name], below)
        return arrays


def _opened(path: Path) -> _Variables:
    """Open a file of arrays and list its variables, without reading them."""
    if path.suffix.lower() == ".npy":
        return _Variables(f"numpy {np.__version__}", [path.stem], lambda _: np.load(path, allow_pickle=False))
    if path.suffix.lower() == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
        return _Variables(f"numpy {np.__version__}", list(held), held.__getitem__)
    with path.open("rb") as file:
        head = file.read(1024)
    if head[:8] == _HDF5 or head[512:520] == _HDF5:
        with h5py.File(path) as file:
            names = [name for name in file if not name.startswith("#")]
        return _Variables(f"h5py {h5py.__version__}", names, lambda name: _hdf5(path, name))
    refuse_damaged_matlab(path)
    names = [name for name, _, _ in whosmat(path)]
    return _Variables(f"scipy {scipy.__version__}", names, lambda name: _mat5(path, name))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn whatever a library says of a damaged file into a `SourceError`."""
    try:
        yield
    except (MemoryError, SourceError):
        raise
    except Exception as error:
        words = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise SourceError(
            "read",
            f"{path.name} is no MATLAB or NumPy file that can be read ({words}); it is damaged or something "
            "else under this name; fetch it again",
            traceback.format_exc(),
        ) from error


def _mat5(path: Path, name: str) -> object:
    return loadmat(path, variable_names=[name], struct_as_record=False, chars_as_strings=True)[name]


def _hdf5(path: Path, name: str) -> object:
    with h5py.File(path) as file:
        return _loaded(file[name], file)


def _loaded(item: h5py.Group | h5py.Dataset, file: h5py.File) -> object:
    """Give an HDF5 object the form in which `_mat5` gives it: structs as dicts, cells as object arrays."""
    if isinstance(item, h5py.Group):
        return {key: _loaded(value, file) for key, value in item.items()}
    if item.attrs.get("MATLAB_empty"):
        return np.zeros((0, 0))
    values = np.asarray(item[()]).T
    if values.dtype == object:  # references: a cell array, or a field of a struct array
        cells = np.empty(values.size, dtype=object)
        for place, reference in enumerate(values.ravel(order="F")):
            cells[place] = _loaded(file[reference], file)
        return cells
    if item.attrs.get("MATLAB_class") == b"char":
        return np.array(["".join(map(chr, values.ravel(order="F")))])
    return values


def _inside(value: object, below: list[str]) -> list[np.ndarray]:
    """List the arrays that a dotted name means; cells and struct arrays are gone through in MATLAB's order."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [array for one in value.ravel(order="F") for array in _inside(one, below)]
    if not below:
        return [np.asarray(value)]
    held = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return _inside(held[below[0]], below[1:]) if below[0] in held else []


def _texts(values: np.ndarray, count: int) -> list[str]:
    """One text a label; of a one-hot matrix the place of the one."""
    if values.ndim == 2 and min(values.shape) > 1 and count in values.shape:
        hot = values if values.shape[1] == count else values.T
        if not (np.isin(hot, (0, 1)).all() and (hot.sum(axis=0) == 1).all()):
            return []
        values = hot.argmax(axis=0) + 1
    flat = values.ravel(order="F")
    return [f"{float(one):g}" if flat.dtype.kind in "biuf" else str(one).strip() for one in flat]


def _by_number(name: str) -> tuple[str, int]:
    """``x_eeg2`` before ``x_eeg10``."""
    text = name
    while text and text[-1].isdecimal():
        text = text[:-1]
    return text, int(name[len(text) :] or 0)
