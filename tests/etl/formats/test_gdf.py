"""GDF: every channel at its own rate and in its own number format, events where their table says."""

import mne
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eegfm_etl.formats import open_source
from eegfm_etl.process import harmonise_file
from eegfm_etl.source import SourceError
from tests.etl.format_miniatures import NAMES, RATE_HZ, smooth_uv, write_gdf

FAST_UV = smooth_uv(1, channels=2)
SLOW_UV = np.where(
    np.arange(400) // 100 % 2, 1000.0, -1000.0
)  # 50 Hz, a square wave that resampling makes ring


@pytest.mark.parametrize(("version", "unit"), [("1.25", "uV"), ("2.10", "4275"), ("2.20", "4275")])
def test_a_slow_channel_of_a_gdf_is_not_brought_to_the_fast_ones_rate(tmp_path, version, unit):
    path = write_gdf(tmp_path / "x.gdf", [*FAST_UV, SLOW_UV], unit, version=version)
    theirs = mne.io.read_raw_gdf(path, preload=True, verbose="error").get_data(NAMES[2])
    assert theirs.shape[1] == 2000  # as MNE gives it
    assert np.abs(theirs).max() * 1e6 > 1200
    source = open_source(path)
    assert source.header.rates == (RATE_HZ, RATE_HZ, 50.0)
    np.testing.assert_array_equal(source.read(0, 400, [2])[0], SLOW_UV)
    np.testing.assert_array_equal(source.read(0, 2000, [0, 1]), FAST_UV)
    assert "channels of 250, 50 Hz are read each at its own rate; MNE brings all to the fastest" in (
        source.header.notes
    )
    assert source.header.reader.startswith("eegfm gdf")


def test_a_mixed_gdf_is_stored_and_its_row_says_how_it_was_read(tmp_path):
    path = write_gdf(tmp_path / "x.gdf", [*FAST_UV, smooth_uv(2, channels=1, rate_hz=50.0)[0]], "uV")
    row, _ = harmonise_file(path, tmp_path)
    assert [(one["name"], one["status"]) for one in row["channels"]] == [(name, "good") for name in NAMES[:3]]
    assert any("250, 50 Hz" in note for note in row["source"]["notes"])
    assert row["duration_s"] == pytest.approx(8.0, abs=1 / RATE_HZ)  # the last sample is zero


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.floats(0, 8), min_size=2, max_size=2).map(sorted),
    rates=st.lists(st.sampled_from([1, 30, 50, 125, 250]), min_size=1, max_size=3),
)
def test_any_piece_of_a_gdf_is_a_piece_of_the_whole(tmp_path, cuts, rates):
    rows = [FAST_UV[0], *(smooth_uv(7, channels=1, rate_hz=rate)[0] for rate in rates)]
    source = open_source(write_gdf(tmp_path / "x.gdf", rows, "uV"))
    assert source.header.rates == (RATE_HZ, *map(float, rates))
    for row, (rate, data) in enumerate(zip(source.header.rates, rows, strict=True)):
        start, stop = (round(cut * rate) for cut in cuts)
        np.testing.assert_array_equal(source.read(start, stop, [row])[0], data[start:stop])


@pytest.mark.parametrize(("version", "unit"), [("1.25", "uV"), ("2.20", "4275"), ("2.20", "4274")])
def test_where_all_rates_are_one_samples_and_events_are_mnes(tmp_path, version, unit):
    ranges = [(-100.0, 100.0, -2000, 2000), (5.0, -5.0, -32768, 32767)]
    path = write_gdf(tmp_path / "x.gdf", FAST_UV, unit, version=version, ranges=ranges)
    raw = mne.io.read_raw_gdf(path, preload=True, verbose="error")
    source = open_source(path)
    np.testing.assert_allclose(source.read(0, 2000), raw.get_data() * 1e6, rtol=1e-9, atol=1e-9)
    assert [one[0] for one in source.header.annotations] == list(raw.annotations.onset)
    assert not any("MNE" in note for note in source.header.notes)


def test_channels_of_one_width_and_several_number_formats_are_each_read_in_their_own(tmp_path):
    path = write_gdf(tmp_path / "x.gdf", FAST_UV, "uV", types=(5, 16))
    theirs = mne.io.read_raw_gdf(path, preload=True, verbose="error").get_data(NAMES[1]) * 1e6
    assert np.abs(theirs).max() > 1e6  # MNE reads floats as integers
    source = open_source(path)
    np.testing.assert_array_equal(source.read(0, 2000), FAST_UV)
    assert any("<f4, <i4" in note for note in source.header.notes)
    path = write_gdf(tmp_path / "y.gdf", FAST_UV, "uV", types=(3, 16))
    with pytest.raises(SourceError, match="numbers of 2 and 4 bytes"):
        open_source(path)


