from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from eegfm.decode.networks import EncoderClassifier, NetworkDecoder, NetworkSpec
from eegfm.decode.scores import balanced_accuracy
from eegfm.decode.training import (
    Augmentation,
    Group,
    Schedule,
    channel_mirror,
    class_mirror,
    fit_network,
)
from eegfm.model import preset
from eegfm_lake import electrodes
from eegfm_lake.errors import EegfmError
from tests.eegfm.decode.made import CLASSES, cap, make_trials


def test_classes_that_are_mirror_images_are_exchanged_and_others_are_not():
    assert class_mirror(CLASSES) == (1, 0)
    assert class_mirror(("left", "rest", "right")) == (2, 1, 0)
    assert class_mirror(("rest/eyes_open", "rest/eyes_closed")) == (0, 1)
    assert class_mirror(("left", "rest")) is None


def test_channels_are_paired_with_their_mirror_image():
    names = cap(22)
    positions = np.asarray(electrodes.positions(names), np.float32)
    mirror = channel_mirror(positions)
    assert names[mirror[names.index("C3")]] == "C4"
    assert names[mirror[names.index("FCz")]] == "FCz"
    lopsided = [index for index, name in enumerate(names) if name != "C4"]
    assert channel_mirror(positions[lopsided]) is None


def groups_of(seed: int, n: int = 32) -> list[Group]:
    rng = np.random.default_rng(seed)
    labels = torch.from_numpy(np.arange(n) % 2)
    x = torch.from_numpy(rng.standard_normal((n, 2, 10), dtype=np.float32))
    x[:, 0] += 2.0 * labels[:, None]
    return [Group(x, torch.zeros(2, 3), labels)]


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(20, 2))


def run(network, epochs=5, valid=True, seed=0, lr=1e-2, **schedule):
    records = []
    fit_network(
        network,
        lambda x, positions: network(x),
        groups_of(0),
        groups_of(1) if valid else [],
        Schedule(epochs, 8, lr, **schedule),
        Augmentation(shift_s=0.1, noise=0.1),
        rate_hz=20.0,
        seed=seed,
        log=records.append,
    )
    return records


def test_training_is_a_function_of_the_seed():
    networks = [linear() for _ in range(3)]
    losses = [[r["loss"] for r in run(n, seed=seed)] for n, seed in zip(networks, (0, 0, 1), strict=True)]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_the_weights_of_the_best_validation_epoch_stay():
    network = linear()
    records = run(network, epochs=8)
    best = min(r["loss"] for r in records if r["split"] == "valid")
    (group,) = groups_of(1)
    with torch.no_grad():
        loss = nn.functional.cross_entropy(network.eval()(group.x_NCT), group.labels_N).item()
    assert loss == pytest.approx(best, rel=1e-4)


def test_patience_stops_a_network_that_no_longer_gets_better():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return torch.zeros(len(x), 2) + 0 * self.unused

    records = run(Constant(), epochs=20, patience=2)
    assert max(r["epoch"] for r in records) == 3


def test_a_loss_that_is_no_number_is_an_error_that_names_the_rate():
    with pytest.raises(EegfmError, match=r"no number in epoch .* lower lr"):
        run(nn.Sequential(linear(), _Not()), epochs=2)


class _Not(nn.Module):
    def forward(self, x):
        return x * float("nan")


def test_a_probe_leaves_the_encoder_as_it_was():
    trials = make_trials(3, trials=8)
    encoder = preset("tiny", 2.0).to_dict()
    torch.manual_seed(5)
    weights = EncoderClassifier(preset("tiny", 2.0), 2).encoder.state_dict()
    spec = NetworkSpec("csbrain", mode="linear_probe", encoder=encoder, schedule=Schedule(1, 8))
    decoder = NetworkDecoder(spec, weights=weights).fit(
        trials.only(trials.names[:2]), trials.only(trials.names[2:])
    )
    after = decoder.network.encoder.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in weights.items())


def test_csbrain_learns_from_people_of_different_montages():
    one, other = (
        make_trials(3, trials=24, effect=1.3),
        make_trials(3, names=cap(22), trials=24, effect=1.3, seed=9),
    )

    people = (*one.people, *(replace(p, person=p.person + "b") for p in other.people))
    trials = replace(one, people=people)
    test = ("made/P3", "made/P3b")
    train = trials.only(set(trials.names) - set(test))
    spec = NetworkSpec(
        "csbrain", encoder=preset("tiny", 2.0).to_dict(), schedule=Schedule(12, 8, 3e-3), mirror=True
    )
    decoder = NetworkDecoder(spec).fit(train)
    found = decoder.predict(train)
    assert balanced_accuracy(train.labels_N, found.argmax(1)) > 0.6
    assert decoder.predict(trials.only(test)).shape == (48, 2)
