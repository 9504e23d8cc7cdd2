"""The benchmark of corrections: what is undone is what the released layers do, and every variant learns.

Legend: B windows, C electrodes, P patches, D width of a token.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from corrections.material import STEP, TABLE, batch_of
from corrections.undone import ElectrodeRegions, ScrambledTime, UnmaskedPadding, WindowNorm
from corrections.variants import VARIANTS

from eegfm.model import OfficialConfig, layout_of, preset
from eegfm.model.attention import RegionAttention, WindowAttention
from eegfm.model.official_layers import EncoderLayer, SelfAttention
from eegfm.model.official_layers import TemporalTokenizer as ReleasedTime
from eegfm.model.tokenizer import TemporalTokenizer
from eegfm.pretrain.objective import Objective, estimate
from eegfm_lake.electrodes import positions

POSITIONS_C3 = torch.from_numpy(positions(TABLE)).float()
WIDTH = 25
"""One that both designs can have."""


def released(window_patches: int = 5) -> OfficialConfig:
    return OfficialConfig.of(
        "pretrain", d_model=WIDTH, heads=5, ff=10, window_patches=window_patches, drop_prob=0.0
    )


def ours(window_patches: int = 5):
    return preset("tiny", 4, d_model=WIDTH, heads=5, window_patches=window_patches)


def tokens(patches: int = 7) -> torch.Tensor:
    return torch.randn(2, len(TABLE), patches, WIDTH)


def give(theirs: SelfAttention, qkv: nn.Linear, out: nn.Linear) -> None:
    """Put the weights of an attention of ours into a released one."""
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = qkv.weight.data, qkv.bias.data
    theirs.out_proj.load_state_dict(out.state_dict())


@torch.no_grad()
def test_the_scrambled_tokenizer_is_the_released_one_on_normalised_tokens():
    torch.manual_seed(0)
    mine, theirs = ScrambledTime(TemporalTokenizer(ours())), ReleasedTime(released())
    rows = mine.tokenizer.taps.weight.split(mine.tokenizer.rows())
    for conv, taps, scale in zip(theirs.convs, rows, mine.tokenizer.scales, strict=True):
        conv.weight.copy_(taps.view(scale, -1, WIDTH).permute(1, 2, 0)[..., None])
        conv.bias.zero_()
    h_BCPD = tokens()
    torch.testing.assert_close(mine(h_BCPD), theirs(mine.norm(h_BCPD)), atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("patches", [5, 7, 15, 16])
def test_unmasked_padding_is_the_released_attention_between_windows(patches):
    torch.manual_seed(0)
    mine, theirs = UnmaskedPadding(WindowAttention(ours(4))), EncoderLayer(released(4))
    give(theirs.inter_window_attn, mine.attention.qkv, mine.attention.out)
    h_BCPD = tokens(patches)
    torch.testing.assert_close(mine(h_BCPD), theirs.between_windows(h_BCPD), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_attention_among_electrodes_is_the_released_one_on_our_regions():
    torch.manual_seed(0)
    layout = layout_of(POSITIONS_C3)
    order = layout.region_MC[0].argsort(stable=True)
    regions = tuple(layout.region_MC[0].unique(return_inverse=True)[1].tolist())
    config = released()
    object.__setattr__(config, "regions", regions)  # more than the five that its own check allows
    object.__setattr__(config, "order", tuple(order.tolist()))
    mine, theirs = ElectrodeRegions(RegionAttention(ours())), EncoderLayer(config)
    give(theirs.inter_region_attn, mine.qkv, mine.out)
    theirs.global_fc.load_state_dict(mine.mean.state_dict())
    h_BCPD = tokens()
    torch.testing.assert_close(
        mine(h_BCPD, layout)[:, order], theirs.between_regions(h_BCPD[:, order]), atol=1e-5, rtol=1e-4
    )


@torch.no_grad()
def test_a_windows_norm_is_group_norm_over_all_that_is_in_it():
    x = torch.randn(3, 19, 7, 8)
    expected = nn.functional.group_norm(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    torch.testing.assert_close(WindowNorm(2, 8)(x), expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_hidden_patch_of_zeros_is_the_token_of_a_silent_patch():
    x_BCT = torch.randn(2, 19, 800) * 0.2
    x_BCT[1] = 0
    encoder = build("zero_mask", x_BCT).masked.encoder
    hidden_BCP = torch.zeros(2, 19, 15, dtype=torch.bool)
    hidden_BCP[0, 3, 4] = True
    tokens_BCPD = encoder.embedding(x_BCT, encoder.layout(POSITIONS_C3, None, 2), hidden_BCP)
    torch.testing.assert_close(tokens_BCPD[0, 3, 4], tokens_BCPD[1, 3, 4], atol=1e-5, rtol=1e-4)
    assert not encoder.embedding.embedding.hidden.requires_grad


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_has_a_gradient(variant):
    x_BCT = torch.randn(2, 19, 800) * 0.2
    model = build(variant.name, x_BCT).train()
    size = variant.config().patch_samples
    objective = Objective(variant.objective, variant.config(), 0, statistics(x_BCT, size))
    loss = model.loss(objective.hide(batch_of(x_BCT, POSITIONS_C3, np.arange(2))), objective)
    loss.backward()
    assert torch.isfinite(loss)
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def build(name: str, x_BCT: torch.Tensor):
    torch.manual_seed(0)
    (variant,) = (v for v in VARIANTS if v.name == name)
    sizes = (STEP, variant.config().patch_samples)
    return variant.build(POSITIONS_C3, {size: statistics(x_BCT, size) for size in sizes}).eval()


def statistics(x_BCT: torch.Tensor, size: int):
    encoder = preset("tiny", 4, patch_samples=size, stride_samples=STEP)
    return estimate([batch_of(x_BCT, POSITIONS_C3)], encoder)
