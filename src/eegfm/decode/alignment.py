"""Alignment of people: every person's mean covariance in a band becomes the identity.

Euclidean alignment (He & Wu, IEEE TBME 67(2):399-410, 2020) with a band of its own: the covariance is
estimated where the decision is made, and the operator acts on the whole signal. Training people are aligned
each with all their own windows; a test person with what ``adapt`` was given.

Legend: N windows, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eegfm.decode.covariances import band_covariances, inverse_root, running_mean
from eegfm.decode.trials import UNKNOWN, PersonTrials, Trials
from eegfm_lake.errors import EegfmError

Band = tuple[float | None, float | None]

USES = ("none", "past", "calibration", "all")
"""What a decoder took from the test person, from nothing to everything."""


@dataclass(frozen=True)
class Past:
    """Given to ``adapt``: each window may use itself and the person's earlier windows of the same call."""


Target = Trials | Past | None
"""What ``adapt`` takes: nothing, the running past, or windows (of an earlier run, or all of them)."""


def target_use(target: Target, windows: Trials) -> tuple[str, int]:
    """Say what predicting these windows takes from their people, given what ``adapt`` was given.

    Parameters
    ----------
    target : Trials, Past or None
    windows : Trials
        What is predicted.

    Returns
    -------
    target_data : str
        The strongest use, the reader's scaling included: ``calibration`` where all windows given come from
        recordings earlier than those predicted, ``all`` where any does not.
    target_labels : int
        Known labels among the windows given.
    """
    if target is None or isinstance(target, Past):
        use, labels = ("none" if target is None else "past"), 0
    else:
        given = {person.person: person for person in target.people}
        pairs = [(given[person.person], person) for person in windows.people if person.person in given]
        use = "calibration" if all(_earlier(given_, asked) for given_, asked in pairs) else "all"
        labels = sum(int((given_.labels_N != UNKNOWN).sum()) for given_, _ in pairs)
    return max(use, windows.scaling_use, key=USES.index), labels


class Alignment:
    """Operators that whiten each person.

    Parameters
    ----------
    band_hz : (float, float)
        Where the covariance is estimated.
    shrinkage : float
        See `eegfm.decode.covariances.inverse_root`; 0 relies on the subspace alone.
    """

    def __init__(self, band_hz: Band = (8.0, 30.0), shrinkage: float = 0.0) -> None:
        low_hz, high_hz = band_hz
        self.band_hz: Band = (low_hz, high_hz)
        self.shrinkage = shrinkage
        self.target: Target = None
        self.rate_hz = 0.0
        self.scale = 1.0
        self.names: tuple[str, ...] = ()
        self.means: dict[Band, np.ndarray] = {}

    def fit(self, train: Trials, bands_hz: Sequence[Band] = ()) -> "Alignment":
        """Learn the training people's amplitude, and their mean covariance for whoever brings no data.

        Parameters
        ----------
        train : Trials
        bands_hz : sequence of (float, float)
            Further bands in which operators will be asked for.
        """
        self.rate_hz = train.rate_hz
        self.names = train.common_channels()
        alike = train.pick(self.names).people
        for band_hz in {self.band_hz, *((low_hz, high_hz) for low_hz, high_hz in bands_hz)}:
            means = [band_covariances(person, self.rate_hz, band_hz).mean(0) for person in alike]
            self.means[band_hz] = np.mean(means, axis=0)
        return self

    def fit_scale(self, train: Trials) -> "Alignment":
        """Learn the factor that brings aligned training windows back to the amplitude that they had."""
        ratios = []
        for person in train.people:
            aligned_NCT = apply(self._own(person, self.band_hz), person.x_NCT)
            ratios.append(_rms(person.x_NCT) / max(_rms(aligned_NCT), float(np.finfo(np.float32).tiny)))
        self.scale = float(np.median(ratios))
        return self

    def signals(self, person: PersonTrials, training: bool = False) -> np.ndarray:
        """Return a person's aligned windows at the training people's amplitude, float32 (N, C, T)."""
        return apply(self.scale * self.operators(person, None, training), person.x_NCT)

    def adapt(self, target: Target) -> "Alignment":
        """Take what may be used of the people who will be asked about; labels are not looked at."""
        self.target = target
        return self

    def operators(
        self, person: PersonTrials, band_hz: Band | None = None, training: bool = False
    ) -> np.ndarray:
        """Return the operators of a person: (C, C), or one a window (N, C, C) for the past.

        Parameters
        ----------
        person : PersonTrials
        band_hz : (float, float), optional
            Estimate in this band instead of the alignment's own.
        training : bool
            A training person: all its windows. Else what ``adapt`` was given; without anything, the operator
            of the average training person.

        Raises
        ------
        EegfmError
            ``adapt`` was given windows, but none of this person.
        """
        low_hz, high_hz = band_hz or self.band_hz
        band_hz = (low_hz, high_hz)
        use = self.use_of(person, training)
        if use == "own":
            return self._own(person, band_hz)
        if use == "past":
            key = ("past", self.rate_hz, band_hz, self.shrinkage)
            return person.remember(key, lambda: self._running(person, band_hz))
        if not isinstance(self.target, Trials):
            return self._generic(person, band_hz)
        given = next((p for p in self.target.people if p.person == person.person), None)
        if given is None or not len(given):
            raise EegfmError(f"{person.person}: no window to align with; record some, or adapt with the past")
        return self._own(given.pick(person.names), band_hz)

    def use_of(self, person: PersonTrials, training: bool = False) -> str | None:
        """Say whether operators come from the windows asked about: ``own``, ``past``, else None."""
        if training or (
            isinstance(self.target, Trials) and any(p.memo is person.memo for p in self.target.people)
        ):
            return "own"
        return "past" if isinstance(self.target, Past) else None

    def _own(self, person: PersonTrials, band_hz: Band) -> np.ndarray:
        def compute() -> np.ndarray:
            return inverse_root(band_covariances(person, self.rate_hz, band_hz).mean(0), self.shrinkage)

        return person.remember(("own", self.rate_hz, band_hz, self.shrinkage), compute)

    def _running(self, person: PersonTrials, band_hz: Band) -> np.ndarray:
        return inverse_root(running_mean(band_covariances(person, self.rate_hz, band_hz)), self.shrinkage)

    def _generic(self, person: PersonTrials, band_hz: Band) -> np.ndarray:
        if person.names != self.names:
            raise EegfmError(
                f"{person.person}: its montage is not the training people's, so it needs windows of its own "
                "to align with; adapt with the past"
            )
        return inverse_root(self.means[band_hz], self.shrinkage)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what a new object needs: settings (JSON) and arrays."""
        settings = {
            "band_hz": list(self.band_hz),
            "shrinkage": self.shrinkage,
            "rate_hz": self.rate_hz,
            "scale": self.scale,
            "names": list(self.names),
            "bands_hz": [list(band_hz) for band_hz in self.means],
        }
        return settings, {f"mean_{index}": mean for index, mean in enumerate(self.means.values())}

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Alignment":
        """Build from ``state()``."""
        made = cls(tuple(settings["band_hz"]), settings["shrinkage"])
        made.rate_hz, made.scale = settings["rate_hz"], settings["scale"]
        made.names = tuple(settings["names"])
        bands = map(tuple, settings["bands_hz"])
        made.means = {band_hz: arrays[f"mean_{index}"] for index, band_hz in enumerate(bands)}
        return made


def apply(operators: np.ndarray, x_NCT: np.ndarray) -> np.ndarray:
    """Apply (C, C) or (N, C, C) operators to windows: float32 (N, C, T)."""
    return np.matmul(operators.astype(np.float32), x_NCT)


def congruence(operators: np.ndarray, covariances_NCC: np.ndarray) -> np.ndarray:
    """Return what covariances become when operators act on the signal: W S W'."""
    return operators @ covariances_NCC @ np.swapaxes(operators, -1, -2)


def _rms(x_NCT: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x_NCT), dtype=np.float64)))


def _earlier(given: PersonTrials, asked: PersonTrials) -> bool:
    return bool(given.order_N.max(initial=-1) < asked.order_N.min(initial=np.iinfo(int).max))
