"""MATLAB and NumPy files of arrays: one layout, whatever version wrote them."""

from contextlib import suppress
from itertools import permutations
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from eegfm_etl.formats import open_source
from eegfm_etl.source import ArrayLabels, ArrayLayout, Ask, SourceError

AXES = ("trial", "channel", "time")


def layout(axes: str = "trial channel time", variable: str = "data", channels: int = 3, **more) -> Ask:
    names = tuple(f"E{i}" for i in range(channels))
    return Ask(layout=ArrayLayout(variable, axes, names, 100.0, more.pop("unit", "uV"), **more))


def write_hdf5(path: Path, **arrays: np.ndarray) -> None:
    """As MATLAB writes version 7.3: the axes turned round."""
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = np.asarray(array).T


def write(path: Path, kind: str, **arrays: np.ndarray) -> Path:
    path = path.with_suffix({"v5": ".mat", "v7.3": ".mat", "npz": ".npz"}[kind])
    {"v5": lambda: savemat(path, arrays), "v7.3": lambda: write_hdf5(path, **arrays),
     "npz": lambda: np.savez(path, **arrays)}[kind]()  # fmt: skip
    return path


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    order=st.sampled_from(list(permutations(AXES))),
    kind=st.sampled_from(("v5", "v7.3", "npz")),
    trials=st.integers(1, 4),
    samples=st.integers(2, 40),
    start=st.integers(0, 100),
    length=st.integers(1, 100),
    data=st.data(),
)
def test_every_order_of_axes_in_every_version_gives_the_same_samples(
    tmp_path: Path, order, kind, trials, samples, start, length, data
):
    truth_KCN = np.arange(trials * 3 * samples, dtype=np.float32).reshape(trials, 3, samples)
    array = truth_KCN.transpose([AXES.index(axis) for axis in order])
    path = write(tmp_path / "file", kind, data=array, other=np.zeros(3))
    source = open_source(path, layout(" ".join(order)))
    total = trials * samples
    assert source.header.segments == tuple(
        (k * samples / 100, k * samples, (k + 1) * samples) for k in range(trials)
    )
    laid_CN = np.concatenate(list(truth_KCN), axis=1)
    start = min(start, total - 1)
    stop = min(start + length, total)
    rows = data.draw(st.one_of(st.none(), st.lists(st.integers(0, 2), min_size=1, max_size=3)))
    read = source.read(start, stop, rows)
    assert read.dtype == np.float64
    np.testing.assert_array_equal(read, laid_CN[:, start:stop] if rows is None else laid_CN[rows, start:stop])


def test_units_are_brought_to_microvolts(tmp_path: Path):
    savemat(tmp_path / "a.mat", {"data": np.ones((1, 3, 5))})
    for unit, factor in (("uV", 1), ("mV", 1e3), ("V", 1e6)):
        assert open_source(tmp_path / "a.mat", layout(unit=unit)).read(0, 1)[0, 0] == pytest.approx(factor)
    assert set(open_source(tmp_path / "a.mat", layout(unit="furlong")).header.units) == {"furlong"}


def test_a_channel_without_a_name_is_left_out(tmp_path: Path):
    data = np.arange(30.0).reshape(1, 3, 10)
    savemat(tmp_path / "a.mat", {"data": data})
    layout_ = ArrayLayout("data", "trial channel time", ("Cz", "", "Pz"), 100.0, "uV")
    source = open_source(tmp_path / "a.mat", Ask(layout=layout_))
    assert source.header.names == ("Cz", "Pz")
    np.testing.assert_array_equal(source.read(0, 10), data[0, [0, 2]])


def test_a_star_takes_arrays_by_their_number(tmp_path: Path):
    savemat(
        tmp_path / "a.mat", {f"abc_eeg{i}": np.full((3, 10 + i), float(i)) for i in (10, 2, 1)} | {"x": 1}
    )
    source = open_source(tmp_path / "a.mat", layout("channel time", "*_eeg*"))
    assert [stop - first for _, first, stop in source.header.segments] == [11, 12, 20]
    assert source.header.annotations == ((0.0, 0.11, "trial"), (0.11, 0.12, "trial"), (0.23, 0.2, "trial"))


def test_a_star_takes_arrays_whose_names_break_a_line(tmp_path: Path):
    write_hdf5(tmp_path / "a.mat", **{f"eeg\n{i}": np.full((3, 10 + i), float(i)) for i in (10, 2)})
    source = open_source(tmp_path / "a.mat", layout("channel time", "eeg*"))
    assert [stop - first for _, first, stop in source.header.segments] == [12, 20]


