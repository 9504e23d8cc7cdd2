"""What is made again in the backward pass changes no gradient and is not kept."""

import pytest
import torch
from torch import nn

from eegfm.model import Encoder, preset
from eegfm.model import attention as windows
from eegfm.model import encoder as blocks
from eegfm.model import tokenizer as tokenizers
from eegfm.model.recompute import made_again
from tests.eegfm.model.caps import CAP_22, eeg, positions

torch.set_num_threads(1)


def gradients() -> torch.Tensor:
    torch.manual_seed(0)
    model = Encoder(preset("tiny", 4)).train()
    torch.manual_seed(1)
    model(eeg(2, 22, 800), positions(CAP_22)).square().mean().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_gradients_are_those_of_the_plain_network(monkeypatch: pytest.MonkeyPatch):
    again = gradients()
    for module in (windows, blocks, tokenizers):
        monkeypatch.setattr(module, "made_again", lambda recipe, x, reader: reader(recipe(x)))
    assert torch.equal(again, gradients())


@pytest.mark.parametrize("recipe", [nn.GELU(), nn.LayerNorm(16)])
def test_a_recipe_is_followed_again_where_its_result_is_needed(recipe: nn.Module):
    x, linear, followed = torch.randn(5, 10, 16, requires_grad=True), nn.Linear(16, 4), []

    def counted(x: torch.Tensor) -> torch.Tensor:
        followed.append(x.shape)
        return recipe(x)

    made = made_again(counted, x, linear).square().sum()
    assert len(followed) == 1
    again = torch.autograd.grad(made, (x, linear.weight))
    assert len(followed) == 2
    plain = torch.autograd.grad(linear(recipe(x)).square().sum(), (x, linear.weight))
    assert all(torch.equal(a, b) for a, b in zip(again, plain, strict=True))


def test_nothing_is_made_again_without_gradients():
    x, linear = torch.randn(5, 16), nn.Linear(16, 4)
    with torch.no_grad():
        assert torch.equal(made_again(torch.relu, x, linear), linear(torch.relu(x)))


def test_second_derivatives_are_those_of_the_plain_layers():
    x, linear = torch.randn(5, 16, requires_grad=True), nn.Linear(16, 4)
    seconds = []
    for y in (made_again(torch.tanh, x, linear), linear(torch.tanh(x))):
        first = torch.autograd.grad(y.square().sum(), linear.weight, create_graph=True)[0]
        seconds.append(torch.autograd.grad(first.square().sum(), x)[0])
    assert torch.equal(*seconds)
