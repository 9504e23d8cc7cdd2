"""MATLAB 5 files are followed before SciPy, which a damaged tag kills, may see them."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eegfm_etl.formats.matlab5 import refuse_damaged_matlab
from eegfm_etl.source import SourceError

SCIPYS_OWN = sorted((Path(scipy.io.__file__).parent / "matlab/tests/data").glob("*.mat"))
PLAIN = st.one_of(
    st.floats(width=32),
    st.integers(-(2**31), 2**31 - 1),
    st.text("abcµ", max_size=9),
    st.complex_numbers(max_magnitude=9),
    st.sampled_from(
        [
            np.zeros((0, 3)),
            np.arange(12, dtype=np.int16).reshape(3, 4),
            np.ones((2, 2, 2), np.float32),
            np.eye(9) > 0,
        ]
    ),
)
NESTED = st.recursive(
    PLAIN,
    lambda inner: (
        st.dictionaries(st.text("abcdef", min_size=1, max_size=9), inner, min_size=1, max_size=3)
        | st.lists(inner, max_size=3).map(lambda items: np.array([*items, None], dtype=object)[:-1])
    ),
    max_leaves=6,
)


def saved(variables: dict, path: Path, *, compressed: bool = False) -> Path:
    stream = io.BytesIO()
    scipy.io.savemat(stream, variables, do_compression=compressed)
    path.write_bytes(stream.getvalue())
    return path


@pytest.mark.skipif(not SCIPYS_OWN, reason="SciPy is installed without its tests")
def test_every_file_of_scipys_own_tests_that_scipy_reads_passes():
    read = 0
    for path in SCIPYS_OWN:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scipy.io.loadmat(path)
        except (NotImplementedError, TypeError, ValueError, zlib.error):
            continue
        refuse_damaged_matlab(path)
        read += 1
    assert read > 50


@given(variables=st.dictionaries(st.sampled_from("abc"), NESTED, min_size=1), compressed=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_scipy_writes_passes(variables: dict, compressed: bool, tmp_path: Path):
    refuse_damaged_matlab(saved(variables, tmp_path / "any.mat", compressed=compressed))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, compressed: bool):
    path = saved({"EEG": {"data": np.eye(3), "chan": "Cz"}}, tmp_path / "cut.mat", compressed=compressed)
    whole = path.read_bytes()
    for end in range(128 + 8, len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(SourceError, match="damaged or cut off"):
            refuse_damaged_matlab(path)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (struct.pack("<2I", 9, 72), struct.pack("<2I", 119, 72)),  # doubles become a type that is none
        (struct.pack("<2I", 9, 72), struct.pack("<2I", 14, 72)),  # or an array
        (struct.pack("<2I", 9, 72), struct.pack("<2I", 9, 72_000)),  # or more than there are
        (struct.pack("<2I", 6, 8), struct.pack("<2I", 9, 8)),  # an array without flags
        (struct.pack("<2i", 3, 3), struct.pack("<2i", -3, 3)),  # dimensions below zero
    ],
)
def test_an_element_that_kills_or_misleads_scipy_is_refused(tmp_path: Path, was: bytes, becomes: bytes):
    path = saved({"samples": np.arange(9.0).reshape(3, 3) + 0.5}, tmp_path / "one.mat")
    data = path.read_bytes()
    assert was in data
    path.write_bytes(data.replace(was, becomes, 1))
    with pytest.raises(SourceError, match="cannot be followed as MATLAB 5"):
        refuse_damaged_matlab(path)


def test_other_files_pass(tmp_path: Path):
    for content in (b"", b"<!DOCTYPE html>" + b" " * 200, b"\x89HDF\r\n\x1a\n" + bytes(600)):
        (tmp_path / "other.mat").write_bytes(content)
        refuse_damaged_matlab(tmp_path / "other.mat")
