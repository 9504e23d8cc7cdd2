"""Two classifiers on the same pre-trained encoder: ours, and the released one that flattens all tokens.

Legend: N windows, C electrodes, T samples, K classes.
"""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from corrections.judging import by_person
from corrections.material import Material
from corrections.report import shown, write
from corrections.training import trained
from corrections.variants import VARIANTS
from eegfm.decode.training import (
    Augmentation,
    Group,
    Schedule,
    channel_mirror,
    fit_network,
    predict_network,
)
from eegfm.model import ClassifierHead, Encoder, FlattenHead

CLASSES = ("motor/imagery/left_fist", "motor/imagery/right_fist")
HEADS = {
    "ours": "signed functions of position",
    "flatten": "all tokens into three linear layers, as released",
}
RATES = (3e-3, 3e-4)
EPOCHS, BATCH, WEIGHT_DECAY, DROP_PROB = 6, 16, 0.05, 0.3
"""As configs/finetune/left_right_pretrained.yaml; dropout is both heads' default for this kind of data."""


class Classifier(nn.Module):
    """An encoder and a head; what is frozen is nothing."""

    def __init__(self, encoder: Encoder, kind: str, electrodes: int, patches: int) -> None:
        super().__init__()
        self.encoder, self.kind = encoder, kind
        width = encoder.config.d_model
        if kind == "ours":
            self.head = ClassifierHead(encoder.config, len(CLASSES), drop_prob=DROP_PROB)
        else:  # the released head asks its settings for these two alone
            size = SimpleNamespace(d_model=width, regions=range(electrodes))
            self.head = FlattenHead(size, patches, len(CLASSES), DROP_PROB)

    def forward(self, x_NCT: Tensor, positions_C3: Tensor) -> Tensor:
        """Return logits (N, K)."""
        tokens = self.encoder(x_NCT, positions_C3)
        return self.head(tokens, None, positions_C3) if self.kind == "ours" else self.head(tokens)


def run_classifier(kind: str, lr: float, seed: int, steps: int, given: Material, runs: Path) -> dict:
    """Fine-tune everything on the trials of those seen in pre-training; judge on the others."""
    file = runs / f"classifier_{kind}_{lr:g}_{steps}_{seed}.json"
    if file.exists():
        return json.loads(file.read_text())
    encoder = trained(VARIANTS[0], seed, steps, given, runs).masked.encoder
    known, unseen = given.trials.of(seen=True), given.trials.of(seen=False)
    torch.manual_seed(seed)
    network = Classifier(encoder, kind, known.x_NCT.shape[1], encoder.n_patches(known.x_NCT.shape[2]))
    begin, record = time.process_time(), []
    group = Group(known.x_NCT, given.positions_C3, numbers(known.label_N), mirror(given.positions_C3))
    fit_network(
        network,
        network,
        [group],
        [],
        Schedule(EPOCHS, BATCH, lr, WEIGHT_DECAY),
        Augmentation(swap_K=(1, 0)),
        rate_hz=encoder.config.rate_hz,
        seed=seed,
        log=record.append,
    )
    cpu_s = time.process_time() - begin

    def score(trials):
        said_NK = predict_network(network, network, trials.x_NCT, given.positions_C3)
        return by_person(trials, np.array(CLASSES)[said_NK.argmax(1)])

    result = {
        "parameters": sum(p.numel() for p in network.head.parameters()),
        "steps": EPOCHS * -(-len(known.person_N) // BATCH),
        "loss": record[-1]["loss"],
        "seen": score(known),
        "unseen": score(unseen),
        "cpu_s": cpu_s,
    }
    file.write_text(json.dumps(result))
    print(file.stem, json.dumps(result), flush=True)
    return result


def numbers(label_N: np.ndarray) -> Tensor:
    """Return labels as numbers of CLASSES."""
    return torch.tensor([CLASSES.index(label) for label in label_N])


def mirror(positions_C3: Tensor) -> np.ndarray | None:
    """Return each electrode's mirror image, for the augmentation."""
    return channel_mirror(positions_C3.numpy())


def write_classifiers(steps: int, seeds: int, given: Material, runs: Path, locks: list) -> None:
    """Run what has not been run, and write the table."""
    found: dict[tuple[str, float], list[dict]] = {}
    for seed in range(seeds):
        for kind in HEADS:
            for lr in RATES:
                found.setdefault((kind, lr), []).append(run_classifier(kind, lr, seed, steps, given, runs))
    rows = [
        [
            HEADS[kind],
            str(each[0]["parameters"]),
            f"{lr:g}",
            *(shown([one[part] for one in each]) for part in ("unseen", "seen", "loss")),
            str(len(each)),
            str(each[0]["steps"]),
            f"{np.mean([one['cpu_s'] for one in each]):.0f}",
        ]
        for (kind, lr), each in found.items()
    ]
    heads = ["head", "its parameters", "learning rate", "left/right, unseen", "left/right, trained on"]
    heads += ["last training loss", "seeds", "steps", "CPU s"]
    write("classifiers", locks, heads, rows)
