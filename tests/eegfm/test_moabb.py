"""CSBrain in MOABB's evaluations: on its made data set, without a network."""

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from eegfm import CSBrain

from braindecode import EEGClassifier  # isort: skip
from moabb.datasets.fake import FakeDataset  # isort: skip
from moabb.evaluations import CrossSubjectEvaluation  # isort: skip
from moabb.paradigms import LeftRightImagery  # isort: skip

torch.set_num_threads(1)
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:Creating a dataset without"),
]
PEOPLE, TRIALS = 3, 12


@pytest.fixture
def made(tmp_path, monkeypatch):
    """20 µV of noise: three people, three electrodes at 128 Hz."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return FakeDataset(
        ("left_hand", "right_hand"),
        n_sessions=1,
        n_runs=1,
        n_subjects=PEOPLE,
        duration=60,
        n_events=TRIALS,
        seed=0,
    )


@pytest.fixture
def paradigm():
    return LeftRightImagery(fmin=0.5, fmax=60)


def classifier(epochs) -> EEGClassifier:
    torch.manual_seed(0)
    signal = {"chs_info": epochs.info["chs"], "n_times": len(epochs.times), "sfreq": epochs.info["sfreq"]}
    model = CSBrain(n_outputs=2, preset="tiny", depth=1, **signal)
    return EEGClassifier(model, max_epochs=1, batch_size=8, train_split=None, verbose=0)


def test_every_person_is_scored_once_by_a_model_that_began_anew(made, paradigm, tmp_path):
    epochs = paradigm.get_data(made, subjects=[1], return_epochs=True)[0]
    seen_uv, fitted = [], classifier(epochs)
    began = {name: tensor.clone() for name, tensor in fitted.module.state_dict().items()}

    def note(x_NCT):
        seen_uv.append((len(x_NCT), x_NCT.std()))
        return x_NCT

    places = {"hdf5_path": str(tmp_path), "overwrite": True, "random_state": 0}
    table = CrossSubjectEvaluation(paradigm=paradigm, datasets=[made], **places).process(
        {"CSBrain": make_pipeline(FunctionTransformer(note), fitted)}
    )
    assert sorted(table["subject"].astype(int)) == [1, 2, 3]
    assert table["score"].between(0, 1).all()
    assert set(table["samples"]) == {(PEOPLE - 1) * TRIALS}
    assert {n for n, _ in seen_uv} <= {TRIALS, (PEOPLE - 1) * TRIALS}
    assert all(15 < size < 25 for _, size in seen_uv), "MOABB's arrays are not in µV"
    assert all(torch.equal(tensor, began[name]) for name, tensor in fitted.module.state_dict().items())


def test_arrays_of_moabb_and_epochs_of_mne_are_read_in_the_same_unit(made, paradigm):
    epochs, labels, _ = paradigm.get_data(made, subjects=[1], return_epochs=True)
    arrays_uv = paradigm.get_data(made, subjects=[1])[0]
    trained = classifier(epochs).fit(arrays_uv.astype(np.float32), (labels == "left_hand").astype(int))
    from_arrays = trained.predict_proba(arrays_uv.astype(np.float32))
    assert np.allclose(trained.predict_proba(epochs), from_arrays, atol=1e-4)
    assert not np.allclose(trained.predict_proba(1e-6 * arrays_uv.astype(np.float32)), from_arrays, atol=1e-4)
