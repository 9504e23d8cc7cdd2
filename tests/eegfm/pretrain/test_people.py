import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.pretrain.people import split_people
from eegfm_lake.errors import EegfmError
from tests.eegfm.locks import Made, write_lock

SHORT = {"names": ("C3", "C4"), "segments": (800,), "windows": ((0, 400), (400, 400))}


def persons(lock, windows_N):
    recordings = np.asarray(lock.windows["recording"])[windows_N]
    return {lock.recordings["person"][int(r)].as_py() for r in recordings}


@settings(max_examples=15, deadline=None)
@given(owners=st.lists(st.integers(0, 9), min_size=2, max_size=12), share=st.floats(0, 0.9))
def test_a_person_is_on_one_side(tmp_path_factory, owners, share):
    made = [Made(person=f"made/P{owner}", **SHORT) for owner in owners]
    lock = write_lock(tmp_path_factory.mktemp("lake"), made)
    people = split_people(lock, share)
    train, valid = persons(lock, people.train_N), persons(lock, people.valid_N)
    assert not train & valid
    assert train | valid == set(people.seen) == {m.person for m in made}
    assert bool(valid) == (share > 0 and len(set(owners)) > 1)
    assert not valid or min(valid) > max(train)


def test_a_person_with_two_names_is_one_person(tmp_path):
    made = [Made(person=f"made/P{i}", **SHORT) for i in range(3)]
    made.append(Made(person="made/P9", same_as=["made/P0"], **SHORT))
    lock = write_lock(tmp_path, made)
    people = split_people(lock, 0.3)
    assert persons(lock, people.valid_N) == {"made/P2"}
    assert "made/P9" in people.seen


def test_the_locks_own_validation_people_are_taken_and_test_people_never_seen(tmp_path):
    made = [
        Made(person=f"made/P{i}", split=split, **SHORT) for i, split in enumerate(["valid", "train", "test"])
    ]
    lock = write_lock(tmp_path, made)
    people = split_people(lock, 0.5)
    assert persons(lock, people.train_N) == {"made/P1"}
    assert persons(lock, people.valid_N) == {"made/P0"}
    assert people.seen == ("made/P0", "made/P1")
    only_test = write_lock(tmp_path / "b", [Made(split="test", **SHORT)])
    with pytest.raises(EegfmError, match=r"no window to train on \(splits: \['test'\]\)"):
        split_people(only_test, 0.1)
