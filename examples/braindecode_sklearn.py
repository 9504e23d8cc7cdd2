"""CSBrain inside braindecode's EEGClassifier and a scikit-learn pipeline, cross-validated over people.

python examples/braindecode_sklearn.py runs/demo/lock [epochs]
"""

import sys

import mne
import numpy as np
import torch
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from eegfm import CSBrain  # before braindecode: see the README on torchaudio
from eegfm.config import ReaderConfig
from eegfm.data import WindowReader, read_windows
from eegfm_lake.lock import read_lock

from braindecode import EEGClassifier  # isort: skip


def remove_offset(x_NCT: np.ndarray) -> np.ndarray:
    return x_NCT - x_NCT.mean(axis=-1, keepdims=True)


def main(lock_path: str, epochs: str = "10") -> None:
    mne.set_log_level("error")
    torch.manual_seed(0)
    lock = read_lock(lock_path)
    reader = WindowReader(lock, ReaderConfig(reference="average", channels="common", bad="keep"))
    (group,) = read_windows(reader)  # µV, as braindecode and skorch pass on

    y = np.unique(np.array(lock.windows["label"].to_pylist())[group.windows_N], return_inverse=True)[1]
    people = np.array(lock.recordings["person"].to_pylist())[lock.windows["recording"]][group.windows_N]

    info = mne.create_info(list(group.names), reader.rate_hz, "eeg")
    for channel, position in zip(info["chs"], group.positions_C3, strict=True):
        channel["loc"][:3] = position  # CSBrain reads where electrodes lie, not their order
    classes = [*range(len(np.unique(y)))]
    model = CSBrain(
        n_outputs=len(classes),
        chs_info=info["chs"],
        n_times=group.x_NCT.shape[-1],
        sfreq=reader.rate_hz,
        preset="tiny",
    )
    classifier = EEGClassifier(
        model, optimizer=torch.optim.AdamW, lr=1e-3, max_epochs=int(epochs), batch_size=32,
        train_split=None, classes=classes, verbose=0,
    )  # fmt: skip
    pipeline = make_pipeline(FunctionTransformer(remove_offset), classifier)
    folds = {"groups": people, "cv": GroupKFold(2), "scoring": "balanced_accuracy"}
    scores = cross_val_score(pipeline, group.x_NCT, y, **folds)
    print("balanced accuracy on people never seen, fold by fold:", *scores.round(3))


if __name__ == "__main__":
    main(*sys.argv[1:])
