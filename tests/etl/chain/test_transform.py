"""Resampling and filtering in one transform, held to one after the other."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm_etl.chain.filters import filtered, kernel_for
from eegfm_etl.chain.resample import Resampling, resampled
from eegfm_etl.chain.transform import transformed
from eegfm_lake.schema import PROFILES

PROFILE = PROFILES["eeg200"]
RATES_HZ = (1, 12.8, 100, 128, 160, 200, 250, 256, 500, 512, 1000, 1998, 2048, 5000)


def kernels(rate_hz: float, *kinds: str):
    return [kernel_for(kind, PROFILE, line_freq_hz=50.0, source_nyquist_hz=rate_hz / 2) for kind in kinds]


def noise(rate_hz: float, seconds: float, channels: int) -> np.ndarray:
    """Noise, below 0.7 of the stored Nyquist frequency where that is the lower one: above it both ways differ."""
    rng = np.random.default_rng(int(rate_hz))
    n = round(rate_hz * seconds)
    spectrum = np.fft.rfft(rng.standard_normal((channels, n)))
    spectrum[:, np.fft.rfftfreq(n, 1 / rate_hz) > 70] = 0
    return (20 * np.fft.irfft(spectrum, n)).astype(np.float32)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("seconds", [40.0, 300.0])
def test_one_transform_gives_what_two_steps_give(rate_hz, seconds):
    seconds = seconds if rate_hz <= 1000 else 40.0
    x_CN = noise(rate_hz, seconds, 3)
    ratio = Resampling.between(rate_hz, 200, x_CN.shape[1])
    chosen = kernels(rate_hz, "eeg", "emg", "resp")
    total = ratio.stored(x_CN.shape[1])
    two = np.concatenate(list(filtered(resampled([x_CN], ratio, x_CN.shape[1]), chosen, total)), axis=1)
    one = np.concatenate(list(transformed([x_CN], ratio, chosen, x_CN.shape[1])), axis=1)
    assert one.shape == two.shape == (3, total)
    # At the ends one reflects source samples, the other stored ones: no further than the edges that segments state
    edge = max(kernel.half for kernel in chosen) + round(0.2 * 200)
    inside = slice(edge, total - edge)
    assert relative(one[:, inside], two[:, inside]) < 1e-3
    assert np.abs(one).max() < 2 * np.abs(two).max()


def relative(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.max(np.sqrt(np.mean((one - other) ** 2, axis=1) / np.mean(other**2, axis=1))))


@settings(deadline=None, max_examples=15)
@given(rate_hz=st.sampled_from(RATES_HZ[:10]), cut=st.lists(st.integers(1, 4000), min_size=1, max_size=6))
def test_how_the_stream_is_cut_changes_no_sample(rate_hz, cut):
    x_CN = noise(rate_hz, 200.0, 2)
    ratio = Resampling.between(rate_hz, 200, x_CN.shape[1])
    edges = [0, *np.cumsum(cut).clip(max=x_CN.shape[1]).tolist(), x_CN.shape[1]]
    pieces = [x_CN[:, a:b] for a, b in pairwise(edges) if b > a]
    chosen = kernels(rate_hz, "eeg", "eeg")
    whole = np.concatenate(list(transformed([x_CN], ratio, chosen, x_CN.shape[1])), axis=1)
    cut_up = np.concatenate(list(transformed(pieces, ratio, chosen, x_CN.shape[1])), axis=1)
    np.testing.assert_array_equal(whole, cut_up)


@pytest.mark.parametrize("rate_hz", RATES_HZ[2:])
def test_a_sine_keeps_amplitude_and_phase(rate_hz):
    times_s = np.arange(0, 60, 1 / rate_hz)
    frequency = 10.0
    x_CN = (50 * np.sin(2 * np.pi * frequency * times_s))[None].astype(np.float32)
    ratio = Resampling.between(rate_hz, 200, x_CN.shape[1])
    y = np.concatenate(list(transformed([x_CN], ratio, kernels(rate_hz, "eeg"), x_CN.shape[1])), axis=1)[0]
    inside = slice(10 * 200, 50 * 200)
    truth = 50 * np.sin(2 * np.pi * frequency * np.arange(len(y)) / 200)
    np.testing.assert_allclose(y[inside], truth[inside], atol=0.15)
