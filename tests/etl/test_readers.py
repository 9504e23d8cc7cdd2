import os
import re
import signal
import time
from itertools import pairwise
from pathlib import Path

import edfio
import mne
import numpy as np
import pybv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm_etl import edf
from eegfm_etl.readers import ReaderProcess, SourceError, open_source

from .ingest_miniatures import CHANNELS, CUES, samples_uv, write_edf


@pytest.fixture(scope="module")
def reader():
    with ReaderProcess() as process:
        yield process


@pytest.fixture(scope="module")
def miniature(tmp_path_factory) -> Path:
    return write_edf(tmp_path_factory.mktemp("edf") / "mini.edf", seed=5, seconds=20)


def test_an_edf_comes_back_in_microvolts_with_its_header(reader, miniature):
    source = reader.open(miniature)
    header = source.header
    assert header.format == "EDF"
    assert header.names == CHANNELS
    assert set(header.types) == {"eeg"}
    assert header.rates == (160.0,) * len(CHANNELS)
    assert header.segments == ((0.0, 0, 3200),)
    assert header.annotations == CUES
    assert header.hardware_band is None
    np.testing.assert_allclose(source.read(0, source.n_samples), samples_uv(5, 160, 20), atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(cuts=st.lists(st.integers(0, 3200), min_size=2, max_size=6, unique=True))
def test_chunks_joined_are_the_whole(miniature, cuts):
    source = open_source(miniature)
    edges = sorted({0, *cuts, source.n_samples})
    joined = np.concatenate([source.read(a, b) for a, b in pairwise(edges)], axis=1)
    np.testing.assert_array_equal(joined, source.read(0, source.n_samples))


def test_both_ways_of_reading_give_the_same(reader, miniature):
    np.testing.assert_array_equal(
        reader.open(miniature).read(100, 900), open_source(miniature).read(100, 900)
    )


@pytest.mark.parametrize("unit", ["uV", "mV", "V", "nV"])
def test_edf_units_are_what_the_header_says(tmp_path, unit):
    volts = {"uV": 1e-6, "mV": 1e-3, "V": 1.0, "nV": 1e-9}[unit]
    true_uv = samples_uv(1, 100, 4, channels=1)[0]
    signal_ = edfio.EdfSignal(true_uv * 1e-6 / volts, 100, label="Cz", physical_dimension=unit)
    path = tmp_path / "unit.edf"
    edfio.Edf([signal_]).write(path)
    source = open_source(path)
    assert source.header.units == (unit,)
    np.testing.assert_allclose(source.read(0, 400)[0], true_uv, atol=np.ptp(true_uv) / 2**15)


def test_a_channel_keeps_its_source_rate(tmp_path):
    signals = [
        edfio.EdfSignal(samples_uv(1, 200, 4, channels=1)[0], 200, label="C3", physical_dimension="uV"),
        edfio.EdfSignal(samples_uv(2, 50, 4, channels=1)[0], 50, label="Resp", physical_dimension="uV"),
    ]
    edfio.Edf(signals).write(tmp_path / "mixed.edf")
    assert open_source(tmp_path / "mixed.edf").header.rates == (200.0, 50.0)


def test_gaps_between_records_end_segments(tmp_path):
    path = write_edf(tmp_path / "gap.edf", seconds=10, cues=())
    header = edf.read_header(path)
    data = bytearray(path.read_bytes())
    for record in range(6, 10):  # the last four records start 2.5 s later
        at = header.header_bytes + (record + 1) * header.record_bytes - 2 * header.samples_per_record[-1]
        text = f"+{record + 2.5:g}\x14\x14\x00".encode()
        data[at : at + 2 * header.samples_per_record[-1]] = text.ljust(
            2 * header.samples_per_record[-1], b"\x00"
        )
    path.write_bytes(data)
    found = open_source(path).header
    assert found.segments == ((0.0, 0, 960), (8.5, 960, 1600))
    assert found.duration_s == 12.5


def test_eeglab_boundaries_end_segments_and_give_events_back_their_time(tmp_path):
    info = mne.create_info(["C3", "C4"], 100.0, "eeg")
    raw = mne.io.RawArray(samples_uv(3, 100, 30, channels=2) * 1e-6, info, verbose="error")
    raw.set_annotations(mne.Annotations([5, 10, 20], [0, 4, 0], ["left", "boundary", "right"]))
    mne.export.export_raw(tmp_path / "cut.set", raw, verbose="error")
    header = open_source(tmp_path / "cut.set").header
    (first, second) = header.segments
    assert first == (0.0, 0, 1000)
    assert second == (14.0, 1000, 3000)
    assert [(round(onset, 6), text) for onset, _, text in header.annotations] == [
        (5.0, "left"),
        (24.0, "right"),
    ]


def test_a_pause_in_a_fif_is_no_data(tmp_path):
    info = mne.create_info(["C3", "C4"], 100.0, "eeg")
    raw = mne.io.RawArray(samples_uv(3, 100, 30, channels=2) * 1e-6, info, verbose="error")
    raw.set_annotations(mne.Annotations([8, 3], [4, 0], ["BAD_ACQ_SKIP", "cue"]))
    raw.save(tmp_path / "pause_raw.fif", verbose="error")
    header = open_source(tmp_path / "pause_raw.fif").header
    assert header.segments == ((0.0, 0, 800), (12.0, 1200, 3000))
    assert [text for _, _, text in header.annotations] == ["cue"]


def test_brainvision_is_read_and_may_not_name_files_elsewhere(tmp_path, reader):
    true_uv = samples_uv(4, 500, 4, channels=3)
    pybv.write_brainvision(
        data=true_uv * 1e-6, sfreq=500, ch_names=["Fz", "Cz", "Pz"], fname_base="rec", folder_out=tmp_path
    )
    header = tmp_path / "rec.vhdr"
    np.testing.assert_allclose(reader.open(header).read(0, 2000), true_uv, atol=0.1)
    header.write_text(header.read_text().replace("DataFile=rec.eeg", "DataFile=../../secret.eeg"))
    with pytest.raises(SourceError, match="leads out of the header's folder"):
        reader.header(header)


HOSTILE = {
    "empty.edf": (b"", "empty"),
    "page.edf": (b"<!DOCTYPE html><html><body>Log in</body></html>", "web page"),
    "page.set": (b"\n<html>404</html>", "web page"),
    "pointer.edf": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
        "git-lfs pointer",
    ),
    "annex.bdf": (b"/annex/objects/MD5E-s1--0.bdf\n", "git-annex pointer"),
    "zipped.edf": (b"PK\x03\x04rest", "zip"),
    "packed.edf": (b"\x1f\x8b\x08rest", "gzip"),
    "words.edf": (b"not an EDF at all", "does not begin as EDF files do"),
    "old.cnt": (b"Version 3.0" + bytes(900), "Neuroscan"),
    "notes.txt": (b"hello", "holds words"),
    "notes.xyz": (b"hello", "not supported"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_recording_is_refused_in_words(tmp_path, reader, name):
    content, words = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=words) as caught:
        reader.header(tmp_path / name)
    assert name in caught.value.reason
    assert "\n" not in caught.value.reason


def test_an_edf_of_which_less_than_half_is_there_is_refused_wherever_it_was_cut(tmp_path, miniature):
    whole = miniature.read_bytes()
    for length in (100, 255, 700, edf.read_header(miniature).header_bytes, 4000, len(whole) // 2):
        (tmp_path / "cut.edf").write_bytes(whole[:length])
        with pytest.raises(SourceError, match=r"cut off|ends within its header|header is damaged"):
            open_source(tmp_path / "cut.edf")
    (tmp_path / "cut.edf").write_bytes(whole[:-1])
    header = open_source(tmp_path / "cut.edf").header
    assert header.n_samples == 19 * 160
    assert "cut off" in " ".join(header.notes)


def test_a_transfer_as_text_is_recognised_even_where_the_size_is_right(tmp_path, miniature):
    whole = miniature.read_bytes()
    damaged = whole.replace(b"\n", b"\r\n")
    for content in (damaged, damaged[: len(whole)]):
        (tmp_path / "text.edf").write_bytes(content)
        with pytest.raises(SourceError, match="damaged by a transfer as text"):
            open_source(tmp_path / "text.edf")


def test_a_link_to_content_never_fetched_says_how_to_fetch_it(tmp_path, reader):
    (tmp_path / "a.edf").symlink_to("../.git/annex/objects/xx/MD5E-s1--0.edf")
    (tmp_path / "b.edf").symlink_to("nowhere.edf")
    with pytest.raises(SourceError, match="datalad get"):
        reader.header(tmp_path / "a.edf")
    with pytest.raises(SourceError, match=r"nowhere\.edf, which does not exist"):
        reader.header(tmp_path / "b.edf")


def test_a_reader_that_crashed_is_replaced(miniature):
    with ReaderProcess() as process:
        process.header(miniature)
        first = process.pid
        os.kill(first, signal.SIGSEGV)
        with pytest.raises(SourceError, match=r"mini\.edf crashed the reader \(SIGSEGV\)"):
            process.read(0, 10)
        assert process.open(miniature).read(0, 10).shape == (len(CHANNELS), 10)
        assert process.pid != first


def test_a_reader_that_hangs_is_given_up_and_replaced(miniature):
    with ReaderProcess(time_limit_s=30) as process:
        process.header(miniature)
        process.time_limit_s = 0.5
        os.kill(process.pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(SourceError, match=r"took longer than 0\.5 s"):
            process.read(0, 10)
        assert time.monotonic() - started < 5
        process.time_limit_s = 30
        assert process.header(miniature).n_samples == 3200


def test_a_reader_that_needs_too_much_memory_is_stopped_and_one_that_grew_replaced(tmp_path, miniature):
    long = write_edf(tmp_path / "long.edf", rate_hz=1000, seconds=3000, cues=())
    with ReaderProcess(memory_limit_bytes=512 * 2**20, resident_limit_bytes=1) as process:
        process.header(miniature)
        first = process.pid
        process.header(miniature)
        assert process.pid != first
        samples = process.header(long).n_samples
        with pytest.raises(SourceError, match="needs more memory") as refused:
            process.read(0, samples, [0, 1, 2, 3, 4, 5] * 4)
        assert refused.value.step == "memory"
        assert process.header(miniature).n_samples == 3200


def test_a_reader_ends_with_its_parent(miniature):
    process = ReaderProcess()
    process.header(miniature)
    child = process._child
    child.stdin.close()
    assert child.wait(timeout=20) == 0


@pytest.mark.shared
def test_text_damaged_copies_of_real_recordings_are_refused(zoo_dir: Path, reader):
    paths = sorted((zoo_dir / "odd" / "as_found" / "eegmmidb_crlf").glob("*.edf"))
    assert len(paths) == 3
    for path in paths:
        with pytest.raises(SourceError, match="damaged by a transfer as text"):
            reader.header(path)


def _read_or_reason(reader: ReaderProcess, path: Path) -> str | None:
    try:
        source = reader.open(path)
        fastest = [row for row, rate in enumerate(source.header.rates) if rate == source.rate_hz]
        assert source.read(0, min(source.n_samples, 500), fastest).shape[0] == len(fastest)
    except SourceError as error:
        return error.reason
    return None


@pytest.mark.shared
def test_no_file_of_the_zoo_kills_the_reader_or_fails_without_words(zoo_dir: Path, reader):
    paths = sorted(one for one in zoo_dir.rglob("*") if one.suffix.lower() in READABLE and not one.is_dir())
    reasons = [_read_or_reason(reader, path) for path in paths]
    assert reasons.count(None) >= 60
    assert not [reason for reason in reasons if reason and re.search("crashed|does not explain", reason)]


READABLE = {".edf", ".bdf", ".gdf", ".set", ".fif", ".vhdr", ".cnt"}


@pytest.mark.shared
def test_gaps_that_the_records_tell_are_kept_whatever_the_flag_says(zoo_dir: Path):
    for name in ("edf/edfPlusD.edf", "odd/derived/edfplus_flag_dropped.edf"):
        header = open_source(zoo_dir / name).header
        assert len(header.segments) == 6  # 5 gaps, 9 s of 20 s
        assert header.duration_s == 20
        assert header.n_samples / header.rate_hz == 11
    assert len(open_source(zoo_dir / "edf" / "MB0400FU.EDF").header.segments) == 1  # says EDF+D, has none
