"""What braindecode asks of a foundation model, asked of CSBrain and, as controls, of two models of its own.

A control that is known to break a clause is marked so, strictly: the mark shows that the test can fail, and falls
when the control is mended.
"""

import inspect
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import mne
import numpy as np
import pytest
import torch
from torch import nn

from eegfm import CSBrain

from braindecode import EEGClassifier  # isort: skip
from braindecode.models import CBraMod, EEGNet  # isort: skip

torch.set_num_threads(1)
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{said}")
    for said in ("CSBrain", "Modifying chs_info", "LazyModules", "Lazy modules", "Initializing zero-element")
] + [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "DeprecationWarning")]

N_CHANS, N_TIMES, N_OUTPUTS = 3, 1000, 2
RNG = np.random.default_rng(12)
CHS_INFO = [{"ch_name": f"C{i}", "kind": "eeg", "loc": RNG.random(12)} for i in (1, 2, 3)]


@dataclass(frozen=True)
class Candidate:
    """A model class, the rate that it can take, and the signal arguments that it cannot do without."""

    model: type
    sfreq: float
    needs: tuple[str, ...]
    small: dict[str, Any] = field(default_factory=dict)

    @property
    def signal(self) -> dict[str, Any]:
        return {
            "n_outputs": N_OUTPUTS,
            "n_chans": N_CHANS,
            "chs_info": CHS_INFO,
            "n_times": N_TIMES,
            "input_window_seconds": N_TIMES / self.sfreq,
            "sfreq": self.sfreq,
        }

    def build(self, **changes) -> nn.Module:
        """Build it from channels, length and rate, small and with fixed weights."""
        torch.manual_seed(0)
        signal = {"n_outputs": N_OUTPUTS, "chs_info": CHS_INFO, "n_times": N_TIMES, "sfreq": self.sfreq}
        if self.model is CBraMod:
            signal["n_chans"] = N_CHANS  # without it the head is lazy and has no weights yet
        return self.model(**(signal | self.small | changes))


CANDIDATES = {
    "CSBrain": Candidate(
        CSBrain, 250.0, ("n_outputs", "n_chans", "n_times", "sfreq"), {"preset": "tiny", "depth": 1}
    ),
    "EEGNet": Candidate(EEGNet, 250.0, ("n_outputs", "n_chans", "n_times")),
    "CBraMod": Candidate(CBraMod, 200.0, ("n_outputs",), {"n_layer": 1}),
}


def candidates(**broken: str) -> Callable:
    """Ask every candidate; of those named, say why they fail."""
    return pytest.mark.parametrize(
        "candidate",
        [
            pytest.param(
                c,
                id=name,
                marks=[pytest.mark.xfail(strict=True, reason=broken[name])] if name in broken else [],
            )
            for name, c in CANDIDATES.items()
        ],
    )


def windows(batch: int = 2, seed: int = 0) -> torch.Tensor:
    return 25 * torch.randn(batch, N_CHANS, N_TIMES, generator=torch.Generator().manual_seed(seed))


def sufficient(candidate: Candidate) -> list[dict[str, Any]]:
    """Every way to say the signal that leaves nothing out that the candidate needs."""
    signal, found = candidate.signal, []
    channels = [("chs_info",), ("n_chans",), ("n_chans", "chs_info"), ()]
    times = [("n_times", "sfreq"), ("sfreq", "input_window_seconds"), ("n_times", "input_window_seconds")]
    times += [
        ("n_times", "sfreq", "input_window_seconds"),
        ("n_times",),
        ("input_window_seconds",),
        ("sfreq",),
        (),
    ]
    for channel, time in product(channels, times):
        known = {"n_outputs", *channel, *time}
        if channel:
            known.add("n_chans")
        if len(time) >= 2:
            known |= {"n_times", "sfreq", "input_window_seconds"}
        if known >= set(candidate.needs):
            found.append({name: signal[name] for name in ("n_outputs", *channel, *time)})
    return found


@candidates()
def test_every_sufficient_set_of_signal_arguments_builds_it(candidate):
    ways = sufficient(candidate)
    assert len(ways) >= 12
    for way in ways:
        model = candidate.model(**way, **candidate.small)
        assert model(windows()).shape == (2, N_OUTPUTS), way


@candidates()
def test_arguments_that_contradict_each_other_are_refused(candidate):
    with pytest.raises(ValueError, match="n_chans"):
        candidate.build(n_chans=N_CHANS + 1)
    with pytest.raises(ValueError, match="n_times"):
        candidate.build(input_window_seconds=1.0)


@candidates()
def test_logits_are_a_tensor_of_batch_and_outputs(candidate):
    model = candidate.build().eval()
    for batch in (1, 2, 5):
        logits = model(windows(batch))
        assert isinstance(logits, torch.Tensor)
        assert logits.shape == (batch, N_OUTPUTS)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()


