import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.config import ModelConfig, PretrainConfig, ReaderConfig, load_config
from eegfm.data import Loader, WindowReader
from eegfm.data.methodology import account, covariates, numbers, of_lock, vocabulary
from eegfm_lake.errors import UsageError
from tests.eegfm.locks import CAP, Made, write_lock

values = st.none() | st.sampled_from(["a", "b", "c", "None"])
recordings = st.lists(st.fixed_dictionaries({"site": values, "cap": values}), max_size=30)


def stored(**known: str) -> dict:
    rows = [{"covariate": name, "value": value, "origin": "declared"} for name, value in known.items()]
    return {"methodology": rows}


@pytest.fixture(scope="module")
def lock(tmp_path_factory):
    facts = [
        stored(site="Graz", line_freq="50"),
        stored(line_freq="60"),
        stored(site="Tartu", line_freq="50", cap="odd"),
        {"methodology": None},
    ]
    made = [
        Made(names=CAP[: 5 + i % 2], segments=(2400,), person=f"made/P{i}", facts=fact)
        for i, fact in enumerate(facts)
    ]
    return write_lock(tmp_path_factory.mktemp("lake"), made)


@given(recordings, st.integers(1, 4))
@settings(deadline=None)
def test_a_value_has_a_number_if_and_only_if_enough_recordings_have_it(known, at_least):
    found = vocabulary(known, ["site", "cap"], at_least)
    for name in ("site", "cap"):
        have = [recording[name] for recording in known]
        assert found[name] == sorted({v for v in have if v is not None and have.count(v) >= at_least})


@given(recordings, recordings)
@settings(deadline=None)
def test_numbers_lead_back_to_the_values_and_all_else_is_zero(seen, asked):
    words = sorted(vocabulary(seen, ["site", "cap"], 1).items())
    found = numbers(asked, words)
    assert found.shape == (len(asked), 2)
    for row, recording in zip(found, asked, strict=True):
        for number, (name, known) in zip(row, words, strict=True):
            value = recording[name]
            assert ([None, *known][number] == value) if value in known else number == 0


@given(recordings, recordings)
@settings(deadline=None)
def test_every_recording_is_accounted_for_once(seen, asked):
    told = account(asked, sorted(vocabulary(seen, ["site", "cap"], 1).items()))
    for counted in told.values():
        known = sum(counted["values"].values()) + sum(counted["unseen"].values())
        assert known + counted["unknown"] == len(asked)


def test_a_lock_is_read_as_covariates_in_the_order_of_its_recordings(lock):
    assert of_lock(lock)[2] == {"site": "Tartu", "line_freq": "50", "cap": "odd"}
    assert of_lock(lock)[3] == {}
    windows_of_the_last_two = np.flatnonzero(lock.windows["recording"].to_numpy() >= 2)
    assert of_lock(lock, windows_of_the_last_two) == of_lock(lock)[2:]
    assert covariates([{"covariate": "site", "value": None}, {"covariate": "cap", "value": "x"}]) == {
        "cap": "x"
    }


@pytest.mark.parametrize("mix", [False, True])
def test_every_window_of_a_batch_carries_its_recordings_numbers(lock, mix):
    words = (("line_freq", ("50", "60")), ("site", ("Graz", "Tartu")))
    expected = np.array([[1, 1], [2, 0], [1, 2], [0, 0]])
    table = numbers(of_lock(lock), words)
    assert (table == expected).all()
    reader = WindowReader(lock, ReaderConfig())
    loading = {"batch": 3, "seed": 1, "workers": 0, "mix": mix}
    told = Loader(reader, np.arange(len(reader)), condition_RK=table, **loading)
    recording_N = lock.windows["recording"].to_numpy()
    seen = 0
    for batch in told.batches(0, told.steps_per_epoch):
        assert batch.condition_BK.dtype == torch.int64
        assert (batch.condition_BK.numpy() == expected[recording_N[batch.window_B.numpy()]]).all()
        assert batch.to(torch.device("cpu")).condition_BK is not None
        seen += len(batch.window_B)
    assert seen == len(reader)
    assert Loader(reader, np.arange(len(reader)), **loading).read(0).condition_BK is None


def test_a_misspelt_covariate_names_the_right_one():
    for wrong, right in (
        ("line_frequency", "line_freq"),
        ("amplifyer", "amplifier"),
        ("refrence", "reference"),
    ):
        with pytest.raises(
            UsageError, match=f"'{wrong}' is no covariate of the methodology; did you mean '{right}'"
        ):
            ModelConfig(condition=[wrong])
    with pytest.raises(UsageError, match="did you mean 'site'"):
        load_config("tiny_4s", PretrainConfig, ["model.condition=[sites]"])
    with pytest.raises(UsageError, match="there are reference, ground, amplifier"):
        vocabulary([], ["zzz"], 1)
