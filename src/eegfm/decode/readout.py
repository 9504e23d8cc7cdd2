"""Linear readouts: features to class probabilities, stored as arrays.

Legend: N windows, F features, K classes.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LinearReadout:
    """Probabilities softmax((f - mean) / scale @ weights + offset) of features f.

    Attributes
    ----------
    mean_F, scale_F : ndarray (F,)
    weights_FK : ndarray (F, K)
    offset_K : ndarray (K,)
    """

    mean_F: np.ndarray
    scale_F: np.ndarray
    weights_FK: np.ndarray
    offset_K: np.ndarray

    def __call__(self, features_NF: np.ndarray) -> np.ndarray:
        """Return probabilities (N, K)."""
        return softmax(((features_NF - self.mean_F) / self.scale_F) @ self.weights_FK + self.offset_K)


def fit_logistic(features_NF: np.ndarray, labels_N: np.ndarray, n_classes: int, c: float) -> LinearReadout:
    """Fit a logistic regression with a ridge penalty; ``c`` is scikit-learn's C.

    Features are centred and brought to one common scale, so that the penalty means the same for any number of
    them. The ridge solution lies in the span of the windows: it is found there, which is exact and costs what
    the number of windows costs, not that of features.
    """
    from sklearn.linear_model import LogisticRegression

    mean_F = features_NF.mean(0)
    centred_NF = features_NF - mean_F
    scale = float(np.sqrt(np.square(centred_NF).sum() / len(centred_NF))) or 1.0
    centred_NF /= scale
    if centred_NF.shape[1] > len(centred_NF):
        values, vectors = np.linalg.eigh(centred_NF @ centred_NF.T)
        kept = values > 1e-9 * values[-1]
        roots_R = np.sqrt(values[kept])
        span_NR = vectors[:, kept]
        model = LogisticRegression(C=c, max_iter=2000).fit(span_NR * roots_R, labels_N)
        weights_KF = (model.coef_ / roots_R) @ span_NR.T @ centred_NF
    else:
        model = LogisticRegression(C=c, max_iter=2000).fit(centred_NF, labels_N)
        weights_KF = model.coef_
    return _readout(
        mean_F, np.full_like(mean_F, scale), weights_KF, model.intercept_, model.classes_, n_classes
    )


def fit_discriminant(features_NF: np.ndarray, labels_N: np.ndarray, n_classes: int) -> LinearReadout:
    """Fit a linear discriminant analysis (Fisher, Annals of Eugenics 7:179-188, 1936)."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    model = LinearDiscriminantAnalysis().fit(features_NF, labels_N)
    n_features = features_NF.shape[1]
    return _readout(
        np.zeros(n_features), np.ones(n_features), model.coef_, model.intercept_, model.classes_, n_classes
    )


def softmax(logits_NK: np.ndarray) -> np.ndarray:
    """Turn logits into probabilities along the last axis."""
    shifted = np.exp(logits_NK - logits_NK.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def _readout(
    mean_F: np.ndarray,
    scale_F: np.ndarray,
    weights_KF: np.ndarray,
    offset_K: np.ndarray,
    present: np.ndarray,
    n_classes: int,
) -> LinearReadout:
    if len(weights_KF) == 1:  # scikit-learn keeps one row for two classes: the logit of the second
        weights_KF, offset_K = np.stack([0 * weights_KF[0], weights_KF[0]]), np.array([0.0, offset_K[0]])
    weights_FK = np.zeros((weights_KF.shape[1], n_classes))
    offsets_K = np.full(n_classes, -1e9)  # a class without a training window is never predicted
    weights_FK[:, present], offsets_K[present] = weights_KF.T, offset_K
    return LinearReadout(mean_F, scale_F, weights_FK, offsets_K)
