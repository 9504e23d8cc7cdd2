"""Labelled windows of several people in memory: what decoders are fitted on, adapted with and asked about.

Legend: N windows, C channels, T samples.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from eegfm.data import UNIT_UV, WindowReader, read_windows
from eegfm_lake.errors import EegfmError
from eegfm_lake.lock import Lock

UNKNOWN = -1
"""Label of a window whose class is not known."""


@dataclass(frozen=True, eq=False)
class PersonTrials:
    """The windows of one person in the order in which they were recorded.

    Attributes
    ----------
    person, dataset : str
    x_NCT : ndarray of float32 (N, C, T)
        µV after the reader's operations (with ``scale: robust``, µV of a recording brought to 20 µV).
    names : tuple of str, length C
    positions_C3 : ndarray of float32 (C, 3)
        Metres in MNE's head frame, NaN where unknown.
    labels_N : ndarray of int (N,)
        Index of the class; ``UNKNOWN`` where it is not known.
    recordings_N : ndarray of str (N,)
        Recording of each window.
    order_N : ndarray of int (N,)
        Place of that recording among the person's recordings.
    windows_N : ndarray of int (N,)
        Rows of the lock; -1 for data that is in no lock.
    onsets_s_N : ndarray of float (N,)
        Start of each window in its recording.
    facts : dict
        What is known without looking at the signal, one value a window: age, duration, covariates.
    """

    person: str
    dataset: str
    x_NCT: np.ndarray
    names: tuple[str, ...]
    positions_C3: np.ndarray
    labels_N: np.ndarray
    recordings_N: np.ndarray
    order_N: np.ndarray
    windows_N: np.ndarray
    onsets_s_N: np.ndarray
    facts: dict[str, np.ndarray] = field(default_factory=dict)
    memo: dict[Any, np.ndarray] = field(default_factory=dict, repr=False)
    """Figures derived from these windows alone, such as covariances in a band: folds share them."""

    def __len__(self) -> int:
        return len(self.labels_N)

    def remember(self, key: Any, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """Return what was computed under this key, or compute it now."""
        if key not in self.memo:
            self.memo[key] = compute()
        return self.memo[key]

    def take(self, rows: np.ndarray) -> "PersonTrials":
        """Return some of the windows (indices or a mask), still in recording order."""
        per_window = {
            name: getattr(self, name)[rows]
            for name in ("x_NCT", "labels_N", "recordings_N", "order_N", "windows_N", "onsets_s_N")
        }
        facts = {name: values[rows] for name, values in self.facts.items()}
        return replace(self, **per_window, facts=facts, memo={})

    def pick(self, names: Sequence[str]) -> "PersonTrials":
        """Return the same windows with these channels in this order.

        Raises
        ------
        EegfmError
            A channel is absent.
        """
        if tuple(names) == self.names:
            return self
        place = {name: index for index, name in enumerate(self.names)}
        missing = [name for name in names if name not in place]
        if missing:
            raise EegfmError(
                f"{self.person} lacks {len(missing)} of {len(names)} channels ({', '.join(missing[:8])}); "
                "use channels: common, or a decoder that takes any montage"
            )
        picks = [place[name] for name in names]
        x_NCT, positions_C3 = np.ascontiguousarray(self.x_NCT[:, picks]), self.positions_C3[picks]
        return replace(self, x_NCT=x_NCT, names=tuple(names), positions_C3=positions_C3, memo={})


@dataclass(frozen=True, eq=False)
class Trials:
    """Windows of several people.

    Attributes
    ----------
    people : tuple of PersonTrials
    classes : tuple of str
        Label paths in the order of every probability.
    rate_hz : float
    scaling_use : str
        What the reader's scaling took from each person: ``all`` for ``scale: robust``, else ``none``.
    """

    people: tuple[PersonTrials, ...]
    classes: tuple[str, ...]
    rate_hz: float
    scaling_use: str = "none"

    def __len__(self) -> int:
        return sum(len(person) for person in self.people)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Persons, in order."""
        return tuple(person.person for person in self.people)

    @property
    def labels_N(self) -> np.ndarray:  # noqa: N802
        """Labels of all windows, person after person: int (N,)."""
        return _joined([person.labels_N for person in self.people], int)

    @property
    def person_N(self) -> np.ndarray:  # noqa: N802
        """Index of each window's person: int (N,)."""
        return np.repeat(np.arange(len(self.people)), [len(person) for person in self.people])

    def only(self, people: Collection[str]) -> "Trials":
        """Return the windows of these people; memos are shared."""
        return replace(self, people=tuple(person for person in self.people if person.person in people))

    def pick(self, names: Sequence[str]) -> "Trials":
        """Return the same windows with these channels in this order."""
        return replace(self, people=tuple(person.pick(names) for person in self.people))

    def where(self, choose: Callable[[PersonTrials], np.ndarray]) -> "Trials":
        """Return the windows that ``choose`` marks, people without any left out."""
        chosen = [(person, choose(person)) for person in self.people]
        return replace(self, people=tuple(person.take(mask) for person, mask in chosen if mask.any()))

    def with_labels(self, labels_N: np.ndarray) -> "Trials":
        """Return the same windows under other labels; memos are shared, for they hold no labels."""
        cuts = np.cumsum([len(person) for person in self.people])[:-1]
        parts = np.split(np.asarray(labels_N, int), cuts)
        return replace(
            self,
            people=tuple(
                replace(person, labels_N=part) for person, part in zip(self.people, parts, strict=True)
            ),
        )

    def without_labels(self) -> "Trials":
        """Return the same windows with no label known."""
        return self.with_labels(np.full(len(self), UNKNOWN))

    def common_channels(self) -> tuple[str, ...]:
        """Channels that every person has, in the first person's order."""
        shared = set.intersection(*(set(person.names) for person in self.people))
        return tuple(name for name in self.people[0].names if name in shared)


