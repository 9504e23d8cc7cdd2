"""A whole comparison on a tiny lock, and its decoders on new samples."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from eegfm.config import FinetuneConfig
from eegfm.decode import finetune, predict_windows
from eegfm.decode.units import PREDICTIONS
from eegfm.model import Encoder, preset, save_pretrained
from eegfm_lake import electrodes
from eegfm_lake.cohort import freeze
from eegfm_lake.errors import EegfmError, UsageError
from tests.lake.tiny import CHANNELS, write_tiny_lake

SQL = """SELECT recording_id, onset_s AS start, 4.0 AS seconds, label FROM events
WHERE label LIKE 'motor/imagery/%'"""
QUICK = {"epochs": 1, "batch": 16, "alignment": ["past"]}


@pytest.fixture(scope="module")
def lock_path(tmp_path_factory):
    root = tmp_path_factory.mktemp("decode")
    lake = write_tiny_lake(root / "lake", people=4, trials=8)
    write_tiny_lake(root / "lake", people=2, trials=8, dataset="small", channels=CHANNELS[3:-3], seed=1)
    return freeze(lake, SQL, name="tiny").path


def config_of(lock_path, folder, **changes) -> FinetuneConfig:
    settings = {
        "name": "run",
        "lock": str(lock_path),
        "runs": str(folder),
        "protocol": {"folds": 3},
        "permutations": 2,
        "models": [
            {"name": "band_power"},
            {"name": "csp_lda", "alignment": ["calibration", "all"]},
            {"name": "methodology"},
            {"name": "csbrain", **QUICK},
        ],
        "alignment": {"uses": ["none", "past"]},
    }
    return FinetuneConfig(**(settings | changes))


@pytest.fixture(scope="module")
def run_dir(lock_path, tmp_path_factory):
    return finetune(config_of(lock_path, tmp_path_factory.mktemp("runs")))


def test_every_window_of_every_person_is_predicted_once_a_model(run_dir):
    predictions = pq.read_table(run_dir / "predictions.parquet")
    assert predictions.schema.equals(PREDICTIONS)
    rows = [row for row in predictions.to_pylist() if row["split"] == "test" and row["model"] == "band_power"]
    for use in ("none", "past"):
        windows = [row["window"] for row in rows if row["alignment"] == use]
        assert sorted(windows) == list(range(6 * 2 * 8))
    assert all(row["target_data"] == row["alignment"] for row in rows)
    assert all(row["predicted"] in ("motor/imagery/left_fist", "motor/imagery/right_fist") for row in rows)
    for row in rows[:20]:
        assert sum(row["probabilities"]) == pytest.approx(1.0, abs=1e-5)


def test_the_run_folder_holds_what_report_and_predict_need(run_dir):
    facts = json.loads((run_dir / "run.json").read_text())
    assert facts["kind"] == "finetune"
    assert facts["status"] == "finished"
    assert facts["lock"]["name"] == "tiny"
    scores = pq.read_table(run_dir / "scores.parquet").to_pylist()
    over = [row for row in scores if row["person"] is None and row["split"] == "test"]
    assert {row["people"] for row in over} == {6}
    best = next(row for row in over if row["model"] == "band_power" and row["alignment"] == "none")
    assert best["balanced_accuracy"] > 0.8
    assert (run_dir / "table.csv").read_text().count("\n") == 7
    assert set(json.loads((run_dir / "chance.json").read_text())) >= {"mean", "sd", "permutations"}
    log = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    epochs = [entry for entry in log if entry.get("model") == "csbrain" and entry.get("split") == "train"]
    assert {"epoch", "loss", "fold", "seed"} <= set(epochs[0])
    assert not [entry for entry in log if entry.get("split") == "test"]


def test_finished_units_are_not_done_again_and_a_lost_one_is(run_dir, lock_path):
    units = {path: path.stat().st_mtime_ns for path in (run_dir / "units").iterdir()}
    lost = next(path for path in units if path.name.startswith("band_power-aligned-1"))
    before = pq.read_table(run_dir / "predictions.parquet")
    lost.unlink()
    finetune(config_of(lock_path, run_dir.parent))
    after = {path: path.stat().st_mtime_ns for path in (run_dir / "units").iterdir()}
    assert {path for path in units if after[path] != units[path]} == {lost}
    assert pq.read_table(run_dir / "predictions.parquet").drop(["command"]) == before.drop(["command"])


def test_processes_give_the_same_predictions_as_one(lock_path, tmp_path):
    models = [{"name": "band_power"}, {"name": "csbrain", **QUICK}]
    tables = []
    for workers in (0, 2):
        folder = tmp_path / str(workers)
        finetune(config_of(lock_path, folder, workers=workers, models=models, permutations=0))
        tables.append(pq.read_table(folder / "run" / "predictions.parquet"))
    assert tables[0].drop(["probabilities"]) == tables[1].drop(["probabilities"])
    for one, other in zip(*(table["probabilities"].to_pylist() for table in tables), strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def encoder_that_saw(folder, people):
    save_pretrained(folder, Encoder(preset("tiny", 4.0)))
    if people is not None:
        (folder / "pretraining.json").write_text(json.dumps({"people": people, "lock": {}}))
    return str(folder)


def test_an_encoder_that_has_seen_test_people_is_refused(lock_path, tmp_path):
    checkpoint = encoder_that_saw(tmp_path / "model", ["tiny/P01", "tiny/P02", "elsewhere/P09"])
    models = [{"name": "csbrain", "model": {"checkpoint": checkpoint}, **QUICK}]
    with pytest.raises(EegfmError, match=r"2 of the 6 test people .*tiny/P01, tiny/P02.*test_people"):
        finetune(config_of(lock_path, tmp_path, models=models))
    unknown = encoder_that_saw(tmp_path / "unknown", None)
    models = [{"name": "csbrain", "model": {"checkpoint": unknown}, **QUICK}]
    with pytest.raises(EegfmError, match=r"no pretraining\.json says whom"):
        finetune(config_of(lock_path, tmp_path, models=models))


def test_an_encoder_that_has_seen_only_training_people_is_taken(lock_path, tmp_path):
    checkpoint = encoder_that_saw(tmp_path / "model", ["tiny/P01", "tiny/P02"])
    model = {"name": "csbrain", "mode": "linear_probe", "model": {"checkpoint": checkpoint}, **QUICK}
    protocol = {"folds": 3, "test_people": ["small/P01", "small/P02"]}
    run = finetune(config_of(lock_path, tmp_path, models=[model], protocol=protocol, permutations=0))
    people = set(
        pq.read_table(run / "predictions.parquet", filters=[("split", "=", "test")])["person"].to_pylist()
    )
    assert people == {"small/P01", "small/P02"}


def channel_rows(names):
    positions = np.asarray(electrodes.positions(names))
    return [
        {"name": name, "type": "eeg", "status": "good", "x": x, "y": y, "z": z}
        for name, (x, y, z) in zip(names, positions.tolist(), strict=True)
    ]


def new_samples(names, seconds=14):
    return np.random.default_rng(0).normal(0, 10, (len(names), seconds * 200))


def test_a_new_file_of_another_montage_is_predicted_window_by_window(run_dir):
    names = ("C3", "Cz", "C4", "FC1", "CP5", "Oz")
    found = predict_windows(run_dir, new_samples(names), channel_rows(names), rate_hz=200.0)
    assert found.model == "csbrain"
    assert found.target_data == "past"
    assert found.decoders == 3
    assert found.probabilities_NK.shape == (3, 2)
    np.testing.assert_allclose(found.onsets_s_N, [0, 4, 8])
    report = dict(line.split(": ", 1) for line in found.channel_report)
    assert report["C3"] == "matched"
    assert report["Oz"] == "not in every recording of the run, used by its position"
    assert report["Pz"] == "missing; the decoder does without"


def test_a_baseline_that_lacks_channels_refuses_and_says_which(run_dir):
    names = tuple(CHANNELS[3:9])
    with pytest.raises(EegfmError, match=r"lacks \d+ of the 13 channels that band_power was .*csbrain"):
        predict_windows(run_dir, new_samples(names), channel_rows(names), rate_hz=200.0, model="band_power")


def test_a_baseline_ignores_extra_channels_and_their_order(run_dir):
    names = tuple(reversed(CHANNELS))
    samples = new_samples(names)
    ask = {"rate_hz": 200.0, "model": "band_power", "alignment": "none", "onsets_s": [1.0, 9.5]}
    one = predict_windows(run_dir, samples, channel_rows(names), **ask)
    other = predict_windows(run_dir, samples[::-1], channel_rows(CHANNELS), **ask)
    np.testing.assert_allclose(one.probabilities_NK, other.probabilities_NK, atol=1e-5)
    assert "Fp1: extra, not used" in one.channel_report
    np.testing.assert_allclose(one.onsets_s_N, [1.0, 9.5])


def test_wrong_requests_are_explained(run_dir, lock_path, tmp_path):
    names = ("C3", "Cz", "C4")
    ask = (run_dir, new_samples(names), channel_rows(names))
    with pytest.raises(UsageError, match=r"no model 'eegnet'; it has band_power, .*, csbrain"):
        predict_windows(*ask, rate_hz=200.0, model="eegnet")
    with pytest.raises(UsageError, match="no decoder csbrain with alignment none; it offers past, all"):
        predict_windows(*ask, rate_hz=200.0, alignment="none")
    with pytest.raises(EegfmError, match="is at 250 Hz, the run at 200"):
        predict_windows(*ask, rate_hz=250.0)
    with pytest.raises(EegfmError, match="holds no window of 4 s"):
        predict_windows(run_dir, new_samples(names, 3), channel_rows(names), rate_hz=200.0)
    with pytest.raises(EegfmError, match=r"holds no inputs\.json"):
        predict_windows(tmp_path, *ask[1:], rate_hz=200.0)
    with pytest.raises(EegfmError, match="has the labels motor/imagery/left_fist"):
        finetune(config_of(lock_path, tmp_path, classes=["sleep/N1", "sleep/N2"]))
