"""CSBrain behaves as braindecode's models do, and says what it does where theirs guess."""

import json
import pickle
import subprocess
import sys
import warnings

import mne
import numpy as np
import pytest
import torch

from eegfm import CSBrain
from eegfm_lake.errors import UsageError

torch.set_num_threads(1)
NAMES = ["C3", "Cz", "C4", "Fp1", "O2"]
INFO = mne.create_info(NAMES, 250.0, "eeg")["chs"]
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def model(**changes) -> CSBrain:
    torch.manual_seed(0)
    signal = {"n_outputs": 3, "chs_info": INFO, "n_times": 1000, "sfreq": 250.0}
    return CSBrain(**(signal | {"preset": "tiny"} | changes)).eval()


def windows(n: int = 2, channels: int = 5, times: int = 1000, seed: int = 0) -> torch.Tensor:
    return 25 * torch.randn(n, channels, times, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "signal",
    [
        {"chs_info": INFO, "n_times": 1000, "sfreq": 250},
        {"chs_info": INFO, "n_times": 1000, "input_window_seconds": 4.0},
        {"n_chans": 5, "sfreq": 250, "input_window_seconds": 4.0},
        {"n_chans": 5, "chs_info": INFO, "n_times": 1000, "sfreq": 250, "input_window_seconds": 4.0},
    ],
)
@pytest.mark.filterwarnings("ignore:CSBrain knows no position")
def test_any_sufficient_set_of_signal_parameters_builds_it(signal: dict):
    built = CSBrain(n_outputs=3, preset="tiny", **signal)
    assert built.get_output_shape() == (1, 3)
    assert built(windows(1)).shape == (1, 3)


def test_what_cannot_be_inferred_is_an_error():
    with pytest.raises(ValueError, match="sfreq"):
        CSBrain(n_outputs=2, chs_info=INFO, n_times=1000)
    with pytest.raises(UsageError, match="patch of 100"):
        model(n_times=90)


def test_features_come_as_tokens_and_no_class_token():
    out = model()(windows(), return_features=True)
    assert out["features"].shape == (2, 5, 15, 32)
    assert out["cls_token"] is None


def test_the_final_layer_is_last_and_the_configuration_follows_a_new_head():
    net = model()
    assert list(dict(net.named_children()))[-1] == "final_layer"
    net.reset_head(7)
    assert net(windows()).shape == (2, 7)
    assert net.get_config()["n_outputs"] == net.n_outputs == 7


def test_the_configuration_survives_json():
    net = model(activation=torch.nn.ELU, drop_prob=0.2, pooling="region")
    again = CSBrain.from_config(json.loads(json.dumps(net.get_config())))
    again.load_state_dict(net.state_dict())
    assert torch.equal(again.eval()(windows()), net(windows()))


def test_pickle_script_and_export_give_the_same_logits():
    net, x = model(), windows()
    expected = net(x)
    assert torch.equal(pickle.loads(pickle.dumps(net))(x), expected)
    assert torch.allclose(torch.jit.script(net)(x), expected, atol=1e-5)
    exported = torch.export.export(net, (x,), strict=False).module()
    assert torch.allclose(exported(x), expected, atol=1e-5)


def test_a_batch_of_one_trains():
    net = model().train()
    net(windows(1)).sum().backward()
    assert all(p.grad is not None for p in net.final_layer.parameters())


def test_the_order_of_channels_does_not_matter_when_chs_info_follows():
    order = [3, 0, 4, 2, 1]
    net, permuted = model(), model(chs_info=[INFO[i] for i in order])
    permuted.load_state_dict(net.state_dict())
    assert torch.allclose(permuted(windows()[:, order]), net(windows()), atol=1e-5)


def test_weights_fit_any_montage_rate_and_length():
    net = model()
    other = model(chs_info=mne.create_info(["Fz", "Oz"], 160.0, "eeg")["chs"], n_times=480, sfreq=160.0)
    other.load_state_dict(net.state_dict())
    assert other(windows(1, 2, 480)).isfinite().all()


def test_the_sampling_rate_hardly_matters():
    times = np.arange(4000) / 1000
    x = 20 * np.stack([np.sin(2 * np.pi * f * times + f) for f in (6, 9, 11, 20, 31)])
    net = model(n_times=800, sfreq=200.0)
    logits = net(torch.from_numpy(x[None, :, ::5]).float())
    for step, rate in ((4, 250.0), (2, 500.0), (1, 1000.0)):
        other = model(n_times=4000 // step, sfreq=rate)
        other.load_state_dict(net.state_dict())
        assert torch.allclose(other(torch.from_numpy(x[None, :, ::step]).float()), logits, atol=0.02)


def test_positions_come_from_loc_then_from_the_name_and_else_are_unknown_with_a_warning():
    rng = np.random.default_rng(0)
    own = [{"ch_name": "C3", "loc": np.r_[0.03, 0.02, 0.09, np.zeros(9)]}]
    wild = [{"ch_name": "C4", "loc": 10 * rng.standard_normal(12)}]
    net = model(chs_info=own + wild)
    assert np.allclose(net.layout_positions_MC3[0, 0], [0.3, 0.2, 0.9])
    assert net.layout_positions_MC3[0, 1, 0] > 0.5
    with pytest.warns(UserWarning, match="no position of 1 of 2 channels.*XYZ"):
        model(chs_info=mne.create_info(["C3", "XYZ"], 250.0, "eeg")["chs"])
    with pytest.warns(UserWarning, match="no position of 4 of 4 channels"):
        model(chs_info=None, n_chans=4)


def test_an_activation_of_ones_own_is_refused():
    class Mine(torch.nn.Module):
        pass

    with pytest.raises(UsageError, match=r"torch\.nn"):
        model(activation=Mine)


def test_a_skorch_classifier_in_a_pipeline_learns():
    from braindecode import EEGClassifier
    from sklearn.base import clone
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    y = np.arange(48) % 2
    x = windows(48).numpy()
    burst = 60 * np.sin(2 * np.pi * 11 * np.arange(1000) / 250)
    x[y == 1, 0] += burst
    x[y == 0, 2] += burst
    net = EEGClassifier(
        CSBrain,
        module__chs_info=INFO,
        module__sfreq=250.0,
        module__preset="tiny",
        optimizer=torch.optim.AdamW,
        optimizer__lr=3e-3,
        batch_size=16,
        max_epochs=6,
        train_split=None,
        verbose=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = clone(make_pipeline(FunctionTransformer(np.asarray), net)).fit(
            x[:32].astype("float32"), y[:32]
        )
        assert pipeline.score(x[32:].astype("float32"), y[32:]) > 0.9


def test_importing_eegfm_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys, time; t = time.perf_counter(); import eegfm; "
        "assert time.perf_counter() - t < 0.1; assert not {'torch', 'braindecode'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_compiled_equals_eager():
    net, x = model(), windows()
    assert torch.allclose(torch.compile(net)(x), net(x), atol=1e-4)
