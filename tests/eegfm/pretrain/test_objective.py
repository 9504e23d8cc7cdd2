from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.fft import dct

from eegfm.config import ObjectiveConfig, ReaderConfig
from eegfm.data import Loader, WindowReader
from eegfm.model import Encoder, ReconstructionHead, preset
from eegfm.pretrain.keep import fill_hidden
from eegfm.pretrain.objective import Objective, channel_scale, dct_matrix, estimate
from eegfm_lake.errors import EegfmError
from tests.eegfm.locks import CAP, Made, write_lock

ENCODER = preset("tiny", 4.0, depth=1)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    made = [Made(names=CAP[:n], segments=(8000,), band_high=high) for n, high in ((13, 75.0), (7, 64.0))]
    return WindowReader(write_lock(tmp_path_factory.mktemp("lake"), made), ReaderConfig())


@pytest.fixture(scope="module")
def statistics(reader):
    loader = Loader(reader, np.arange(len(reader)), batch=10, seed=0, shuffle=False)
    return estimate(loader.batches(0, loader.steps_per_epoch), ENCODER)


@pytest.fixture(scope="module")
def batch(reader, statistics):
    objective = Objective(ObjectiveConfig(), ENCODER, 0, statistics)
    loader = Loader(reader, np.arange(len(reader)), batch=20, seed=0, mix=True, prepare=objective.hide)
    return loader.read(0)


def patches(batch):
    return Encoder(ENCODER).patches(batch.x_BCT)


def test_the_dct_is_scipys_and_orthonormal():
    x = np.random.default_rng(0).normal(size=(5, 100))
    np.testing.assert_allclose(x @ dct_matrix(100), dct(x, norm="ortho"), atol=1e-12)


def test_predicting_zero_costs_one_and_the_truth_costs_nothing(batch, statistics):
    for loss in ("equalised", "plain"):
        objective = Objective(ObjectiveConfig(loss=loss), ENCODER, 0, statistics)
        truth = patches(batch)
        assert objective.loss(truth, truth, batch).item() == 0
        assert objective.loss(torch.zeros_like(truth), truth, batch).item() == pytest.approx(1, abs=0.15)


def test_copying_is_judged_on_visible_patches_of_real_channels_alone(batch, statistics):
    objective = Objective(ObjectiveConfig(visible=0.5), ENCODER, 0, statistics)
    truth = patches(batch)
    visible_BCP1 = (~batch.patch_mask_BCP & batch.channel_mask_BC[:, :, None])[..., None]
    assert objective.copying_loss(torch.where(visible_BCP1, truth, 7.0), truth, batch).item() == 0
    nothing_copied = torch.where(visible_BCP1, 0.0, truth)
    assert objective.copying_loss(nothing_copied, truth, batch).item() == pytest.approx(0.5, abs=0.08)


def test_every_frequency_counts_the_same_only_when_equalised(batch, statistics):
    truth = patches(batch)
    t = torch.arange(100) / 200.0
    shares = {}
    for loss in ("equalised", "plain"):
        objective = Objective(ObjectiveConfig(loss=loss), ENCODER, 0, statistics)
        by_band = objective.by_band(torch.zeros_like(truth), truth, batch)
        assert all(value == pytest.approx(1, abs=0.25) for value in by_band.values())
        # Losing the slow part entirely against losing the fast part entirely.
        dct_SK = torch.from_numpy(dct_matrix(100)).float()
        fast = torch.arange(100) >= 8
        without_fast = (truth @ dct_SK * ~fast) @ dct_SK.T
        without_slow = (truth @ dct_SK * fast) @ dct_SK.T
        shares[loss] = (
            objective.loss(without_fast, truth, batch) / objective.loss(without_slow, truth, batch)
        ).item()
    assert t.numel() == 100
    assert shares["plain"] < 0.5
    assert shares["equalised"] > 3