@pytest.mark.parametrize("one_hot", [False, True])
def test_labels_are_annotations(tmp_path: Path, one_hot: bool):
    values = np.array([2, 1, 3, 3])
    y = np.eye(3)[values - 1].T if one_hot else values[None]
    savemat(tmp_path / "a.mat", {"data": np.ones((4, 3, 50)), "y": y})
    ask = layout(labels=(ArrayLabels("y", prefix="class ", shift_s=0.1, duration_s=0.2),))
    assert open_source(tmp_path / "a.mat", ask).header.annotations == tuple(
        (pytest.approx(0.5 * i + 0.1), 0.2, f"class {value}") for i, value in enumerate(values)
    )


def test_words_may_be_labels(tmp_path: Path):
    cells = np.empty((1, 2), dtype=object)
    cells[0, :] = ["left", "right"]
    savemat(tmp_path / "a.mat", {"data": np.ones((2, 3, 50)), "y": cells})
    with pytest.raises(SourceError, match="holds 2 × y for 1 arrays"):
        open_source(tmp_path / "a.mat", layout(labels=(ArrayLabels("y"),)))
    np.savez(tmp_path / "a.npz", data=np.ones((2, 3, 50)), y=np.array(["left", "right"]))
    source = open_source(tmp_path / "a.npz", layout(labels=(ArrayLabels("y"),)))
    assert [text for _, _, text in source.header.annotations] == ["left", "right"]


@pytest.mark.parametrize(
    ("arrays", "ask", "words"),
    [
        ({"other": np.ones((2, 3, 5))}, layout(), "holds no variable 'data'"),
        ({"data": np.ones((2, 4, 5))}, layout(), "4 channels by the axes .* names 3 channels; correct"),
        ({"data": np.ones((3, 5))}, layout(), "numbers by trial × channel × time were expected"),
        ({"data": np.ones((2, 3, 0))}, layout(), "holds no samples"),
        ({"data": np.full((2, 3, 5), "a")}, layout(), "numbers by trial"),
        ({"data": np.ones((2, 3, 5))}, layout("trial time"), "name channel, time and perhaps trial"),
        (
            {"data": np.ones((2, 3, 5)), "y": [1, 2, 3]},
            layout(labels=(ArrayLabels("y"),)),
            "3 labels in y for 2",
        ),
        (
            {"data": np.ones((2, 3, 5)), "y": [1, 2], "at": [1]},
            layout(labels=(ArrayLabels("y", "at"),)),
            "holds 2 × y and 1 × at",
        ),
    ],
)
def test_what_is_laid_out_otherwise_is_refused(tmp_path: Path, arrays: dict, ask: Ask, words: str):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(SourceError, match=words):
        open_source(tmp_path / "a.npz", ask)


def test_samples_that_are_no_numbers_are_refused_when_read(tmp_path: Path):
    data = np.ones((1, 3, 5))
    data[0, 1, 2] = np.nan
    savemat(tmp_path / "a.mat", {"data": data})
    with pytest.raises(SourceError, match="not numbers"):
        open_source(tmp_path / "a.mat", layout()).read(0, 5)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    kind=st.sampled_from(("v5", "v7.3", "npz")),
    cut=st.floats(0, 1),
    flips=st.lists(st.floats(0, 0.999), max_size=5),
)
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, kind: str, cut: float, flips: list[float]):
    path = write(tmp_path / "file", kind, data=np.ones((2, 3, 50)), y=np.array([[1.0, 2.0]]))
    raw = bytearray(path.read_bytes())
    for place in flips:
        raw[int(place * len(raw))] ^= 0x55
    path.write_bytes(bytes(raw[: max(1, int(cut * len(raw)))]))
    with suppress(SourceError):  # and nothing else
        source = open_source(path, layout(labels=(ArrayLabels("y"),)))
        assert source.read(0, 1).shape == (3, 1)


@pytest.mark.parametrize("name", ["a.mat", "a.npz", "a.npy"])
def test_files_of_another_kind_are_refused_in_words(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"<!DOCTYPE html><html>log in</html>" * 40)
    with pytest.raises(SourceError, match=r"a\.np[yz]|a\.mat"):
        open_source(tmp_path / name, layout())
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(SourceError):
        open_source(tmp_path / name, layout())
