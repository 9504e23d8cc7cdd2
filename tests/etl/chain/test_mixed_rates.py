"""Channels of different rates in one recording: each is resampled from its own rate, and none changes another."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from eegfm_etl.chain.harmonise import Segment, harmonise
from eegfm_etl.chain.resample import Resampling, resampled
from eegfm_etl.channels import plan_channels
from eegfm_etl.process import harmonise_file
from eegfm_lake.errors import EegfmError
from eegfm_lake.signals import SignalReader
from eegfm_lake.storage import Storage
from tests.etl.chain import EEG200, noise
from tests.etl.edf_bytes import Channel, Edf

SLEEP = (("Fpz", 100.0), ("EOG", 100.0), ("EMG chin", 10.0), ("Resp", 1.0))


@dataclass(frozen=True)
class Mixed:
    """Channels of several rates in memory; `read` counts at the rows' own rate, as the reader does."""

    data: tuple[np.ndarray, ...]
    rates: tuple[float, ...]

    @property
    def rate_hz(self) -> float:
        return max(self.rates)

    @property
    def n_samples(self) -> int:
        return len(self.data[self.rates.index(self.rate_hz)])

    def read(self, start, stop, rows=None):
        rows = range(len(self.data)) if rows is None else rows
        assert len({self.rates[row] for row in rows}) == 1
        return np.stack([self.data[row][start:stop] for row in rows]).astype(float)


def mixed(seconds: float, channels=SLEEP, seed: int = 0) -> Mixed:
    rates = tuple(rate for _, rate in channels)
    longest = round(seconds * max(rates))
    data = [
        noise(1, seconds + 2 / rate, rate, seed + row)[0, : round(longest * (rate / max(rates)))]
        for row, rate in enumerate(rates)
    ]
    return Mixed(tuple(data), rates)


def stored(source: Mixed, out: Path, channels=SLEEP, segments=None, chunk_s=60.0, line=50.0):
    names, rates = zip(*channels, strict=True)
    done = harmonise(
        source,
        plan_channels(names, ["eeg"] * len(names), None, rates),
        profile=EEG200,
        segments=segments or [Segment(0.0, 0, source.n_samples)],
        line_freq_hz=line,
        line_freq_origin=None if line is None else "declared",
        hardware_band=None,
        out=out,
        chunk_s=chunk_s,
    )
    reader = SignalReader(Storage(out.parent), out.name)
    return done, reader.read_uv(0, reader.n_samples)


def params(done, step: str) -> dict:
    return next(json.loads(one["params"]) for one in done.chain["steps"] if one["name"] == step)


