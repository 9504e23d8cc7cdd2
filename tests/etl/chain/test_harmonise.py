"""The signal chain as a whole: what is stored, cut, marked and recorded, and how much memory it takes."""

import json
import tracemalloc
from dataclasses import dataclass

import mne
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal
from threadpoolctl import threadpool_limits

from eegfm_etl.chain.filters import filtered, kernel_for
from eegfm_etl.chain.harmonise import Segment
from eegfm_etl.chain.samples import ArraySource
from eegfm_lake import schema
from eegfm_lake.errors import EegfmError
from eegfm_lake.signals import SignalReader
from eegfm_lake.storage import Storage
from tests.etl.chain import EEG200, NAMES, harmonised, noise, run

EEG_KERNEL = kernel_for("eeg", EEG200, line_freq_hz=None, source_nyquist_hz=100.0)


def params(done, step: str) -> dict:
    return next(json.loads(one["params"]) for one in done.chain["steps"] if one["name"] == step)


def channel(done, name: str) -> dict:
    return next(one for one in done.channels if one["name"] == name)


@given(
    lengths_s=st.lists(st.floats(1.2, 45.0), min_size=1, max_size=3),
    gaps_s=st.lists(st.floats(0.1, 30.0), min_size=3, max_size=3),
    rate_hz=st.sampled_from([100.0, 128.0, 160.0, 200.0, 256.0, 512.0]),
    chunk_s=st.floats(0.05, 50.0),
)
@settings(max_examples=15, deadline=None)
def test_what_is_stored_does_not_depend_on_the_chunks(tmp_path_factory, lengths_s, gaps_s, rate_hz, chunk_s):
    segments, first, start_s = [], 0, 0.0
    for length_s, gap_s in zip(lengths_s, gaps_s, strict=False):
        samples = int(length_s * rate_hz)
        segments.append(Segment(start_s, first, first + samples))
        first, start_s = first + samples, start_s + samples / rate_hz + gap_s
    data_uv = noise(3, first / rate_hz + 1, rate_hz)[:, :first]
    out = tmp_path_factory.mktemp("chunks")
    whole, whole_CN = run(data_uv, rate_hz, out / "whole.parquet", segments=segments, chunk_s=1e6)
    parts, parts_CN = run(data_uv, rate_hz, out / "parts.parquet", segments=segments, chunk_s=chunk_s)
    assert np.array_equal(whole_CN, parts_CN)
    assert whole.signal_file.sha256 == parts.signal_file.sha256
    assert whole.blocks == parts.blocks
    assert sum(one["samples"] for one in whole.segments) == whole.samples == whole_CN.shape[1]


def test_a_recording_too_big_for_memory_is_stored_as_one_that_fits(tmp_path, monkeypatch):
    data_uv = noise(3, 70, 160)
    fits, _ = run(data_uv, 160, tmp_path / "fits.parquet", line_freq_hz=None)
    monkeypatch.setattr("eegfm_etl.chain.strands.IN_MEMORY_BYTES", 1000)
    streamed, _ = run(data_uv, 160, tmp_path / "streamed.parquet", line_freq_hz=None, chunk_s=7.3)
    assert streamed.signal_file.sha256 == fits.signal_file.sha256


def test_what_is_stored_does_not_depend_on_the_threads_of_linear_algebra(tmp_path):
    data_uv = noise(64, 120, 160)
    stored = {}
    for threads in (1, 2, 4):
        with threadpool_limits(threads, user_api="blas"):
            stored[threads], _ = run(data_uv, 160, tmp_path / f"{threads}.parquet")
    assert len({done.signal_file.sha256 for done in stored.values()}) == 1
    assert stored[1].blocks == stored[2].blocks == stored[4].blocks
    assert stored[1].channels == stored[2].channels == stored[4].channels


