"""CSBrain on disk: what is saved comes back, for any montage and window, and a report says what fitted."""

import json
import logging
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import mne
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from eegfm import CSBrain
from eegfm.csbrain_loading import load_weights
from eegfm.model import Encoder, preset, save_pretrained
from eegfm_lake.errors import EegfmError

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:CSBrain")


def chs(*names: str) -> list[dict]:
    return mne.create_info(list(names), 250.0, "eeg")["chs"]


INFO = chs("C3", "Cz", "C4")


def model(**changes) -> CSBrain:
    torch.manual_seed(0)
    settings = {
        "n_outputs": 2,
        "chs_info": INFO,
        "n_times": 1000,
        "sfreq": 250.0,
        "preset": "tiny",
        "depth": 1,
    }
    return CSBrain(**(settings | changes)).eval()


def windows(*shape: int) -> torch.Tensor:
    return 25 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def strict_json(text: str):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation": torch.nn.ELU, "drop_prob": 0.3, "pooling": "region", "scale_uv": 50.0},
        {"d_model": 48, "heads": 4, "patch_samples": 80, "stride_samples": 40},
        {"chs_info": None, "n_chans": 3},
        {"encoder_config": preset("tiny", 4, tokenizer="shared", attention="dense").to_dict()},
    ],
)
def test_a_saved_model_comes_back_equal(tmp_path, changes: dict):
    net = model(**changes)
    net.save_pretrained(tmp_path)
    again = CSBrain.from_pretrained(tmp_path)
    assert torch.equal(again(windows(2, 3, 1000)), net(windows(2, 3, 1000)))
    assert not again.training
    assert again.load_report.complete
    assert (
        again.load_report.matched == again.load_report.total == len(load_file(tmp_path / "model.safetensors"))
    )
    assert strict_json((tmp_path / "config.json").read_text())["n_outputs"] == 2
    again.save_pretrained(tmp_path / "twice")
    assert (
        load_file(tmp_path / "twice/model.safetensors").keys()
        == load_file(tmp_path / "model.safetensors").keys()
    )
    assert (tmp_path / "twice/config.json").read_text() == (tmp_path / "config.json").read_text()


def test_positions_come_back_too(tmp_path):
    info = chs("one", "two", "Cz")
    info[0]["loc"][:3] = 0.03, -0.05, 0.06
    model(chs_info=info).save_pretrained(tmp_path)
    again = CSBrain.from_pretrained(tmp_path)
    assert np.allclose(again.layout_positions_MC3[0, 0], [0.3, -0.5, 0.6])
    assert again.layout_known_MC.tolist() == [[True, False, True]]


def test_another_montage_length_rate_and_number_of_outputs_need_no_surgery(tmp_path):
    net = model()
    net.save_pretrained(tmp_path)
    other = CSBrain.from_pretrained(
        tmp_path, chs_info=chs("Fz", "T3", "C4", "Oz", "nowhere"), n_times=4800, sfreq=160.0, n_outputs=5
    )
    assert other(windows(1, 5, 4800)).shape == (1, 5)
    assert other.get_config()["n_outputs"] == 5
    # 30 s would have had patches of 1 s in a new model; here the weights' own patches stay.
    assert other.encoder.config == net.encoder.config
    assert all(torch.equal(t, other.encoder.state_dict()[n]) for n, t in net.encoder.state_dict().items())
    report = other.load_report
    assert report.new == ("final_layer.weight", "final_layer.bias")
    assert (report.met, report.positioned, report.n_chans) == (("C4",), 4, 5)
    assert report.electrodes == ("Fz", "T7", "C4", "Oz", "nowhere")


@pytest.mark.parametrize(
    ("given", "n_times", "sfreq"),
    [
        ({"n_times": 1500}, 1500, 250),
        ({"input_window_seconds": 2.0}, 500, 250),
        ({"sfreq": 500.0}, 2000, 500),
        ({"sfreq": 500.0, "n_times": 1500}, 1500, 500),
        ({"input_window_seconds": 2.0, "n_times": 1000}, 1000, 500),
    ],
)
def test_what_is_not_said_of_the_window_stays(tmp_path, given: dict, n_times: int, sfreq: float):
    model().save_pretrained(tmp_path)
    again = CSBrain.from_pretrained(tmp_path, **given)
    assert (again.n_times, again.sfreq) == (n_times, sfreq)
    assert again(windows(1, 3, n_times)).shape == (1, 2)


