"""Channels that their surroundings do not predict: the fourth criterion of PREP, from covariances.

Bigdely-Shamlo et al. 2015 (The PREP pipeline, Frontiers in Neuroinformatics 9:16) predict every channel from 50 random
quarters of the good ones by spherical splines (Perrin et al. 1989) and call it bad where the median prediction
correlates below 0.75 with it in more than 0.4 of the windows of 5 s. Predictions are linear, so their correlations
follow from each window's covariance, and the samples need not be kept: the cost is a hundredth. Where PREP takes the
median of 50 predictions, the mean is taken here: a linear one. As there, what lies below 1 Hz and above 50 Hz does not
count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

SEED = 20150618
SAMPLES = 50
SHARE = 0.25  # of the channels, in each sample of predictors
PREDICTED = 0.75
BAD_SHARE = 0.4  # of windows
WINDOW_S = 5
MOST_WINDOWS = 96
FEWEST_CHANNELS = 32
"""With fewer a quarter of them lies too far apart to predict the others."""

_TERMS, _STIFFNESS, _RIDGE = 50, 4, 1e-5  # of the splines, MNE's
_HEAD_CENTRE_M = np.array([0.0, 0.008, 0.040])


@dataclass
class Covariances:
    """Covariances of windows spread over a recording; memory does not grow with its length.

    Parameters
    ----------
    rate_hz : float
        Of the samples that pass; some 100 Hz, for PREP judges below 50 Hz.
    total : int
        Samples of the recording at that rate.
    """

    rate_hz: float
    total: int
    matrices: list[np.ndarray] = field(default_factory=list)
    _seen: int = 0

    def add(self, eeg_CN: np.ndarray) -> None:
        """Take a block of samples of the EEG channels, µV."""
        if len(eeg_CN) < FEWEST_CHANNELS:
            return
        second = round(self.rate_hz)
        window = second * WINDOW_S
        every = max(1, -(-(self.total // window) // MOST_WINDOWS))
        count = eeg_CN.shape[1] // window
        seconds = eeg_CN[:, : count * window].reshape(len(eeg_CN), count, WINDOW_S, second)
        seconds = seconds[:, -self._seen % every :: every]
        self._seen += count
        # Less the trend, which each electrode has of its own
        level = (seconds - seconds.mean(axis=3, keepdims=True)).reshape(*seconds.shape[:2], window)
        self.matrices += [level[:, row] @ level[:, row].T for row in range(level.shape[1])]


def unpredicted_share(
    matrices: Sequence[np.ndarray], positions_C3: np.ndarray, usable: np.ndarray
) -> np.ndarray:
    """Share of windows in which each channel's surroundings do not predict it.

    Parameters
    ----------
    matrices : sequence of np.ndarray, shape (C, C)
        Covariances of windows.
    positions_C3 : np.ndarray, shape (C, 3)
        Metres in MNE's head frame; NaN where unknown: such a channel neither predicts nor is judged.
    usable : np.ndarray of bool, shape (C,)
        Channels that may predict: good by every other criterion.

    Returns
    -------
    np.ndarray, shape (C,)
        NaN where not judged.
    """
    shares = np.full(len(usable), np.nan)
    known = np.isfinite(positions_C3).all(axis=1)
    predictors = usable & known
    if not matrices or predictors.sum() < FEWEST_CHANNELS:
        return shares
    weights_CC = _weights(positions_C3.tobytes(), predictors.tobytes())
    below = _correlations(np.stack(matrices), weights_CC, predictors) < PREDICTED
    shares[known] = below.mean(axis=0)[known]
    return shares


def _correlations(matrices_WCC: np.ndarray, weights_CC: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Correlation of each channel with its prediction in each window, on an average reference."""
    centre_CC = np.eye(len(weights_CC), dtype=np.float32) - reference.astype(np.float32) / reference.sum()
    predicting_CC = weights_CC @ centre_CC
    shared_WCC = predicting_CC @ matrices_WCC
    of_both = np.einsum("wcd,cd->wc", shared_WCC, centre_CC)
    size = np.einsum("wcd,cd->wc", shared_WCC, predicting_CC)
    size *= np.einsum("wcd,cd->wc", centre_CC @ matrices_WCC, centre_CC)
    return np.where(size > 0, of_both / np.sqrt(np.where(size > 0, size, 1)), 0.0)


@lru_cache(maxsize=32)
def _weights(positions: bytes, predictors: bytes) -> np.ndarray:
    """Mean prediction of each channel (C, C) from random quarters of the predictors."""
    xyz = np.frombuffer(positions).reshape(-1, 3)
    candidates = np.flatnonzero(np.frombuffer(predictors, dtype=bool))
    units = np.nan_to_num(xyz - _HEAD_CENTRE_M)
    units = units / np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-9)
    spline_CC = _spline(np.clip(units @ units.T, -1, 1))
    size = min(round(SHARE * len(xyz)), len(candidates))
    rng = np.random.default_rng(SEED)
    chosen = np.array([rng.choice(candidates, size, replace=False) for _ in range(SAMPLES)])
    systems = np.ones((SAMPLES, size + 1, size + 1))
    systems[:, :-1, :-1] = spline_CC[chosen[:, :, None], chosen[:, None, :]] + _RIDGE * np.eye(size)
    systems[:, -1, -1] = 0.0
    onto = np.concatenate([spline_CC[chosen], np.ones((SAMPLES, 1, len(xyz)))], axis=1)
    solved = np.linalg.solve(systems, onto)[:, :-1]  # the systems are symmetric: (samples, chosen, channels)
    weights = np.zeros((len(xyz), len(xyz)))
    np.add.at(weights, chosen.ravel(), solved.reshape(-1, len(xyz)))
    return (weights.T / SAMPLES).astype(np.float32)


def _spline(cosine: np.ndarray) -> np.ndarray:
    order = np.arange(1, _TERMS + 1, dtype=np.float64)
    factors = (2 * order + 1) / (order**_STIFFNESS * (order + 1) ** _STIFFNESS * 4 * np.pi)
    return np.polynomial.legendre.legval(cosine, np.concatenate([[0.0], factors]))
