"""CSBrain in MOABB's cross-subject evaluation: trained on all people but one, scored on that one, for each in turn.

    python examples/moabb_cross_subject.py BNCI2014_001 results [weights] [epochs] [people]

Arguments: a left-or-right imagery data set of MOABB, or fake; a folder for the results; a folder that
CSBrain.save_pretrained or a pre-training run wrote, or "" for random weights; epochs; how many people, 0 for all.
"""

import sys

import mne
import torch
from sklearn.pipeline import make_pipeline

from eegfm import CSBrain  # before braindecode: see the README on torchaudio

import moabb.datasets  # isort: skip
from braindecode import EEGClassifier  # isort: skip
from moabb.datasets.fake import FakeDataset  # isort: skip
from moabb.evaluations import CrossSubjectEvaluation  # isort: skip
from moabb.paradigms import LeftRightImagery  # isort: skip


def data_set(name: str) -> moabb.datasets.base.BaseDataset:
    if name != "fake":
        return getattr(moabb.datasets, name)()
    hands = ("left_hand", "right_hand")
    return FakeDataset(hands, n_sessions=1, n_runs=1, n_subjects=3, duration=60, n_events=16, seed=0)


def main(name: str, results: str, weights: str = "", epochs: str = "20", people: str = "0") -> None:
    mne.set_log_level("error")
    torch.manual_seed(0)
    data = data_set(name)
    if int(people):
        data.subject_list = data.subject_list[: int(people)]
    # No resampling here: the model reads any rate. MOABB's arrays are in µV, which is what CSBrain expects.
    paradigm = LeftRightImagery(fmin=0.5, fmax=45)

    epoched = paradigm.get_data(data, subjects=data.subject_list[:1], return_epochs=True)[0]
    signal = {"chs_info": epoched.info["chs"], "n_times": len(epoched.times), "sfreq": epoched.info["sfreq"]}
    if weights:
        model = CSBrain.from_pretrained(weights, n_outputs=2, **signal)
        print(model.load_report)
    else:
        model = CSBrain(n_outputs=2, preset="tiny", **signal)

    classifier = EEGClassifier(
        model, optimizer=torch.optim.AdamW, lr=1e-3, max_epochs=int(epochs), batch_size=32, train_split=None, verbose=0
    )  # fmt: skip
    places = {"hdf5_path": results, "overwrite": True, "random_state": 0}
    evaluation = CrossSubjectEvaluation(paradigm=paradigm, datasets=[data], **places)
    table = evaluation.process({"CSBrain": make_pipeline(classifier)})
    for person, score in table.groupby("subject")["score"].mean().items():
        print(f"person {person}: ROC AUC {score:.3f}")
    print(f"people never seen: ROC AUC {table['score'].mean():.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