def test_the_encoder_of_a_pre_training_run_gets_a_new_head(tmp_path, caplog):
    torch.manual_seed(1)
    encoder = Encoder(preset("tiny", 4, depth=1, drop_prob=0.2, ff_ratio=3.0))
    save_pretrained(tmp_path / "run/model", encoder, {"electrodes": ["C3", "Cz", "Fz"]})
    with caplog.at_level(logging.INFO, "eegfm"):
        net = CSBrain.from_pretrained(tmp_path / "run", n_outputs=4, chs_info=INFO, n_times=1000, sfreq=250)
    assert net.encoder.config == encoder.config
    assert all(torch.equal(t, net.encoder.state_dict()[n]) for n, t in encoder.state_dict().items())
    report = net.load_report
    assert report.matched == report.total == len(encoder.state_dict())
    assert {name.split(".")[0] for name in report.new} == {"pooling", "final_layer"}
    said = f"{report.total} of {report.total} tensors match; new: "
    assert said in caplog.text
    assert "2 of 3 electrodes were among its 3 (not C4); 3 of 3 have positions" in caplog.text
    with pytest.raises(ValueError, match="n_outputs"):
        CSBrain.from_pretrained(tmp_path / "run", chs_info=INFO, n_times=1000, sfreq=250)


def test_a_report_says_when_the_folder_does_not_name_its_electrodes(tmp_path):
    save_pretrained(tmp_path, Encoder(preset("tiny", 4, depth=1)))
    net = CSBrain.from_pretrained(tmp_path, n_outputs=2, n_chans=3, n_times=1000, sfreq=250)
    assert net.load_report.saved_electrodes is None
    assert "does not name its electrodes; 0 of 3 have positions" in str(net.load_report)


def test_less_than_everything_is_an_error_unless_it_is_allowed(tmp_path):
    net = model()
    net.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    kept = state.pop("encoder.norm.weight")
    state["stranger"] = torch.zeros(1)
    state["encoder.norm.bias"] = torch.zeros(3)
    save_file({name: tensor + 1 for name, tensor in state.items()}, tmp_path / "model.safetensors")
    total = len(state)  # one is gone and one is new
    counted = f"{total - 2} of {total} tensors match; missing: .*norm.weight.*; unused: .*stranger"
    with pytest.raises(EegfmError, match=f"{counted}.*allow_partial=True"):
        CSBrain.from_pretrained(tmp_path)
    before = net.state_dict()["final_layer.weight"].clone()
    with pytest.raises(EegfmError, match=counted):
        load_weights(net, tmp_path)
    assert torch.equal(net.final_layer.weight, before), "a refused file changed the model"
    report = load_weights(net, tmp_path, allow_partial=True)
    assert not report.complete
    assert set(report.missing) == {"encoder.norm.weight", "encoder.norm.bias"}
    assert set(report.unused) == {"stranger", "encoder.norm.bias"}
    assert torch.equal(net.final_layer.weight, before + 1)
    assert torch.equal(net.encoder.norm.weight, kept)


def test_weights_of_which_none_fits_are_an_error_always(tmp_path):
    model(d_model=16, heads=2).save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    save_file({"x." + name: tensor for name, tensor in state.items()}, tmp_path / "model.safetensors")
    with pytest.raises(EegfmError, match=r"0 of \d+ tensors match"):
        CSBrain.from_pretrained(tmp_path, allow_partial=True)


def test_other_settings_are_loaded_as_far_as_they_fit_when_that_is_allowed(tmp_path):
    model().save_pretrained(tmp_path)
    with pytest.raises(EegfmError, match=r"missing: encoder\.blocks\.1"):
        CSBrain.from_pretrained(tmp_path, depth=2)
    deeper = CSBrain.from_pretrained(tmp_path, depth=2, allow_partial=True)
    assert deeper.load_report.matched == len(load_file(tmp_path / "model.safetensors"))
    assert all(name.startswith("encoder.blocks.1.") for name in deeper.load_report.missing)


