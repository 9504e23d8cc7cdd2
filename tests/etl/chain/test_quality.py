"""Figures and judgements of blocks."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from eegfm_etl.chain import quality, spectra
from eegfm_etl.chain.medians import median
from eegfm_lake import electrodes
from tests.etl.chain import NAMES, noise

RATE_HZ = 250.0


def blocks_of(data_uv: np.ndarray, rate_hz: float = RATE_HZ, lines=(50.0, 60.0)):
    n = min(round(10 * rate_hz), data_uv.shape[1])
    return quality.source_blocks(data_uv.reshape(len(data_uv), -1, n), rate_hz, lines)[0]


@given(st.sampled_from([100.0, 160.0, 250.0, 512.0]), st.integers(0, 5))
@settings(deadline=None)
def test_the_spectrum_is_that_of_an_independent_implementation(rate_hz, seed):
    data_uv = noise(2, 10, rate_hz, seed)
    psd_CF = spectra.spectrum(spectra.without_mean(data_uv)[0], rate_hz)
    n = data_uv.shape[1]
    freqs, expected = signal.periodogram(data_uv, rate_hz, window=np.hanning(n), detrend="constant")
    for column, centre in enumerate(spectra.FREQS_HZ):
        inside = (freqs >= centre - 0.25) & (freqs < centre + 0.25)
        if centre + 0.25 <= rate_hz / 2:
            assert psd_CF[:, column] == pytest.approx(expected[:, inside].mean(axis=1), rel=1e-3)
        else:
            assert np.isnan(psd_CF[:, column]).all()


def test_a_block_too_short_for_a_spectrum_says_unknown():
    blocks = blocks_of(noise(2, 1.5, RATE_HZ))
    assert np.isnan(blocks.line_ratios).all()
    assert np.isnan(blocks.high_freq).all()


@pytest.mark.parametrize("line_hz", [50.0, 60.0])
def test_the_line_ratio_grows_with_hum_at_that_frequency_only(line_hz):
    data_uv = noise(2, 10, RATE_HZ)
    data_uv[1] += 20 * np.sin(2 * np.pi * line_hz * np.arange(2500) / RATE_HZ)
    blocks = blocks_of(data_uv)
    at = (50.0, 60.0).index(line_hz)
    assert blocks.line_ratios[0, at, 1] > 100 * blocks.line_ratios[0, at, 0]
    assert blocks.line_ratios[0, 1 - at, 1] < 4
    assert quality.detect_line(blocks, (50.0, 60.0), np.array([1])) == line_hz
    assert quality.detect_line(blocks, (50.0, 60.0), np.array([0])) is None


def test_a_source_that_ends_below_the_line_has_no_ratio_there():
    blocks = blocks_of(noise(2, 10, 100.0), 100.0)
    assert np.isnan(blocks.line_ratios[:, 1]).all()
    assert np.isnan(blocks.high_freq).all()


@given(st.floats(0.05, 0.4))
@settings(deadline=None)
def test_samples_at_the_rail_are_counted(share):
    data_uv = np.tile(np.random.default_rng(0).normal(0, 30, (1, 10000)), (2, 1))
    low, high = np.quantile(data_uv[1], [share / 2, 1 - share / 2])
    data_uv[1] = np.clip(data_uv[1], low, high)
    found = quality.clipped_shares(blocks_of(data_uv))
    assert found[:, 0].tolist() == [0.0] * 4
    assert found[:, 1].mean() == pytest.approx(share, abs=0.01)


def test_a_natural_extreme_of_coarse_samples_is_no_rail():
    assert quality.clipped_shares(blocks_of(np.rint(noise(4, 120, RATE_HZ)))).max() == 0


def test_neighbours_are_the_nearest_electrodes():
    names = ("C3", "C1", "C5", "FC3", "CP3", "O2", "Fp2")
    assert set(quality.neighbours(electrodes.positions(names))[0]) == {1, 2, 3, 4}
    unknown = quality.neighbours(np.full((3, 3), np.nan))
    assert [set(row) for row in unknown] == [{1, 2}, {0, 2}, {0, 1}]


def test_a_channel_unlike_its_neighbours_is_found_on_the_temporary_reference():
    data_uv = noise(16, 10, RATE_HZ)
    data_uv -= data_uv.mean(axis=1, keepdims=True)
    data_uv[5] = np.random.default_rng(9).normal(0, 20, data_uv.shape[1])
    near = quality.neighbours(electrodes.positions(NAMES))
    (found,) = quality.neighbour_correlation(data_uv[:, None], np.ones((1, 16), bool), near)
    assert found.argmin() == 5
    assert found[5] < quality.UNCORRELATED < np.delete(found, 5).min()
    few = quality.neighbour_correlation(data_uv[:, None], np.arange(16)[None] < 7, near)
    assert np.isnan(few).all()


def test_a_good_recording_has_no_faults_and_each_fault_has_its_name():
    data_uv = noise(16, 10, RATE_HZ)
    rng = np.random.default_rng(3)
    data_uv[2] = 5.0
    data_uv[4] *= 30
    data_uv[6] += signal.sosfilt(
        signal.butter(4, 65, "high", fs=RATE_HZ, output="sos"), rng.normal(0, 60, 2500)
    )
    blocks = blocks_of(data_uv)
    rows = np.arange(16)
    near = quality.neighbours(electrodes.positions(NAMES))
    centred = data_uv - data_uv.mean(axis=1, keepdims=True)
    correlation = quality.neighbour_correlation(centred[:, None], ~blocks.flat, near)
    judged = quality.Judged(
        blocks.flat,
        np.zeros((1, 16)),
        blocks.broken / 2500,
        blocks.high_freq,
        quality.robust_sd(data_uv)[None],
        correlation,
    )
    found = quality.faults(judged, rows)[:, 0]
    reasons = {row: {quality.REASONS[i] for i in np.flatnonzero(found[:, row])} for row in rows}
    assert reasons[2] == {"flat"}
    assert "noisy" in reasons[4]
    assert "high frequency noise" in reasons[6]
    assert all(not reasons[row] for row in rows if row not in (2, 4, 6))


def test_robust_sd_is_the_standard_deviation_of_gaussian_noise():
    data = np.random.default_rng(0).normal(0, 7, (3, 50000))
    assert quality.robust_sd(data) == pytest.approx(7, rel=0.03)


def test_two_sines_are_no_twins_and_a_copy_is():
    times = np.arange(round(60 * RATE_HZ)) / RATE_HZ
    data = np.stack([100 * np.sin(2 * np.pi * hz * times) for hz in (1.0, 17.0, 1.0)])
    assert quality.twins(blocks_of(data), ["eeg"] * 3) == {0: [2], 2: [0]}
    assert quality.twins(blocks_of(data), ["eeg", "eeg", "ecg"]) == {}


def test_channels_that_never_change_are_told_apart():
    data = noise(4, 30, RATE_HZ)
    data[1], data[2] = 0.0, -5.0
    assert quality.standing(blocks_of(data)) == {1: "all zero", 2: "constant"}
    assert quality.twins(blocks_of(data), ["eeg"] * 4) == {}


@given(st.integers(0, 9), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_medians_are_those_of_numpy_whatever_is_unknown(rows, columns, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, columns))
    values[rng.random((rows, columns)) < rng.choice([0.0, 0.3, 1.0])] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.nanmedian(values, axis=1)
    np.testing.assert_array_equal(median(values), expected)
