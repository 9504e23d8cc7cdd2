"""CSBrain behaves as braindecode's models do, and says what it does where theirs guess."""

import re
import subprocess
import sys
import warnings
from pathlib import Path

import mne
import numpy as np
import pytest
import torch

from eegfm import CSBrain
from eegfm.model import PRESETS
from eegfm_lake.errors import UsageError

torch.set_num_threads(1)
NAMES = ["C3", "Cz", "C4", "Fp1", "O2"]
ROOT = Path(__file__).parents[2]


def chs(*names: str) -> list[dict]:
    return mne.create_info(list(names), 250.0, "eeg")["chs"]


INFO = chs(*NAMES)
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def model(**changes) -> CSBrain:
    torch.manual_seed(0)
    signal = {"n_outputs": 3, "chs_info": INFO, "n_times": 1000, "sfreq": 250.0}
    return CSBrain(**(signal | {"preset": "tiny"} | changes)).eval()


def windows(n: int = 2, channels: int = 5, times: int = 1000, seed: int = 0) -> torch.Tensor:
    return 25 * torch.randn(n, channels, times, generator=torch.Generator().manual_seed(seed))


def test_what_cannot_be_inferred_is_an_error():
    with pytest.raises(ValueError, match="sfreq"):
        CSBrain(n_outputs=2, chs_info=INFO, n_times=1000)
    with pytest.raises(UsageError, match="patch of 100"):
        model(n_times=90)


def test_features_come_as_tokens_and_no_class_token():
    out = model()(windows(), return_features=True)
    assert out["features"].shape == (2, 5, 15, 32)
    assert out["cls_token"] is None


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
    own = [{"ch_name": "C3", "loc": np.r_[0.03, 0.02, 0.09, np.zeros(9)]}]
    net = model(chs_info=own + chs("C4"))
    assert np.allclose(net.layout_positions_MC3[0, 0], [0.3, 0.2, 0.9])
    assert net.layout_positions_MC3[0, 1, 0] > 0.5
    with pytest.warns(UserWarning, match="no position of 1 of 2 channels.*XYZ"):
        model(chs_info=chs("C3", "XYZ"))
    with pytest.warns(UserWarning, match="no position of 4 of 4 channels"):
        model(chs_info=None, n_chans=4)


def test_names_are_read_as_recordings_write_them():
    names = ("EEG FP1-REF", "T3", "fc5.", "C3")
    net, plain = model(chs_info=chs(*names)), model(chs_info=chs("Fp1", "T7", "FC5", "C3"))
    assert torch.equal(net.layout_positions_MC3, plain.layout_positions_MC3)
    assert net.layout_known_MC.all()


@pytest.mark.parametrize("loc", [np.full(12, np.nan), np.zeros(12), None])
def test_an_absent_position_goes_to_the_name_without_a_word(loc):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = model(chs_info=[{"ch_name": "C3", "loc": loc}])
    assert torch.equal(net.layout_positions_MC3, model(chs_info=chs("C3")).layout_positions_MC3)


@pytest.mark.parametrize(
    "xyz", [(30.0, 20.0, 90.0), (0.003, 0.002, 0.009), (0.03, np.nan, 0.09), (np.inf, 0, 0)]
)
def test_a_position_that_cannot_be_one_is_not_taken_and_that_is_said(xyz):
    wrong = {"loc": np.r_[xyz, np.zeros(9)]}
    with pytest.warns(UserWarning, match=r"positions of 1 of 1 channels \(C3\) that are not 3 to 30 cm"):
        net = model(chs_info=[{"ch_name": "C3"} | wrong])
    assert torch.equal(net.layout_positions_MC3, model(chs_info=chs("C3")).layout_positions_MC3)
    with pytest.warns(UserWarning, match="knows no position of 1 of 1 channels"):
        assert not model(chs_info=[{"ch_name": "somewhere"} | wrong]).layout_known_MC.any()


def test_volts_are_read_when_that_is_said():
    assert torch.allclose(model(scale_uv=1e-4)(1e-6 * windows()), model()(windows()), atol=1e-5)


@pytest.mark.filterwarnings("ignore:CSBrain knows no position")
def test_an_electrode_of_unknown_place_is_read_but_filters_nothing():
    net = model(chs_info=chs("C3", "C4", "XYZ"))
    operators_JCC = net.layout_operators_MJCC[0]
    assert not operators_JCC[:, :2, 2].any()
    x = windows(1, 3)
    changed = x.clone()
    changed[:, 2] *= 3
    assert not torch.allclose(net(changed), net(x), atol=1e-4)


def test_samples_after_the_last_full_patch_change_nothing():
    net, x = model(n_times=837, sfreq=200.0), windows(2, 5, 837)
    assert net(x, return_features=True)["features"].shape[2] == 15
    cut = model(n_times=800, sfreq=200.0)
    assert torch.equal(net(x), cut(x[..., :800]))
    changed = x.clone()
    changed[..., 800:] = 1e3
    assert torch.equal(net(changed), net(x))


def test_windows_of_the_wrong_shape_are_refused():
    net = model()
    for shape in ((2, 1, 1000), (2, 6, 1000), (5, 1000)):
        with pytest.raises(UsageError, match=r"expected \(batch, 5, n_times\)"):
            net(torch.zeros(shape))
    with pytest.raises(UsageError, match="at least one patch of 100"):
        net(torch.zeros(2, 5, 120))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_sizes_that_the_documentation_states(name):
    def count(seconds):
        with torch.device("meta"):
            net = model(n_times=250 * seconds, preset=name)
        return sum(p.numel() for p in net.encoder.parameters())

    config = PRESETS[name]
    row = f"| `{name}` | {config.d_model} | {config.depth} | {config.heads} | {count(30):,} | {count(4):,} |"
    assert row in (ROOT / "docs/model.md").read_text()


def test_tiny_takes_less_than_ten_megabytes(tmp_path):
    for window_s in (4, 30):
        net = model(n_times=250 * window_s).to(torch.bfloat16)
        net.save_pretrained(tmp_path)
        assert (tmp_path / "model.safetensors").stat().st_size < 10e6
        assert sum(t.numel() * t.element_size() for t in [*net.parameters(), *net.buffers()]) < 10e6


def test_float64_weights_give_the_same_logits():
    net = model()
    expected = net(windows())
    assert torch.allclose(net.double()(windows().double()).float(), expected, atol=1e-6)


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


def test_the_code_of_the_page_on_the_model_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in re.findall(r"```python\n(.*?)```", (ROOT / "docs/model.md").read_text(), re.DOTALL):
        exec(code, names)
    assert names["again"](torch.zeros(1, 4, 320)).shape == (1, 4)
    report, page = str(names["again"].load_report), (ROOT / "docs/model.md").read_text()
    shown = (
        re.search(r"((?:^# .*\n)+)```", page, re.MULTILINE)[1].replace("# ", "").replace("\n", " ").strip()
    )
    assert re.sub(r"\d+ of \d+ tensors", "all tensors", shown) == re.sub(
        r"\d+ of \d+ tensors", "all tensors", report
    )
