"""Corrupted EDF and BDF files: a reason in words, or the samples that an independent reader finds."""

import re
import warnings
from pathlib import Path

import edfio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eegfm_etl.edf import unit_factor
from eegfm_etl.formats.edf_source import EdfSource
from eegfm_etl.process import process_file
from eegfm_etl.readers import ReaderProcess
from eegfm_etl.recipe import Job, Person
from eegfm_etl.row import Stamp
from eegfm_etl.source import SourceError
from eegfm_lake.errors import EegfmError
from eegfm_lake.signals import SignalReader
from eegfm_lake.storage import Storage
from tests.etl.edf_bytes import Channel, Edf, stamps

RECORDS = 8


def whole(bdf: bool, plus: bool, mixed: bool) -> bytes:
    rng = np.random.default_rng(3)
    rates = (64, 64, 16 if mixed else 64)
    names, rail = ("Fp1", "Cz", "Resp"), 2**23 if bdf else 2**15
    channels = [
        Channel(name, rng.integers(-rail, rail, RECORDS * rate), "uV", (-3276.8, 3276.7), (-rail, rail - 1))
        for name, rate in zip(names, rates, strict=True)
    ]
    if bdf:
        status = np.repeat(rng.integers(0, 5, RECORDS * 4), 16) | 0x10000
        channels.append(Channel("Status", status, "Boolean", (-rail, rail - 1), (-rail, rail - 1)))
    events = [f"+{k}.5\x151\x14cue {k}\x14\0".encode() for k in range(RECORDS)]
    kind = "BDF" if bdf else "EDF"
    tals = [stamps(range(RECORDS), events)] if plus else []
    return Edf(channels, RECORDS, 1, tals, f"{kind}+C" if plus else "", bdf=bdf).bytes()


def header_fields(n: int) -> list[tuple[int, int]]:
    """Place and width of every field of a header of n signals."""
    places, at = [], 0
    for width in (8, 80, 80, 8, 8, 8, 44, 8, 8, 4):
        places.append((at, width))
        at += width
    for width in (16, 80, 8, 8, 8, 8, 8, 80, 8):
        places += [(at + i * width, width) for i in range(n)]
        at += n * width
    return places


LIES = (
    "",
    "0",
    "-1",
    "1",
    "2",
    "16",
    "99999999",
    "-99999",
    "1e300",
    "nan",
    "inf",
    "0.0001",
    "1e-7",
    "1,5",
    "abc",
)


@st.composite
def corrupted(draw):
    bdf = draw(st.booleans())
    data = bytearray(whole(bdf, draw(st.booleans()), draw(st.booleans())))
    n = int(data[252:256])
    for _ in range(draw(st.integers(1, 3))):
        match draw(st.sampled_from(["flip", "burst", "cut", "append", "lie", "lie"])):
            case "flip":
                for at in draw(st.lists(st.integers(8, len(data) - 1), min_size=1, max_size=20)):
                    data[at] ^= 1 << draw(st.integers(0, 7))
            case "burst":
                at = draw(st.integers(8, len(data) - 1))
                length = min(draw(st.integers(1, 500)), len(data) - at)
                data[at : at + length] = draw(st.sampled_from([b"\0", b"\xff", b"\n", b"7"])) * length
            case "cut":
                del data[draw(st.integers(1, len(data))) :]
            case "append":
                data += bytes(draw(st.integers(1, 5000)))
            case "lie":
                places = [one for one in header_fields(n) if one[0] + one[1] <= len(data)]
                if places:
                    at, width = draw(st.sampled_from(places[1:] or places))
                    data[at : at + width] = draw(st.sampled_from(LIES)).encode()[:width].ljust(width)
        if len(data) <= 9:
            break
    return bytes(data), bdf


@pytest.mark.parametrize("bdf", [False, True])
@pytest.mark.parametrize("plus", [False, True])
def test_no_lie_in_any_field_of_a_header_is_more_than_a_reason(tmp_path, bdf, plus):
    data = whole(bdf, plus, mixed=True)
    path = tmp_path / f"lie.{'bdf' if bdf else 'edf'}"
    for at, width in header_fields(int(data[252:256]))[1:]:
        for lie in LIES:
            path.write_bytes(data[:at] + lie.encode()[:width].ljust(width) + data[at + width :])
            source, reason = opened(path)
            assert source is not None or (path.name in reason and "\n" not in reason)