def test_a_setting_of_another_version_is_named(tmp_path):
    model().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"hemispheres": 2}))
    with pytest.raises(EegfmError, match=r"'hemispheres'.*does not know"):
        CSBrain.from_pretrained(tmp_path)


def test_a_loaded_model_still_scripts_and_trains_in_half_precision(tmp_path):
    model().save_pretrained(tmp_path)
    net = CSBrain.from_pretrained(tmp_path)
    assert torch.allclose(torch.jit.script(net)(windows(2, 3, 1000)), net(windows(2, 3, 1000)), atol=1e-5)
    net.to(torch.bfloat16).save_pretrained(tmp_path / "half")
    assert load_file(tmp_path / "half/model.safetensors")["final_layer.weight"].dtype == torch.bfloat16
    again = CSBrain.from_pretrained(tmp_path / "half")
    assert again.final_layer.weight.dtype == torch.float32
    assert torch.equal(again.final_layer.weight, net.final_layer.weight.float())


WITHOUT_HUB = """
import sys, warnings

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "huggingface_hub":
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
warnings.simplefilter("ignore")
from eegfm import CSBrain
from eegfm_lake.errors import EegfmError
net = CSBrain(n_outputs=2, n_chans=3, n_times=1000, sfreq=250, preset="tiny", depth=1)
net.save_pretrained(sys.argv[1])
print(CSBrain.from_pretrained(sys.argv[1], n_outputs=3).load_report)
for call in (lambda: CSBrain.from_pretrained("some/body"), lambda: net.save_pretrained("x", push_to_hub=True)):
    try:
        call()
    except EegfmError as error:
        print(error)
"""


def test_folders_are_saved_and_loaded_without_huggingface_hub(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_HUB, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report, repository, push = done.stdout.splitlines()
    assert "tensors match; new: final_layer.weight, final_layer.bias" in report
    assert repository.startswith("some/body: found no such folder")
    assert push == "huggingface_hub is not installed; run: pip install 'eegfm[hub]'"


FROM_HUB = """
import sys, warnings
warnings.simplefilter("ignore")
from eegfm import CSBrain
from eegfm_lake.errors import EegfmError
print(CSBrain.from_pretrained("made/brain", cache_dir=sys.argv[1], n_outputs=3).load_report)
try:
    CSBrain.from_pretrained("made/nothing", cache_dir=sys.argv[1])
except EegfmError as error:
    print(error)
"""


def test_a_repository_is_fetched_from_a_hub(tmp_path):
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: make setup installs it")
    model().save_pretrained(tmp_path / "repository")
    files = {path.name: path.read_bytes() for path in (tmp_path / "repository").iterdir()}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Made", (Hub,), {"files": files}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    surroundings = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HOME": str(tmp_path / "home"),
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-c", FROM_HUB, str(tmp_path / "cache")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    report, nothing = done.stdout.splitlines()
    assert report.startswith("made/brain: ")
    assert "new: final_layer.weight, final_layer.bias" in report
    assert nothing.startswith("made/nothing: found neither a folder here nor a repository of the hub")


class Hub(BaseHTTPRequestHandler):
    """As much of a hub as fetching one repository needs."""

    files: dict[str, bytes]
    COMMIT = "0123456789abcdef0123456789abcdef01234567"

    def do_GET(self):
        if not self.path.removeprefix("/api/models").startswith("/made/brain"):
            self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif self.path.startswith("/api/models/"):
            siblings = [{"rfilename": name, "size": len(held)} for name, held in self.files.items()]
            tree = [{"type": "file", "path": s["rfilename"], "size": s["size"], "oid": "0"} for s in siblings]
            facts = {"id": "made/brain", "sha": self.COMMIT, "siblings": siblings, "private": False}
            self.answer(200, json.dumps(tree if "/tree/" in self.path else facts).encode())
        else:
            held = self.files[self.path.split("/")[-1]]
            self.answer(200, held, {"ETag": f'"{hash(held)}"', "X-Repo-Commit": self.COMMIT})

    do_HEAD = do_GET

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass
