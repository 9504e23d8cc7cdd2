"""What chance is: a linear decoder trained on permuted labels, many times; a single one strays by 0.03."""

from dataclasses import replace

import numpy as np

from eegfm.decode.linear import LINEAR, CovarianceDecoder
from eegfm.decode.protocols import Fold
from eegfm.decode.scores import balanced_accuracy
from eegfm.decode.trials import Trials

DECODER = "band_power"


def permutation_chance(
    trials: Trials, folds: list[Fold], permutations: int, seed: int = 0
) -> dict[str, float | int | str]:
    """Return the balanced accuracy that permuted training labels reach on test people.

    Labels are permuted within each training person, which keeps everybody's share of each class.

    Parameters
    ----------
    trials : Trials
        On the channels common to all.
    folds : list of Fold
    permutations : int
    seed : int

    Returns
    -------
    dict
        ``mean`` and ``sd`` over permutations of the mean over people; ``permutations``; ``decoder``.
    """
    generator = np.random.default_rng(seed)
    spec = replace(LINEAR[DECODER], cs=LINEAR[DECODER].cs[:1])
    runs = []
    for _ in range(permutations):
        accuracies = []
        for fold in folds:
            train, test = trials.only(fold.train), trials.only(fold.test)
            shuffled = [generator.permutation(person.labels_N) for person in train.people]
            decoder = CovarianceDecoder(spec).fit(train.with_labels(np.concatenate(shuffled)))
            predicted_N = decoder.predict(test).argmax(1)
            cuts = np.cumsum([len(person) for person in test.people])[:-1]
            for person, predicted in zip(test.people, np.split(predicted_N, cuts), strict=True):
                accuracies.append(balanced_accuracy(person.labels_N, predicted))
        runs.append(np.mean(accuracies))
    spread = float(np.std(runs, ddof=1)) if len(runs) > 1 else 0.0
    return {"mean": float(np.mean(runs)), "sd": spread, "permutations": permutations, "decoder": DECODER}
