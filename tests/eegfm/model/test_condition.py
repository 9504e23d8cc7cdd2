import json
import pickle

import pytest
import torch
from torch import Tensor, nn

from eegfm.model import Encoder, EncoderConfig, Layout, load_pretrained, preset, save_pretrained
from eegfm_lake.errors import UsageError
from tests.eegfm.model.caps import CAP_19, CAP_22, eeg, positions

torch.set_num_threads(1)
KNOWN = {"site": ["Graz", "Tartu", "Tübingen"], "line_freq": ["60", "50"]}
UNKNOWN = torch.zeros(2, 2, dtype=torch.int64)


def encoder(condition=KNOWN, **changes) -> Encoder:
    torch.manual_seed(0)
    return Encoder(preset("tiny", 4, condition=condition, **changes)).eval()


def trained(**changes) -> Encoder:
    """An encoder whose conditions say something."""
    model = encoder(**changes)
    with torch.no_grad():
        model.condition.film_VF.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
    return model


@pytest.fixture(scope="module")
def x() -> Tensor:
    return eeg(2, 19, 800)


WHERE = positions(CAP_19)


def test_without_conditions_there_is_no_parameter_and_nothing_to_say(x: Tensor):
    plain = encoder({})
    assert plain.condition is None
    assert plain.state_dict().keys() == Encoder(preset("tiny", 4)).state_dict().keys()
    assert torch.equal(plain(x, WHERE), plain(x, WHERE, condition_BK=UNKNOWN))


def test_a_new_condition_changes_no_number(x: Tensor):
    told = torch.tensor([[1, 3], [2, 0]])
    assert torch.equal(encoder()(x, WHERE, condition_BK=told), encoder({})(x, WHERE))


def test_unknown_is_a_value_of_its_own(x: Tensor):
    model = trained()
    unknown = model(x, WHERE, condition_BK=UNKNOWN)
    assert torch.equal(unknown, model(x, WHERE))
    assert not torch.equal(unknown, trained_without_rows()(x, WHERE))
    for told in ([[1, 0]] * 2, [[0, 2]] * 2):
        assert not torch.allclose(unknown, model(x, WHERE, condition_BK=torch.tensor(told)))


def trained_without_rows() -> Encoder:
    model = trained()
    with torch.no_grad():
        model.condition.film_VF[model.condition.first_K] = 0
    return model


def test_a_number_beyond_the_vocabulary_is_unknown(x: Tensor):
    model = trained()
    beyond = torch.tensor([[3, 4], [-1, 9]])  # line_freq has two values, site has three
    assert torch.equal(model(x, WHERE, condition_BK=beyond), model(x, WHERE))


def test_the_order_of_covariates_and_values_says_nothing():
    swapped = {name: list(reversed(values)) for name, values in reversed(KNOWN.items())}
    assert preset("tiny", 4, condition=swapped) == preset("tiny", 4, condition=KNOWN)
    assert [name for name, _ in preset("tiny", 4, condition=KNOWN).condition] == ["line_freq", "site"]


def test_conditions_survive_json():
    config = preset("tiny", 4, condition=KNOWN, condition_drop=0.5)
    assert EncoderConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_settings_from_before_there_were_conditions_are_read():
    settings = preset("tiny", 4).to_dict()
    del settings["condition"], settings["condition_drop"]
    assert EncoderConfig.from_dict(settings) == preset("tiny", 4)


@pytest.mark.parametrize("wrong", [["site"], {"site": "Graz"}, "site"])
def test_covariates_without_values_are_refused(wrong):
    with pytest.raises(UsageError, match="expected every covariate with its values"):
        preset("tiny", 4, condition=wrong)


def test_a_condition_of_another_shape_is_refused(x: Tensor):
    with pytest.raises(UsageError, match=r"found shape \(2, 3\), expected \(2, 2\).*line_freq, site"):
        encoder()(x, WHERE, condition_BK=torch.zeros(2, 3, dtype=torch.int64))


def test_every_window_has_its_own_condition_among_several_montages(x: Tensor):
    model, told = trained(), torch.tensor([[1, 2], [2, 3]])
    both = torch.zeros(2, 22, 800)
    both[0], both[1, :19] = eeg(1, 22, 800)[0], x[1]
    where = torch.full((2, 22, 3), float("nan"))
    where[0], where[1, :19] = positions(CAP_22), WHERE
    mask = torch.ones(2, 22, dtype=torch.bool)
    mask[1, 19:] = False
    together = model(both, where, mask, condition_BK=told)
    assert torch.allclose(together[:1], model(both[:1], positions(CAP_22), condition_BK=told[:1]), atol=1e-5)
    assert torch.allclose(together[1:, :19], model(x[1:], WHERE, condition_BK=told[1:]), atol=1e-5)
    assert (together[1, 19:] == 0).all()


