"""Nothing of a test person reaches a decoder but what its row says."""

from dataclasses import replace

import numpy as np
import pytest

from eegfm.config import AlignmentConfig, DecoderConfig
from eegfm.decode.alignment import Past
from eegfm.decode.chance import permutation_chance
from eegfm.decode.decoders import build_decoder, load_decoder, save_decoder
from eegfm.decode.protocols import Fold
from eegfm.decode.units import asked_and_target
from eegfm_lake.errors import EegfmError
from tests.eegfm.decode.made import make_trials

QUICK = {"epochs": 1, "batch": 16}
MODELS = {
    "band_power": {},
    "csp_lda": {},
    "tangent": {},
    "tangent_filterbank": {"bands_hz": [[8, 12], [12, 30]]},
    "eegnet": QUICK,
    "csbrain": QUICK,
}


@pytest.fixture(scope="module")
def trials():
    return make_trials(5, trials=12)


@pytest.fixture(scope="module")
def fitted(trials):
    """Every model, fitted without (``none``) and with alignment, once."""
    made = {}
    for name, settings in MODELS.items():
        for use in ("none", "past"):
            config = DecoderConfig(name=name, **settings)
            decoder = build_decoder(config, AlignmentConfig(), use, window_s=2.0)
            valid, target = asked_and_target(trials.only({"made/P4"}), use)
            made[name, use] = decoder.fit(trials.only({"made/P1", "made/P2", "made/P3"}), valid, target)
    return made


@pytest.fixture(scope="module")
def test_person(trials):
    return trials.only({"made/P5"})


def disturbed(trials, rows):
    """The same windows with some of them replaced by noise."""
    person = trials.people[0].take(np.arange(len(trials)))
    rng = np.random.default_rng(0)
    person.x_NCT[rows] = rng.normal(0, 40, person.x_NCT[rows].shape)
    return replace(trials, people=(person,))


@pytest.mark.parametrize("name", MODELS)
def test_later_trials_do_not_change_earlier_predictions_in_past_mode(fitted, test_person, name):
    decoder = fitted[name, "past"].adapt(Past())
    before = decoder.predict(test_person)
    after = decoder.predict(disturbed(test_person, slice(7, None)))
    np.testing.assert_allclose(after[:7], before[:7], atol=1e-6)
    assert np.abs(after[7:] - before[7:]).max() > 1e-4


@pytest.mark.parametrize("name", MODELS)
def test_without_target_data_every_window_is_predicted_by_itself(fitted, test_person, name):
    decoder = fitted[name, "none"].adapt(None)
    before = decoder.predict(test_person)
    after = decoder.predict(disturbed(test_person, [0, 3, 11]))
    untouched = np.setdiff1d(np.arange(12), [0, 3, 11])
    np.testing.assert_allclose(after[untouched], before[untouched], atol=1e-6)
    alone = test_person.where(lambda person: np.arange(12) == 5)
    np.testing.assert_allclose(decoder.predict(alone)[0], before[5], atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("use", ["none", "past", "calibration", "all"])
def test_test_labels_change_nothing(fitted, test_person, name, use):
    decoder = fitted[name, "none" if use == "none" else "past"]
    flipped = test_person.with_labels(1 - test_person.labels_N)
    made = []
    for trials in (test_person, flipped):
        asked, target = asked_and_target(trials, use)
        made.append(decoder.adapt(target).predict(asked))
    np.testing.assert_array_equal(*made)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("use", ["none", "past", "calibration", "all"])
def test_the_columns_say_what_was_used(fitted, test_person, name, use):
    decoder = fitted[name, "none" if use == "none" else "past"]
    asked, target = asked_and_target(test_person, use)
    assert decoder.adapt(target).uses(asked) == (use, 0)


def test_calibration_scores_only_what_comes_after_the_first_recording(test_person):
    asked, target = asked_and_target(test_person, "calibration")
    assert set(asked.people[0].order_N) == {1}
    assert set(target.people[0].order_N) == {0}
    assert len(asked) + len(target) == len(test_person)
    with pytest.raises(EegfmError, match="one recording each"):
        asked_and_target(make_trials(1, runs=1), "calibration")


@pytest.mark.parametrize("name", MODELS)
def test_a_decoder_read_back_from_its_folder_predicts_the_same(fitted, test_person, name, tmp_path):
    for use, target in (("none", None), ("past", Past())):
        save_decoder(fitted[name, use], tmp_path / use)
        again = load_decoder(tmp_path / use)
        np.testing.assert_allclose(
            again.adapt(target).predict(test_person),
            fitted[name, use].adapt(target).predict(test_person),
            atol=1e-6,
        )


def test_permuted_training_labels_decode_at_chance():
    trials = make_trials(9, trials=30)
    names = trials.names
    tested = [names[start : start + 3] for start in (0, 3, 6)]
    folds = [Fold("", tuple(set(names) - set(test)), (), test) for test in tested]
    chance = permutation_chance(trials, folds, 20)
    assert chance["mean"] == pytest.approx(0.5, abs=0.05)
    assert chance["permutations"] == 20


def test_methodology_alone_decodes_a_site_and_not_a_fist():
    from eegfm.decode.methodology import MethodologyDecoder

    trials = make_trials(4)
    decoder = MethodologyDecoder().fit(trials.only({"made/P1", "made/P2"}))
    np.testing.assert_allclose(decoder.predict(trials), 0.5, atol=1e-6)
    for person in trials.people:
        person.facts["site"][:] = np.where(person.labels_N == 0, "A", "B")
    decoder = MethodologyDecoder().fit(trials.only({"made/P1", "made/P2"}))
    assert (decoder.predict(trials).argmax(1) == trials.labels_N).all()
    again = MethodologyDecoder.from_state(*decoder.state(), None)
    np.testing.assert_array_equal(again.predict(trials), decoder.predict(trials))
