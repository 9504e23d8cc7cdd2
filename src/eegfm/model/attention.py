"""Structured sparse attention: between windows along time, between regions across the head.

Legend: B windows of a recording, C electrodes, P patches, R regions, W places in an attention window, N attention
windows (M when they ask), H heads, E width of a head, D width of a token, X independent attentions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eegfm.model.layout import Layout, per_window
from eegfm.model.presets import EncoderConfig
from eegfm.model.recompute import made_again

FEW_KEYS = 8


class WindowAttention(nn.Module):
    """The same place in each window attends across the windows of its electrode; padding is masked."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.few_keys = FEW_KEYS
        self.window = 1 if config.attention == "criss_cross" else config.window_patches
        self.norm = nn.LayerNorm(config.d_model)
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model)
        self.out = nn.Linear(config.d_model, config.d_model)

    def forward(self, h_BCPD: Tensor) -> Tensor:
        """Return the branch's contribution, (B, C, P, D)."""
        batch, channels, patches, width = h_BCPD.shape
        windows = -(-patches // self.window)
        padding = windows * self.window - patches
        if torch.jit.is_scripting():
            qkv = self.features_first(self.rows(h_BCPD))
        else:
            qkv = made_again(self.rows, h_BCPD, self.features_first)
        qkv = qkv.view(3, self.heads, width // self.heads, windows, -1)
        keys = torch.arange(windows * self.window, device=h_BCPD.device).view(windows, self.window) < patches
        keys[0] = (
            True  # a place that only padding holds would else be a softmax over nothing; it is cut off below
        )
        keys_NX = keys[:, :, None].expand(-1, -1, batch * channels).reshape(windows, -1)
        allowed = keys_NX if padding > 0 else None
        mixed_HENX = few_keys(qkv, allowed) if windows <= self.few_keys else many_keys(qkv, allowed)
        out = F.linear(mixed_HENX.reshape(width, -1).t(), self.out.weight, self.out.bias)
        return out.view(-1, batch, channels, width)[:patches].permute(1, 2, 0, 3)

    def rows(self, h_BCPD: Tensor) -> Tensor:
        """Return normalised tokens as rows, patches slowest, padded to whole windows."""
        z = self.norm(h_BCPD).permute(2, 0, 1, 3)
        padding = -h_BCPD.shape[2] % self.window
        if padding > 0:
            z = F.pad(z, [0, 0, 0, 0, 0, 0, 0, padding])
        return z.reshape(-1, h_BCPD.shape[3])

    def features_first(self, z_XD: Tensor) -> Tensor:
        """Return queries, keys and values (3 D, X): the independent attentions last and contiguous."""
        return torch.matmul(self.qkv.weight, z_XD.t()) + self.qkv.bias[:, None]


def few_keys(qkv: Tensor, allowed_NX: Tensor | None) -> Tensor:
    """Attend among few tokens, many times over: written out, each step is one pass over long rows.

    The fused kernel spends its time on starting tens of thousands of 5 x 5 products; this is 2.5 times faster.
    """
    q, k, v = qkv.unbind(0)  # (H, E, N, X)
    scale = q.shape[1] ** -0.5
    scores_HMNX = torch.stack([(query_HEX[:, :, None] * k).sum(1) for query_HEX in q.unbind(2)], 1) * scale
    if allowed_NX is not None:
        scores_HMNX = scores_HMNX.masked_fill(~allowed_NX, float("-inf"))
    shares_HMNX = scores_HMNX.softmax(2)
    return torch.stack([(share_HNX[:, None] * v).sum(2) for share_HNX in shares_HMNX.unbind(1)], 2)


def many_keys(qkv: Tensor, allowed_NX: Tensor | None) -> Tensor:
    """Attend among many tokens: the fused kernel."""
    q, k, v = qkv.permute(0, 4, 1, 3, 2).unbind(0)  # (X, H, N, E)
    mask = None if allowed_NX is None else allowed_NX.t()[:, None, None, :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).permute(1, 3, 2, 0)


class RegionAttention(nn.Module):
    """At one time regions attend to each other through their tokens, the means of their electrodes.

    What a region gathers goes to each of its electrodes. A region without electrodes is masked.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm = nn.LayerNorm(config.d_model)
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model)
        self.out = nn.Linear(config.d_model, config.d_model)

    def forward(self, h_BCPD: Tensor, layout: Layout) -> Tensor:
        """Return the branch's contribution, (B, C, P, D)."""
        batch, _, patches, width = h_BCPD.shape
        z = self.norm(h_BCPD)
        pool_BRC = per_window(layout.pool_MRC, layout.montage_B).to(z.dtype)
        regions_BRPD = torch.matmul(pool_BRC, z.flatten(2)).view(batch, -1, patches, width)
        qkv = self.qkv(regions_BRPD).view(batch, -1, patches, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(3, 0, 2, 4, 1, 5).unbind(0)  # (B, P, H, R, E)
        # Written out: at 16 keys the fused kernel costs more than the scores that it does not store.
        scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2))
        occupied_BR = per_window(layout.occupied_MR, layout.montage_B)
        scores = scores.masked_fill(~occupied_BR[:, None, None, None], float("-inf"))
        mixed = torch.matmul(scores.softmax(-1).to(v.dtype), v).permute(0, 3, 1, 2, 4)
        mixed = self.out(mixed.reshape(batch, -1, patches, width))
        member_BCR = (pool_BRC > 0).to(mixed.dtype).transpose(1, 2)
        return torch.matmul(member_BCR, mixed.flatten(2)).view(h_BCPD.shape)


class TokenAttention(nn.Module):
    """Attention over tokens themselves: ``dense`` all of a window, else all electrodes at one time."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dense = config.attention == "dense"
        self.norm = nn.LayerNorm(config.d_model)
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model)
        self.out = nn.Linear(config.d_model, config.d_model)

    def forward(self, h_BCPD: Tensor, layout: Layout) -> Tensor:
        """Return the branch's contribution, (B, C, P, D)."""
        batch, channels, patches, width = h_BCPD.shape
        groups = 1 if self.dense else patches
        qkv = self.qkv(self.norm(h_BCPD)).transpose(1, 2)
        qkv = qkv.reshape(batch * groups, -1, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B*groups, H, tokens, E)
        present_BC = per_window(layout.present_MC, layout.montage_B)
        allowed = present_BC.repeat(1, patches) if self.dense else present_BC.repeat_interleave(patches, 0)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed[:, None, None, :])
        return self.out(mixed.transpose(1, 2).reshape(batch, patches, channels, width)).transpose(1, 2)