def test_segments_do_not_look_at_each_other(tmp_path):
    quiet, loud = noise(2, 40, 200), noise(2, 40, 200, seed=1) * 50
    both = [Segment(0.0, 0, 8000), Segment(60.0, 8000, 16000)]
    _, alone_CN = run(quiet, 200, tmp_path / "alone.parquet")
    done, pair_CN = run(np.concatenate([quiet, loud], axis=1), 200, tmp_path / "pair.parquet", segments=both)
    assert np.abs(alone_CN - pair_CN[:, :8000]).max() <= max(one["step"] for one in done.channels) + 1e-3
    assert [one["start_s"] for one in done.segments] == [0.0, 60.0]
    assert [one["first_block"] for one in done.segments] == [0, 4]
    assert [one["start_s"] for one in done.blocks] == [0, 10, 20, 30, 60, 70, 80, 90]
    assert done.duration_s == 100.0


def test_rows_have_the_shape_of_the_lakes_tables(tmp_path):
    done, _ = run(noise(16, 45, 160), 160, tmp_path / "s.parquet", names=NAMES)
    for name in ("segments", "channels", "chain", "spectrum", "blocks"):
        kind = schema.RECORDINGS.field(name).type
        value = getattr(done, name)
        rows = value if isinstance(value, list) else [value]
        fields = (kind.value_type if isinstance(value, list) else kind).names
        assert all(list(row) == fields for row in rows), name
        assert pa.array([value], type=kind).to_pylist()[0] is not None
    reader = SignalReader(Storage(tmp_path), "s.parquet")
    assert reader.channels == NAMES
    assert reader.rate_hz == 200.0
    assert [one["samples"] for one in done.blocks] == reader.block_samples.tolist() == [2000] * 4 + [1000]


@pytest.mark.parametrize("zeros", [0, 1, 80, 144, 400])
def test_padding_at_the_end_is_cut_and_counted(tmp_path, zeros):
    data_uv = np.rint(noise(4, 40, 160)) + 0.25
    padded = np.concatenate([data_uv, np.zeros((4, zeros))], axis=1)
    done, _ = run(padded, 160, tmp_path / "s.parquet")
    assert done.trailing_zeros_cut == zeros
    assert done.samples == 8000
    assert done.duration_s == 40.0


def test_zeros_in_one_channel_are_no_padding(tmp_path):
    data_uv = noise(4, 40, 160)
    data_uv[0, -100:] = 0
    assert run(data_uv, 160, tmp_path / "s.parquet")[0].trailing_zeros_cut == 0


def test_a_recording_of_zeros_is_refused_in_words(tmp_path):
    with pytest.raises(EegfmError, match="zero in all channels"):
        run(np.zeros((4, 16000)), 160, tmp_path / "s.parquet")
    with pytest.raises(EegfmError, match="none of 2 channels"):
        run(noise(2, 40, 160), 160, tmp_path / "s.parquet", names=("Status", "DC1"))


def test_short_segments_are_detrended_and_not_notched_and_say_so(tmp_path):
    data_uv = noise(2, 90, 200) + np.linspace(0, 3000, 18000)
    segments = [
        Segment(0, 0, 8000),
        Segment(50, 8000, 14000),
        Segment(90, 14000, 17000),
        Segment(120, 17000, 17100),
    ]
    done, stored_CN = run(data_uv, 200, tmp_path / "s.parquet", segments=segments)
    said = params(done, "filter")
    assert said["detrended_segments"] == [1, 2]
    assert said["not_notched_segments"] == [2]
    assert params(done, "segments") == {"found": 4, "stored": 3, "trailing_zeros_cut": 0}
    for row in done.segments[1:]:
        piece = stored_CN[:, row["first_sample"] : row["first_sample"] + row["samples"]]
        slope = np.polyfit(np.arange(piece.shape[1]) / 200, piece.T, 1)[0]
        assert np.abs(slope).max() < 0.5  # µV/s, of 33 that went in


def test_what_the_source_cannot_hold_is_left_out_and_recorded(tmp_path):
    low, _ = run(noise(2, 40, 100), 100, tmp_path / "low.parquet", line_freq_hz=60.0)
    said = params(low, "filter")
    assert said["types"]["eeg"]["low_pass_hz"] is None
    assert said["types"]["eeg"]["notches_hz"] == []
    assert len(said["left_out"]) == 2
    assert channel(low, "000")["band_high"] == pytest.approx(42.0)
    high, _ = run(
        noise(2, 40, 512), 512, tmp_path / "high.parquet", line_freq_hz=60.0, hardware_band=(0.5, 70.0)
    )
    assert params(high, "filter")["types"]["eeg"]["notches_hz"] == [60.0]
    assert (channel(high, "000")["band_low"], channel(high, "000")["band_high"]) == (0.5, 70.0)