@pytest.mark.parametrize("version", ["1.25", "2.20"])
def test_events_count_at_the_rate_of_their_table_unless_that_puts_them_after_the_end(tmp_path, version):
    unit = "uV" if version == "1.25" else "4275"
    events = ((51, 769, 25),)
    path = write_gdf(tmp_path / "x.gdf", FAST_UV, unit, events, version=version, events_hz=50)
    header = open_source(path).header
    assert header.annotations == ((1.0, 0.5, "769"),)
    assert any("50 Hz, as their table says" in note for note in header.notes)
    path = write_gdf(tmp_path / "y.gdf", FAST_UV, unit, events, version=version, events_hz=1)
    header = open_source(path).header
    assert header.annotations == ((0.2, 0.1, "769"),)
    assert any("after the end" in note for note in header.notes)


def test_missing_values_of_channels_of_two_rates_are_one_gap(tmp_path):
    fast, slow = FAST_UV.copy(), smooth_uv(2, channels=1, rate_hz=50.0)[0]
    fast[:, 1000:1100], slow[200:220] = -32768, -32768
    header = open_source(write_gdf(tmp_path / "x.gdf", [*fast, slow], "uV")).header
    assert [(first, stop) for _, first, stop in header.segments] == [(0, 1000), (1100, 2000)]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ((0.0, 0.0, -9.0, 9.0), "no scale"),
        ((-9.0, 9.0, 5.0, 5.0), "no scale"),
        ((-1e15, 1e15, -32768.0, 32767.0), "more than a hundred million volts"),
        ((float("nan"), 1.0, -9.0, 9.0), "no scale"),
    ],
)
def test_a_channel_of_a_gdf_whose_range_means_nothing_is_marked_and_the_rest_read(tmp_path, limits, words):
    ranges = [(-32768, 32767, -32768, 32767), limits]
    source = open_source(write_gdf(tmp_path / "x.gdf", FAST_UV, "4275", version="2.20", ranges=ranges))
    ((row, reason),) = source.header.faults
    assert (row, words in reason) == (1, True)
    np.testing.assert_array_equal(source.read(0, 2000), [FAST_UV[0], np.zeros(2000)])


def test_a_gdf_that_ends_early_or_contradicts_itself_is_refused(tmp_path):
    path = write_gdf(tmp_path / "x.gdf", FAST_UV, "uV")
    whole = path.read_bytes()
    path.write_bytes(whole[:-3000])
    with pytest.raises(SourceError, match="damaged, cut off"):
        open_source(path)
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(SourceError, match=r"cut off: the header says 8 records of 1 s, .* hold 2"):
        open_source(path)
    path.write_bytes(whole[:236] + bytes(8) + whole[244:])
    with pytest.raises(SourceError, match="0 records of 2 channels"):
        open_source(path)
    types = 256 + 220 * 2
    path.write_bytes(whole[:types] + b"\x17\x01\0\0" * 2 + whole[types + 8 :])
    with pytest.raises(SourceError, match="type 279 are not read"):
        open_source(path)


def test_a_gdf_2_that_was_not_stopped_properly_is_read_as_far_as_it_goes(tmp_path):
    path = write_gdf(tmp_path / "x.gdf", FAST_UV, "4275", version="2.20")
    path.write_bytes(path.read_bytes()[: 256 * 3 + 6 * 1000])  # six records and no table of events
    source = open_source(path)
    assert any(
        note.startswith("cut off: the header counts 8 records of 1 s, the 6") for note in source.header.notes
    )
    np.testing.assert_array_equal(source.read(0, source.n_samples), FAST_UV[:, :1500])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.lists(st.tuples(st.integers(0, 256 * 3 + 40), st.integers(0, 255)), min_size=1, max_size=6),
    version=st.sampled_from(["1.25", "2.20"]),
    length=st.integers(0, 10_000),
)
def test_a_damaged_gdf_is_read_or_refused_in_words(tmp_path, at, version, length):
    unit = "uV" if version == "1.25" else "4275"
    path = write_gdf(tmp_path / "x.gdf", FAST_UV, unit, version=version)
    data = bytearray(path.read_bytes())
    for place, value in at:
        data[place] = value
    path.write_bytes(data[: max(300, length)] if length < 5_000 else data)
    said = "read"
    try:
        source = open_source(path)
        for row, rate in enumerate(source.header.rates):
            source.read(0, min(round(rate), 100), [row])
    except SourceError as refused:
        said = refused.reason
    assert said == "read" or len(said) > 30


@pytest.mark.shared
def test_a_real_gdf_is_read_as_mne_reads_it(zoo_dir):
    (path,) = (zoo_dir / "gdf").glob("*.gdf")
    raw = mne.io.read_raw_gdf(path, preload=True, verbose="error")
    source = open_source(path)
    known = {"uV": 1e6, "mV": 1e6}.get(source.header.units[0], 1.0)
    np.testing.assert_allclose(source.read(0, source.n_samples), raw.get_data() * known, rtol=1e-9, atol=1e-9)
