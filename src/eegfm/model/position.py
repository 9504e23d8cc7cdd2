"""Where and when a token lies: Fourier features, projected. No electrode index, no cap is special."""

import math

import torch
from torch import Tensor, nn

SPACE_FEATURES = 3 + 2 * 3 * 4
TIME_FEATURES = 2 * 8


def space_features(positions_X3: Tensor) -> Tensor:
    """Coordinates in units of 10 cm, and their sines and cosines with wavelengths of 40, 20, 10 and 5 cm."""
    octaves = torch.tensor([1.0, 2.0, 4.0, 8.0], device=positions_X3.device, dtype=positions_X3.dtype)
    angles = (positions_X3.unsqueeze(-1) * (octaves * (math.pi / 2))).flatten(-2)
    return torch.cat([positions_X3, angles.sin(), angles.cos()], -1)


def time_features(times_P: Tensor) -> Tensor:
    """Sines and cosines of time in seconds, with periods from 0.5 to 64 s."""
    periods = 2.0 ** torch.arange(-1, 7, device=times_P.device, dtype=times_P.dtype)
    angles = 2 * math.pi * times_P[:, None] / periods
    return torch.cat([angles.sin(), angles.cos()], -1)


class PositionEmbedding(nn.Module):
    """Fourier features of an electrode's coordinates and of a patch's time, projected and added.

    An electrode without a position gets a learned embedding of its own.
    """

    def __init__(self, d_model: int, step_s: float) -> None:
        super().__init__()
        self.step_s = step_s
        self.space = nn.Sequential(nn.Linear(SPACE_FEATURES, d_model), nn.GELU(), nn.Linear(d_model, d_model))
        self.time = nn.Linear(TIME_FEATURES, d_model, bias=False)
        self.unknown = nn.Parameter(torch.randn(d_model) * 0.5)

    def forward(self, positions_MC3: Tensor, known_MC: Tensor, n_patches: int) -> Tensor:
        """Return the embedding of every electrode and patch, (M, C, P, D)."""
        space_MCD = self.space(space_features(positions_MC3))
        space_MCD = torch.where(known_MC[..., None], space_MCD, self.unknown.to(space_MCD.dtype))
        times_P = torch.arange(n_patches, device=positions_MC3.device, dtype=torch.float32) * self.step_s
        times_PD = self.time(time_features(times_P).to(self.time.weight.dtype))
        return space_MCD[:, :, None] + times_PD
