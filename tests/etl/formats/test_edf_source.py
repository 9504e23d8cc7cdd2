"""EDF and BDF: every channel at its own rate and in µV, gaps, annotations, triggers, and headers that lie."""

import os
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import edfio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eegfm_etl.chain.harmonise import Segment, harmonise
from eegfm_etl.channels import plan_channels
from eegfm_etl.edf import unit_factor
from eegfm_etl.formats import open_source
from eegfm_etl.formats.edf_source import EdfSource
from eegfm_etl.process import harmonise_file
from eegfm_etl.source import Ask, SourceError
from eegfm_lake.schema import PROFILES
from eegfm_lake.signals import SignalReader
from eegfm_lake.storage import Storage
from tests.etl.edf_bytes import Channel, Edf, stamps

RNG = np.random.default_rng(0)


def digital(records: int, per_record: int, rail: int = 32000) -> np.ndarray:
    return RNG.integers(-rail, rail, records * per_record)


def opened(tmp_path: Path, edf: Edf, ask: Ask | None = None, name: str = "x") -> EdfSource:
    path = tmp_path / f"{name}.{'bdf' if edf.bdf else 'edf'}"
    path.write_bytes(edf.bytes())
    return open_source(path, ask)


def assert_as_edfio(source: EdfSource, path: Path) -> int:
    """Compare every sample with an independent reader's; returns how many channels could be compared."""
    read = edfio.read_bdf if source.header.format == "BDF" else edfio.read_edf
    theirs = [one for one in read(path, header_encoding="latin-1").signals if one.label != "Empty Event Data"]
    assert len(theirs) == len(source.header.names)
    faults, compared = dict(source.header.faults), 0
    for row, one in enumerate(theirs):
        try:
            calibration = (one.physical_min, one.physical_max, one.digital_min, one.digital_max)
        except ValueError:  # a decimal comma: it gives up and returns raw integers
            continue
        if row in faults or not np.isfinite(calibration).all():
            continue
        unit = source.header.units[row]
        factor = unit_factor(unit, source.header.names[row])
        scale = 1.0 if factor is None or (factor == 1.0 and unit.lower() != "v") else 1e6 * factor
        expected = one.data * scale
        found = source.read(0, len(expected), [row])[0]
        assert len(found) <= len(expected)
        size = max(abs(calibration[0]), abs(calibration[1])) * scale
        np.testing.assert_allclose(found, expected[: len(found)], rtol=1e-9, atol=1e-9 * size)
        compared += 1
    return compared


@st.composite
def recordings(draw):
    bdf, records = draw(st.booleans()), draw(st.integers(1, 6))
    record_s = draw(st.sampled_from([0.5, 1, 2, 9.59375]))
    rail = 2**23 if bdf else 2**15
    channels = []
    for row in range(draw(st.integers(1, 5))):
        limits = draw(st.sampled_from([(-rail, rail - 1), (-2048, 2047), (0, rail - 1), (100, -100)]))
        per_record = draw(st.sampled_from([1, 7, 16, 64, 100]))
        data = RNG.integers(min(limits), max(limits) + 1, records * per_record)
        unit = draw(st.sampled_from(["uV", "mV", "V", "nV", "", "%", "µV"]))
        wide = [(-187500, 187500), (-8092, 8092), (3200, -3200), (0.25, 0.5), (-1, 1000000)]
        narrow = [
            (-0.1875, 0.1875),
            (-8.092, 8.092),
            (3.2, -3.2),
            (0.25, 0.5),
            (-1, 100),
        ]  # a million volts are a fault
        low, high = draw(st.sampled_from(narrow if unit in ("V", "mV") else wide))
        channels.append(Channel(f"C{row}", data, unit, (low, high), limits))
    tals = [stamps([f"{k * record_s:g}" for k in range(records)])] * draw(st.integers(0, 2))
    return Edf(channels, records, record_s, tals, ("BDF+C" if bdf else "EDF+C") if tals else "", bdf=bdf)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(edf=recordings())
def test_samples_are_those_of_an_independent_reader(tmp_path_factory, edf):
    folder = tmp_path_factory.mktemp("edf")
    source = opened(folder, edf)
    path = Path(source.header.path)
    if all(
        one.limits[0] < one.limits[1] for one in edf.channels
    ):  # the other reader refuses a reversed range
        assert assert_as_edfio(source, path) == len(edf.channels)
    for row, one in enumerate(edf.channels):
        n = len(one.digital)
        assert source.header.rates[row] == pytest.approx(n / edf.records / edf.record_s)
        low, high = (float(value) for value in one.physical)
        factor = 1e6 * (unit_factor(one.unit) or 1e-6)
        true_uv = (
            (one.digital - one.limits[0]) / (one.limits[1] - one.limits[0]) * (high - low) + low
        ) * factor
        np.testing.assert_allclose(
            source.read(0, n, [row])[0], true_uv, rtol=1e-9, atol=1e-9 * factor * max(abs(low), abs(high))
        )


