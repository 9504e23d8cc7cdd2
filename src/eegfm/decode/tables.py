"""Predictions → scores per person → the table of models."""

from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa

from eegfm.decode.scores import METRICS, score

SCORES = pa.schema(
    [
        ("model", pa.string()),
        ("alignment", pa.string()),
        ("target_data", pa.string()),
        ("target_labels", pa.int32()),
        ("condition", pa.string()),
        ("seed", pa.int32()),
        ("split", pa.string()),
        ("person", pa.string()),  # NULL: over people
        ("people", pa.int32()),
        ("trials", pa.int32()),
        *((metric, pa.float64()) for metric in METRICS),
        ("sd_people", pa.float64()),  # of balanced accuracy
    ]
)

_KEY = ("model", "alignment", "target_data", "target_labels", "condition", "seed", "split")


def score_people(predictions: pa.Table, classes: list[str]) -> pa.Table:
    """Score every person, and the mean over people, of every model, alignment, seed and split.

    People count the same, however many trials they have. Where everybody has one label only (a diagnosis),
    each person gets one decision, from the mean of its probabilities, and the row over people is scored on
    those.

    Parameters
    ----------
    predictions : pa.Table
        As `eegfm.decode.units.PREDICTIONS`.
    classes : list of str
        In the order of the probabilities.

    Returns
    -------
    pa.Table
        As ``SCORES``.
    """
    code = {label: index for index, label in enumerate(classes)}
    keys = list(zip(*(predictions[name].to_pylist() for name in (*_KEY, "person")), strict=True))
    labels_N = np.array([code[label] for label in predictions["label"].to_pylist()], int)
    flat = predictions["probabilities"].combine_chunks().flatten().to_numpy()
    probabilities_NK = flat.reshape(len(labels_N), len(classes)).astype(float)
    rows_of: dict[tuple[Any, ...], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row, key in enumerate(keys):
        rows_of[key[:-1]][key[-1]].append(row)
    rows: list[dict[str, Any]] = []
    for key, people in rows_of.items():
        named = dict(zip(_KEY, key, strict=True))
        each = []
        for person, members in people.items():
            scores = score(labels_N[members], probabilities_NK[members])
            each.append(
                {**named, "person": person, "people": 1, "trials": len(members), **scores, "sd_people": None}
            )
        rows += each
        rows.append(_over_people(named, each, list(people.values()), labels_N, probabilities_NK))
    return pa.Table.from_pylist(rows, schema=SCORES)


def table_of_models(scores: pa.Table) -> list[dict[str, Any]]:
    """Return one row a model and alignment on test people: means over seeds, validation beside them."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    grouped: dict[tuple[Any, ...], Any] = defaultdict(lambda: defaultdict(list))
    for row in scores.to_pylist():
        if row["person"] is None:
            grouped[tuple(row[name] for name in _KEY[:5])][row["split"]].append(row)
    for key, splits in grouped.items():
        test = splits.get("test", [])
        if not test:
            continue
        valid = [row["balanced_accuracy"] for row in splits.get("valid", [])]
        rows[key] = {
            **dict(zip(_KEY[:5], key, strict=True)),
            "seeds": len(test),
            "people": test[0]["people"],
            "trials": test[0]["trials"],
            **{metric: float(np.mean([row[metric] for row in test])) for metric in METRICS},
            "sd_people": float(np.mean([row["sd_people"] for row in test])),
            "valid_balanced_accuracy": float(np.mean(valid)) if valid else None,
        }
    return list(rows.values())


def _over_people(
    named: dict[str, Any],
    each: list[dict[str, Any]],
    members: list[list[int]],
    labels_N: np.ndarray,
    probabilities_NK: np.ndarray,
) -> dict[str, Any]:
    if all(len(set(labels_N[rows])) == 1 for rows in members):
        decided = np.array([probabilities_NK[rows].mean(0) for rows in members])
        overall = score(np.array([labels_N[rows[0]] for rows in members]), decided)
    else:
        overall = {metric: _mean([row[metric] for row in each]) for metric in METRICS}
    spread = np.std([row["balanced_accuracy"] for row in each], ddof=1) if len(each) > 1 else 0.0
    trials = sum(row["trials"] for row in each)
    return {
        **named,
        "person": None,
        "people": len(each),
        "trials": trials,
        **overall,
        "sd_people": float(spread),
    }


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