def read_trials(lock: Lock, reader: WindowReader, classes: Sequence[str] | None = None) -> Trials:
    """Read every labelled window of a lock into memory.

    Parameters
    ----------
    lock : Lock
    reader : WindowReader
        Over the same lock.
    classes : sequence of str, optional
        Labels to keep, in order; all labels of the lock, sorted, where omitted.

    Returns
    -------
    Trials

    Raises
    ------
    EegfmError
        Fewer than two classes, windows of different lengths, or a person whose recordings share no channel.
    """
    labels = np.array(lock.windows["label"].to_pylist(), dtype=object)
    found = tuple(sorted({label for label in labels if label is not None}))
    classes = tuple(classes or found)
    if len(classes) < 2 or not set(classes) <= set(found):
        raise EegfmError(
            f"lock {lock.name} has the labels {', '.join(found) or 'none'}; a decoder needs two of them"
        )
    rows = np.flatnonzero(np.isin(labels, classes))
    lengths = np.unique(lock.windows["samples"].to_numpy()[rows])
    if len(lengths) > 1:
        raise EegfmError(f"lock {lock.name} has windows of {lengths} samples; a decoder takes one length")
    recordings = lock.recordings.to_pylist()
    samples: dict[int, tuple[np.ndarray, Any]] = {}
    for group in read_windows(reader, rows, scaled=True):
        for x_CT, window in zip(group.x_NCT, group.windows_N, strict=True):
            samples[int(window)] = (x_CT, group)
    code = {label: index for index, label in enumerate(classes)}
    windows = lock.windows.to_pydict()
    by_person: dict[str, list[int]] = {}
    for row in rows:
        by_person.setdefault(recordings[windows["recording"][row]]["person"], []).append(int(row))
    people = tuple(
        _person(person, by_person[person], windows, recordings, samples, code)
        for person in sorted(by_person, key=natural)
    )
    use = "all" if reader.config.scale == "robust" else "none"
    return Trials(people, classes, reader.rate_hz, use)


def natural(text: str | None) -> list[Any]:
    """Sorting key under which R2 comes before R10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text or "")]


def _person(
    person: str,
    rows: list[int],
    windows: dict[str, list[Any]],
    recordings: list[dict[str, Any]],
    samples: dict[int, tuple[np.ndarray, Any]],
    code: dict[str, int],
) -> PersonTrials:
    def when(row: int) -> tuple[Any, ...]:
        recording = recordings[windows["recording"][row]]
        return (
            natural(recording["session"]),
            natural(recording["run"]),
            natural(recording["recording_id"]),
            windows["start_s"][row],
        )

    rows = sorted(rows, key=when)
    shared = set.intersection(*(set(samples[row][1].names) for row in rows))
    first = samples[rows[0]][1]
    names = tuple(name for name in first.names if name in shared)
    if not names:
        raise EegfmError(f"the recordings of {person} have no channel in common; leave one out of the cohort")
    ids = [recordings[windows["recording"][row]]["recording_id"] for row in rows]
    place = {recording: index for index, recording in enumerate(dict.fromkeys(ids))}
    return PersonTrials(
        person=person,
        dataset=recordings[windows["recording"][rows[0]]]["dataset"],
        x_NCT=np.stack([_picked(*samples[row], names) for row in rows]) * np.float32(UNIT_UV),
        names=names,
        positions_C3=first.positions_C3[[first.names.index(name) for name in names]],
        labels_N=np.array([code[windows["label"][row]] for row in rows]),
        recordings_N=np.array(ids, dtype=object),
        order_N=np.array([place[recording] for recording in ids]),
        windows_N=np.array([windows["window"][row] for row in rows]),
        onsets_s_N=np.array([windows["start_s"][row] for row in rows], float),
        facts=_facts([recordings[windows["recording"][row]] for row in rows]),
    )


def _picked(x_CT: np.ndarray, group: Any, names: tuple[str, ...]) -> np.ndarray:
    return x_CT if group.names == names else x_CT[[group.names.index(name) for name in names]]


def _facts(recordings: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    facts: dict[str, list[Any]] = {
        "age": [recording["age"] for recording in recordings],
        "sex": [recording["sex"] for recording in recordings],
        "duration_s": [recording["duration_s"] for recording in recordings],
        "dataset": [recording["dataset"] for recording in recordings],
    }
    covariates = [
        {entry["covariate"]: entry["value"] for entry in recording["methodology"] or ()}
        for recording in recordings
    ]
    for name in sorted(set().union(*covariates)):
        facts[name] = [found.get(name) for found in covariates]
    return {name: np.array(values, dtype=object) for name, values in facts.items()}


def _joined(parts: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, kind)