@settings(deadline=None, max_examples=40)
@given(cuts=st.lists(st.integers(0, 40 * 50), max_size=6), long=st.booleans(), bdf=st.booleans())
def test_any_piece_is_a_piece_of_the_whole(tmp_path_factory, cuts, long, bdf):
    records = 1 if long else 40  # one long record is read in parts
    channels = [Channel(f"C{row}", digital(1, 2000 if row < 3 else 400)) for row in range(5)]
    source = opened(tmp_path_factory.mktemp("cut"), Edf(channels, records, 40 / records, bdf=bdf))
    for rows, n in ([0, 2], 2000), ([2, 0, 1], 2000), ([4], 400):
        edges = sorted({0, n, *(min(cut, n) for cut in cuts)})
        joined = np.concatenate([source.read(a, b, rows) for a, b in pairwise(edges)], axis=1)
        np.testing.assert_array_equal(joined, source.read(0, n, rows))
    with pytest.raises(ValueError, match="2 rates"):
        source.read(0, 10)


def test_a_slow_channel_is_not_brought_to_the_fast_ones_rate(tmp_path):
    levels = np.repeat([0, 1], 50)
    source = opened(tmp_path, Edf([Channel("Cz", digital(10, 100)), Channel("Temp", levels)], 10))
    assert source.header.rates == (100.0, 10.0)
    assert set(np.round(source.read(0, 100, [1])[0], 6)) == {0.0, 0.1}


def test_a_rate_is_the_number_that_was_meant(tmp_path):
    source = opened(tmp_path, Edf([Channel("Cz", digital(10, 35)), Channel("Pz", digital(10, 70))], 10, 0.7))
    assert source.header.rates == (50.0, 100.0)
    assert source.rate_hz == 100.0


def test_headers_as_they_occur_are_understood(tmp_path):
    data = digital(4, 10)
    edf = Edf(
        [
            Channel("a", data, b"\xb5V", ("-3276,8", "3276,7")),
            Channel("b", data, "µV", (b"-3276.8\0", b"3276.7\0")),
            Channel("c", data, "nV", (-3276800, 3276700)),
            Channel("a", data, "mV", (3.2767, -3.2768), (32767, -32768)),
        ],
        4,
    )
    source = opened(tmp_path, edf)
    found = source.read(0, 40)
    for row in range(4):
        np.testing.assert_allclose(found[row], data * 0.1, atol=1e-3)
    assert source.header.units == ("µV", "µV", "nV", "mV")
    assert source.header.names == ("a", "b", "c", "a")
    assert any("repeat" in note for note in source.header.notes)


@pytest.mark.parametrize(
    ("physical", "limits", "words"),
    [
        ((5, 5), (-9, 9), "physical minimum"),
        ((-5, 5), (9, 9), "digital minimum"),
        (("x", 5), (-9, 9), "no number"),
        (
            ("-1E14", "1E14"),
            (-32768, 32767),
            "its physical range of -1e+14 to 1e+14 uV means more than a hundred million volts, which is impossible: "
            "its samples mean nothing, zeros were read",
        ),
        (("-1E300", "1E300"), (-1, 1), "more than a hundred million volts"),
        (("0", "9E9"), (0, 1), "more than a hundred million volts"),  # what 16 bits can hold reaches further
    ],
)
def test_a_channel_whose_range_means_nothing_is_marked_and_the_rest_read(tmp_path, physical, limits, words):
    data = digital(4, 10)
    source = opened(tmp_path, Edf([Channel("a", data, "uV", physical, limits), Channel("b", data)], 4))
    ((row, reason),) = source.header.faults
    assert row == 0
    assert words in reason
    assert not source.read(0, 40, [0]).any()
    np.testing.assert_allclose(source.read(0, 40, [1])[0], data * 0.1, atol=1e-9)


def test_a_range_just_below_a_hundred_million_volts_is_read_as_the_header_says(tmp_path):
    data = digital(4, 10)
    edf = Edf([Channel("a", data, "uV", ("-9.9E13", "9.9E13"), (-32768, 32767)), Channel("b", data)], 4)
    source = opened(tmp_path, edf)
    assert source.header.faults == ()
    np.testing.assert_allclose(source.read(0, 40, [0])[0], (data + 0.5) * 19.8e13 / 65535, rtol=1e-6)


