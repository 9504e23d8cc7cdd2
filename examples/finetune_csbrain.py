"""Fine-tune CSBrain on a cohort by hand, and score it on people it never saw.

    python examples/finetune_csbrain.py runs/demo/lock [runs/pretrain/model] [epochs]

`eegfm finetune` does this with folds, alignment, baselines and chance; this is the bare loop to change.
"""

import sys

import numpy as np
import torch
from sklearn.metrics import balanced_accuracy_score

from eegfm.config import ReaderConfig
from eegfm.data import WindowReader, read_windows
from eegfm.model import ClassifierHead, Encoder, load_pretrained, preset
from eegfm_lake.lock import read_lock


def main(lock_path: str, checkpoint: str = "", epochs: str = "20") -> None:
    torch.manual_seed(0)
    lock = read_lock(lock_path)
    reader = WindowReader(lock, ReaderConfig(reference="average", channels="common", bad="keep"))
    (group,) = read_windows(reader, scaled=True)  # the encoder's unit is 100 µV

    labels = np.array(lock.windows["label"].to_pylist())[group.windows_N]
    classes, y = np.unique(labels, return_inverse=True)
    people = np.array(lock.recordings["person"].to_pylist())[lock.windows["recording"]][group.windows_N]
    unseen = np.isin(people, np.unique(people)[::4])  # every fourth person is only tested

    x, y, positions = map(torch.from_numpy, (group.x_NCT, y, group.positions_C3))
    new = preset("tiny", window_s=x.shape[-1] / reader.rate_hz)
    encoder = load_pretrained(checkpoint) if checkpoint else Encoder(new)
    head = ClassifierHead(encoder.config, len(classes))

    def decide(windows: torch.Tensor) -> torch.Tensor:
        where = positions.expand(len(windows), -1, -1)
        return head(encoder(windows, where), None, where)

    optimiser = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=1e-3, weight_decay=0.01)
    train = torch.from_numpy(np.flatnonzero(~unseen))
    for epoch in range(int(epochs)):
        for batch in train[torch.randperm(len(train))].split(32):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(decide(x[batch]), y[batch])
            loss.backward()
            optimiser.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

    encoder.eval(), head.eval()
    with torch.no_grad():
        decided = torch.cat([decide(batch).argmax(1) for batch in x[unseen].split(64)])
    for person in np.unique(people[unseen]):
        own = torch.from_numpy(people[unseen] == person)
        print(f"{person}: {balanced_accuracy_score(y[unseen][own], decided[own]):.3f}")
    print(f"people never seen: balanced accuracy {balanced_accuracy_score(y[unseen], decided):.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
