"""Structured attention against dense attention under a mask, written independently."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.model import attention as structured
from eegfm.model import layout_of, preset
from eegfm.model.attention import RegionAttention, WindowAttention, few_keys, many_keys
from tests.eegfm.model.caps import CAP_19, CAP_64, positions

torch.set_num_threads(1)


def dense(q, k, v, allowed):
    """Softmax attention (tokens, heads, width) with every pair scored and the forbidden ones at -inf."""
    scores = torch.einsum("ihe,jhe->hij", q, k) / math.sqrt(q.shape[-1])
    return torch.einsum("hij,jhe->ihe", scores.masked_fill(~allowed, -torch.inf).softmax(-1), v)


@settings(max_examples=20, deadline=None)
@given(patches=st.integers(1, 40), window=st.integers(1, 6), seed=st.integers(0, 99))
def test_attention_between_windows_equals_masked_dense_attention(patches: int, window: int, seed: int):
    torch.manual_seed(seed)
    config = preset("tiny", 4, window_patches=window)
    branch = WindowAttention(config).eval()
    h = torch.randn(1, 2, patches, config.d_model)
    place = torch.arange(patches) % window
    allowed = place[:, None] == place[None]
    for c in range(2):
        qkv = branch.qkv(branch.norm(h[0, c])).view(patches, 3, config.heads, -1)
        expected = branch.out(dense(*qkv.unbind(1), allowed).flatten(1))
        assert (branch(h)[0, c] - expected).abs().max() < 1e-5


@pytest.mark.parametrize("cap", [CAP_64, CAP_19, ["Cz"], ["C3", "no such name", "O2"]])
def test_attention_between_regions_equals_masked_dense_attention(cap: list[str]):
    torch.manual_seed(0)
    config = preset("tiny", 4)
    branch = RegionAttention(config).eval()
    h = torch.randn(1, len(cap), 3, config.d_model)
    layout = layout_of(positions(cap)[None])
    region = layout.region_MC[0]
    for p in range(3):
        # One token per electrode, each holding its region's mean; one electrode of each region may be a key.
        z = branch.norm(h[0, :, p])
        mean = torch.stack([z[region == r].mean(0) for r in region])
        first = torch.tensor([(region[:c] != region[c]).all() for c in range(len(cap))])
        qkv = branch.qkv(mean).view(len(cap), 3, config.heads, -1)
        expected = branch.out(dense(*qkv.unbind(1), first[None].expand(len(cap), -1)).flatten(1))
        assert (branch(h, layout)[0, :, p] - expected).abs().max() < 1e-5


def test_few_and_many_keys_are_the_same_attention():
    qkv = torch.randn(3, 2, 8, 5, 30)
    allowed = torch.rand(5, 30) < 0.7
    allowed[0] = True
    assert (few_keys(qkv, allowed) - many_keys(qkv, allowed)).abs().max() < 1e-5
    assert (few_keys(qkv, None) - many_keys(qkv, None)).abs().max() < 1e-5


def test_padded_patches_are_no_keys():
    torch.manual_seed(0)
    config = preset("tiny", 4, window_patches=4)
    branch = structured.WindowAttention(config).eval()
    h = torch.randn(1, 1, 13, config.d_model)
    alone = branch(h[:, :, 3:12:4])  # places 3 of the first three windows, by themselves
    wide = WindowAttention(preset("tiny", 4, window_patches=1)).eval()
    wide.load_state_dict(branch.state_dict())
    assert (wide(h[:, :, 3:12:4]) - branch(h)[:, :, 3:12:4]).abs().max() < 1e-5
    assert alone.shape == (1, 1, 3, config.d_model)
