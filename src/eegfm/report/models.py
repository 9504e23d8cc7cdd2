"""The table of models: rows made from predictions' scores, ranked only beside rows of the same kind."""

import math
from dataclasses import dataclass
from typing import Any

from eegfm.report.run import Run

TARGET_DATA = {
    "past": "this trial and earlier ones of the test person",
    "none": "nothing of the test person",
    "calibration": "a separate earlier run of the test person",
    "all": "all of the test person's data, later trials too",
}
"""What a decoder took from the test person, without labels; `past` first, for it is what a BCI can do."""

TITLES = {
    "csbrain": "CSBrain",
    "eegnet": "EEGNet",
    "shallow": "ShallowFBCSPNet",
    "band_power": "log band power",
    "csp_lda": "CSP + LDA",
    "tangent": "tangent space",
    "tangent_filterbank": "tangent space, filter bank",
    "methodology": "methodology alone",
}

MEASURES = {
    "balanced_accuracy": "balanced accuracy",
    "kappa": "kappa",
    "weighted_f1": "weighted F1",
    "auroc": "AUROC",
}


@dataclass(frozen=True)
class Person:
    """One test person's score by one model, averaged over seeds."""

    name: str
    trials: int
    balanced_accuracy: float
    above_chance: bool
    """Above what guessing reaches in 95 of 100 people with as many trials."""


@dataclass(frozen=True)
class Row:
    """A model with what it took from the test people."""

    model: str
    alignment: str
    target_data: str
    target_labels: int
    people: tuple[Person, ...]
    measures: dict[str, float]
    """Means over people, of each measure of `MEASURES`."""
    sd_people: float
    seeds: int

    @property
    def above_chance(self) -> int:
        """People above their own binomial line."""
        return sum(person.above_chance for person in self.people)

    @property
    def title(self) -> str:
        """The model's name for people; a label of the configuration keeps its words."""
        return TITLES.get(self.model, self.model.replace("csbrain", "CSBrain").replace("_", " "))

    @property
    def label(self) -> str:
        """Title, and the alignment where the use of the test person's data does not say it."""
        return (
            self.title
            if self.alignment in ("", "none", self.target_data)
            else f"{self.title} + {self.alignment}"
        )


@dataclass(frozen=True)
class Table:
    """Rows that may be ranked together, best first."""

    target_data: str
    target_labels: int
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """What every row of it took from the test person."""
        labels = f" and {self.target_labels} labels" if self.target_labels else ", no labels"
        return f"target data: {self.target_data}{labels}"


def tables(run: Run, split: str = "test") -> list[Table]:
    """Group a run's scores by what was taken from the test person.

    Parameters
    ----------
    run : Run
        A fine-tuning run.
    split : str
        People of which split.

    Returns
    -------
    list of Table
        In the order of `TARGET_DATA`; empty for a run without scores.
    """
    if run.scores is None:
        return []
    classes = max(2, len(run.classes))
    kinds: dict[tuple[str, int], dict[tuple[str, str], list[dict[str, Any]]]] = {}
    for score in run.scores.to_pylist():
        if score["split"] == split and score["person"] is not None:
            kind = kinds.setdefault((score["target_data"], score["target_labels"] or 0), {})
            kind.setdefault((score["model"], score["alignment"] or ""), []).append(score)
    order = list(TARGET_DATA)
    return [
        Table(data, labels, tuple(sorted((_row(scores, classes) for scores in kind.values()), key=_merit)))
        for (data, labels), kind in sorted(
            kinds.items(), key=lambda item: (order.index(item[0][0]), item[0][1])
        )
    ]


def binomial_bound(trials: int, classes: int, level: float = 0.95) -> float:
    """Accuracy that guessing reaches or exceeds in fewer than 1 - `level` of all people.

    Parameters
    ----------
    trials : int
        Decisions a person.
    classes : int
        Equally likely classes.
    level : float
        One-sided; 0.95 is the line of the figures.

    Returns
    -------
    float
        Smallest k / trials with P(X >= k) <= 1 - level for X ~ Binomial(trials, 1 / classes); above 1 where
        so few trials cannot tell.

    Notes
    -----
    E. Combrisson and K. Jerbi, Journal of Neuroscience Methods 250:126-136, 2015.
    """
    log_p, log_q = math.log(1 / classes), math.log(1 - 1 / classes)
    tail = 0.0
    for hits in range(trials, -1, -1):
        ways = math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
        tail += math.exp(ways + hits * log_p + (trials - hits) * log_q)
        if tail > 1 - level:
            return (hits + 1) / trials
    return 0.0


def _row(scores: list[dict[str, Any]], classes: int) -> Row:
    by_person: dict[str, list[dict[str, Any]]] = {}
    for score in scores:
        by_person.setdefault(score["person"], []).append(score)
    people = []
    for name, own in sorted(by_person.items()):
        accuracy, trials = _mean(own, "balanced_accuracy"), int(own[0]["trials"])
        people.append(Person(name, trials, accuracy, accuracy >= binomial_bound(trials, classes)))
    values = [person.balanced_accuracy for person in people]
    middle = sum(values) / len(values)
    spread = math.sqrt(sum((value - middle) ** 2 for value in values) / max(1, len(values) - 1))
    first = scores[0]
    return Row(
        model=first["model"],
        alignment=first["alignment"] or "",
        target_data=first["target_data"],
        target_labels=first["target_labels"] or 0,
        people=tuple(people),
        measures={
            measure: _mean([{measure: _mean(own, measure)} for own in by_person.values()], measure)
            for measure in MEASURES
        },
        sd_people=spread,
        seeds=len({score["seed"] for score in scores}),
    )


def _mean(rows: list[dict[str, Any]], key: str) -> float:
    known = [row[key] for row in rows if row.get(key) is not None and math.isfinite(row[key])]
    return sum(known) / len(known) if known else math.nan


def _merit(row: Row) -> tuple[float, str]:
    return -row.measures["balanced_accuracy"], row.label