def test_an_impossible_range_is_in_the_row_and_costs_only_its_channel(tmp_path):
    data = [np.cumsum(RNG.integers(-50, 50, 4000)) for _ in range(3)]
    edf = Edf(
        [Channel("C3", data[0], "uV", ("-1E15", "1E15")), Channel("Cz", data[1]), Channel("C4", data[2])], 10
    )
    path = tmp_path / "x.edf"
    path.write_bytes(edf.bytes())
    row, _ = harmonise_file(path, tmp_path)
    c3, *others = row["channels"]
    assert c3["name"] == "C3"
    assert c3["status"] == "bad"
    assert any("more than a hundred million volts" in reason for reason in c3["reasons"])
    assert any(note.startswith("C3: its physical range of -1e+15") for note in row["source"]["notes"])
    assert {one["status"] for one in others} == {"good"}


def test_annotations_of_all_channels_in_any_encoding_are_events_and_time_stamps_are_not(tmp_path):
    first = stamps(
        ["0.25", "1.25", "2.25"],
        [
            b"+0.5\x151.5\x14Spike\x14\0",
            "+1.5\x14Müller\x14\0".encode(),
            "+1.75\x14Pause\x14Ende\x14\0".encode("latin-1"),
        ],
    )
    second = [b"+0.75\x14caf\xe9\x14\0", b"+99\x14late\x14\0", b"+2\x14+2.000000\x14\0"]
    source = opened(tmp_path, Edf([Channel("Cz", digital(3, 10))], 3, tals=[first, second], reserved="EDF+C"))
    header = source.header
    assert [(onset, text) for onset, _, text in header.annotations] == [
        (0.25, "Spike"),
        (0.5, "café"),
        (1.25, "Müller"),
        (1.5, "Pause"),
        (1.5, "Ende"),
        (98.75, "late"),
    ]
    assert header.annotations[0][1] == 1.5
    assert np.isnan(header.annotations[1][1])
    assert header.start_time == "2021-03-02T04:05:06.250000"
    assert any("outside" in note for note in header.notes)


