import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from eegfm.decode.scores import chance_line, log_loss, score
from eegfm.decode.tables import score_people, table_of_models
from eegfm.decode.units import PREDICTIONS


@given(n_classes=st.integers(2, 4), n=st.integers(8, 60), seed=st.integers(0, 999), coarse=st.booleans())
@settings(max_examples=40, deadline=None)
def test_scores_agree_with_scikit_learn(n_classes, n, seed, coarse):
    rng = np.random.default_rng(seed)
    labels = np.r_[np.arange(n_classes), rng.integers(0, n_classes, n)]
    probabilities = rng.dirichlet(np.ones(n_classes), len(labels))
    if coarse:  # ties
        probabilities = np.round(probabilities, 1) + 1e-9
        probabilities /= probabilities.sum(1, keepdims=True)
    predicted = probabilities.argmax(1)
    found = score(labels, probabilities)
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert found["kappa"] == pytest.approx(metrics.cohen_kappa_score(labels, predicted))
    assert found["weighted_f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="weighted"))
    expected = (
        metrics.roc_auc_score(labels, probabilities[:, 1])
        if n_classes == 2
        else metrics.roc_auc_score(labels, probabilities, multi_class="ovr")
    )
    assert found["auroc"] == pytest.approx(expected)
    assert log_loss(labels, probabilities) == pytest.approx(metrics.log_loss(labels, probabilities))


def test_the_area_under_the_curve_of_one_class_is_not_a_number():
    assert np.isnan(score(np.zeros(5, int), np.full((5, 2), 0.5))["auroc"])


def test_the_chance_line_is_the_binomial_quantile():
    assert chance_line(45, 2) == pytest.approx(28 / 45)
    assert chance_line(10_000, 4) == pytest.approx(0.257, abs=1e-3)


def _predictions(people: dict[str, tuple[list[int], list[float]]], split="test") -> pa.Table:
    constants = {"model": "m", "alignment": "past", "target_data": "past", "target_labels": 0, "fold": "0"}
    constants |= {"seed": 0, "split": split, "dataset": "made", "onset_s": 0.0, "command": ""}
    rows = []
    for person, (labels, seconds) in people.items():
        for window, (label, second) in enumerate(zip(labels, seconds, strict=True)):
            said = {
                "label": "ab"[label],
                "predicted": "ab"[second > 0.5],
                "probabilities": [1 - second, second],
            }
            rows.append(constants | said | {"person": person, "recording_id": person, "window": window})
    return pa.Table.from_pylist(rows, schema=PREDICTIONS)


def test_people_count_the_same_however_many_trials_they_have():
    table = _predictions({"P1": ([0, 1], [0.1, 0.9]), "P2": ([0, 1] * 20, [0.9, 0.1] * 20)})
    rows = score_people(table, ["a", "b"]).to_pylist()
    per_person = {row["person"]: row for row in rows}
    assert per_person["P1"]["balanced_accuracy"] == 1.0
    assert per_person["P2"]["balanced_accuracy"] == 0.0
    assert per_person[None]["balanced_accuracy"] == 0.5
    assert per_person[None]["people"] == 2
    assert per_person[None]["trials"] == 42
    assert per_person[None]["sd_people"] == pytest.approx(np.sqrt(0.5))
    (row,) = table_of_models(score_people(table, ["a", "b"]))
    assert row["balanced_accuracy"] == 0.5
    assert row["valid_balanced_accuracy"] is None


def test_people_with_one_label_get_one_decision_each_and_auroc_is_over_people():
    table = _predictions({"P1": ([0, 0], [0.1, 0.6]), "P2": ([1, 1], [0.9, 0.4]), "P3": ([1, 1], [0.2, 0.3])})
    over = score_people(table, ["a", "b"]).to_pylist()[-1]
    assert over["balanced_accuracy"] == pytest.approx((1.0 + 0.5) / 2)
    assert over["auroc"] == pytest.approx(0.5)
