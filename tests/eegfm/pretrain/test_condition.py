import json

import pytest
import torch
from safetensors.torch import load_file

from eegfm.config import ModelConfig, PretrainConfig
from eegfm.model import load_pretrained
from eegfm.pretrain import pretrain
from eegfm.pretrain.setup import build_encoder, prepare
from eegfm_lake.errors import UsageError
from tests.eegfm.locks import CAP, Made, brown_noise, write_lock

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def lock(tmp_path_factory):
    """Two sites, one of which records twice as much; one person more of a third site, and one who validates."""
    made = []
    for i, site in enumerate(["quiet", "loud", "quiet", "loud", "alone", "quiet", "nowhere"]):
        rows = [("site", site), ("line_freq", "50" if site == "quiet" else "60")]
        facts = [{"covariate": name, "value": value, "origin": "declared"} for name, value in rows]
        samples = (2.0 if site == "loud" else 1.0) * brown_noise(5, 1600, seed=i)
        person = {"person": f"made/P{i}", "facts": {"methodology": facts}}
        made.append(Made(names=CAP[:5], segments=(1600,), samples_uv=samples, **person))
    return write_lock(tmp_path_factory.mktemp("lake"), made, tile=400)


def config_for(lock, runs, **model) -> PretrainConfig:
    model = {"changes": {"depth": 1, "d_model": 16, "heads": 2}, "condition_recordings": 2} | model
    return PretrainConfig(
        name="run",
        lock=str(lock.path),
        runs=str(runs),
        steps=8,
        loader={"batch": 4, "workers": 0},
        model=model,
        optimiser={"warmup_steps": 2, "lr": 2e-3},
        validation={"people": 0.15, "every_steps": 4, "windows": 4},
        objective={"span_s": [0.5, 1.0]},
        accelerator="cpu",
        reconstructions=2,
    )


@pytest.fixture(scope="module")
def run_dir(lock, tmp_path_factory):
    return pretrain(config_for(lock, tmp_path_factory.mktemp("runs"), condition=["site", "line_freq"]))


def test_the_vocabulary_is_what_enough_training_recordings_have(run_dir):
    encoder = load_pretrained(run_dir / "model")
    assert encoder.config.condition == (("line_freq", ("50", "60")), ("site", ("loud", "quiet")))
    story = json.loads((run_dir / "run.json").read_text())["condition"]
    assert story["site"] == {"values": {"loud": 2, "quiet": 3}, "unseen": {"alone": 1}, "unknown": 0}
    assert story["line_freq"] == {"values": {"50": 3, "60": 3}, "unseen": {}, "unknown": 0}


def test_pretraining_makes_use_of_what_it_is_told(run_dir):
    film_VF = load_file(run_dir / "model" / "model.safetensors")["condition.film_VF"]
    assert film_VF.shape == (3 + 3, 2 * 16)
    assert (film_VF.abs().amax(1) > 0).all()  # unknown values too: covariates were dropped


def test_training_goes_on_from_a_conditioned_encoder_with_its_own_vocabulary(run_dir, lock, tmp_path):
    setup = prepare(
        config_for(lock, tmp_path, checkpoint=str(run_dir), condition=["line_freq", "site"]), lock
    )
    assert setup.model.encoder.config == load_pretrained(run_dir / "model").config
    assert setup.train.read(0).condition_BK.shape == (4, 2)
    assert setup.condition_RK[:, 1].tolist() == [2, 1, 2, 1, 0, 2, 0]
    with pytest.raises(UsageError, match=r"conditioned on line_freq, site, model\.condition asks for cap"):
        prepare(config_for(lock, tmp_path, checkpoint=str(run_dir), condition=["cap"]), lock)


def test_nothing_is_told_unless_it_is_asked_for(lock, tmp_path):
    setup = prepare(config_for(lock, tmp_path), lock)
    assert setup.model.encoder.condition is None
    assert setup.condition_RK is None
    assert setup.train.read(0).condition_BK is None


def test_a_covariate_that_nobody_recorded_leaves_unknown_alone():
    encoder = build_encoder(ModelConfig(condition=["amplifier"]), 4.0, [{"site": "quiet"}] * 9)
    assert encoder.config.condition == (("amplifier", ()),)
    assert encoder.condition.film_VF.shape == (1, 64)
