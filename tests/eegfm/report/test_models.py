"""The table of models, from hand-made scores."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from eegfm.report.models import binomial_bound, tables
from eegfm.report.run import Run

RUN = Run(Path(), {"kind": "finetune"}, {}, [], None, None, None, None, None, None, None)


def score(model, person, accuracy, *, data="none", labels=0, seed=0, split="test", trials=40):
    measures = {
        "balanced_accuracy": accuracy,
        "kappa": 2 * accuracy - 1,
        "weighted_f1": accuracy,
        "auroc": accuracy,
    }
    return {
        "model": model, "alignment": "none", "target_data": data, "target_labels": labels, "seed": seed,
        "split": split, "person": person, "people": 1, "trials": trials, **measures,
    }  # fmt: skip


def made(*scores):
    return tables(replace(RUN, scores=pa.Table.from_pylist(list(scores))))


@given(trials=st.integers(1, 400), classes=st.integers(2, 6))
def test_the_binomial_line_is_where_guessing_stays_in_95_of_100_people(trials, classes):
    bound = binomial_bound(trials, classes)
    hits = round(bound * trials)
    assert hits / trials == bound
    assert binom.sf(hits - 1, trials, 1 / classes) <= 0.05 + 1e-9
    assert binom.sf(hits - 2, trials, 1 / classes) > 0.05 - 1e-9


def test_models_that_took_different_data_are_never_in_one_table():
    found = made(
        score("a", "p1", 0.6),
        score("a", "p1", 0.9, data="all"),
        score("b", "p1", 0.7, data="past"),
        score("b", "p1", 0.8, labels=10),
    )
    assert [(table.target_data, table.target_labels) for table in found] == [
        ("past", 0),
        ("none", 0),
        ("none", 10),
        ("all", 0),
    ]
    assert all(len(table.rows) == 1 for table in found)


def test_the_headline_is_what_a_bci_can_do():
    assert (
        made(score("a", "p1", 0.9, data="all"), score("a", "p1", 0.6, data="past"))[0].target_data == "past"
    )


def test_rows_are_ranked_by_the_mean_over_people_not_over_windows():
    (table,) = made(
        score("few", "p1", 1.0, trials=10),
        score("few", "p2", 0.6, trials=1000),
        score("many", "p1", 0.7, trials=10),
        score("many", "p2", 0.7, trials=1000),
    )
    assert [row.model for row in table.rows] == ["few", "many"]
    assert table.rows[0].measures["balanced_accuracy"] == pytest.approx(0.8)


def test_seeds_of_a_person_are_averaged_before_people_are():
    (table,) = made(score("a", "p1", 0.5, seed=0), score("a", "p1", 0.7, seed=1), score("a", "p2", 0.9))
    (row,) = table.rows
    assert [person.balanced_accuracy for person in row.people] == pytest.approx([0.6, 0.9])
    assert row.measures["balanced_accuracy"] == pytest.approx(0.75)
    assert row.sd_people == pytest.approx(0.2121, abs=1e-4)
    assert row.seeds == 2


def test_a_person_is_above_chance_by_their_own_number_of_trials():
    (table,) = made(score("a", "p1", 0.625, trials=40), score("a", "p2", 0.625, trials=400))
    assert [person.above_chance for person in table.rows[0].people] == [False, True]


def test_validation_people_and_means_over_people_are_no_dots():
    found = made(score("a", "p1", 0.6), score("a", "p2", 0.9, split="valid"), score("a", None, 0.6))
    assert [person.name for person in found[0].rows[0].people] == ["p1"]
