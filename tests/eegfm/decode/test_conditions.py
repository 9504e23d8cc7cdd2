import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from edfio import Edf, EdfSignal

from eegfm.decode import finetune, predict_windows
from eegfm.decode.conditions import by_recording, condition_of
from eegfm.decode.decoders import load_decoder, save_decoder
from eegfm.decode.networks import NetworkDecoder, NetworkSpec
from eegfm.decode.training import Schedule
from eegfm.decode.trials import PersonTrials, Trials
from eegfm.model import Encoder, preset, save_pretrained
from eegfm.predict import predict_file
from eegfm_lake import electrodes
from eegfm_lake.cohort import freeze
from tests.eegfm.decode.made import CAP_8, make_trials
from tests.eegfm.decode.test_finetune import QUICK, channel_rows, config_of, new_samples
from tests.eegfm.locks import brown_noise
from tests.lake.tiny import write_tiny_lake

WORDS = (("line_freq", ("50", "60")), ("site", ("here",)))


def told(person: PersonTrials, line_freq: list[str | None]) -> PersonTrials:
    """The same person, recorded run by run under these line frequencies."""
    values = np.array([line_freq[order] for order in person.order_N], dtype=object)
    return replace(person, facts=person.facts | {"line_freq": values})


@pytest.fixture(scope="module")
def trials() -> Trials:
    made = make_trials(3, trials=8)
    lines = (["50", "60"], ["60", None], ["16.7", "50"])
    return replace(made, people=tuple(map(told, made.people, lines)))


def test_every_window_has_the_numbers_of_its_recording(trials):
    first, second, third = (condition_of([person], WORDS).tolist() for person in trials.people)
    assert first == [[1, 1]] * 4 + [[2, 1]] * 4
    assert second == [[2, 1]] * 4 + [[0, 1]] * 4
    assert third == [[0, 1]] * 4 + [[1, 1]] * 4
    assert condition_of(trials.people, WORDS).tolist() == [*first, *second, *third]
    assert condition_of(trials.people, ()) is None
    assert len(by_recording(trials.people)) == 6


def decoder_of(trials: Trials, **changes) -> NetworkDecoder:
    settings = {
        "condition": ("site", "line_freq"),
        "condition_recordings": 2,
        "schedule": Schedule(2, 8, 1e-2),
    }
    spec = NetworkSpec("csbrain", encoder=preset("tiny", 2.0, depth=1).to_dict(), **(settings | changes))
    records = []
    decoder = NetworkDecoder(spec, log=records.append)
    decoder.fit(trials.only(trials.names[:2]), trials.only(trials.names[2:]))
    decoder.records = records
    return decoder


def test_a_random_encoder_takes_its_values_from_training_people(trials):
    decoder = decoder_of(trials)
    assert decoder.vocabulary == (("line_freq", ("60",)), ("site", ("here",)))  # 50 Hz in one recording only
    counted = next(record["condition"] for record in decoder.records if "condition" in record)
    assert counted["line_freq"] == {"values": {"60": 2}, "unseen": {"50": 1}, "unknown": 1}
    assert decoder.network.encoder.condition.film_VF.abs().max() > 0


def test_a_conditioned_decoder_is_told_when_it_predicts_and_when_read_back(trials, tmp_path):
    decoder = decoder_of(trials)
    here = decoder.predict(trials)
    elsewhere = replace(trials, people=tuple(told(person, [None, None]) for person in trials.people))
    assert not np.allclose(here[:8], decoder.predict(elsewhere)[:8], atol=1e-7)
    save_decoder(decoder, tmp_path)
    again = load_decoder(tmp_path)
    assert again.vocabulary == decoder.vocabulary
    np.testing.assert_allclose(again.predict(trials), here, atol=1e-6)


def test_a_decoder_without_conditions_looks_at_no_covariate(trials):
    decoder = decoder_of(trials, condition=())
    assert decoder.vocabulary == ()
    elsewhere = replace(trials, people=tuple(replace(person, facts={}) for person in trials.people))
    assert np.array_equal(decoder.predict(trials), decoder.predict(elsewhere))


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp("told")
    sql = (
        "SELECT recording_id, onset_s AS start, 4.0 AS seconds, label FROM events WHERE label LIKE 'motor/%'"
    )
    lock = freeze(write_tiny_lake(root / "lake", people=4, trials=8), sql, name="tiny")
    words = {"line_freq": ["50", "60"], "site": ["nowhere"]}
    model = save_pretrained(root / "model", Encoder(preset("tiny", 4, depth=1, condition=words)))
    (model / "pretraining.json").write_text(json.dumps({"people": ["other/P1"]}))
    models = [{"name": "csbrain", "model": {"checkpoint": str(model)}, **QUICK}, {"name": "band_power"}]
    return finetune(config_of(lock.path, root, models=models, permutations=0, protocol={"folds": 3}))


def test_what_a_decoder_was_told_is_in_every_row(run_dir):
    for file in ("predictions", "scores"):
        rows = pq.read_table(run_dir / f"{file}.parquet").to_pylist()
        assert {(row["model"], row["condition"]) for row in rows} == {
            ("csbrain", "line_freq, site"),
            ("band_power", None),
        }
    assert 'csbrain,past,past,0,"line_freq, site",' in (run_dir / "table.csv").read_text()


def test_a_new_file_is_read_under_its_own_methodology(run_dir):
    ask = {"rate_hz": 200.0, "model": "csbrain"}
    known = {"line_freq": "50", "site": "Atlantis", "cap": "any"}
    found = predict_windows(run_dir, new_samples(CAP_8), channel_rows(CAP_8), methodology=known, **ask)
    assert found.channel_report[-2:] == (
        "methodology line_freq 50: matched",
        "methodology site Atlantis: not seen in training, read as unknown",
    )
    untold = predict_windows(run_dir, new_samples(CAP_8), channel_rows(CAP_8), **ask)
    assert untold.channel_report[-2:] == ("methodology line_freq: unknown", "methodology site: unknown")
    assert untold.probabilities_NK.shape == found.probabilities_NK.shape


def test_a_file_tells_its_decoder_what_its_harmonisation_found(run_dir, tmp_path):
    times = np.arange(30 * 250) / 250
    gradients_uv = 20 * electrodes.positions(CAP_8) @ brown_noise(3, len(times))  # what neighbours share
    white_uv = np.random.default_rng(0).normal(0, 2, (len(CAP_8), len(times)))
    rows_uv = gradients_uv + white_uv + 4 * np.sin(2 * np.pi * 50 * times)
    signals = [
        EdfSignal(row_uv, 250, label=name, physical_dimension="uV")
        for name, row_uv in zip(CAP_8, rows_uv, strict=True)
    ]
    Edf(signals).write(tmp_path / "new.edf")
    found = predict_file(run_dir, tmp_path / "new.edf", windows=True)
    said = [line for line in found.channel_report if line.startswith("methodology")]
    assert said == ["methodology site: unknown"]  # 50 Hz was detected, and what matches is not reported
    assert found.table.num_rows == 7