@candidates()
def test_a_window_is_decoded_by_itself_and_nothing_is_left_behind(candidate):
    model, x = candidate.build().eval(), windows(3)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    logits = model(x)
    assert torch.equal(x, windows(3)), "the input was changed"
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert torch.allclose(model(x.flip(0)).flip(0), logits, atol=1e-5)
    others = x.clone()
    others[1:] = 1 - 3 * others[1:]
    assert torch.allclose(model(others)[0], logits[0], atol=1e-5)


@candidates(CBraMod="its spectrum is an FFT, which bfloat16 has not")
def test_bfloat16_weights_give_about_the_same_logits(candidate):
    model = candidate.build().eval()
    expected = model(windows())
    half = model.to(torch.bfloat16)(windows().bfloat16())
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.float(), expected, atol=0.05 + 0.05 * expected.abs().max().item())


@candidates()
def test_a_batch_of_one_trains(candidate):
    model = candidate.build().train()
    model(windows(1)).square().sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in model.parameters())


@candidates()
def test_every_device_gives_its_own_tensors(candidate):
    with torch.device("meta"):
        assert candidate.build()(torch.empty(2, N_CHANS, N_TIMES)).shape == (2, N_OUTPUTS)
    model = candidate.build().eval()
    expected = model(windows())
    for device in ["cuda"] * torch.cuda.is_available():
        there = model.to(device)(windows().to(device))
        assert there.device.type == device
        assert torch.allclose(there.cpu(), expected, atol=1e-3)


@candidates(EEGNet="it has no reset_head")
def test_a_new_head_has_the_outputs_asked_for(candidate):
    model = candidate.build().eval()
    model.reset_head(7)
    assert model(windows()).shape == (2, 7)
    assert model.n_outputs == 7


@candidates(
    CBraMod="its reset_head leaves the configuration at the old n_outputs", EEGNet="it has no reset_head"
)
def test_the_configuration_follows_a_new_head(candidate):
    model = candidate.build()
    model.reset_head(7)
    assert model.get_config()["n_outputs"] == 7
    again = candidate.model.from_config(json.loads(json.dumps(model.get_config())))
    again.load_state_dict(model.state_dict())


@candidates()
def test_the_configuration_survives_json(candidate):
    model = candidate.build(activation=nn.ReLU).eval()
    again = candidate.model.from_config(json.loads(json.dumps(model.get_config()))).eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(windows()), model(windows()))


@candidates()
def test_it_describes_itself(candidate):
    model = candidate.build()
    assert model.get_output_shape() == (1, N_OUTPUTS)
    assert model.input_shape == (1, N_CHANS, N_TIMES)
    statistics = model.get_torchinfo_statistics()
    assert statistics.total_params >= sum(p.numel() for p in model.final_layer.parameters())
    assert "final_layer" in str(model)


@candidates()
def test_it_exports(candidate):
    model = candidate.build().eval()
    exported = torch.export.export(model, (windows(),), strict=False).module()
    assert torch.allclose(exported(windows(seed=1)), model(windows(seed=1)), atol=1e-5)


@candidates()
def test_it_compiles_without_a_graph_break(candidate):
    model = candidate.build().eval()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=False)
    assert torch.allclose(compiled(windows()), model(windows()), atol=1e-4)


@pytest.mark.slow
@candidates()
def test_compiled_with_less_overhead_it_gives_the_same_logits(candidate):
    model = candidate.build().eval()
    compiled = torch.compile(model, mode="reduce-overhead", dynamic=False)
    assert torch.allclose(compiled(windows()), model(windows()), atol=1e-4)


@candidates(EEGNet="its weights are parametrised", CBraMod="it calls einops, which takes keywords at will")
def test_it_scripts_although_it_can_return_features(candidate):
    model = candidate.build().eval()
    scripted = torch.jit.script(model)
    assert torch.allclose(scripted(windows()), model(windows()), atol=1e-5)


@candidates(EEGNet="its weights are parametrised")
def test_it_pickles(candidate):
    model = candidate.build().eval()
    assert torch.equal(pickle.loads(pickle.dumps(model))(windows()), model(windows()))


@candidates()
def test_its_pydantic_configuration_survives_json(candidate):
    pytest.importorskip("numpydantic", reason="numpydantic is not installed: make setup installs it")
    from braindecode.models.config import make_model_config

    kind = make_model_config(candidate.model, list(candidate.needs))
    for way in sufficient(candidate):
        config = kind(**way, **candidate.small)
        again = kind.model_validate_json(config.model_dump_json())
        assert again.model_dump(mode="json") == config.model_dump(mode="json")
    arguments = again.model_dump(exclude={"model_name_"})
    assert candidate.model(**arguments)(windows()).shape == (2, N_OUTPUTS)


