from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.config import ProtocolConfig
from eegfm.decode.protocols import make_folds, select_people
from eegfm_lake.errors import EegfmError, UsageError


def fake_lock(people: list[str], *, fold=None, split=None, same_as=None, windows: int = 2):
    rows = [(index, person) for index, person in enumerate(people) for _ in range(windows)]
    return SimpleNamespace(
        name="made",
        recordings=pa.table(
            {
                "person": pa.array(people, pa.string()),
                "same_as": pa.array([(same_as or {}).get(p, []) for p in people], pa.list_(pa.string())),
            }
        ),
        windows=pa.table(
            {
                "recording": pa.array([index for index, _ in rows], pa.int32()),
                "split": pa.array([split[p] if split else "all" for _, p in rows], pa.string()),
                "fold": pa.array([fold[p] if fold else None for _, p in rows], pa.int32()),
            }
        ),
    )


def people_of(n: int) -> list[str]:
    return [f"made/S{number:03d}" for number in range(1, n + 1)]


@given(n=st.integers(3, 40), folds=st.integers(3, 8), loso=st.booleans())
@settings(max_examples=40, deadline=None)
def test_folds_are_disjoint_by_person_and_test_everybody_once(n, folds, loso):
    people = people_of(n)
    made = make_folds(fake_lock(people), ProtocolConfig(kind="loso" if loso else "kfold", folds=folds))
    tested = [person for fold in made for person in fold.test]
    assert sorted(tested) == people
    for fold in made:
        assert set(fold.train) | set(fold.valid) | set(fold.test) == set(people)
        assert len(fold.train) + len(fold.valid) + len(fold.test) == n
        assert fold.train
        assert fold.valid


def test_the_locks_folds_count_and_the_next_fold_validates():
    people = people_of(36)
    fold = {person: (int(person[-3:]) - 1) % 6 for person in people}
    made = make_folds(fake_lock(people, fold=fold), ProtocolConfig())
    assert [part.name for part in made] == list("012345")
    for part in made:
        number = int(part.name)
        assert {fold[person] for person in part.test} == {number}
        assert {fold[person] for person in part.valid} == {(number + 1) % 6}
        assert len(part.train) == 24


def test_laboratories_are_spread_over_folds():
    people = [f"sim/{lab}{number:02d}" for lab in "ABC" for number in range(1, 7)]
    for part in make_folds(fake_lock(people), ProtocolConfig(folds=6)):
        assert {person[4] for person in part.test} == set("ABC")


def test_the_locks_own_split_is_taken_as_it_is():
    split = {"made/S001": "train", "made/S002": "valid", "made/S003": "test", "made/S004": "train"}
    (fold,) = make_folds(fake_lock(list(split), split=split), ProtocolConfig(name="fixed"))
    assert (fold.train, fold.valid, fold.test) == (("made/S001", "made/S004"), ("made/S002",), ("made/S003",))


def test_test_people_can_be_restricted_to_those_an_encoder_has_not_seen():
    people = people_of(36)
    fold = {person: (int(person[-3:]) - 1) % 6 for person in people}
    config = ProtocolConfig(test_people=["made/S019..S036"])
    made = make_folds(fake_lock(people, fold=fold), config)
    assert sorted(person for part in made for person in part.test) == people[18:]
    assert all(len(part.train) == 24 for part in made)


def test_a_person_under_two_names_is_one_person():
    people = people_of(6)
    lock = fake_lock(people, same_as={"made/S001": ["made/S002"]})
    with pytest.raises(EegfmError, match=r"made/S00[12]"):
        make_folds(lock, ProtocolConfig(folds=6))


@pytest.mark.parametrize(
    ("lock", "config", "message"),
    [
        (fake_lock(people_of(2)), ProtocolConfig(kind="loso"), "at least 3 people"),
        (fake_lock(people_of(2)), ProtocolConfig(folds=5), "at least 3 are needed"),
        (fake_lock(people_of(3)), ProtocolConfig(name="fixed"), "needs each person in one of train"),
        (fake_lock(people_of(6)), ProtocolConfig(train_people=["made/S001"], folds=6), "nobody to train on"),
    ],
)
def test_a_protocol_that_cannot_be_kept_says_why(lock, config, message):
    with pytest.raises(EegfmError, match=message):
        make_folds(lock, config)


def test_an_unknown_person_is_wrong_use():
    with pytest.raises(UsageError, match=r"no person 'made/S077' in the lock; it has made/S001 to made/S005"):
        select_people(["made/S077"], people_of(5))
    assert select_people(["made/S002..S004"], people_of(5)) == people_of(5)[1:4]
    assert select_people(["made/S002", "made/S005"], people_of(5)) == ["made/S002", "made/S005"]
