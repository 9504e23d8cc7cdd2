import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from eegfm.config import ModelConfig, OptimiserConfig, PretrainConfig, dump_config, load_config
from eegfm.model import load_pretrained
from eegfm.pretrain import pretrain
from eegfm.pretrain.optimiser import build_optimiser, lr_at
from eegfm.pretrain.setup import prepare
from eegfm_lake.errors import EegfmError, UsageError
from eegfm_lake.lock import read_lock
from tests.eegfm.locks import CAP, Made, brown_noise, position, write_lock

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def lock(tmp_path_factory):
    made = [
        Made(
            person=f"made/P{i}",
            names=CAP[: 4 + i % 2],
            segments=(3200,),
            same_as=["other/X"] if i == 1 else [],
        )
        for i in range(4)
    ]
    return write_lock(tmp_path_factory.mktemp("lake"), made, tile=400)


def config_for(lock, runs, **changes) -> PretrainConfig:
    settings = {
        "name": "run",
        "lock": str(lock.path),
        "runs": str(runs),
        "steps": 20,
        "loader": {"batch": 4, "workers": 0},
        "model": {"changes": {"depth": 1, "d_model": 16, "heads": 2}},
        "optimiser": {"warmup_steps": 3, "lr": 2e-3},
        "validation": {"people": 0.25, "every_steps": 10, "windows": 8},
        "objective": {"span_s": [0.5, 1.0]},
        "log_steps": 1,
        "accelerator": "cpu",
        "reconstructions": 3,
    }
    return PretrainConfig(**(settings | changes))


def logged(run_dir, split="train"):
    lines = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if line["split"] == split}


@pytest.fixture(scope="module")
def whole(lock, tmp_path_factory):
    return pretrain(config_for(lock, tmp_path_factory.mktemp("whole")))


def test_a_run_folder_holds_what_the_report_and_the_decoder_need(whole, lock):
    facts = json.loads((whole / "run.json").read_text())
    assert (facts["kind"], facts["status"], facts["steps"]) == ("pretrain", "finished", 20)
    assert facts["lock"]["hash"] == lock.hash
    assert load_config(whole / "config.yaml", PretrainConfig).steps == 20
    line = json.loads((whole / "log.jsonl").read_text().splitlines()[0])
    assert line["step"] == 1  # rates from the first step on
    assert line["windows_s"] > 0
    assert line["hours_h"] == pytest.approx(line["windows_s"] * 2, rel=1e-6)
    assert 0 <= line["wait_share"] <= 1
    assert line["mfu"] is None
    assert set(logged(whole)) == set(range(1, 21))
    assert set(logged(whole, "valid")) == {10, 20}
    described = json.loads((whole / "model" / "config.json").read_text())
    assert described["electrodes"] == sorted(CAP[:5])
    story = json.loads((whole / "model" / "pretraining.json").read_text())
    assert story["lock"] == {"name": lock.name, "hash": lock.hash}
    assert story["people"] == ["made/P0", "made/P1", "made/P2", "made/P3", "other/X"]
    assert (story["steps"], story["windows"]) == (20, 80)
    assert load_pretrained(whole / "model").config.patch_samples == 100


