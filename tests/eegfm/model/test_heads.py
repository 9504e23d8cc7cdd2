import time

import pytest
import torch
from torch.nn.functional import cross_entropy

from eegfm.model import ClassifierHead, Encoder, layout_of, preset
from eegfm.model.heads import Pooling
from eegfm_lake.errors import UsageError
from tests.eegfm.model.caps import CAP_19, CAP_22, CAP_64, eeg, lateralised, positions

torch.set_num_threads(1)
POOLINGS = ["position", "region", "attention", "mean"]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_logits_do_not_depend_on_channel_order_or_padding(pooling: str):
    torch.manual_seed(0)
    config = preset("tiny", 4)
    encoder, head = Encoder(config).eval(), ClassifierHead(config, 3, pooling).eval()
    x, where = eeg(2, 19, 800), positions(CAP_19).expand(2, -1, -1)
    logits = head(encoder(x, where), None, where)
    assert logits.shape == (2, 3)
    order = torch.randperm(19)
    assert torch.allclose(
        head(encoder(x[:, order], where[:, order]), None, where[:, order]), logits, atol=1e-5
    )
    mask = torch.arange(21).expand(2, -1) < 19
    x, where = torch.cat([x, x[:, :2]], 1), torch.cat([where, where[:, :2]], 1)
    assert torch.allclose(head(encoder(x, where, mask), mask, where), logits, atol=1e-5)


def test_electrodes_that_nobody_knows_can_still_be_pooled():
    torch.manual_seed(0)
    config = preset("tiny", 4)
    where = torch.full((2, 5, 3), float("nan"))
    for pooling in POOLINGS:
        tokens = Encoder(config).eval()(eeg(2, 5, 800), where)
        assert ClassifierHead(config, 2, pooling).eval()(tokens, None, where).isfinite().all()


def test_pooling_keeps_sides_apart_except_the_mean():
    torch.manual_seed(0)
    config = preset("tiny", 4)
    where = positions(["C3", "C4"])
    tokens = torch.randn(1, 2, 15, 32)
    for pooling in POOLINGS:
        head = ClassifierHead(config, 2, pooling).eval()
        same = torch.allclose(head(tokens, None, where), head(tokens.flip(1), None, where), atol=1e-5)
        assert same == (pooling == "mean")


@pytest.mark.parametrize("cap", [CAP_19, CAP_64])
def test_what_all_electrodes_share_reaches_the_first_map_alone(cap):
    torch.manual_seed(0)
    layout = layout_of(positions(cap)[None], None)
    shared = torch.randn(1, 1, 15, 32).expand(1, len(cap), 15, 32)
    maps = Pooling(preset("tiny", 4))(shared, layout).view(16, 32)
    assert maps[0].abs().min() > 0
    assert maps[1:].abs().max() < 1e-5


def test_an_unknown_pooling_is_refused():
    with pytest.raises(UsageError, match="found 'max', expected position or region or attention or mean"):
        ClassifierHead(preset("tiny", 4), 2, "max")


def train(names: list[str], n_train: int, epochs: int, **changes) -> tuple[Encoder, ClassifierHead]:
    """Train a tiny network from scratch as fine-tuning would, on one core."""
    torch.manual_seed(0)
    config = preset("tiny", 4, **changes)
    encoder, head = Encoder(config), ClassifierHead(config, 2)
    where = positions(names)
    x, y = lateralised(n_train, where, seed=1)
    layout = encoder.layout(where, None, 32)
    weights = [*encoder.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=3e-3, weight_decay=0.05)
    for epoch in range(epochs):
        for rows in torch.randperm(n_train, generator=torch.Generator().manual_seed(epoch)).split(32):
            if len(rows) == 32:
                loss = cross_entropy(head.read(encoder.encode(x[rows], layout), layout), y[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    return encoder.eval(), head.eval()


def accuracy(encoder: Encoder, head: ClassifierHead, names: list[str]) -> float:
    where = positions(names)
    x, y = lateralised(192, where, seed=2)
    layout = layout_of(where.expand(192, -1, -1), None)
    with torch.no_grad():
        return (head.read(encoder.encode(x, layout), layout).argmax(1) == y).float().mean().item()


@pytest.fixture(scope="module")
def trained() -> tuple[Encoder, ClassifierHead, float]:
    """A network trained on 256 windows of the 22-electrode cap, and the seconds of one core it took."""
    began = time.process_time()
    encoder, head = train(CAP_22, n_train=256, epochs=6)
    return encoder, head, time.process_time() - began


def test_a_tiny_network_learns_lateralised_mu_power_within_a_minute(trained):
    encoder, head, seconds = trained
    assert accuracy(encoder, head, CAP_22) > 0.85
    assert seconds < 60


def test_what_was_learnt_on_one_cap_holds_on_others(trained):
    encoder, head, _ = trained
    assert accuracy(encoder, head, CAP_19) > 0.8
    assert accuracy(encoder, head, CAP_64) > 0.75


@pytest.mark.slow
def test_a_tiny_network_learns_lateralised_mu_power_from_64_electrodes():
    encoder, head = train(CAP_64, n_train=256, epochs=6)
    assert accuracy(encoder, head, CAP_64) > 0.85
