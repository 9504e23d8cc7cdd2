"""Parts of our encoder with one choice undone: what the released model does there, everything else ours.

Legend: B windows, C electrodes, T samples, P patches, S samples a patch, D width of a token, K virtual electrodes,
F frequencies, G real and imaginary parts, R regions, H heads, E width of a head.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eegfm.model import Encoder, EncoderConfig, Layout
from eegfm.model.attention import RegionAttention, WindowAttention
from eegfm.model.encoder import BRANCH_START
from eegfm.model.official_layers import allowed_pairs
from eegfm.model.patches import PatchEmbedding, SpectralPower
from eegfm.model.tokenizer import TemporalTokenizer

GROUPS = 2
"""Of the filters of the convolutional stack, in GroupNorm: four in each, five in the released model."""


def raw_spectrum(encoder: Encoder) -> None:
    """Raw magnitudes for standardised log power."""
    encoder.embedding.spectrum = RawMagnitude(encoder.config)


def scrambled_time(encoder: Encoder) -> None:
    """Re-read each electrode's (P, D) block as (D, P) before the temporal tokenizer."""
    for block in encoder.blocks:
        block.tokenizers.temporal = ScrambledTime(block.tokenizers.temporal)


def bare_tokenizers(encoder: Encoder) -> None:
    """Tokenizers without normalisation that begin at their full size."""
    for tokenizers in {block.tokenizers for block in encoder.blocks}:
        tokenizers.temporal.norm = tokenizers.spatial.norm = nn.Identity()
        with torch.no_grad():
            for layer in (tokenizers.temporal.taps, tokenizers.spatial.project):
                for parameter in layer.parameters():
                    parameter.div_(BRANCH_START)


def padding_takes_part(encoder: Encoder) -> None:
    """Zeros that fill the last attention window are keys like any other."""
    for block in encoder.blocks:
        block.windows = UnmaskedPadding(block.windows)


def electrode_regions(encoder: Encoder) -> None:
    """Attention among electrodes with their region's mean for attention among regions."""
    for block in encoder.blocks:
        block.regions = ElectrodeRegions(block.regions)


def window_norm(encoder: Encoder) -> None:
    """Patches normalised over all electrodes and patches of a window."""
    embedding, config = encoder.embedding, encoder.config
    embedding.wave.norms = nn.ModuleList(WindowNorm(GROUPS, config.conv_filters) for _ in range(2))
    embedding.norm = WindowNorm(1, config.d_model)


def zero_mask(encoder: Encoder) -> None:
    """Hidden patches are embedded as patches of zeros."""
    encoder.embedding = Silence(encoder.embedding)


class RawMagnitude(SpectralPower):
    """Magnitudes of the rfft over the number of samples, neither windowed nor logarithmic nor standardised."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        size = config.patch_samples
        angles = 2 * np.pi * np.outer(np.arange(size), np.arange(1, self.bins + 1)) / size
        basis = np.concatenate([np.cos(angles), np.sin(angles)], 1) / size
        self.basis_SG = torch.from_numpy(basis).float()

    def log_power(self, x_BCPS: Tensor, layout: Layout) -> Tensor:
        """Return magnitudes (B, C, P, K, F) of every virtual electrode."""
        spectrum = x_BCPS @ self.basis_SG
        mixed = self.mix(spectrum, layout) if self.mix is not None else spectrum[:, :, :, None]
        real, imaginary = mixed.chunk(2, -1)
        return torch.sqrt(real.square() + imaginary.square() + 1e-12)


class ScrambledTime(nn.Module):
    """Our temporal tokenizer over a re-read block: patches and features are mixed before and after it."""

    def __init__(self, tokenizer: TemporalTokenizer) -> None:
        super().__init__()
        self.norm, tokenizer.norm = tokenizer.norm, nn.Identity()
        self.tokenizer = tokenizer

    def forward(self, h_BCPD: Tensor) -> Tensor:
        """Return the tokenizer's contribution, (B, C, P, D)."""
        batch, channels, patches, width = h_BCPD.shape
        image_BCPD = self.norm(h_BCPD).reshape(batch, channels, width, patches).transpose(2, 3)
        return self.tokenizer(image_BCPD).transpose(2, 3).reshape(h_BCPD.shape)