def test_reconstructions_are_in_microvolts_beside_the_truth(whole, lock):
    kept = np.load(whole / "reconstructions.npz")
    n, n_channels, n_times = kept["true_uv"].shape
    assert (n, n_times) == (3, 400)
    assert kept["predicted_uv"].shape == kept["true_uv"].shape
    assert kept["hidden"].shape == (n, n_channels, 7)
    assert (len(kept["names"]), kept["positions"].shape) == (n_channels, (n_channels, 3))
    assert 2 < kept["true_uv"].std() < 100
    seen = kept["hidden"].sum(axis=-1) == 0
    np.testing.assert_allclose(kept["predicted_uv"][seen], kept["true_uv"][seen], rtol=1e-5)
    persons = {
        lock.recordings["person"][lock.windows["recording"][int(w)].as_py()].as_py() for w in kept["windows"]
    }
    assert persons == {"made/P3"}  # of the validation people


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_continues_as_if_nothing_had_happened(whole, lock, tmp_path, number):
    config = config_for(lock, tmp_path, checkpoint_steps=5, loader={"batch": 4, "workers": 2})
    (tmp_path / "config.yaml").write_text(dump_config(config))
    command = (
        f"import torch; torch.set_num_threads({torch.get_num_threads()});"  # sums depend on it in the last bit
        "from eegfm.config import *; from eegfm.pretrain import pretrain;"
        f"pretrain(load_config({str(tmp_path / 'config.yaml')!r}, PretrainConfig))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", command], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for_step(config.run_dir, 7, process)
        process.send_signal(number)
        errors = process.communicate()[1]
    facts = json.loads((config.run_dir / "run.json").read_text())
    if facts["status"] != "finished":  # it may have been faster than the signal
        assert process.returncode != 0
        if number != signal.SIGKILL:
            assert facts["status"] == "stopped"
            assert "the same command goes on from there" in errors
    run_dir = pretrain(config)
    assert logged(run_dir) == logged(whole)
    assert logged(run_dir, "valid") == logged(whole, "valid")
    ours, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (run_dir, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def wait_for_step(run_dir, step, process, limit_s=120):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and process.poll() is None:
        log = run_dir / "log.jsonl"
        if log.exists() and log.read_text().count('"train"') >= step:
            return
    assert process.poll() == 0, "the run neither reached the step nor finished"


def test_recomputed_activations_give_the_same_losses(whole, lock, tmp_path):
    folder = pretrain(config_for(lock, tmp_path, checkpointing=True))
    assert logged(folder) == pytest.approx(logged(whole), rel=1e-5)


@pytest.mark.slow
def test_compiled_blocks_give_the_same_losses(lock, tmp_path):
    torch.compiler.reset()  # the graphs of other tests in this process count towards its limit
    without_dropout = ModelConfig(changes={"depth": 1, "d_model": 16, "heads": 2, "drop_prob": 0.0})
    plain = pretrain(config_for(lock, tmp_path, model=without_dropout))
    folder = pretrain(config_for(lock, tmp_path, model=without_dropout, name="compiled", compile=True))
    assert logged(folder) == pytest.approx(logged(plain), rel=1e-3)


def test_a_finished_run_is_left_as_it_is(whole, lock):
    before = {file: file.stat().st_mtime_ns for file in whole.rglob("*") if file.is_file()}
    assert pretrain(config_for(lock, whole.parent)) == whole
    assert {file: file.stat().st_mtime_ns for file in whole.rglob("*") if file.is_file()} == before


def test_another_configuration_or_lock_does_not_continue_a_run(whole, lock, tmp_path):
    with pytest.raises(
        UsageError, match=r"was trained with optimiser\.lr=0\.002, not 0\.1; give the run another name"
    ):
        pretrain(config_for(lock, whole.parent, optimiser={"warmup_steps": 3, "lr": 0.1}))
    other = write_lock(tmp_path, [Made(segments=(800,))])
    meta = json.loads((Path(other.path) / "lock.json").read_text()) | {"hash": "f" * 64}
    (Path(other.path) / "lock.json").write_text(json.dumps(meta))
    with pytest.raises(UsageError, match="was trained on lock 0000"):
        pretrain(config_for(read_lock(other.path), whole.parent))


def test_a_damaged_checkpoint_says_what_to_do(whole, lock, tmp_path):
    config = config_for(lock, tmp_path)
    (config.run_dir / "resume").mkdir(parents=True)
    data = (whole / "resume" / "checkpoint.pt").read_bytes()
    (config.run_dir / "resume" / "checkpoint.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(EegfmError, match=r"is damaged .* delete it to start again"):
        pretrain(config)


def test_a_loss_that_is_not_finite_is_explained_and_recorded(lock, tmp_path):
    config = config_for(lock, tmp_path, optimiser={"lr": 1e30, "warmup_steps": 0})
    with pytest.raises(
        EegfmError, match=r"the loss is (nan|inf) at step \d+ \(learning rate .*lower optimiser\.lr"
    ):
        pretrain(config)
    facts = json.loads((config.run_dir / "run.json").read_text())
    assert facts["status"] == "failed"
    assert "the loss is" in facts["error"]


def test_an_encoder_trained_further_remembers_everybody_it_has_seen(whole, tmp_path):
    lock = write_lock(tmp_path / "lake", [Made(person="late/A", names=CAP[:4], segments=(1600,))], tile=400)
    config = config_for(lock, tmp_path, steps=2, model={"checkpoint": str(whole)})
    story = json.loads((pretrain(config) / "model" / "pretraining.json").read_text())
    assert story["people"] == ["late/A", "made/P0", "made/P1", "made/P2", "made/P3", "other/X"]
    assert [run["steps"] for run in story["earlier"]] == [20]
    first = prepare(config, lock).model.encoder.state_dict()
    before = load_pretrained(whole / "model").state_dict()
    assert all(torch.equal(first[name], before[name]) for name in before)


def test_a_checkpoint_that_is_none_is_explained(lock, tmp_path):
    with pytest.raises(EegfmError, match="holds no encoder: expected a run folder or its model/"):
        pretrain(config_for(lock, tmp_path, model=ModelConfig(checkpoint=str(tmp_path))))


def test_the_model_can_learn_what_it_is_asked(lock, tmp_path):
    config = config_for(
        lock, tmp_path, loader={"batch": 4, "workers": 0}, model={"changes": {"drop_prob": 0.0}}
    )
    setup = prepare(config, lock)
    optimiser = build_optimiser(setup.model, OptimiserConfig(lr=4e-3))
    batch = setup.train.read(0)
    losses = []
    for step in range(120):
        for group in optimiser.param_groups:
            group["lr"] = lr_at(step, 120, OptimiserConfig(lr=4e-3, warmup_steps=10))
        loss = setup.objective.loss(setup.model(batch), setup.model.encoder.patches(batch.x_BCT), batch)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(setup.model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    assert 0.5 < losses[0] < 3  # coefficients start at their typical size
    assert losses[-1] < 0.5


@pytest.mark.slow
def test_pretraining_learns_to_tell_people_it_has_not_seen_from_neighbours(tmp_path):
    # Few sources seen by all electrodes: hidden patches can be told from the visible ones.
    rng = np.random.default_rng(5)
    cap = np.array([position(i) for i in range(8)])
    places = rng.normal(size=(4, 3))
    places *= 0.05 / np.linalg.norm(places, axis=1, keepdims=True)
    gains_CS = 1 / np.linalg.norm(cap[:, None] - places[None], axis=-1) ** 2
    made = []
    for person in range(12):
        x = gains_CS @ brown_noise(4, 40_000, seed=person)
        made.append(
            Made(person=f"made/P{person:02d}", samples_uv=20 * x / x.std(), names=CAP[:8], segments=(40_000,))
        )
    config = config_for(
        write_lock(tmp_path, made),
        tmp_path,
        steps=1000,
        loader={"batch": 8, "workers": 1},
        model={"changes": {"drop_prob": 0.0}},
        optimiser={"lr": 4e-3, "warmup_steps": 20},
        objective={"span_s": [0.5, 2.0], "high_hz": 40.0},
        validation={"people": 0.1, "every_steps": 1000, "windows": 50},
        log_steps=100,
    )
    run_dir = pretrain(config)
    assert logged(run_dir, "valid")[1000] < 0.85
