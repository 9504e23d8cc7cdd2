"""Caps and signals that the model's tests read."""

import numpy as np
import torch

from eegfm_lake import electrodes

CAP_64 = [
    "FC5",
    "FC3",
    "FC1",
    "FCz",
    "FC2",
    "FC4",
    "FC6",
    "C5",
    "C3",
    "C1",
    "Cz",
    "C2",
    "C4",
    "C6",
    "CP5",
    "CP3",
    "CP1",
    "CPz",
    "CP2",
    "CP4",
    "CP6",
    "Fp1",
    "Fpz",
    "Fp2",
    "AF7",
    "AF3",
    "AFz",
    "AF4",
    "AF8",
    "F7",
    "F5",
    "F3",
    "F1",
    "Fz",
    "F2",
    "F4",
    "F6",
    "F8",
    "FT7",
    "FT8",
    "T7",
    "T8",
    "T9",
    "T10",
    "TP7",
    "TP8",
    "P7",
    "P5",
    "P3",
    "P1",
    "Pz",
    "P2",
    "P4",
    "P6",
    "P8",
    "PO7",
    "PO3",
    "POz",
    "PO4",
    "PO8",
    "O1",
    "Oz",
    "O2",
    "Iz",
]
CAP_22 = [
    "Fz",
    "FC3",
    "FC1",
    "FCz",
    "FC2",
    "FC4",
    "C5",
    "C3",
    "C1",
    "Cz",
    "C2",
    "C4",
    "C6",
    "CP3",
    "CP1",
    "CPz",
    "CP2",
    "CP4",
    "P1",
    "Pz",
    "P2",
    "POz",
]
CAP_19 = [
    "Fp1",
    "Fp2",
    "F3",
    "F4",
    "C3",
    "C4",
    "P3",
    "P4",
    "O1",
    "O2",
    "F7",
    "F8",
    "T7",
    "T8",
    "P7",
    "P8",
    "Fz",
    "Cz",
    "Pz",
]


def positions(names: list[str]) -> torch.Tensor:
    """Template positions (C, 3); NaN for names that no template knows."""
    return torch.from_numpy(electrodes.positions(names)).float()


def eeg(batch: int, channels: int, samples: int, seed: int = 0) -> torch.Tensor:
    """Noise with a spectrum like EEG's, in units of 100 µV."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal((batch, channels, samples)))
    spectrum /= np.maximum(np.fft.rfftfreq(samples, 1 / 200), 1.0)
    noise = np.fft.irfft(spectrum, samples)
    return torch.from_numpy(0.25 * noise / noise.std()).float()


def lateralised(
    n: int, channels: torch.Tensor, seed: int, drop: float = 0.6
) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows of 4 s whose 10 Hz rhythm is weaker over one hand area; its phase tells nothing."""
    rng = np.random.default_rng(seed)
    x = eeg(n, len(channels), 800, seed).numpy()
    times = np.arange(800) / 200
    label = rng.integers(0, 2, n)
    hands = positions(["C3", "C4"]).numpy()
    for side in range(2):
        reach = np.exp(-(((channels.numpy() - hands[side]) ** 2).sum(1)) / (2 * 0.03**2))
        amplitude = 0.12 * np.where(label == side, 1 - drop, 1.0) * np.exp(0.2 * rng.standard_normal(n))
        phase = 2 * np.pi * rng.random((n, 1)) + np.cumsum(0.1 * rng.standard_normal((n, 800)), 1)
        rhythm = np.cos(2 * np.pi * 10 * times + phase) * amplitude[:, None]
        x += reach[None, :, None] * rhythm[:, None]
    return torch.from_numpy(x).float(), torch.from_numpy(label)