@settings(deadline=5000, max_examples=150, suppress_health_check=list(HealthCheck))
@given(file=corrupted())
def test_a_corrupted_file_is_refused_in_words_or_read_as_an_independent_reader_does(tmp_path_factory, file):
    data, bdf = file
    path = tmp_path_factory.getbasetemp() / f"corrupted.{'bdf' if bdf else 'edf'}"
    path.write_bytes(data)
    source, reason = opened(path)
    if source is None:
        assert "\n" not in reason
        assert path.name in reason
        return
    header = source.header
    assert header.segments[0][1] == 0
    for (start_s, first, stop), after in zip(header.segments, [*header.segments[1:], None], strict=True):
        assert first < stop <= header.n_samples
        assert after is None or (
            after[1] == stop and after[0] >= start_s + (stop - first) / header.rate_hz - 1e-6
        )
    compare_with_edfio(path, source)


def compare_with_edfio(path: Path, source: EdfSource) -> bool:
    """Compare every sample with edfio's; whether it reads the file."""
    header = source.header
    theirs = independent(path, header.format == "BDF")
    for row, rate in enumerate(header.rates):
        n = round(header.n_samples * (rate / header.rate_hz))
        found = source.read(0, n, [row])
        assert found.shape == (1, n)
        assert np.isfinite(found).all()
        expected = None if theirs is None else calibrated(theirs, source, row)
        if expected is not None:
            size = max(np.abs(expected).max(initial=0.0), 1e-300)
            assert n <= len(expected)
            np.testing.assert_allclose(found[0], expected[:n], rtol=1e-6, atol=1e-9 * size)
    return theirs is not None


def opened(path: Path) -> tuple[EdfSource | None, str]:
    try:
        return EdfSource(path), ""
    except SourceError as error:
        return None, error.reason


def independent(path: Path, bdf: bool):
    """Read with edfio; None where it cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return (edfio.read_bdf if bdf else edfio.read_edf)(path, header_encoding="latin-1")._signals
        except Exception:  # noqa: BLE001 - whatever it makes of a broken file
            return None


def calibrated(theirs, source: EdfSource, row: int) -> np.ndarray | None:
    """Samples in µV as the independent reader has them; None where it leaves them uncalibrated."""
    if row in dict(source.header.faults):
        return None
    one = theirs[source._signals[row]]
    try:
        numbers = [one.physical_min, one.physical_max, one.digital_min, one.digital_max]
    except ValueError:
        return None
    if not np.isfinite(numbers).all() or numbers[0] == numbers[1] or numbers[2] == numbers[3]:
        return None
    unit, name = source.header.units[row], source.header.names[row]
    factor = unit_factor(unit, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return one.data * (1.0 if factor is None or (factor == 1.0 and unit.lower() != "v") else 1e6 * factor)


@pytest.fixture(scope="module")
def reader():
    with ReaderProcess(time_limit_s=20) as process:
        yield process


@settings(deadline=20000, max_examples=40, suppress_health_check=list(HealthCheck))
@given(file=corrupted())
def test_a_corrupted_file_becomes_a_row_or_a_reason(tmp_path_factory, reader, file):
    data, bdf = file
    folder = tmp_path_factory.mktemp("fuzz")
    path = folder / f"corrupted.{'bdf' if bdf else 'edf'}"
    path.write_bytes(data)
    job = Job(path, path.name, path.stem, Person(""))
    row, reason = harmonised(job, folder, reader)
    assert not re.search("crashed|took longer|does not explain|more memory", reason)
    if row is not None:
        stored = SignalReader(Storage(folder), "signal.parquet")
        assert stored.n_samples == row["signal"]["samples"] == sum(one["samples"] for one in row["segments"])
        assert np.isfinite(stored.read_uv(0, stored.n_samples)).all()


def harmonised(job: Job, folder: Path, reader: ReaderProcess) -> tuple[dict | None, str]:
    try:
        return process_file(job.path, job, folder, stamp=Stamp("file"), reader=reader)[0], ""
    except EegfmError as error:
        return None, str(error)
