"""Scores of a decoder: per person, and over people.

Legend: N windows, K classes.
"""

import numpy as np

METRICS = ("balanced_accuracy", "kappa", "weighted_f1", "auroc")
NAN = float("nan")


def score(labels_N: np.ndarray, probabilities_NK: np.ndarray) -> dict[str, float]:
    """Score probabilities against labels.

    Parameters
    ----------
    labels_N : ndarray of int (N,)
    probabilities_NK : ndarray (N, K)

    Returns
    -------
    dict of str to float
        ``METRICS``. AUROC is that of the second of two classes, else the mean over classes of one against the
        rest; it is NaN where only one class occurs.
    """
    labels_N = np.asarray(labels_N)
    predicted_N = np.argmax(probabilities_NK, axis=1)
    counts_KK = confusion(labels_N, predicted_N, probabilities_NK.shape[1])
    return {
        "balanced_accuracy": balanced_accuracy(labels_N, predicted_N),
        "kappa": _kappa(counts_KK),
        "weighted_f1": _weighted_f1(counts_KK),
        "auroc": _auroc(labels_N, probabilities_NK),
    }


def balanced_accuracy(labels_N: np.ndarray, predicted_N: np.ndarray) -> float:
    """Return the mean over the classes that occur of the share predicted right."""
    return float(np.mean([np.mean(predicted_N[labels_N == label] == label) for label in np.unique(labels_N)]))


def confusion(labels_N: np.ndarray, predicted_N: np.ndarray, n_classes: int) -> np.ndarray:
    """Return counts (K true, K predicted)."""
    counts_KK = np.zeros((n_classes, n_classes), int)
    np.add.at(counts_KK, (labels_N, predicted_N), 1)
    return counts_KK


def log_loss(labels_N: np.ndarray, probabilities_NK: np.ndarray) -> float:
    """Return the mean negative log-likelihood in nats."""
    chosen_N = probabilities_NK[np.arange(len(labels_N)), labels_N]
    return float(-np.mean(np.log(np.maximum(chosen_N, 1e-12))))


def chance_line(n_trials: int, n_classes: int, level: float = 0.95) -> float:
    """Return the accuracy that guessing exceeds in ``1 - level`` of runs of ``n_trials`` (binomial)."""
    from scipy.stats import binom

    return float(binom.ppf(level, n_trials, 1 / n_classes)) / n_trials


def _kappa(counts_KK: np.ndarray) -> float:
    # Cohen, Educational and Psychological Measurement 20(1):37-46, 1960.
    total = counts_KK.sum()
    expected = (counts_KK.sum(0) * counts_KK.sum(1)).sum() / total**2
    return NAN if expected == 1 else float((np.trace(counts_KK) / total - expected) / (1 - expected))


def _weighted_f1(counts_KK: np.ndarray) -> float:
    right_K, support_K = np.diag(counts_KK), counts_KK.sum(1)
    f1_K = 2 * right_K / np.maximum(support_K + counts_KK.sum(0), 1)
    return float((f1_K * support_K).sum() / support_K.sum())


def _auroc(labels_N: np.ndarray, probabilities_NK: np.ndarray) -> float:
    if len(np.unique(labels_N)) < 2:
        return NAN
    n_classes = probabilities_NK.shape[1]
    of = [1] if n_classes == 2 else [label for label in range(n_classes) if (labels_N == label).any()]
    return float(np.mean([_area(labels_N == label, probabilities_NK[:, label]) for label in of]))


def _area(positive_N: np.ndarray, score_N: np.ndarray) -> float:
    """Probability that a positive window scores above a negative one, ties counting half."""
    from scipy.stats import rankdata

    n_positive = int(positive_N.sum())
    n_negative = len(positive_N) - n_positive
    ranks = rankdata(score_N)[positive_N].sum()
    return float((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
