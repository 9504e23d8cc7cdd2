"""What a lock says of how its recordings were made, as numbers for the encoder's condition.

Legend: R recordings (or windows), K covariates.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from eegfm.config import check_covariates
from eegfm_lake.lock import Lock

Vocabulary = Sequence[tuple[str, Sequence[str]]]
"""Covariates, each with the values that have a number of their own: 1, 2, …; 0 is unknown."""


def covariates(methodology: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Return covariate → value of one recording's methodology as stored; what is absent is unknown."""
    found: dict[str, str] = {}
    for row in methodology or ():
        if row["value"] is not None:
            found.setdefault(row["covariate"], str(row["value"]))
    return found


def of_lock(lock: Lock, windows: np.ndarray | None = None) -> list[dict[str, str]]:
    """Return `covariates` of a lock's recordings in its order: of all, or of those that these windows come from."""
    stored = lock.recordings["methodology"].to_pylist()
    if windows is None:
        return [covariates(rows) for rows in stored]
    return [covariates(stored[row]) for row in np.unique(lock.windows["recording"].to_numpy()[windows])]


def vocabulary(
    recordings: Iterable[Mapping[str, Any]], names: Sequence[str], at_least: int
) -> dict[str, list[str]]:
    """Return the values of these covariates that enough recordings have.

    Parameters
    ----------
    recordings : iterable of mapping
        Covariate → value of each training recording.
    names : sequence of str
        Covariates.
    at_least : int
        Recordings that a value needs; a rarer one would only mark them.

    Returns
    -------
    dict of str to list of str
        A covariate that nothing is known of has no values.

    Raises
    ------
    UsageError
        A name is no covariate.
    """
    check_covariates(names)
    known = list(recordings)
    counts = {name: Counter(_known(known, name)) for name in sorted(names)}
    return {
        name: sorted(value for value, n in counted.items() if n >= at_least)
        for name, counted in counts.items()
    }


def numbers(recordings: Sequence[Mapping[str, Any]], vocabulary: Vocabulary) -> np.ndarray:
    """Return the number of each recording's value of each covariate, 0 where it is unknown: int64 (R, K)."""
    check_covariates(name for name, _ in vocabulary)
    places: list[tuple[str, dict[str | None, int]]] = [
        (name, {value: place for place, value in enumerate(values, 1)}) for name, values in vocabulary
    ]
    rows = [[place.get(known.get(name), 0) for name, place in places] for known in recordings]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(places))


def account(recordings: Sequence[Mapping[str, Any]], vocabulary: Vocabulary) -> dict[str, dict[str, Any]]:
    """Count what becomes of each covariate's values.

    Returns
    -------
    dict
        Covariate → ``values`` (value → recordings that have it, each with a number of its own), ``unseen`` (value →
        recordings that have it, read as unknown), ``unknown`` (recordings of which nothing is stored).
    """
    told: dict[str, dict[str, Any]] = {}
    for name, values in vocabulary:
        counted = Counter(_known(recordings, name))
        told[name] = {
            "values": {value: counted[value] for value in values},
            "unseen": {value: n for value, n in sorted(counted.items()) if value not in values},
            "unknown": len(recordings) - counted.total(),
        }
    return told


def _known(recordings: Iterable[Mapping[str, Any]], name: str) -> list[str]:
    return [known[name] for known in recordings if known.get(name) is not None]
