"""Spectrum, waveform and resampling against formulas and independent implementations."""

import numpy as np
import pytest
import torch

from eegfm.model import layout_of, preset
from eegfm.model.patches import SpectralPower, fourier_basis, hide
from eegfm.model.resample import Resample
from tests.eegfm.model.caps import eeg, positions


@pytest.mark.parametrize("samples", [100, 200])
def test_the_fourier_basis_is_numpys_transform_under_a_hann_window(samples: int):
    basis, frequencies = fourier_basis(samples, 200.0, 75.0)
    patch = np.random.default_rng(0).standard_normal(samples)
    window = np.hanning(samples + 1)[:-1]
    expected = np.fft.rfft((patch - patch.mean()) * window)[1 : len(frequencies) + 1] * 2 / window.sum()
    real, imaginary = np.split(patch @ basis, 2)
    assert np.allclose(real, expected.real, atol=1e-6)
    assert np.allclose(imaginary, -expected.imag, atol=1e-6)
    assert frequencies[0] == 200 / samples
    assert 73 < frequencies[-1] <= 75


def test_a_sine_has_its_squared_amplitude_as_power():
    basis, frequencies = fourier_basis(200, 200.0, 75.0)
    real, imaginary = np.split(0.3 * np.sin(2 * np.pi * 10 * np.arange(200) / 200 + 1) @ basis, 2)
    assert (real**2 + imaginary**2)[frequencies == 10] == pytest.approx(0.09, rel=1e-3)


def test_a_large_drift_does_not_drown_the_mu_band():
    torch.manual_seed(0)
    power = SpectralPower(preset("tiny", 4, mix_filters=0))
    layout = layout_of(positions(["C3"])[None])
    x = eeg(1, 1, 100)
    drift = 5 + 0.5 * torch.cos(2 * torch.pi * 2 * torch.arange(100) / 200)
    change = power.log_power((x + drift)[:, :, None], layout) - power.log_power(x[:, :, None], layout)
    assert change[..., 4:].abs().max() < 1e-3  # from 10 Hz on


def test_hiding_a_patch_hides_the_samples_it_shares():
    mask = torch.zeros(1, 1, 15, dtype=torch.bool)
    mask[0, 0, 3] = True
    kept = hide(torch.ones(1, 1, 820), mask, 100, 50)[0, 0]
    assert (kept == 0).nonzero().flatten().tolist() == list(range(150, 250))


@pytest.mark.parametrize("rate_hz", [100, 128, 160, 250, 256, 500, 512, 1000])
def test_resampling_keeps_sines(rate_hz: int):
    resample = Resample(rate_hz, 200)
    for hz in (3, 10, 0.4 * min(rate_hz, 200)):
        sine = torch.sin(2 * torch.pi * hz * torch.arange(4 * rate_hz) / rate_hz + 0.3)
        out = resample(sine[None, None])[0, 0]
        expected = torch.sin(2 * torch.pi * hz * torch.arange(len(out)) / 200 + 0.3)
        assert len(out) == resample.n_times(4 * rate_hz) == 800
        assert (out - expected)[150:-150].abs().max() < 2e-3


def test_resampling_leaves_no_alias():
    sine = torch.sin(2 * torch.pi * 120 * torch.arange(2000) / 500)
    assert Resample(500, 200)(sine[None, None])[0, 0, 150:-150].abs().max() < 1e-2


def test_resampling_keeps_a_constant_to_the_edges():
    assert torch.allclose(
        Resample(250, 200)(torch.full((1, 1, 1000), 3.0)), torch.full((1, 1, 800), 3.0), atol=1e-5
    )


def test_equal_rates_are_left_alone():
    x = eeg(1, 2, 800)
    assert Resample(200, 200)(x) is x
