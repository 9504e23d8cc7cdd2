"""The released network as a braindecode model: the same figures, published tables by name, refusals in one line."""

import json
import pickle

import mne
import pytest
import torch

from eegfm import CSBrain
from eegfm.model import FlattenHead, load_official_weights, official_table
from eegfm_lake.errors import EegfmError, UsageError

torch.set_num_threads(1)
IV_2A = list(official_table("bciciv2a").electrodes)
SMALL = {"depth": 2, "d_model": 100, "heads": 5}


def info(names: list[str], sfreq: float = 200.0) -> list[dict]:
    return mne.create_info(names, sfreq, "eeg")["chs"]


def model(names: list[str] = IV_2A, n_times: int = 400, sfreq: float = 200.0, **changes) -> CSBrain:
    torch.manual_seed(0)
    signal = {"n_outputs": 4, "chs_info": info(names, sfreq), "n_times": n_times, "sfreq": sfreq}
    return CSBrain(**(signal | {"compat": "official"} | SMALL | changes)).eval()


def windows(channels: int = 22, times: int = 400) -> torch.Tensor:
    return 25 * torch.randn(2, channels, times, generator=torch.Generator().manual_seed(0))


def test_its_logits_are_those_of_the_released_encoder_and_classifier():
    net = model()
    head = FlattenHead(net.encoder.config, 4, 4).eval()
    state = {f"classifier.{name}": tensor for name, tensor in net.pooling.hidden.state_dict().items()}
    state |= {f"classifier.6.{name}": tensor for name, tensor in net.final_layer.state_dict().items()}
    head.load_state_dict(state)
    x = windows()
    tokens = net.encoder.released(x.view(2, 22, 4, 100) / 100)
    assert torch.allclose(net(x), head(tokens), atol=1e-6)
    assert torch.equal(net(x, return_features=True)["features"], tokens)


def test_channels_of_a_published_table_get_that_table():
    assert model().encoder.config.order == official_table("bciciv2a").order
    shuffled = IV_2A[::-1]
    assert model(shuffled).encoder.config.order != official_table("bciciv2a").order


def test_other_channels_get_lobes_from_their_positions():
    config = model(["O1", "C3", "F3", "P4", "T8", "C4"]).encoder.config
    assert config.regions == (3, 4, 0, 1, 2, 4)
    assert [config.electrodes[i] for i in config.order] == ["F3", "P4", "T8", "O1", "C3", "C4"]


def test_published_sizes_are_the_default_and_their_weights_load():
    net = model(depth=None, d_model=None, heads=None, n_times=800)
    assert sum(p.numel() for p in net.encoder.parameters()) == 8_861_800


def test_weights_of_the_released_layout_load_into_its_encoder(tmp_path):
    net, other = model(), model()
    torch.save(
        {f"module.{k}": v + 1 for k, v in net.encoder.released.state_dict().items()}, tmp_path / "w.pth"
    )
    report = load_official_weights(other.encoder.released, tmp_path / "w.pth")
    assert report.complete
    own = net.encoder.released.state_dict()
    assert all(torch.equal(v, own[k] + 1) for k, v in other.encoder.released.state_dict().items())


def test_it_is_saved_loaded_scripted_and_pickled_like_ours(tmp_path):
    net, x = model(), windows()
    net.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["compat"] == "official"
    again = CSBrain.from_pretrained(tmp_path)
    assert torch.equal(again(x), net(x))
    assert torch.equal(pickle.loads(pickle.dumps(net))(x), net(x))
    assert torch.allclose(torch.jit.script(net)(x), net(x), atol=1e-5)
    assert torch.allclose(torch.export.export(net, (x,), strict=False).module()(x), net(x), atol=1e-5)


def test_another_number_of_outputs_replaces_the_last_layer_alone(tmp_path):
    net = model()
    net.save_pretrained(tmp_path)
    other = CSBrain.from_pretrained(tmp_path, n_outputs=2)
    assert other(windows()).shape == (2, 2)
    assert torch.equal(other.pooling.hidden[0].weight, net.pooling.hidden[0].weight)


def test_another_window_meets_the_flattened_classifier_and_says_so(tmp_path):
    model().save_pretrained(tmp_path)
    with pytest.raises(EegfmError, match=r"pooling\.hidden"):
        CSBrain.from_pretrained(tmp_path, n_times=600)


def test_what_the_released_design_cannot_do_is_refused():
    with pytest.raises(UsageError, match="no position of XYZ"):
        model(["C3", "XYZ"])
    with pytest.raises(UsageError, match="pooling"):
        model(pooling="mean")
    with pytest.raises(UsageError, match="patch_samples"):
        model(patch_samples=50)
    with pytest.raises(UsageError, match="expected 'official' or None"):
        model(compat="paper")
    with pytest.raises(UsageError, match="at least one patch of 100"):
        model(n_times=90)