@pytest.mark.parametrize("line_hz", [50.0, 60.0, None])
def test_the_line_frequency_is_found_in_the_source(tmp_path, line_hz):
    data_uv = noise(4, 40, 250)
    if line_hz:
        data_uv += 5 * np.sin(2 * np.pi * line_hz * np.arange(10000) / 250)
    done, _ = run(data_uv, 250, tmp_path / "s.parquet", line_freq_hz=None)
    assert (done.line_freq_hz, done.line_freq_origin) == (line_hz, line_hz and "detected")


def test_every_type_is_filtered_in_its_own_band(tmp_path):
    times_s = np.arange(40 * 200) / 200
    data_uv = np.tile(100 * np.sin(2 * np.pi * 0.1 * times_s), (5, 1)) + noise(5, 40, 200) * 0.01
    names = ("Cz", "EOG", "ECG", "EMG chin", "Resp")
    done, stored_CN = run(data_uv, 200, tmp_path / "s.parquet", names=names)
    assert [one["type"] for one in done.channels] == ["eeg", "eog", "ecg", "emg", "resp"]
    amplitude = stored_CN[:, 2400:-2400].std(axis=1) * np.sqrt(2)
    assert amplitude[:3].max() < 30
    assert amplitude[3] < 1
    assert amplitude[4] == pytest.approx(100, rel=0.1)
    assert set(params(done, "filter")["types"]) == {"eeg", "eog", "ecg", "emg", "resp"}


def test_the_step_grows_with_the_range_and_saturation_is_counted(tmp_path):
    data_uv = noise(3, 130, 200)
    data_uv[1] *= 400
    data_uv[2, 10000] += 1e6  # one spike in thirteen blocks sets the range of a recording this short
    done, stored_CN = run(data_uv, 200, tmp_path / "s.parquet")
    steps = [one["step"] for one in done.channels]
    assert steps[0] == 0.1
    assert 0.1 < steps[1] < 10
    assert steps[2] > 10
    assert all(one["clipped_samples"] == 0 for one in done.channels)
    assert np.abs(stored_CN[1]).max() > 3276.7


@pytest.mark.parametrize(("scale", "step"), [(1.0, 0.1), (0.2, 0.05), (0.1, 0.02), (0.01, 0.01)])
def test_rounding_stays_small_beside_a_quiet_channel(tmp_path, scale, step):
    data_uv = signal.sosfiltfilt(
        signal.butter(4, (1, 45), "bandpass", fs=200, output="sos"), noise(16, 60, 200), axis=1
    )
    data_uv *= 10 * scale / data_uv.std(axis=1, keepdims=True)
    done, stored_CN = run(data_uv, 200, tmp_path / "s.parquet", line_freq_hz=None)
    assert {one["step"] for one in done.channels} == {step}
    exact_CN = np.concatenate(list(filtered([data_uv.astype(np.float32)], [EEG_KERNEL] * 16, 12000)), axis=1)
    rounding = (stored_CN - exact_CN)[:, 2400:-2400].std(axis=1)
    assert rounding.max() <= 1.05 * step / np.sqrt(12)


@pytest.mark.parametrize("number", [1e300, -1e39, 1e20, np.inf])
def test_a_number_that_is_no_sample_is_stored_as_one_that_is_missing(tmp_path, number):
    data_uv = noise(8, 30, 160)
    data_uv[3, 2000] = np.nan
    missing, missing_CN = run(data_uv, 160, tmp_path / "missing.parquet")
    data_uv[3, 2000] = number
    done, stored_CN = run(data_uv, 160, tmp_path / "number.parquet")
    assert np.array_equal(stored_CN, missing_CN)
    assert done.blocks == missing.blocks


