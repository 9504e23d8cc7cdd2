from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.decode.alignment import Alignment, Past, congruence
from eegfm.decode.covariances import band_covariances, band_pass, inverse_root
from eegfm.decode.linear import LINEAR, CovarianceDecoder, log_map
from eegfm.decode.readout import fit_discriminant, fit_logistic
from eegfm.decode.scores import balanced_accuracy
from tests.eegfm.decode.made import RATE_HZ, cap, make_person, make_trials

BAND = (8.0, 30.0)
PEOPLE = ("made/P1", "made/P2", "made/P3", "made/P4")


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("n_channels", [3, 22, 64])
def test_every_linear_decoder_decodes_people_it_never_saw(name, aligned, n_channels):
    trials = make_trials(5 if n_channels == 64 else 6, names=cap(n_channels), effect=1.2)
    train, test = trials.only(PEOPLE[:3]), trials.only(trials.names[4:])
    decoder = CovarianceDecoder(LINEAR[name], Alignment() if aligned else None)
    decoder.fit(train, trials.only(PEOPLE[3:]), Past() if aligned else None).adapt(
        Past() if aligned else None
    )
    probabilities = decoder.predict(test)
    np.testing.assert_allclose(probabilities.sum(1), 1.0)
    assert np.isfinite(probabilities).all()
    if n_channels < 64:  # sixty windows of 64 channels teach a filter bank nothing
        assert balanced_accuracy(test.labels_N, probabilities.argmax(1)) > 0.6


def test_common_spatial_patterns_agree_with_mne():
    mne = pytest.importorskip("mne")
    trials = make_trials(4, average=False)
    decoder = CovarianceDecoder(LINEAR["csp_lda"]).fit(trials)
    filtered = np.concatenate([band_pass(p.x_NCT, RATE_HZ, BAND) for p in trials.people])
    theirs = mne.decoding.CSP(n_components=8, log=True, norm_trace=False, component_order="alternate")
    features = theirs.fit_transform(filtered, trials.labels_N)
    readout = fit_discriminant(features, trials.labels_N, 2)
    np.testing.assert_allclose(decoder.predict(trials), readout(features), atol=1e-5)


def test_the_tangent_space_agrees_with_pyriemann():
    from pyriemann.tangentspace import TangentSpace
    from sklearn.linear_model import LogisticRegression

    trials = make_trials(3, average=False)
    covariances = np.concatenate([band_covariances(p, RATE_HZ, BAND) for p in trials.people])
    theirs = TangentSpace(metric="riemann").fit(covariances)
    theirs.reference_ = covariances.mean(0)
    expected = theirs.transform(covariances)

    ours = log_map(congruence(inverse_root(covariances.mean(0)), covariances), 0.0)
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    model = LogisticRegression(C=1.0, max_iter=2000)
    centred = expected - expected.mean(0)
    centred /= np.sqrt(np.square(centred).sum() / len(centred))
    theirs_probabilities = model.fit(centred, trials.labels_N).predict_proba(centred)
    readout = fit_logistic(ours, trials.labels_N, 2, 1.0)
    np.testing.assert_allclose(readout(ours), theirs_probabilities, atol=1e-3)


def test_a_band_covariance_agrees_with_a_covariance_of_windows_filtered_by_mne():
    mne = pytest.importorskip("mne")
    person = make_person("made/P1", seconds=6.0, trials=6)
    iir = {"order": 4, "ftype": "butter", "output": "sos"}
    centred = (person.x_NCT - person.x_NCT.mean(-1, keepdims=True)).astype(float)
    filtered = mne.filter.filter_data(
        centred, RATE_HZ, *BAND, method="iir", iir_params=iir, phase="zero", verbose="error"
    )
    expected = np.array([np.cov(window, bias=True) for window in filtered])
    found = band_covariances(person, RATE_HZ, BAND)
    assert np.abs(found - expected).max() < 0.02 * np.trace(expected, axis1=1, axis2=2).max() / 8


@given(n_features=st.sampled_from([3, 200]), n_classes=st.integers(2, 4), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_logistic_regression_in_the_span_of_the_windows_is_the_whole_one(n_features, n_classes, seed):
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(seed)
    features = rng.standard_normal((60, n_features))
    labels = np.arange(60) % n_classes
    features[:, 0] += labels
    centred = features - features.mean(0)
    centred /= np.sqrt(np.square(centred).sum() / len(centred))
    theirs = LogisticRegression(C=10.0, max_iter=5000, tol=1e-8).fit(centred, labels)
    ours = fit_logistic(features, labels, n_classes, 10.0)
    np.testing.assert_allclose(ours(features), theirs.predict_proba(centred), atol=5e-3)


def test_a_class_without_a_training_window_is_never_predicted():
    rng = np.random.default_rng(0)
    readout = fit_logistic(rng.standard_normal((20, 4)), np.tile([0, 2], 10), 3, 1.0)
    probabilities = readout(rng.standard_normal((50, 4)))
    assert probabilities.shape == (50, 3)
    assert probabilities[:, 1].max() < 1e-6


def test_people_may_differ_in_amplitude_and_mixing_once_they_are_aligned():
    trials = make_trials(6, effect=0.9)
    train, test = trials.only(PEOPLE), trials.only(("made/P5", "made/P6"))
    louder = test.people[0].take(np.arange(20))
    louder.x_NCT[:] *= 30.0
    decoder = CovarianceDecoder(LINEAR["tangent"], Alignment()).fit(train).adapt(Past())
    np.testing.assert_allclose(
        decoder.predict(replace(test, people=(louder,))), decoder.predict(test)[:20], atol=1e-3
    )


def test_folds_share_covariances_and_logarithms_of_a_person():
    trials = make_trials(4)
    CovarianceDecoder(LINEAR["tangent"], Alignment()).fit(trials.only(PEOPLE[:3]))
    person = trials.people[0]
    before = {key: id(value) for key, value in person.memo.items()}
    CovarianceDecoder(LINEAR["tangent"], Alignment()).fit(trials.only(PEOPLE[1:])).adapt(Past())
    CovarianceDecoder(LINEAR["tangent"], Alignment()).fit(trials.only((PEOPLE[0], PEOPLE[2])))
    assert {key: id(value) for key, value in person.memo.items()} == before
