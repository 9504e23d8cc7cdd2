"""From samples to tokens: patches cut, hidden and embedded, each by itself.

Legend: B windows, C electrodes, P patches, S samples a patch, T samples a window, F frequencies, K virtual
electrodes, D width of a token.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eegfm.model.layout import Layout, per_window
from eegfm.model.mix import SpatialMix
from eegfm.model.presets import EncoderConfig
from eegfm_lake.errors import UsageError

FRAME_S = 0.245
FRAME_STEP_S = 0.125


class PatchEmbedding(nn.Module):
    """A patch's waveform through a small convolutional stack, and the power of its spatially mixed spectrum.

    The stack is normalised over each token alone, so a loud patch changes no other patch. The spectrum is
    complex while electrodes are mixed, and only then becomes power: spatial filtering is linear, and imagery is
    decoded from the power behind such filters. Hidden patches are zeroed before the mix, with every sample that
    they share with their neighbours, and their tokens are replaced by a learned one.
    """

    def __init__(self, config: EncoderConfig, activation: type[nn.Module]) -> None:
        super().__init__()
        self.patch_samples = config.patch_samples
        self.stride_samples = config.stride_samples
        self.wave = WaveStack(config, activation) if config.conv_filters else None
        self.spectrum = SpectralPower(config) if config.spectrum_hz else None
        self.norm = nn.LayerNorm(config.d_model)
        self.hidden = nn.Parameter(torch.randn(config.d_model) * 0.5)

    def forward(self, x_BCT: Tensor, layout: Layout, patch_mask_BCP: Tensor | None) -> Tensor:
        """Return tokens (B, C, P, D)."""
        present_BC = per_window(layout.present_MC, layout.montage_B)
        x_BCT = x_BCT.masked_fill(~present_BC[:, :, None], 0.0)
        if patch_mask_BCP is not None:
            x_BCT = hide(x_BCT, patch_mask_BCP, self.patch_samples, self.stride_samples)
        x_BCPS = cut(x_BCT, self.patch_samples, self.stride_samples)
        tokens_BCPD = torch.zeros([1], device=x_BCT.device, dtype=x_BCT.dtype)
        if self.wave is not None:
            tokens_BCPD = tokens_BCPD + self.wave(x_BCPS)
        if self.spectrum is not None:
            tokens_BCPD = tokens_BCPD + self.spectrum(x_BCPS, layout)
        tokens_BCPD = self.norm(tokens_BCPD)
        if patch_mask_BCP is not None:
            tokens_BCPD = torch.where(
                patch_mask_BCP[..., None], self.hidden.to(tokens_BCPD.dtype), tokens_BCPD
            )
        return tokens_BCPD


def count(n_times: int, patch_samples: int, stride_samples: int) -> int:
    """Patches in a window of ``n_times`` samples; what does not fill a last patch is left out."""
    return (n_times - patch_samples) // stride_samples + 1


def cut(x_BCT: Tensor, patch_samples: int, stride_samples: int) -> Tensor:
    """Cut windows into patches, (B, C, P, S), a view."""
    return x_BCT.unfold(-1, patch_samples, stride_samples)


def hide(x_BCT: Tensor, patch_mask_BCP: Tensor, patch_samples: int, stride_samples: int) -> Tensor:
    """Set every sample of hidden patches to zero, those too that visible patches share with them."""
    overlap = patch_samples // stride_samples
    steps_BCQ = F.pad(patch_mask_BCP.to(x_BCT.dtype), [overlap - 1, overlap - 1])
    steps_BCQ = F.max_pool1d(steps_BCQ, overlap, 1) if overlap > 1 else steps_BCQ
    mask_BCT = steps_BCQ.repeat_interleave(stride_samples, dim=-1)
    # A visible patch at the end may own samples that no patch of the mask covers: they stay.
    mask_BCT = F.pad(mask_BCT, [0, max(0, x_BCT.shape[-1] - mask_BCT.shape[-1])])
    return x_BCT * (1 - mask_BCT[..., : x_BCT.shape[-1]])


def check_length(n_times: int, config: EncoderConfig) -> None:
    """Raise a UsageError if a window is shorter than one patch."""
    if n_times < config.patch_samples:
        raise UsageError(
            f"found windows of {n_times} samples, expected at least one patch of {config.patch_samples};"
            " take longer windows or a smaller patch_samples"
        )


class WaveStack(nn.Module):
    """Two convolutions over a patch of one electrode, normalised over each token alone."""

    def __init__(self, config: EncoderConfig, activation: type[nn.Module]) -> None:
        super().__init__()
        self.frame = round(FRAME_S * config.rate_hz)
        self.step = round(FRAME_STEP_S * config.rate_hz)
        self.padding = self.frame // 2
        self.positions = (config.patch_samples + 2 * self.padding - self.frame) // self.step + 1
        filters = config.conv_filters
        self.first = nn.Linear(self.frame, filters, bias=False)
        self.second = nn.Linear(3 * filters, filters)
        self.norms = nn.ModuleList(nn.LayerNorm([self.positions, filters]) for _ in range(2))
        self.activation = activation()
        self.out = nn.Linear(filters * self.positions, config.d_model)

    def forward(self, x_BCPS: Tensor) -> Tensor:
        """Return (B, C, P, D)."""
        # Convolutions as matrix products over frames: a patch has few frames, and BLAS is at home there.
        frames = F.pad(x_BCPS, [self.padding, self.padding]).unfold(-1, self.frame, self.step)
        h = self.first(frames)
        for i, norm in enumerate(self.norms):
            if i == 1:
                padded = F.pad(h, [0, 0, 1, 1])
                h = self.second(
                    torch.cat([padded[..., :-2, :], padded[..., 1:-1, :], padded[..., 2:, :]], -1)
                )
            h = self.activation(norm(h))
        return self.out(h.flatten(-2))


class SpectralPower(nn.Module):
    """Spectrum of a patch (Hann window, two real matrix products), mixed over electrodes, as standardised log power.

    Each bin is divided by what resting EEG has there, and log(1 + power) has about the same mean and spread in
    every bin; the 1 keeps the deep minima, which a short patch's spectrum has by chance, from ruling the mean.
    """

    basis_SG: Tensor
    scale_F: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        basis_SF, frequencies_F = fourier_basis(config.patch_samples, config.rate_hz, config.spectrum_hz)
        self.register_buffer("basis_SG", torch.from_numpy(basis_SF), persistent=False)
        expected_F = typical_power(frequencies_F)
        self.register_buffer("scale_F", torch.from_numpy(1 / expected_F).float(), persistent=False)
        self.mix = SpatialMix(config.mix_filters) if config.mix_filters else None
        self.filters = max(config.mix_filters, 1)
        self.bins = len(frequencies_F)
        self.gain_K = nn.Parameter(torch.zeros(self.filters))
        self.out = nn.Linear(self.filters * self.bins, config.d_model)

    def forward(self, x_BCPS: Tensor, layout: Layout) -> Tensor:
        """Return (B, C, P, D)."""
        return self.out(self.log_power(x_BCPS, layout).flatten(-2).to(self.out.weight.dtype))

    def log_power(self, x_BCPS: Tensor, layout: Layout) -> Tensor:
        """Return standardised log power (B, C, P, K, F) of every virtual electrode."""
        spectrum_BCPG = torch.matmul(x_BCPS, self.basis_SG)
        mixed_BCPKG = (
            self.mix(spectrum_BCPG, layout) if self.mix is not None else spectrum_BCPG[:, :, :, None]
        )
        real, imaginary = mixed_BCPKG.float().chunk(2, -1)
        power_BCPKF = (real * real + imaginary * imaginary) * self.scale_F
        return torch.log1p(power_BCPKF * self.gain_K.exp()[:, None])


def fourier_basis(samples: int, rate_hz: float, highest_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """DFT matrix (S, 2F), cosines then sines, of a patch without its mean under a Hann window; and its frequencies.

    Scaled so that a sine of amplitude 1 on a bin has power 1; the bin at 0 Hz, which the mean's removal empties, is
    left out.
    """
    bins = np.arange(1, int(highest_hz * samples / rate_hz) + 1)
    n = np.arange(samples)
    window = np.hanning(samples + 1)[:-1]
    angles = 2 * math.pi * np.outer(n, bins) / samples
    basis = np.concatenate([np.cos(angles), np.sin(angles)], 1) * window[:, None] * (2 / window.sum())
    centred = basis - basis.mean(0)
    return centred.astype(np.float32), bins * rate_hz / samples


def typical_power(frequencies_F: np.ndarray) -> np.ndarray:
    """Power that a bin of resting EEG has, in (100 µV)²: 1/f² above 2 Hz, on a floor."""
    return 0.02 / (1 + (frequencies_F / 2) ** 2) + 2e-5