@candidates()
def test_skorch_and_scikit_learn_clone_it_and_cross_validate_it(candidate):
    from sklearn.base import clone
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    x, y = windows(12).numpy(), np.arange(12) % 2
    classifier = EEGClassifier(
        candidate.model,
        module__sfreq=candidate.sfreq,
        module__chs_info=CHS_INFO,
        **{f"module__{name}": value for name, value in candidate.small.items()},
        max_epochs=1,
        batch_size=4,
        train_split=None,
        verbose=0,
    )
    pipeline = clone(make_pipeline(FunctionTransformer(np.asarray), classifier))
    assert set(cross_val_predict(pipeline, x, y, cv=2)) <= {0, 1}


@candidates()
def test_channels_without_positions_or_with_unknown_names_are_no_obstacle(candidate):
    for names in (["C3", "Cz", "C4"], ["one", "two", "three"]):
        bare = mne.create_info(names, candidate.sfreq, "eeg")["chs"]
        for chs_info in (bare, [{"ch_name": name} for name in names]):
            assert candidate.build(chs_info=chs_info)(windows()).isfinite().all()


@candidates()
def test_the_final_layer_is_among_the_last_two_children(candidate):
    assert "final_layer" in [name for name, _ in candidate.build().named_children()][-2:]


@candidates()
def test_activation_and_dropout_are_arguments(candidate):
    arguments = inspect.signature(candidate.model.__init__).parameters
    activations = [p for name, p in arguments.items() if "activation" in name]
    assert activations
    assert all(inspect.isclass(p.default) and issubclass(p.default, nn.Module) for p in activations)
    assert any("drop_prob" in name for name in arguments)
    first = candidate.build(activation=nn.ReLU).eval()
    second = candidate.build(activation=nn.Tanh).eval()
    assert not torch.equal(first(windows()), second(windows()))
    dropping = candidate.build(drop_prob=0.5).train()
    assert not torch.equal(dropping(windows()), dropping(windows()))


@candidates()
def test_the_loss_reaches_every_parameter_that_is_trained(candidate):
    chs_info = [*CHS_INFO[:2], {"ch_name": "nowhere"}]
    model = candidate.build(chs_info=chs_info).train()
    model(windows(4)).square().sum().backward()
    unreached = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert not unreached


@candidates(EEGNet="it is no foundation model")
def test_features_come_as_a_dictionary_on_request_only(candidate):
    model = candidate.build().eval()
    found = model(windows(), return_features=True)
    assert set(found) == {"features", "cls_token"}
    assert found["features"].shape[0] == 2
    assert found["features"].isfinite().all()
    assert found["cls_token"] is None or found["cls_token"].shape[0] == 2
    model.reset_head(10)
    assert torch.equal(model(windows(), return_features=True)["features"], found["features"])


@candidates()
def test_an_argument_that_names_an_embedding_takes_128(candidate):
    names = {"emb_size", "embedding_dim", "emb", "embed_dim", "emb_dim"}
    for name in names & set(inspect.signature(candidate.model.__init__).parameters):
        assert candidate.build(**{name: 128})(windows()).shape == (2, N_OUTPUTS)


@candidates(CBraMod="it cuts patches of 200 and refuses what is left over")
def test_a_length_that_is_no_multiple_of_anything_is_read(candidate):
    x = torch.zeros(2, N_CHANS, 1013)
    assert candidate.build(n_times=1013)(x).shape == (2, N_OUTPUTS)


@candidates()
def test_it_comes_back_from_a_local_folder(candidate, tmp_path):
    need_hub(candidate)
    model = candidate.build().eval()
    model.save_pretrained(tmp_path)
    assert {"config.json", "model.safetensors"} <= {path.name for path in tmp_path.iterdir()}
    again = candidate.model.from_pretrained(tmp_path).eval()
    assert torch.equal(again(windows()), model(windows()))


@candidates(EEGNet="it has no reset_head")
def test_it_comes_back_with_other_outputs_and_the_same_features(candidate, tmp_path):
    need_hub(candidate)
    model = candidate.build().eval()
    model.save_pretrained(tmp_path)
    other = candidate.model.from_pretrained(tmp_path, n_outputs=5).eval()
    assert other(windows()).shape == (2, 5)
    assert torch.equal(*(m(windows(), return_features=True)["features"] for m in (other, model)))


def need_hub(candidate):
    if candidate.model is not CSBrain:  # which saves and loads folders without it
        pytest.importorskip(
            "huggingface_hub", reason="huggingface_hub is not installed: make setup installs it"
        )
