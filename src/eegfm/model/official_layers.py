"""Layers of the released CSBrain, executed to the letter; parameters bear the released names.

Legend: B windows, C electrodes, P patches, S samples a patch, D width of a token, which is S here, F filters, Q
places of a filter in a patch, W patches a window, N windows of patches, L length of a sequence, O outputs.
"""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eegfm.model.official_config import FILTERS, FRAME, STEP, OfficialConfig
from eegfm.model.official_tables import LOBES

SPATIAL_KERNELS = (1, 3, 5)

if TYPE_CHECKING:

    class _Convolutions(nn.ModuleList):
        """A list that holds nothing else."""

        def __iter__(self) -> Iterator[nn.Conv2d]: ...

else:
    _Convolutions = nn.ModuleList


class PatchEmbedding(nn.Module):
    """Waveform and spectrum of every patch, and a kernel over the grid of electrode index and time."""

    def __init__(self, config: OfficialConfig) -> None:
        super().__init__()
        width = config.d_model
        self.mask_encoding = nn.Parameter(torch.zeros(width), requires_grad=False)
        self.positional_encoding = nn.Sequential(
            nn.Conv2d(width, width, (19, 7), padding=(9, 3), groups=width)
        )
        stages = [nn.Conv2d(1, FILTERS, (1, FRAME), (1, STEP), (0, (FRAME - 1) // 2))]
        stages += [nn.Conv2d(FILTERS, FILTERS, (1, 3), padding=(0, 1)) for _ in range(2)]
        self.proj_in = nn.Sequential(
            *(module for stage in stages for module in (stage, nn.GroupNorm(5, FILTERS), nn.GELU()))
        )
        self.spectral_proj = nn.Sequential(nn.Linear(width // 2 + 1, width), nn.Dropout(config.drop_prob))

    def forward(self, x_BCPS: Tensor, mask_BCP: Tensor | None) -> Tensor:
        """Return tokens (B, C, P, D)."""
        if mask_BCP is not None:
            x_BCPS = torch.where((mask_BCP != 0)[..., None], self.mask_encoding, x_BCPS)
        batch, channels, patches, samples = x_BCPS.shape
        # All patches of a window are rows of one image, so that GroupNorm is taken over the whole window.
        wave_BFXQ = self.proj_in(x_BCPS.reshape(batch, 1, channels * patches, samples))
        h_BCPD = wave_BFXQ.transpose(1, 2).reshape(batch, channels, patches, samples)
        h_BCPD = h_BCPD + self.spectral_proj(torch.fft.rfft(x_BCPS, norm="forward").abs())
        where_BDCP = self.positional_encoding(h_BCPD.permute(0, 3, 1, 2))
        return h_BCPD + where_BDCP.permute(0, 2, 3, 1)


class TemporalTokenizer(nn.Module):
    """Three convolutions over an electrode's numbers re-read as (D, P): patches and features are mixed.

    The released code re-reads the (P, D) block of an electrode row by row as (D, P), where a transpose is meant,
    and its result back as (P, D). The widths of the kernels land in different patches, not in different features.
    """

    def __init__(self, config: OfficialConfig) -> None:
        super().__init__()
        self.convs = _Convolutions(
            nn.Conv2d(config.d_model, width, (kernel, 1), padding=(kernel // 2, 0))
            for kernel, width in zip(config.kernels, config.widths(config.kernels), strict=True)
        )

    def forward(self, h_BCPD: Tensor) -> Tensor:
        """Return (B, C, P, D)."""
        batch, channels, patches, width = h_BCPD.shape
        image_XDP = h_BCPD.reshape(batch * channels, width, patches)
        scales = []
        for conv in self.convs:
            reach = conv.weight.shape[2] // 2
            scales.append(F.conv1d(image_XDP, conv.weight[..., 0], conv.bias, padding=reach))
        return torch.cat(scales, 1).reshape(h_BCPD.shape)


class SpatialTokenizer(nn.Module):
    """Three convolutions along the electrodes of each region, in the table's order, the region closed to a ring."""

    def __init__(self, config: OfficialConfig) -> None:
        super().__init__()
        self.bounds = [config.slices.get(code, (0, 0)) for code in range(len(LOBES))]
        self.region_blocks = nn.ModuleDict(
            {f"region_{code}": RegionBlock(config) for code in range(len(LOBES))}
        )

    def forward(self, h_BCPD: Tensor) -> Tensor:
        """Return (B, C, P, D)."""
        regions = []
        for i, block in enumerate(self.region_blocks.values()):
            first, end = self.bounds[i]
            if end > first:  # a table may lack a region; its convolutions are kept, unused
                regions.append(block(h_BCPD[:, first:end]))
        return torch.cat(regions, 1)


class RegionBlock(nn.Sequential):
    """The convolutions of one region, side by side; a sequence in name only."""

    if TYPE_CHECKING:

        def __iter__(self) -> Iterator[nn.Conv2d]: ...

    def __init__(self, config: OfficialConfig) -> None:
        widths = zip(SPATIAL_KERNELS, config.widths(SPATIAL_KERNELS), strict=True)
        super().__init__(*(nn.Conv2d(config.d_model, width, (kernel, 1)) for kernel, width in widths))

    def forward(self, h_BCPD: Tensor) -> Tensor:
        """Return (B, C, P, D) of the electrodes of one region."""
        frames_BCPX = ring_frames(h_BCPD)
        scales = []
        for conv in self:
            scales.append(along_electrodes(frames_BCPX, conv.weight, conv.bias))
        return torch.cat(scales, -1)


def ring_frames(h_BCPD: Tensor, reach: int = max(SPATIAL_KERNELS) // 2) -> Tensor:
    """Put the ``reach`` electrodes before and after each beside it, itself in the middle: (B, C, P, (2 reach + 1) D).

    The region is a ring, gone around as often as need be; a single electrode has zeros as neighbours.
    """
    count = h_BCPD.shape[1]
    if count == 1:
        padded = F.pad(h_BCPD, [0, 0, 0, 0, reach, reach])
    else:
        padded = h_BCPD[:, torch.arange(-reach, count + reach, device=h_BCPD.device) % count]
    return torch.cat([padded[:, j : j + count] for j in range(2 * reach + 1)], -1)


def along_electrodes(frames_BCPX: Tensor, weight_ODK1: Tensor, bias_O: Tensor | None) -> Tensor:
    """Convolve along electrodes as one matrix product over frames: a region is too short for a convolution."""
    weight_OX = weight_ODK1[..., 0].transpose(1, 2).flatten(1)
    beside = (frames_BCPX.shape[-1] - weight_OX.shape[1]) // 2
    return F.linear(frames_BCPX[..., beside : beside + weight_OX.shape[1]], weight_OX, bias_O)


class Layers(nn.Module):
    """The layers under their released name; they begin as copies of one another."""

    def __init__(self, config: OfficialConfig) -> None:
        super().__init__()
        first = EncoderLayer(config)
        self.layers = nn.ModuleList(copy.deepcopy(first) for _ in range(config.depth))


class EncoderLayer(nn.Module):
    """Attention between windows, attention between regions, feed-forward: three pre-norm residual branches."""

    def __init__(self, config: OfficialConfig) -> None:
        super().__init__()
        width = config.d_model
        self.window_patches = config.window_patches
        self.bounds = list(config.slices.values())
        self.inter_region_attn = SelfAttention(width, config.heads, config.drop_prob)
        self.inter_window_attn = SelfAttention(width, config.heads, config.drop_prob)
        self.global_fc = nn.Linear(width, width)
        self.linear1 = nn.Linear(width, config.ff)
        self.linear2 = nn.Linear(config.ff, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.activation = nn.GELU()
        self.drop = nn.Dropout(config.drop_prob)
        closed_CC = torch.zeros(len(config.order), len(config.order))
        closed_CC[~allowed_pairs(config.slices)] = float("-inf")
        self.register_buffer("closed_CC", closed_CC, persistent=False)

    def forward(self, h_BCPD: Tensor) -> Tensor:
        """Return the residual stream after the layer."""
        h_BCPD = h_BCPD + self.between_windows(h_BCPD)
        h_BCPD = h_BCPD + self.between_regions(h_BCPD)
        hidden = self.drop(self.activation(self.linear1(self.norm3(h_BCPD))))
        return h_BCPD + self.drop(self.linear2(hidden))

    def between_windows(self, h_BCPD: Tensor) -> Tensor:
        """Attend, at the same place in each window, over windows. Padding is a key like any other.

        With one window the softmax is over one key, and the branch is a linear map.
        """
        batch, channels, patches, width = h_BCPD.shape
        place = min(patches, self.window_patches)
        z_BCPD = F.pad(self.norm1(h_BCPD), [0, 0, 0, (place - patches % place) % place])
        z_BCNWD = z_BCPD.reshape(batch, channels, -1, place, width)
        windows = z_BCNWD.shape[2]
        z_XND = z_BCNWD.transpose(2, 3).reshape(-1, windows, width)
        mixed = self.inter_window_attn(z_XND).reshape(batch, channels, place, windows, width)
        return self.drop(mixed.transpose(2, 3).reshape(batch, channels, -1, width)[:, :, :patches])

    def between_regions(self, h_BCPD: Tensor) -> Tensor:
        """Add the region's projected mean to every electrode, then attend over electrodes that share a group."""
        batch, channels, patches, width = h_BCPD.shape
        z_BCPD = self.norm2(h_BCPD)
        means = []
        for first, end in self.bounds:
            means.append(z_BCPD[:, first:end].mean(1, keepdim=True).expand(-1, end - first, -1, -1))
        z_BCPD = z_BCPD + self.global_fc(torch.cat(means, 1))
        z_XCD = z_BCPD.transpose(1, 2).reshape(-1, channels, width)
        mixed = self.inter_region_attn(z_XCD, self.closed_CC)
        return self.drop(mixed.reshape(batch, patches, channels, width).transpose(1, 2))


def allowed_pairs(slices: dict[int, tuple[int, int]]) -> Tensor:
    """Which electrodes see each other (C, C): group g holds of every region its electrode number g mod its size."""
    largest = max(end - first for first, end in slices.values())
    channels = max(end for _, end in slices.values())
    allowed_CC = torch.zeros(channels, channels, dtype=torch.bool)
    for g in range(largest):
        group = torch.tensor([first + g % (end - first) for first, end in slices.values()])
        allowed_CC[group[:, None], group[None]] = True
    return allowed_CC


class SelfAttention(nn.Module):
    """Multi-head self-attention with the parameters of ``torch.nn.MultiheadAttention``, dense whatever the mask."""

    def __init__(self, width: int, heads: int, drop_prob: float) -> None:
        super().__init__()
        self.heads, self.drop_prob = heads, drop_prob
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x_XLD: Tensor, added_LL: Tensor | None = None) -> Tensor:
        """Return (X, L, D) of sequences (X, L, D); ``added_LL`` is added to the scores."""
        batch, length, width = x_XLD.shape
        qkv = F.linear(x_XLD, self.in_proj_weight, self.in_proj_bias)
        q, k, v = qkv.reshape(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        drop_prob = self.drop_prob if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=added_LL, dropout_p=drop_prob)
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, length, width))


def start_linear(module: nn.Module) -> None:
    """Start a linear layer as released: Kaiming-normal by its outputs."""
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