class UnmaskedPadding(nn.Module):
    """Our attention between windows; what pads the last one, zeros after the norm, is looked at too."""

    def __init__(self, attention: WindowAttention) -> None:
        super().__init__()
        self.norm, attention.norm = attention.norm, nn.Identity()
        self.attention = attention

    def forward(self, h_BCPD: Tensor) -> Tensor:
        """Return the branch's contribution, (B, C, P, D)."""
        patches = h_BCPD.shape[2]
        padded_BCPD = F.pad(self.norm(h_BCPD), [0, 0, 0, -patches % self.attention.window])
        return self.attention(padded_BCPD)[:, :, :patches]


class ElectrodeRegions(nn.Module):
    """Every electrode, its region's projected mean added, attends to those that share a group with it.

    The released layer on our regions: a dense product under a fixed mask, in which two electrodes of one region never
    see each other.
    """

    def __init__(self, attention: RegionAttention) -> None:
        super().__init__()
        self.heads, self.norm = attention.heads, attention.norm
        self.qkv, self.out = attention.qkv, attention.out
        width = self.qkv.in_features
        self.mean = nn.Linear(width, width)

    def forward(self, h_BCPD: Tensor, layout: Layout) -> Tensor:
        """Return the branch's contribution, (B, C, P, D), in one montage."""
        batch, channels, patches, width = h_BCPD.shape
        pool_RC = layout.pool_MRC[0]
        own_CC = (pool_RC > 0).to(h_BCPD.dtype).T @ pool_RC
        z_BCPD = self.norm(h_BCPD)
        means_BCPD = torch.matmul(own_CC, z_BCPD.flatten(2)).view(h_BCPD.shape)
        qkv = self.qkv(z_BCPD + self.mean(means_BCPD))
        qkv = qkv.view(batch, channels, patches, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(3, 0, 2, 4, 1, 5).unbind(0)  # (B, P, H, C, E)
        scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2))
        scores = scores.masked_fill(~shared_group(layout.region_MC[0]), float("-inf"))
        mixed = torch.matmul(scores.softmax(-1), v).permute(0, 3, 1, 2, 4)
        return self.out(mixed.reshape(h_BCPD.shape))


def shared_group(region_C: Tensor) -> Tensor:
    """Return which electrodes see each other, (C, C): the released groups, regions and electrodes in our order."""
    order_C = region_C.argsort(stable=True)
    counts = region_C.unique(return_counts=True)[1]
    ends = counts.cumsum(0).tolist()
    bounds = {i: (end - count, end) for i, (end, count) in enumerate(zip(ends, counts.tolist(), strict=True))}
    place_C = order_C.argsort()
    return allowed_pairs(bounds)[place_C][:, place_C]


class WindowNorm(nn.Module):
    """GroupNorm whose statistics are a window's: over all its electrodes, patches and places. Features last."""

    def __init__(self, groups: int, features: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, features)

    def forward(self, h: Tensor) -> Tensor:
        """Return the same shape, (B, ..., features)."""
        return self.norm(h.flatten(1, -2).transpose(1, 2)).transpose(1, 2).reshape(h.shape)


class Silence(nn.Module):
    """Our embedding; a hidden patch has the token of a patch of zeros, its spectrum zero too, and none is learned."""

    def __init__(self, embedding: PatchEmbedding) -> None:
        super().__init__()
        self.embedding = embedding
        self.embedding.hidden.requires_grad_(False)

    def forward(self, x_BCT: Tensor, layout: Layout, patch_mask_BCP: Tensor | None) -> Tensor:
        """Return tokens (B, C, P, D)."""
        tokens_BCPD = self.embedding(x_BCT, layout, patch_mask_BCP)
        if patch_mask_BCP is None:
            return tokens_BCPD
        zeros_1CS = x_BCT.new_zeros(1, x_BCT.shape[1], self.embedding.patch_samples)
        one = layout._replace(montage_B=layout.montage_B[:1])
        return torch.where(patch_mask_BCP[..., None], self.embedding(zeros_1CS, one, None), tokens_BCPD)