def test_covariates_are_dropped_only_while_training():
    module = trained(condition_drop=0.6).condition
    tokens, told = torch.ones(4000, 1, 1, 32), torch.tensor([[1, 2]]).expand(4000, -1)
    whole = module(tokens[:1], told[:1])
    assert torch.equal(module(tokens, told), whole.expand(4000, -1, -1, -1))
    torch.manual_seed(0)
    kept = (module.train()(tokens, told) == whole).flatten(1).all(1).float().mean()
    assert kept == pytest.approx(0.4 * 0.4, abs=0.03)  # two covariates, each drawn by itself
    assert (module(tokens, torch.zeros_like(told)) == module(tokens)).all()


def test_an_encoder_keeps_its_conditions_on_disk(tmp_path, x: Tensor):
    model, told = trained(), torch.tensor([[1, 2], [2, 3]])
    loaded = load_pretrained(save_pretrained(tmp_path, model)).eval()
    assert loaded.config.condition == (("line_freq", ("50", "60")), ("site", ("Graz", "Tartu", "Tübingen")))
    assert torch.equal(loaded(x, WHERE, condition_BK=told), model(x, WHERE, condition_BK=told))
    assert torch.equal(pickle.loads(pickle.dumps(model))(x, WHERE), model(x, WHERE))


class Encode(nn.Module):
    """The part that compiles and exports, its layout a constant."""

    layout: Layout

    def __init__(self, model: Encoder) -> None:
        super().__init__()
        self.encoder = model
        self.layout = model.layout(WHERE, None, 2)

    def forward(self, x: Tensor, told: Tensor | None) -> Tensor:
        return self.encoder.encode(x, self.layout, None, told)


def test_scripted_and_exported_encoders_are_told_the_same(x: Tensor):
    net, told = Encode(trained()), torch.tensor([[1, 2], [0, 3]])
    expected = net(x, told)
    exported = torch.export.export(net, (x, told), strict=False).module()
    assert torch.allclose(exported(x, told), expected, atol=1e-5)
    scripted = torch.jit.script(net)
    assert torch.allclose(scripted(x, told), expected, atol=1e-5)
    assert torch.allclose(scripted(x, None), net(x, None), atol=1e-5)


@pytest.mark.slow
def test_a_conditioned_encoder_compiles_without_graph_breaks(x: Tensor):
    net, told = Encode(trained()), torch.tensor([[1, 2], [0, 3]])
    compiled = torch.compile(net.encoder.encode, backend="aot_eager", fullgraph=True)
    assert torch.allclose(compiled(x, net.layout, None, told), net(x, told), atol=1e-4)
    assert torch.allclose(compiled(x, net.layout), net.encoder(x, WHERE), atol=1e-4)


def amplified(n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Windows whose source has a strength, the site that amplified them, and that strength (log)."""
    generator = torch.Generator().manual_seed(seed)
    site = torch.randint(1, 3, (n,), generator=generator)
    strength = 0.5 * torch.randn(n, generator=generator)
    gain = torch.where(site == 1, 0.5, 2.0)
    x = eeg(n, 4, 200, seed)
    x = 0.3 * x / x.std((1, 2), keepdim=True)
    return x * (gain * strength.exp())[:, None, None], site[:, None], strength


def error(condition: dict) -> float:
    """Mean squared error of the strength on new windows, after a short training."""
    torch.manual_seed(0)
    changes = {"depth": 1, "d_model": 16, "drop_prob": 0.0, "condition": condition, "condition_drop": 0.0}
    config = preset("tiny", 1, **changes)
    net, where = Encoder(config), positions(["C3", "Cz", "C4", "Pz"])
    readout = nn.Linear(16, 1)
    optimiser = torch.optim.AdamW([*net.parameters(), *readout.parameters()], lr=3e-3)

    def loss_of(x: Tensor, site: Tensor, strength: Tensor) -> Tensor:
        told = site if condition else None
        guess = readout(net(x, where, condition_BK=told).mean((1, 2)))[:, 0]
        return (guess - strength).square().mean()

    x, site, strength = amplified(512, 1)
    for _ in range(6):
        for rows in torch.randperm(512).split(32):
            optimiser.zero_grad()
            loss_of(x[rows], site[rows], strength[rows]).backward()
            optimiser.step()
    if condition:
        assert net.condition.film_VF[1:].abs().amax(1).min() > 1e-3
    with torch.no_grad():
        return loss_of(*amplified(256, 2)).item()


def test_an_encoder_that_is_told_the_site_sets_its_gain_apart_from_the_source():
    # Amplitude alone leaves the site in doubt: of the source's variance of 0.25, most cannot be explained.
    untold, told = error({}), error({"site": ["quiet", "loud"]})
    assert told < 0.08
    assert told < 0.5 * untold