def test_bad_channels_are_marked_with_reasons_and_never_repaired(tmp_path):
    data_uv = noise(16, 60, 160)
    data_uv[3] = 7.0
    data_uv[5] += np.random.default_rng(1).normal(0, 800, data_uv.shape[1])
    data_uv[8] = np.clip(data_uv[8], *np.quantile(data_uv[8], [0.2, 0.8]))
    data_uv[10, 1000:9000] = np.nan
    done, stored_CN = run(data_uv, 160, tmp_path / "s.parquet", names=NAMES)
    reasons = {one["name"]: one["reasons"] for one in done.channels if one["status"] == "bad"}
    assert reasons.keys() == {NAMES[row] for row in (3, 5, 8, 10)}
    assert "constant" in reasons["F4"]
    assert "noisy" in reasons["C4"]
    assert "clipped" in reasons["O1"]
    assert "not finite" in reasons["F7"]
    assert np.ptp(stored_CN[3]) <= 0.2
    assert stored_CN[5].std() > 200
    assert np.isfinite(stored_CN).all()


def test_scale_is_the_robust_standard_deviation_of_the_stored_samples(tmp_path):
    done, stored_CN = run(noise(4, 60, 160), 160, tmp_path / "s.parquet")
    middle = np.median(stored_CN, axis=1, keepdims=True)
    expected = 1.4826 * np.median(np.abs(stored_CN - middle), axis=1)
    assert [one["scale_uv"] for one in done.channels] == pytest.approx(expected, abs=0.16)


def test_spectra_before_and_after_agree_in_the_band_and_differ_at_the_line(tmp_path):
    data_uv = noise(16, 60, 250) + 20 * np.sin(2 * np.pi * 50 * np.arange(15000) / 250)
    done, _ = run(data_uv, 250, tmp_path / "s.parquet", names=NAMES)
    frequencies = np.array(done.spectrum["freqs_hz"])
    before = np.array(done.spectrum["before_uv2_hz"], dtype=float)
    after = np.array(done.spectrum["after_uv2_hz"], dtype=float)
    band = (frequencies >= 2) & (frequencies <= 45)
    assert after[band] == pytest.approx(before[band], rel=0.02)
    assert after[frequencies == 50] < before[frequencies == 50] / 1000


@dataclass(frozen=True)
class Endless:
    """A source that makes its samples when they are read: chunks of any length give the same ones."""

    rate_hz: float
    n_samples: int
    n_channels: int = 4

    def read(self, start: int, stop: int, rows=None) -> np.ndarray:
        times_s = np.arange(start, stop) / self.rate_hz
        frequencies = 3.0 + 4 * np.arange(self.n_channels)[slice(None) if rows is None else rows][:, None]
        return 50 * np.sin(2 * np.pi * frequencies * times_s) + 20 * np.sin(2 * np.pi * 0.01 * times_s)


def peak_bytes(hours: float, tmp_path, monkeypatch) -> int:
    monkeypatch.setattr("eegfm_etl.chain.strands.IN_MEMORY_BYTES", 2**20)
    source = Endless(100.0, int(hours * 3600 * 100))
    tracemalloc.start()
    try:
        harmonised(source, 100.0, tmp_path / "s.parquet", names=NAMES[:4])
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_recordings_length(tmp_path, monkeypatch):
    peak_bytes(0.05, tmp_path, monkeypatch)  # imports count once
    short, long = (peak_bytes(hours, tmp_path, monkeypatch) for hours in (0.1, 0.3))
    more_samples_bytes = 0.2 * 3600 * 200 * 4 * 4  # four channels of float32
    assert long - short < 0.2 * more_samples_bytes  # only the figures of its blocks


@pytest.mark.slow
def test_a_day_is_harmonised_in_bounded_memory(tmp_path, monkeypatch):
    assert peak_bytes(24.0, tmp_path, monkeypatch) < 100e6


@pytest.mark.shared
def test_a_real_recording_is_stored_whole(eegmmidb_dir, tmp_path):
    raw = mne.io.read_raw_edf(next(eegmmidb_dir.rglob("S001R04.edf")), preload=True, verbose="error")
    source = ArraySource(raw.get_data() * 1e6, 160.0)
    done, stored_CN = run(source, 160.0, tmp_path / "s.parquet", names=tuple(raw.ch_names), line_freq_hz=60.0)
    assert stored_CN.shape == (64, 24900)
    assert done.trailing_zeros_cut == 80
    assert {one["status"] for one in done.channels} == {"good"}
    assert params(done, "units")["plausible"]
    assert all(one["clipped_samples"] == 0 and one["step"] == 0.1 for one in done.channels)
