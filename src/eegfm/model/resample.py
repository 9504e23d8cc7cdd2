"""From any sampling rate to the encoder's: one polyphase filter, part of the network."""

from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

ZERO_CROSSINGS = 24
ROLLOFF = 0.95
KAISER_BETA = 8.0
LONGEST_RATIO = 1000


class Resample(nn.Module):
    """Windowed-sinc interpolation (Kaiser, 24 zero crossings), the edges held; nothing where rates are equal.

    Parameters
    ----------
    from_hz, to_hz
        Sampling rates; their ratio is taken to the nearest of whole numbers up to 1000, less than one sample in a
        million away.
    """

    kernels: Tensor

    def __init__(self, from_hz: float, to_hz: float) -> None:
        super().__init__()
        ratio = Fraction(to_hz / from_hz).limit_denominator(LONGEST_RATIO)
        self.up, self.down = ratio.numerator, ratio.denominator
        self.same = self.up == self.down
        bandwidth = ROLLOFF * min(1.0, self.up / self.down)
        self.reach = int(np.ceil(ZERO_CROSSINGS / bandwidth))
        # Output u of a period lies u * down / up input samples after the period's start.
        taps = np.arange(-self.reach, self.reach + self.down + 1)
        distance = taps[None] - np.arange(self.up)[:, None] * self.down / self.up
        window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (distance / (self.reach + 1)) ** 2, 0, None)))
        kernels = np.sinc(distance * bandwidth) * window * (np.abs(distance) <= self.reach + 1)
        kernels /= kernels.sum(1, keepdims=True)
        self.register_buffer("kernels", torch.tensor(kernels[:, None], dtype=torch.float32), persistent=False)

    def n_times(self, n_times: int) -> int:
        """Return the number of samples after resampling."""
        return -(-n_times * self.up // self.down)

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Resample windows (B, C, T)."""
        if self.same:
            return x_BCT
        batch, channels, times = x_BCT.shape
        wanted = -(-times * self.up // self.down)
        periods = -(-wanted // self.up)
        rows = x_BCT.reshape(batch * channels, 1, times)
        after = self.reach + 1 + periods * self.down - times + self.down
        rows = F.pad(rows, [self.reach, max(after, 0)], mode="replicate")
        phases = F.conv1d(rows, self.kernels.to(rows.dtype), stride=self.down)
        return phases[:, :, :periods].transpose(1, 2).reshape(batch, channels, -1)[:, :, :wanted]
