import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from eegfm.model import Encoder, load_pretrained, preset, save_pretrained
from eegfm_lake.errors import EegfmError
from tests.eegfm.model.caps import CAP_19, CAP_22, eeg, positions


@pytest.mark.parametrize("tokenizer", ["layer", "shared", "first"])
def test_a_saved_encoder_comes_back_equal(tmp_path, tokenizer: str):
    encoder = Encoder(preset("tiny", 4, tokenizer=tokenizer)).eval()
    save_pretrained(tmp_path / "model", encoder, {"lock": "abc"})
    again = load_pretrained(tmp_path / "model").eval()
    assert again.config == encoder.config
    for names, samples in ((CAP_22, 800), (CAP_19, 600)):
        x = eeg(1, len(names), samples)
        assert torch.equal(again(x, positions(names)), encoder(x, positions(names)))
    assert json.loads((tmp_path / "model/config.json").read_text())["lock"] == "abc"


def test_weights_that_do_not_match_are_an_error_that_counts(tmp_path):
    save_pretrained(tmp_path, Encoder(preset("tiny", 4)))
    state = load_file(tmp_path / "model.safetensors")
    total = len(state)
    state.pop("norm.weight")
    state["norm.bias"] = torch.zeros(3)
    state["stranger"] = torch.zeros(1)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(
        EegfmError, match=rf"{total - 2} of {total} tensors match.*first that does not: norm.bias"
    ):
        load_pretrained(tmp_path)


def test_a_damaged_or_absent_file_is_named(tmp_path):
    with pytest.raises(EegfmError, match=r"config.json"):
        load_pretrained(tmp_path / "nowhere")
    save_pretrained(tmp_path, Encoder(preset("tiny", 4)))
    (tmp_path / "model.safetensors").write_bytes(b"half a fi")
    with pytest.raises(EegfmError, match="damaged"):
        load_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    save_file({}, tmp_path / "model.safetensors")
    with pytest.raises(EegfmError, match="no key 'encoder'"):
        load_pretrained(tmp_path)
