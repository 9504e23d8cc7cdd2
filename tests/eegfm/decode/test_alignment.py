import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.decode.alignment import Alignment, Past, apply, congruence, target_use
from eegfm.decode.covariances import band_covariances, inverse_root, running_mean, subspace
from eegfm_lake.errors import EegfmError
from tests.eegfm.decode.made import RATE_HZ, cap, make_person, make_trials

BAND = (8.0, 30.0)


@pytest.mark.parametrize("n_channels", [3, 22, 64])
@pytest.mark.parametrize("average", [False, True])
def test_the_mean_covariance_of_an_aligned_person_is_the_identity_on_its_subspace(n_channels, average):
    trials = make_trials(1, names=cap(n_channels), average=average, trials=24)
    person = trials.people[0]
    covariances = band_covariances(person, RATE_HZ, BAND)
    operator = Alignment(BAND).fit(trials).operators(person, training=True)
    aligned = congruence(operator, covariances).mean(0)
    rank = n_channels - average
    eigenvalues = np.linalg.eigvalsh(aligned)
    np.testing.assert_allclose(eigenvalues[-rank:], 1.0, atol=1e-6)
    np.testing.assert_allclose(eigenvalues[: n_channels - rank], 0.0, atol=1e-9)


def test_two_people_under_any_two_mixings_are_the_same_up_to_a_rotation():
    person = make_person("made/P1", average=False)
    mixing = np.random.default_rng(0).standard_normal((8, 8)) + 3 * np.eye(8)
    covariances = band_covariances(person, RATE_HZ, BAND)
    mixed = congruence(mixing, covariances)
    one, other = (congruence(inverse_root(found.mean(0)), found) for found in (covariances, mixed))
    np.testing.assert_allclose(np.linalg.eigvalsh(one), np.linalg.eigvalsh(other), rtol=1e-6)


@given(share=st.floats(0.01, 0.9), n=st.integers(2, 12), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_shrinkage_moves_every_eigenvalue_of_the_operator_towards_their_mean(share, n, seed):
    factor = np.random.default_rng(seed).standard_normal((n, 3 * n))
    covariance = factor @ factor.T
    values = np.linalg.eigvalsh(covariance)
    expected = (1 - share) * values + share * values.mean()
    found = np.sort(1 / np.linalg.eigvalsh(inverse_root(covariance, share)) ** 2)
    np.testing.assert_allclose(found, np.sort(expected), rtol=1e-6)


@given(rank=st.integers(1, 9), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_inverse_root_of_a_singular_matrix_is_its_pseudo_inverse_root(rank, seed):
    factor = np.random.default_rng(seed).standard_normal((10, rank))
    covariance = factor @ factor.T
    root = inverse_root(covariance)
    np.testing.assert_allclose(root @ root, np.linalg.pinv(covariance, rcond=1e-6), rtol=1e-4, atol=1e-6)
    basis = subspace(covariance)
    assert basis.shape == (10, rank)
    np.testing.assert_allclose(basis @ (basis.T @ factor), factor, atol=1e-3)


def test_the_past_of_the_last_trial_is_all():
    trials = make_trials(1)
    person = trials.people[0]
    alignment = Alignment(BAND).fit(trials)
    past = alignment.adapt(Past()).operators(person)
    everything = alignment.adapt(trials).operators(person)
    assert past.shape == (len(person), 8, 8)
    np.testing.assert_allclose(past[-1], everything, rtol=1e-6, atol=1e-9)


@given(cut=st.integers(1, 18), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_past_never_uses_a_later_trial(cut, seed):
    trials = make_trials(1)
    person = trials.people[0]
    other = person.take(np.arange(len(person)))
    other.x_NCT[cut:] = np.random.default_rng(seed).normal(0, 50, other.x_NCT[cut:].shape)
    alignment = Alignment(BAND).fit(trials).adapt(Past())
    np.testing.assert_array_equal(alignment.operators(person)[:cut], alignment.operators(other)[:cut])


def test_the_running_mean_is_the_mean_of_what_came_before():
    matrices = np.random.default_rng(0).standard_normal((7, 3, 3))
    for index in range(7):
        np.testing.assert_allclose(running_mean(matrices)[index], matrices[: index + 1].mean(0))


@pytest.mark.parametrize("n_channels", [3, 22])
def test_aligned_signals_come_back_at_the_amplitude_of_the_training_people(n_channels):
    trials = make_trials(4, names=cap(n_channels))
    alignment = Alignment(BAND).fit(trials).fit_scale(trials)
    before = np.median([person.x_NCT.std() for person in trials.people])
    after = np.median([alignment.signals(person, training=True).std() for person in trials.people])
    assert after == pytest.approx(before, rel=0.5)


def test_operators_act_on_signals_as_on_covariances():
    trials = make_trials(1)
    person = trials.people[0]
    operator = Alignment(BAND).fit(trials).operators(person, training=True)
    moved = person.take(np.arange(len(person)))
    moved.x_NCT[:] = apply(operator, person.x_NCT)
    expected = congruence(operator, band_covariances(person, RATE_HZ, BAND))
    np.testing.assert_allclose(band_covariances(moved, RATE_HZ, BAND), expected, rtol=1e-3, atol=1e-4)


def test_what_was_used_follows_from_what_was_given_and_is_not_declared():
    trials = make_trials(2)
    first = trials.where(lambda person: person.order_N == 0)
    later = trials.where(lambda person: person.order_N == 1)
    assert target_use(None, trials) == ("none", 0)
    assert target_use(Past(), trials) == ("past", 0)
    assert target_use(first.without_labels(), later) == ("calibration", 0)
    assert target_use(later.without_labels(), first) == ("all", 0)
    assert target_use(trials.without_labels(), trials) == ("all", 0)
    assert target_use(first, later) == ("calibration", len(first))


def test_scaling_by_the_whole_recording_counts_as_all():
    from dataclasses import replace

    scaled = replace(make_trials(2), scaling_use="all")
    assert target_use(None, scaled) == ("all", 0)
    assert target_use(Past(), scaled) == ("all", 0)


def test_a_person_without_windows_to_align_with_is_an_error_that_says_what_to_do():
    trials = make_trials(3)
    alignment = Alignment(BAND).fit(trials).adapt(trials.only({"made/P1"}))
    with pytest.raises(EegfmError, match=r"made/P2: no window to align with.*past"):
        alignment.operators(trials.people[1])


def test_without_anything_of_the_person_the_average_training_person_stands_in():
    trials = make_trials(3)
    alignment = Alignment(BAND).fit(trials).adapt(None)
    mean = np.mean([band_covariances(p, RATE_HZ, BAND).mean(0) for p in trials.people], axis=0)
    np.testing.assert_allclose(alignment.operators(trials.people[0]), inverse_root(mean))


def test_an_alignment_survives_being_written():
    trials = make_trials(2)
    alignment = Alignment((4.0, 38.0), 0.1).fit(trials).fit_scale(trials)
    again = Alignment.from_state(*alignment.state())
    for target in (None, Past()):
        person = trials.people[0].take(np.arange(20))
        np.testing.assert_array_equal(
            again.adapt(target).signals(person), alignment.adapt(target).signals(person)
        )