def test_only_hidden_patches_are_judged(batch, statistics):
    objective = Objective(ObjectiveConfig(), ENCODER, 0, statistics)
    truth = patches(batch)
    elsewhere = truth + 100.0 * ~batch.patch_mask_BCP[..., None]
    assert objective.loss(elsewhere, truth, batch).item() == 0


def test_frequencies_that_a_channel_does_not_have_are_not_judged(batch, statistics):
    objective = Objective(ObjectiveConfig(), ENCODER, 0, statistics)
    truth = patches(batch)
    tone = dct_matrix(100)[:, 70]  # 70 Hz
    wrong = truth + torch.from_numpy(tone).float()
    narrow = replace(batch, band_high_hz_BC=torch.full_like(batch.band_high_hz_BC, 64.0))
    wide = replace(batch, band_high_hz_BC=torch.full_like(batch.band_high_hz_BC, 75.0))
    assert objective.loss(wrong, truth, narrow).item() < 1e-6
    assert objective.loss(wrong, truth, wide).item() > 1
    capped = Objective(ObjectiveConfig(high_hz=45.0), ENCODER, 0, statistics)
    assert capped.loss(wrong, truth, wide).item() < 1e-6


def test_a_loud_window_counts_as_much_as_a_quiet_one(batch, statistics):
    objective = Objective(ObjectiveConfig(), ENCODER, 0, statistics)
    zero = torch.zeros_like(patches(batch))
    loud = replace(batch, x_BCT=20 * batch.x_BCT)
    expected = objective.loss(zero, patches(batch), batch).item()
    assert objective.loss(zero, patches(loud), loud).item() == pytest.approx(expected, rel=0.01)


def test_a_windows_weight_is_its_share_of_the_loss(batch, statistics):
    objective = Objective(ObjectiveConfig(), ENCODER, 0, statistics)
    weight_B = torch.zeros(len(batch.window_B))
    weight_B[0] = 2.0
    truth = patches(batch)
    spoilt = truth.clone()
    spoilt[1:] += 1
    assert objective.loss(spoilt, truth, replace(batch, weight_B=weight_B)).item() == 0


def test_channels_that_do_not_exist_are_neither_hidden_nor_judged(batch):
    assert not batch.channel_mask_BC.all()
    assert not batch.patch_mask_BCP[~batch.channel_mask_BC].any()


def test_what_is_hidden_reaches_no_prediction(batch):
    torch.manual_seed(0)
    encoder, head = Encoder(ENCODER).eval(), ReconstructionHead(ENCODER)
    stride, size = ENCODER.stride_samples, ENCODER.patch_samples
    hidden_BCT = torch.zeros_like(batch.x_BCT, dtype=torch.bool)
    for patch in range(batch.patch_mask_BCP.shape[2]):
        hidden_BCT[..., patch * stride : patch * stride + size] |= batch.patch_mask_BCP[:, :, patch, None]
    spoilt = torch.where(hidden_BCT, 30 * torch.randn_like(batch.x_BCT), batch.x_BCT)
    inputs = (batch.positions_BC3, batch.channel_mask_BC, batch.patch_mask_BCP)
    with torch.no_grad():
        honest, blind = head(encoder(batch.x_BCT, *inputs)), head(encoder(spoilt, *inputs))
    torch.testing.assert_close(honest, blind)


def test_reconstructions_keep_what_was_visible_and_the_truth_reconstructs_itself(batch):
    truth = patches(batch)
    torch.testing.assert_close(fill_hidden(truth, batch, ENCODER), batch.x_BCT)
    filled = fill_hidden(torch.full_like(truth, 7.0), batch, ENCODER)
    changed = filled != batch.x_BCT
    assert (filled[changed] == 7).all()
    assert changed.any(dim=-1)[batch.channel_mask_BC].float().mean() > 0.9


def test_flat_channels_are_no_division_by_zero_and_all_flat_is_an_error(batch):
    flat = replace(batch, x_BCT=torch.zeros_like(batch.x_BCT))
    assert (channel_scale(flat.x_BCT) > 0).all()
    with pytest.raises(EegfmError, match="every channel of the training windows is flat"):
        estimate([flat], ENCODER)
