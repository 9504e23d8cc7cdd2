"""Who trains, who validates, who is tested: the unit is the person."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eegfm.config import ProtocolConfig
from eegfm.decode.trials import natural
from eegfm_lake.errors import EegfmError, UsageError
from eegfm_lake.lock import Lock

FOLDS = 5
"""Folds over people where neither the configuration nor the lock says how many."""

VALID_SHARE = 5
"""Leave-one-person-out: every fifth other person validates."""


@dataclass(frozen=True)
class Fold:
    """Disjoint sets of people."""

    name: str
    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]


def make_folds(lock: Lock, config: ProtocolConfig) -> list[Fold]:
    """Divide the people of a lock.

    ``cross_subject`` with ``kfold`` tests each fold once, validates on the next and trains on the rest; the
    lock's own fold column counts unless the configuration gives a number. ``loso`` tests each person once.
    ``fixed`` takes the lock's splits.

    Parameters
    ----------
    lock : Lock
    config : ProtocolConfig

    Returns
    -------
    list of Fold
        Folds without a test person are left out. ``test_people`` and ``train_people`` of the configuration
        restrict who is tested and who trains or validates.

    Raises
    ------
    EegfmError
        A person is in two folds or splits, a split is empty, or nobody is left to train.
    UsageError
        The configuration names people whom the lock does not have.
    """
    table = _people_table(lock)
    people = sorted(table, key=natural)
    if config.name == "fixed":
        folds = [_fixed(table, people, lock.name)]
    elif config.kind == "loso":
        folds = _leave_one_out(people)
    else:
        folds = _k_folds(_fold_numbers(table, people, config.folds, lock.name))
    testable = set(select_people(config.test_people, people)) if config.test_people else set(people)
    trainable = set(select_people(config.train_people, people)) if config.train_people else set(people)
    restricted = [
        Fold(
            fold.name,
            tuple(person for person in fold.train if person in trainable),
            tuple(person for person in fold.valid if person in trainable),
            tuple(person for person in fold.test if person in testable),
        )
        for fold in folds
    ]
    kept = [fold for fold in restricted if fold.test]
    for fold in kept:
        check_disjoint(fold, lock)
        if not fold.train:
            raise EegfmError(
                f"fold {fold.name} of lock {lock.name} has nobody to train on; widen train_people"
            )
    return kept


def select_people(patterns: Sequence[str], people: Iterable[str]) -> list[str]:
    """Return the people whom names (``eegmmidb/S019``) or ranges (``eegmmidb/S019..eegmmidb/S036``) mean.

    Raises
    ------
    UsageError
        A name or range fits nobody.
    """
    people = sorted(people, key=natural)
    chosen: set[str] = set()
    for pattern in patterns:
        first, dots, last = pattern.partition("..")
        last = last if "/" in last or not dots else f"{first.rpartition('/')[0]}/{last}"
        low, high = natural(first), natural(last if dots else first)
        found = [person for person in people if low <= natural(person) <= high]
        if not found:
            raise UsageError(f"no person {pattern!r} in the lock; it has {people[0]} to {people[-1]}")
        chosen.update(found)
    return sorted(chosen, key=natural)


def check_disjoint(fold: Fold, lock: Lock) -> None:
    """Refuse a fold whose sides share a person under any of a person's names.

    Raises
    ------
    EegfmError
        Naming the people.
    """
    aliases: dict[str, set[str]] = {}
    for row in lock.recordings.select(["person", "same_as"]).to_pylist():
        aliases.setdefault(row["person"], {row["person"]}).update(row["same_as"] or ())
    sides = {
        side: set().union(*(aliases.get(person, {person}) for person in getattr(fold, side)))
        for side in ("train", "valid", "test")
    }
    for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
        shared = sorted(sides[one] & sides[other])
        if shared:
            raise EegfmError(
                f"fold {fold.name} of lock {lock.name}: {', '.join(shared[:5])} in both {one} and {other}; "
                "give a person one fold or split in the cohort's SQL"
            )


def _people_table(lock: Lock) -> dict[str, dict[str, set[Any]]]:
    persons = lock.recordings["person"].to_pylist()
    table: dict[str, dict[str, set[Any]]] = {}
    columns = (lock.windows[name].to_pylist() for name in ("recording", "split", "fold"))
    for recording, split, fold in zip(*columns, strict=True):
        found = table.setdefault(persons[recording], {"split": set(), "fold": set()})
        found["split"].add(split)
        found["fold"].add(fold)
    return table


def _fixed(table: Mapping[str, dict[str, set[Any]]], people: list[str], name: str) -> Fold:
    sides: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for person in people:
        splits = table[person]["split"]
        if len(splits) > 1 or not splits <= set(sides):
            raise EegfmError(
                f"lock {name}: {person} is in {', '.join(map(str, sorted(splits, key=str)))}; protocol fixed "
                "needs each person in one of train, valid, test"
            )
        sides[next(iter(splits))].append(person)
    empty = [side for side, members in sides.items() if not members]
    if empty:
        raise EegfmError(f"lock {name} has nobody in {', '.join(empty)}; use protocol cross_subject")
    return Fold("fixed", *(tuple(sides[side]) for side in ("train", "valid", "test")))


def _leave_one_out(people: list[str]) -> list[Fold]:
    if len(people) < 3:
        raise EegfmError(f"leave-one-person-out needs at least 3 people, found {len(people)}")
    folds = []
    for index, person in enumerate(people):
        others = people[index + 1 :] + people[:index]  # rotated, so that everybody validates for somebody
        valid = others[::VALID_SHARE]
        train = tuple(other for other in others if other not in valid)
        folds.append(Fold(str(index), train, tuple(valid), (person,)))
    return folds


def _fold_numbers(
    table: Mapping[str, dict[str, set[Any]]], people: list[str], folds: int | None, name: str
) -> dict[str, int]:
    given = {person: table[person]["fold"] for person in people}
    if folds is None and all(None not in found for found in given.values()):
        twice = [person for person, found in given.items() if len(found) > 1]
        if twice:
            raise EegfmError(
                f"lock {name}: {twice[0]} is in folds {sorted(given[twice[0]])}; give a person one fold"
            )
        return {person: int(next(iter(found))) for person, found in given.items()}
    folds = min(folds or FOLDS, len(people))
    # Dealt round by round within each data set or laboratory, so that every fold has people of each.
    groups: dict[str, list[str]] = {}
    for person in people:
        groups.setdefault(person.rstrip("0123456789"), []).append(person)
    dealt = [person for group in groups.values() for person in group]
    return {person: index % folds for index, person in enumerate(dealt)}


def _k_folds(number: Mapping[str, int]) -> list[Fold]:
    numbers = np.unique(list(number.values()))
    if len(numbers) < 3:
        raise EegfmError(
            f"{len(numbers)} folds cannot be tested, validated and trained on; at least 3 are needed"
        )
    made = []
    for index, test in enumerate(numbers):
        valid = numbers[(index + 1) % len(numbers)]
        members = {
            "train": tuple(p for p, n in number.items() if n not in (test, valid)),
            "valid": tuple(p for p, n in number.items() if n == valid),
            "test": tuple(p for p, n in number.items() if n == test),
        }
        made.append(Fold(str(int(test)), **members))
    return made
