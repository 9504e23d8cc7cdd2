"""Cross-scale spatiotemporal tokenization: kernels of several widths over patches, then over neighbours on the head.

Legend: B windows, M montages, C electrodes, P patches, N neighbours, G groups of features, D width of a
token.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eegfm.model.layout import Layout, per_window
from eegfm.model.position import SPACE_FEATURES, space_features
from eegfm.model.presets import EncoderConfig
from eegfm.model.recompute import made_again

OFFSET_HIDDEN = 32
GROUP_WIDTH = 8


class TemporalTokenizer(nn.Module):
    """Kernels over patches; the wider a kernel, the narrower its output; outputs are concatenated to d_model.

    A true convolution along time of the residual stream's normalised copy (arXiv 2506.23075, cross-scale
    temporal tokenization).
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.scales = list(config.scales)
        self.widths = list(config.scale_widths)
        self.norm = nn.LayerNorm(config.d_model)
        taps = sum(scale * width for scale, width in zip(self.scales, self.widths, strict=True))
        self.taps = nn.Linear(config.d_model, taps, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.d_model))
        with torch.no_grad():
            for scale, weight in zip(self.scales, self.taps.weight.split(self.rows()), strict=True):
                bound = (scale * config.d_model) ** -0.5
                weight.uniform_(-bound, bound)

    def forward(self, h_BCPD: Tensor) -> Tensor:
        """Return the tokenizer's contribution, (B, C, P, D)."""
        # Every tap of every kernel in one wide matrix product; then the narrow results are shifted and summed.
        if torch.jit.is_scripting():  # noqa: SIM108 - the compiler of scripts leaves out whole branches alone
            z = self.taps(self.norm(h_BCPD))
        else:
            z = made_again(self.norm, h_BCPD, self.taps)
        patches = z.shape[2]
        scales: list[Tensor] = []
        for i, tapped in enumerate(z.split(self.rows(), -1)):
            reach = self.scales[i] // 2
            total = tapped[..., reach * self.widths[i] : (reach + 1) * self.widths[i]]
            for j, tap in enumerate(tapped.split(self.widths[i], -1)):
                if j != reach and abs(j - reach) < patches:
                    total = total + F.pad(tap, [0, 0, reach - j, j - reach])
            scales.append(total)
        return torch.cat(scales, -1) + self.bias

    def rows(self) -> list[int]:
        """Return how many outputs each scale's taps have together."""
        return [scale * width for scale, width in zip(self.scales, self.widths)]  # noqa: B905 - TorchScript


class SpatialTokenizer(nn.Module):
    """Kernels over an electrode's nearest neighbours, those of its region first, weighted by where they lie.

    A kernel of width k joins the electrode and its k - 1 nearest; its weights are a learned function of the
    neighbour's offset, so the same kernel fits every cap (arXiv 2506.23075, cross-scale spatial tokenization,
    there over an electrode's index). Each scale has several such kernels, one for each group of its features.
    """

    tap_GN: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.d_model)
        self.project = nn.Linear(config.d_model, config.d_model)
        self.group = math.gcd(GROUP_WIDTH, *config.scale_widths)
        taps = [
            k
            for k, width in zip(config.scales, config.scale_widths, strict=True)
            for _ in range(width // self.group)
        ]
        tap_GN = torch.arange(max(config.scales)) < torch.tensor(taps)[:, None]
        self.register_buffer("tap_GN", tap_GN, persistent=False)
        self.kernel = nn.Sequential(
            nn.Linear(SPACE_FEATURES, OFFSET_HIDDEN), nn.GELU(), nn.Linear(OFFSET_HIDDEN, len(taps))
        )

    def forward(self, h_BCPD: Tensor, layout: Layout) -> Tensor:
        """Return the tokenizer's contribution, (B, C, P, D)."""
        batch, channels, patches, width = h_BCPD.shape
        if torch.jit.is_scripting():  # noqa: SIM108
            z = self.project(self.norm(h_BCPD))
        else:
            z = made_again(self.norm, h_BCPD, self.project)
        z = z.view(batch, channels, patches, -1, self.group)
        kernel_MGCC = self.kernels(layout).to(z.dtype)
        if kernel_MGCC.shape[0] == 1:  # one montage: no copy of its kernels for every window
            z_GCX = z.permute(3, 1, 0, 2, 4).reshape(-1, channels, batch * patches * self.group)
            mixed = torch.bmm(kernel_MGCC[0], z_GCX).view(-1, channels, batch, patches, self.group)
            return mixed.permute(2, 1, 3, 0, 4).reshape(batch, channels, patches, width)
        z_BGCX = z.permute(0, 3, 1, 2, 4).reshape(batch, -1, channels, patches * self.group)
        kernel_BGCC = per_window(kernel_MGCC, layout.montage_B)
        mixed = torch.matmul(kernel_BGCC, z_BGCX).view(batch, -1, channels, patches, self.group)
        return mixed.permute(0, 2, 3, 1, 4).reshape(batch, channels, patches, width)

    def kernels(self, layout: Layout) -> Tensor:
        """Return every montage's kernels as operators, (M, G, C, C); zero where there is no neighbour."""
        montages, channels, taps = layout.neighbours_MCN.shape
        index = layout.neighbours_MCN.flatten(1)[..., None].expand(-1, -1, 3)
        there = layout.positions_MC3.gather(1, index).view(montages, channels, taps, 3)
        offset_MCN3 = there - layout.positions_MC3[:, :, None]
        used_MCGN = layout.near_MCN[:, :, None] & self.tap_GN
        share = torch.rsqrt(used_MCGN.sum(-1, keepdim=True).to(offset_MCN3.dtype))
        weights_MCGN = (1 + self.kernel(space_features(offset_MCN3)).transpose(2, 3)) * used_MCGN * share
        empty = torch.zeros(
            [montages, channels, weights_MCGN.shape[2], channels],
            device=share.device,
            dtype=weights_MCGN.dtype,
        )
        columns = layout.neighbours_MCN[:, :, None].expand(-1, -1, weights_MCGN.shape[2], -1)
        return empty.scatter_add(3, columns, weights_MCGN).transpose(1, 2)