@settings(deadline=None, max_examples=60)
@given(
    gaps=st.lists(st.sampled_from([0, 0, 0, 1.5, 30]), min_size=2, max_size=12),
    record_s=st.sampled_from([0.5, 1, 2.5]),
    flag=st.sampled_from(["EDF+C", "EDF+D"]),
    start=st.sampled_from([0, 0.5, 120]),
)
def test_gaps_are_where_the_onsets_jump_whatever_the_flag_says(tmp_path_factory, gaps, record_s, flag, start):
    onsets = start + np.cumsum([0, *(record_s + gap for gap in gaps)])
    records = len(onsets)
    edf = Edf([Channel("Cz", digital(records, 50))], records, record_s, reserved=flag)
    edf.tals = [stamps([f"{one:g}" for one in onsets])]
    header = opened(tmp_path_factory.mktemp("gaps"), edf).header
    assert len(header.segments) == 1 + sum(gap > 0 for gap in gaps)
    assert header.duration_s == pytest.approx(onsets[-1] - start + record_s)
    assert sum(stop - first for _, first, stop in header.segments) == header.n_samples
    for start_s, first, _ in header.segments:
        assert start_s == pytest.approx(onsets[first // 50] - start)


def test_one_onset_that_cannot_be_right_makes_no_gap(tmp_path):
    edf = Edf([Channel("Cz", digital(5, 50))], 5, tals=[stamps([0, 1, 77, 3, 4])], reserved="EDF+D")
    header = opened(tmp_path, edf).header
    assert header.segments == ((0.0, 0, 250),)
    assert any("cannot be right" in note for note in header.notes)


def test_onsets_that_go_back_lay_the_pieces_one_behind_the_other(tmp_path):
    onsets = [10, 11, 12, 0, 1, 2]
    edf = Edf([Channel("Cz", digital(6, 50))], 6, tals=[stamps(onsets)], reserved="EDF+D")
    header = opened(tmp_path, edf).header
    assert header.segments == ((0.0, 0, 150), (3.0, 150, 300))
    assert any("go back" in note for note in header.notes)


@pytest.mark.parametrize("counted", [-1, 0, 99999999])
def test_an_uncounted_file_is_read_as_far_as_it_goes(tmp_path, counted):
    header = opened(tmp_path, Edf([Channel("Cz", digital(5, 50))], 5, counted=counted)).header
    assert header.n_samples == 250
    assert any("does not count" in note for note in header.notes)


def test_a_file_that_ends_early_is_read_if_half_is_there(tmp_path):
    whole = Edf([Channel("Cz", digital(10, 50))], 10).bytes()
    path = tmp_path / "cut.edf"
    path.write_bytes(whole[: 512 + 6 * 100 + 37])
    header = open_source(path).header
    assert header.n_samples == 300
    assert any("cut off" in note for note in header.notes)
    path.write_bytes(whole[: 512 + 4 * 100])
    with pytest.raises(SourceError, match="cut off"):
        open_source(path)


def test_what_was_appended_is_left_out_and_what_was_recorded_on_is_kept(tmp_path):
    path = tmp_path / "more.edf"
    path.write_bytes(Edf([Channel("Cz", digital(10, 50))], 10).bytes() + bytes(350))
    header = open_source(path).header
    assert header.n_samples == 500
    assert any("left out" in note for note in header.notes)
    stamped = Edf([Channel("Cz", digital(10, 50))], 10, tals=[stamps(range(10))], reserved="EDF+C", counted=7)
    path.write_bytes(stamped.bytes())
    assert open_source(path).header.n_samples == 500
    path.write_bytes(Edf([Channel("Cz", digital(10, 50))], 10, counted=3).bytes())
    with pytest.raises(SourceError, match="one of them is wrong"):
        open_source(path)


def test_a_record_without_a_duration_and_a_file_without_signals_are_refused(tmp_path):
    with pytest.raises(SourceError, match="no rate is known"):
        opened(tmp_path, Edf([Channel("Cz", digital(4, 50))], 4, 0))
    hypnogram = Edf([], 1, 0, [[b"+0\x14\x14\0+0\x1530\x14Sleep stage W\x14\0"]], "EDF+C")
    with pytest.raises(SourceError, match="annotations and no signal") as caught:
        opened(tmp_path, hypnogram)
    assert caught.value.step == "annotations"


def test_a_hypnogram_beside_the_recording_gives_its_events(tmp_path):
    tal = b"+0\x14\x14\0+0\x1530\x14Sleep stage W\x14\0+30\x1530\x14Sleep stage 1\x14\0"
    path = tmp_path / "hypnogram.edf"
    path.write_bytes(Edf([], 1, 0, [[tal]], "EDF+C").bytes())
    recording = Edf([Channel("Cz", digital(60, 10))], 60)
    header = opened(tmp_path, recording, Ask(annotations=(str(path),))).header
    assert header.annotations == ((0.0, 30.0, "Sleep stage W"), (30.0, 30.0, "Sleep stage 1"))
    assert header.parts == (str(path),)
    recording.time = b"04.04.56"
    moved = opened(tmp_path, recording, Ask(annotations=(str(path),))).header
    assert [onset for onset, _, _ in moved.annotations] == [10.0, 40.0]


@pytest.mark.parametrize("rest", [0, 254, 65280])
def test_the_triggers_of_a_bdf_are_events_named_by_their_number(tmp_path, rest):
    codes = np.full(4 * 256, rest)
    codes[100:110], codes[300:400], codes[400:410], codes[900:] = 5, 33, 34, 5
    status = codes | (0x10 << 16)
    status[512:] |= 0x80 << 16  # the amplifier's own bits change without a trigger
    status = np.where(status >= 2**23, status - 2**24, status)
    edf = Edf([Channel("A1", digital(4, 256))], 4, bdf=True)
    edf.channels.append(Channel("Status", status, "Boolean", (-8388608, 8388607), (-8388608, 8388607)))
    source = opened(tmp_path, edf)
    assert [(round(onset * 256), text) for onset, _, text in source.header.annotations] == [
        (100, "5"),
        (300, "33"),
        (400, "34"),
        (900, "5"),
    ]
    assert source.header.types == ("eeg", "stim")
    edf.tals, edf.reserved = [stamps(range(4), [b"+1\x14cue\x14\0", b"", b"", b""])], "BDF+C"
    assert [text for _, _, text in opened(tmp_path, edf).header.annotations] == ["cue"]


def test_a_status_channel_that_never_rests_gives_no_events(tmp_path):
    edf = Edf([Channel("A1", digital(4, 256)), Channel("Status", digital(4, 256))], 4, bdf=True)
    header = opened(tmp_path, edf).header
    assert header.annotations == ()
    assert any("no triggers" in note for note in header.notes)


def test_filters_and_equipment_are_kept_and_personal_fields_only_named(tmp_path):
    edf = Edf([Channel(name, digital(4, 200), prefilter="HP:0.1Hz LP:75Hz N:50Hz") for name in "abc"], 4)
    edf.reserved, edf.patient = "EDF+C", b"MCH-02 F 02-MAY-1951 Haagse_Harry"
    edf.recording = b"Startdate 02-MAR-2021 PSG-1 NN Telemetry_03"
    header = opened(tmp_path, edf).header
    assert header.hardware_band == (0.1, 75.0)
    assert header.recorded == (("amplifier", "Telemetry 03"), ("hardware_notch", "50"))
    assert header.personal == (
        "patient code",
        "patient sex",
        "patient birthdate",
        "patient name",
        "administration code",
        "technician",
    )
    assert not any(word in repr(header) for word in ("Harry", "MCH", "1951", "PSG-1"))
    edf.channels[0].prefilter = "HP:0.5Hz LP:75Hz N:50Hz"
    assert opened(tmp_path, edf).header.hardware_band == (None, 75.0)
    edf.channels = [Channel("a", digital(4, 200), prefilter="HP: DC; LP: 100")]
    assert opened(tmp_path, edf).header.hardware_band is None


@pytest.mark.parametrize(
    ("date", "recording"), [(b"31.02.99", b""), (b"01:01:85", b"Startdate 31-FEB-1999 X X X")]
)
def test_an_impossible_date_is_unknown_and_noted(tmp_path, date, recording):
    header = opened(tmp_path, Edf([Channel("Cz", digital(4, 50))], 4, date=date, recording=recording)).header
    assert header.start_time is None
    assert any("impossible" in note for note in header.notes)


def test_a_long_file_is_not_held_in_memory(tmp_path):
    path = tmp_path / "long.edf"
    one = Edf([Channel(f"C{row}", digital(1, 512)) for row in range(8)], 1, counted=3600).bytes()
    header = 256 * 9
    path.write_bytes(one[:header] + one[header:] * 3600)
    source = open_source(path)
    before = _resident()
    for start in range(0, source.n_samples, 30720):
        source.read(start, start + 30720)
    assert _resident() - before < 20e6


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.shared
def test_real_recordings_are_read_as_an_independent_reader_reads_them(zoo_dir: Path, eegmmidb_dir: Path):
    paths = [one for one in zoo_dir.rglob("*") if one.suffix.lower() in (".edf", ".bdf") and one.is_file()]
    paths += sorted(eegmmidb_dir.rglob("S00[14]R0[14].edf"))
    compared = 0
    for path in sorted(paths):
        try:
            source = open_source(path)
        except SourceError:
            continue
        if path.name != "nul_padded_header.edf":  # the other reader cannot
            compared += bool(assert_as_edfio(source, path))
    assert compared >= 45


@dataclass(frozen=True)
class Independent:
    """An independent reader's samples as a source for the chain, each channel at its own rate."""

    data_uv: tuple[np.ndarray, ...]
    rate_hz: float
    n_samples: int

    def read(self, start, stop, rows=None):
        return np.stack([self.data_uv[row][start:stop] for row in rows])


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "edf/short_psg.edf",
        "edf/edfPlusD.edf",
        "edf/MB0400FU.EDF",
        "bdf/test_generator_datarec_generator_2.bdf",
    ],
)
def test_what_is_stored_is_the_chain_on_an_independent_readers_samples(zoo_dir: Path, tmp_path, name):
    path = zoo_dir / name
    header = EdfSource(path).header
    read = edfio.read_bdf if header.format == "BDF" else edfio.read_edf
    factors = [unit_factor(unit) for unit in header.units]
    data_uv = tuple(
        one.data * (1e6 * factor if factor else 1.0)
        for one, factor in zip(read(path, header_encoding="latin-1").signals, factors, strict=True)
    )
    planned = plan_channels(header.names, header.types, None, header.rates)
    known = [unit_factor(header.units[one.source_index]) is not None for one in planned]
    planned = [one if ok else replace(one, status="dropped") for one, ok in zip(planned, known, strict=True)]
    done = harmonise(
        Independent(data_uv, header.rate_hz, header.n_samples),
        planned,
        profile=PROFILES["eeg200"],
        segments=[Segment(*one) for one in header.segments],
        line_freq_hz=None,
        line_freq_origin=None,
        hardware_band=None,
        out=tmp_path / "theirs.parquet",
    )
    row, signal_file = harmonise_file(path, tmp_path)
    assert row["signal"]["samples"] == done.samples
    ours, theirs = (
        SignalReader(Storage(tmp_path), one.name) for one in (signal_file.path, done.signal_file.path)
    )
    assert ours.channels == theirs.channels
    np.testing.assert_array_equal(ours.read(0, ours.n_samples), theirs.read(0, theirs.n_samples))
