"""How every model is judged, on people whom none has seen: hidden patches, and left against right imagery."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from corrections.material import STEP, Material, Windows, batch_of
from corrections.variants import OBJECTIVE
from eegfm.data import Batch
from eegfm.model import preset
from eegfm.pretrain.objective import BANDS_HZ, Objective

JUDGES_SEED = 999
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
JUDGED_PER_PERSON = 16


def judge(given: Material) -> Objective:
    """Return the one objective by which all are judged, whatever they were trained with."""
    return Objective(OBJECTIVE, preset("tiny", 4), JUDGES_SEED, given.statistics[2 * STEP])


@torch.no_grad()
def hidden_error(model: Callable[[Batch], Tensor], given: Material) -> dict[str, float]:
    """Equalised error of hidden patches of unseen people, in all and by band; 1 is what zeros score."""
    unseen, objective = given.windows.of(seen=False), judge(given)
    rows = [spread(np.flatnonzero(unseen.person_N == person)) for person in np.unique(unseen.person_N)]
    found = []
    for chosen in rows:
        batch = objective.hide(batch_of(unseen.x_NCT[torch.from_numpy(chosen)], given.positions_C3, chosen))
        truth = batch.x_BCT.unfold(-1, 2 * STEP, STEP)
        predicted = model(batch).expand_as(truth)
        loss = objective.loss(predicted, truth, batch).item()
        found.append({"all": loss} | objective.by_band(predicted, truth, batch))
    return {name: float(np.mean([each[name] for each in found])) for name in ("all", *BANDS_HZ)}


def spread(rows: np.ndarray) -> np.ndarray:
    return rows[np.linspace(0, len(rows) - 1, JUDGED_PER_PERSON).round().astype(int)]


@torch.no_grad()
def probe(model: nn.Module, given: Material) -> dict[str, float]:
    """Left against right of unseen people, read linearly off each electrode's mean token."""
    sets = [given.trials.of(seen) for seen in (True, False)]
    features = [
        torch.cat([model.features(x, given.positions_C3).mean(2).flatten(1) for x in part.x_NCT.split(64)])
        for part in sets
    ]
    (known, unseen), (seen_NF, unseen_NF) = sets, [each.double().numpy() for each in features]

    def fitted(strength: float, rows: np.ndarray | slice):
        reader = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))
        return reader.fit(seen_NF[rows], known.label_N[rows].astype(str))

    def valid(strength: float) -> float:
        folds = GroupKFold(6).split(seen_NF, groups=known.person_N)
        return float(
            np.mean(
                [
                    balanced_accuracy_score(
                        known.label_N[held].astype(str), fitted(strength, rows).predict(seen_NF[held])
                    )
                    for rows, held in folds
                ]
            )
        )

    scores = {strength: valid(strength) for strength in STRENGTHS}
    best = max(scores, key=scores.__getitem__)
    said = fitted(best, slice(None)).predict(unseen_NF)
    return {"probe": by_person(unseen, said), "probe_valid": scores[best], "strength": best}


def by_person(trials: Windows, said_N: np.ndarray) -> float:
    """Return the balanced accuracy of what was said of trials, the mean over their people."""
    people = [trials.person_N == person for person in np.unique(trials.person_N)]
    return float(
        np.mean([balanced_accuracy_score(trials.label_N[own].astype(str), said_N[own]) for own in people])
    )