@settings(deadline=None, max_examples=12)
@given(
    rates=st.lists(
        st.sampled_from([0.5, 1.0, 4.0, 12.8, 92.93, 100.0, 128.0, 200.0, 256.0, 499.9, 1998.0]),
        min_size=2,
        max_size=3,
        unique=True,
    ),
    lengths_s=st.lists(st.floats(1.5, 25), min_size=1, max_size=3),
    chunk_s=st.floats(0.05, 20),
    in_memory=st.booleans(),
)
def test_what_is_stored_does_not_depend_on_the_chunks(tmp_path_factory, rates, lengths_s, chunk_s, in_memory):
    out = tmp_path_factory.mktemp("mixed")
    channels = [(name, rate) for rate in rates for name in (f"EEG {rate:g}a", f"EEG {rate:g}b")]
    source = mixed(sum(lengths_s) + 2, channels)
    edges = np.round(np.cumsum([0, *lengths_s]) * source.rate_hz).astype(int)
    segments = [Segment(40.0 * k, int(a), int(b)) for k, (a, b) in enumerate(pairwise(edges))]
    whole, whole_CN = stored(source, out / "whole.parquet", channels, segments, 1e6, line=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eegfm_etl.chain.strands.IN_MEMORY_BYTES", 2**28 if in_memory else 0)
        parts, parts_CN = stored(source, out / "parts.parquet", channels, segments, chunk_s, line=None)
    np.testing.assert_array_equal(whole_CN, parts_CN)
    assert whole.signal_file.sha256 == parts.signal_file.sha256
    assert whole.blocks == parts.blocks
    assert sum(one["samples"] for one in whole.segments) == whole.samples


def test_a_channel_beside_slower_and_faster_ones_is_stored_as_alone(tmp_path):
    channels = (
        ("Fpz", 100.0),
        ("C3", 500.0),
        ("EMG chin", 10.0),
        ("Resp", 1.0),
        ("Cz", 500.0),
        ("O1", 100.0),
    )
    source = mixed(70, channels)
    done, all_CN = stored(source, tmp_path / "all.parquet", channels)
    for rate in (1.0, 10.0, 100.0, 500.0):
        rows = [row for row, own in enumerate(source.rates) if own == rate]
        alone = Mixed(tuple(source.data[row] for row in rows), (rate,) * len(rows))
        one, alone_CN = stored(alone, tmp_path / "one.parquet", [channels[row] for row in rows])
        np.testing.assert_array_equal(all_CN[rows], alone_CN)
        for row, channel in zip(rows, one.channels, strict=True):
            same = ("name", "band_low", "band_high", "step", "clipped_samples", "scale_uv", "source_rate")
            assert [done.channels[row][key] for key in same] == [channel[key] for key in same]


def test_slow_channels_keep_their_shape_and_say_what_was_left_out(tmp_path):
    times_s = np.arange(120)
    breath = 100 * np.sin(2 * np.pi * 0.1 * times_s)
    fast = noise(2, 120, 100)
    source = Mixed((fast[0], fast[1], noise(1, 120, 10)[0], breath), tuple(rate for _, rate in SLEEP))
    done, stored_CN = stored(source, tmp_path / "s.parquet")
    middle = slice(2400, -2400)
    true = 100 * np.sin(2 * np.pi * 0.1 * np.arange(24000) / 200)
    np.testing.assert_allclose(stored_CN[3, middle], true[middle], atol=2)
    assert [one["band_high"] for one in done.channels] == pytest.approx([42, 42, 4.2, 0.42])
    said = params(done, "resample")
    assert (said["from_hz"], said["up"], said["down"]) == (100, 2, 1)
    assert [(one["from_hz"], one["up"], one["down"]) for one in said["rates"]] == [
        (100, 2, 1),
        (10, 20, 1),
        (1, 200, 1),
    ]
    left_out = params(done, "filter")["left_out"]
    assert "high-pass 10 Hz: a source ends at 5 Hz" in left_out
    assert "low-pass 15 Hz: a source ends at 0.5 Hz" in left_out


@pytest.mark.parametrize("zeros_s", [0.0, 1.5, 10.0])
def test_padding_is_cut_where_every_channel_of_every_rate_is_zero(tmp_path, zeros_s):
    source = mixed(40)
    for row, (_, rate) in enumerate(SLEEP):
        source.data[row][len(source.data[row]) - int(zeros_s * rate) :] = 0
    done, _ = stored(source, tmp_path / "s.parquet")
    assert done.trailing_zeros_cut == int(zeros_s // 1 * 100)  # the slowest channel's last sample is a second
    source.data[3][-1] = 7.0
    assert stored(source, tmp_path / "s.parquet")[0].trailing_zeros_cut == 0


def test_a_fast_channel_that_is_not_stored_changes_nothing(tmp_path):
    channels = (("Status", 1000.0), ("C3", 100.0), ("C4", 100.0))
    source = mixed(30, channels)
    _, beside_CN = stored(source, tmp_path / "a.parquet", channels)
    alone = Mixed(source.data[1:], source.rates[1:])
    done, alone_CN = stored(alone, tmp_path / "b.parquet", channels[1:])
    np.testing.assert_array_equal(beside_CN, alone_CN)
    assert done.samples == 6000


def test_a_channel_too_slow_or_too_fast_for_any_biosignal_is_listed(tmp_path):
    channels = (("C3", 100.0), ("Resp", 0.1))
    done, stored_CN = stored(mixed(60, channels), tmp_path / "s.parquet", channels)
    assert stored_CN.shape[0] == 1
    assert "too few" in done.channels[1]["reasons"][0]
    fast = Mixed((np.zeros(20_000_000), mixed(10, channels).data[0]), (2e6, 100.0))
    done, _ = stored(fast, tmp_path / "s.parquet", (("C4", 2e6), ("C3", 100.0)))
    assert "too many" in done.channels[1]["reasons"][0]
    with pytest.raises(EegfmError, match="none of 1"):
        stored(mixed(60, channels[1:]), tmp_path / "s.parquet", channels[1:])


@pytest.mark.parametrize(
    "rate_hz", [0.5, 1.0, 2.0, 12.8, 92.93, 99.999, 100.0, 128.0, 255.99887, 499.9, 1998.0, 5000.0, 49999.7]
)
def test_any_rate_is_stored_at_200_hz(tmp_path, rate_hz):
    seconds = 40 if rate_hz < 10000 else 5
    n = int(seconds * rate_hz)
    frequency = min(10.0, 0.2 * rate_hz)
    wave = 50 * np.sin(2 * np.pi * frequency * np.arange(n) / rate_hz)
    channels = (("C3", rate_hz), ("C4", rate_hz))
    done, stored_CN = stored(
        Mixed((wave, wave), (rate_hz, rate_hz)), tmp_path / "s.parquet", channels, line=None
    )
    assert done.samples == pytest.approx(seconds * 200, abs=2 + 200 / rate_hz)
    if rate_hz >= 12.8 and seconds > 33:
        true = 50 * np.sin(2 * np.pi * frequency * np.arange(done.samples) / 200)
        assert np.abs(stored_CN[0] - true)[2000:-2000].max() < 1.0


@settings(deadline=None, max_examples=200)
@given(rate_hz=st.floats(0.5, 50_000), hours=st.floats(0.001, 24))
def test_every_ratio_is_small_enough_to_compute_and_drifts_little(rate_hz, hours):
    samples = int(hours * 3600 * rate_hz) + 1
    ratio = Resampling.between(rate_hz, 200.0, samples)
    assert 1 <= min(ratio.up, ratio.down) <= max(ratio.up, ratio.down) <= 2**16
    assert (
        ratio.drift_s(rate_hz, 200.0, samples) < 2e-5 * samples / rate_hz + 0.1 / 200
    )  # a quartz drifts as much


@pytest.mark.parametrize("rate_hz", [92.93, 499.9, 1998.0])
def test_odd_rates_are_resampled_as_scipy_does(rate_hz):
    ratio = Resampling.between(rate_hz, 200.0, 4000)
    data = noise(2, 4000 / rate_hz, rate_hz)[:, :4000]
    data -= data.mean(axis=1, keepdims=True)
    ours = np.concatenate(list(resampled([data.astype(np.float32)], ratio, 4000)), axis=1)
    theirs = signal.resample_poly(data, ratio.up, ratio.down, axis=1)
    inside = slice(100, -100)
    np.testing.assert_allclose(ours[:, inside], theirs[:, inside], atol=1e-3 * np.abs(data).max())


def test_a_sleep_recording_is_stored_with_every_channel_at_its_own_rate(tmp_path):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 2, 60) * 1000 + 500
    channels = [
        Channel(name, rng.integers(-900, 900, 60 * 100))
        for name in ("EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal")
    ]
    channels.append(Channel("Resp oro-nasal", levels, "uV"))
    path = tmp_path / "psg.edf"
    path.write_bytes(Edf(channels, 2, 30).bytes())
    row, signal_file = harmonise_file(path, tmp_path)
    assert [one["source_rate"] for one in row["channels"]] == [100.0, 100.0, 100.0, 1.0]
    reader = SignalReader(Storage(tmp_path), signal_file.path.name)
    breath = reader.read_uv(0, reader.n_samples)[3]
    assert breath.shape == (12000,)
    # The polyphase kernel goes through the samples that it was given; the offset is taken off
    found, given_uv = breath[1000:-1000:200], levels[5:-5] * 0.1
    np.testing.assert_allclose(found - found.mean(), given_uv - given_uv.mean(), atol=1)


@pytest.mark.shared
def test_a_real_sleep_recording_is_stored(zoo_dir: Path, tmp_path):
    row, _ = harmonise_file(zoo_dir / "edf" / "short_psg.edf", tmp_path)
    rates = {one["source_name"]: one["source_rate"] for one in row["channels"]}
    assert rates["EEG Fpz-Cz"] == 100.0
    assert rates["Resp oro-nasal"] == 1.0
