"""What methodology, age and duration decode without the signal: what this reaches is not biology.

Legend: N windows, F features, K classes.
"""

from typing import Any

import numpy as np

from eegfm.decode.alignment import Alignment, Target, target_use
from eegfm.decode.readout import LinearReadout, fit_logistic
from eegfm.decode.trials import Trials

NUMBERS = ("age", "duration_s")
"""Facts that are numbers; all others are categories, each value and its absence a feature."""


class MethodologyDecoder:
    """Logistic regression on facts of the recordings alone."""

    def __init__(self) -> None:
        self.columns: list[list[Any]] = []
        self.readout: LinearReadout  # made by `fit`
        self.target: Target = None

    def fit(self, train: Trials, valid: Trials | None = None, target: Target = None) -> "MethodologyDecoder":
        """See `eegfm.decode.Decoder.fit`; there is nothing to choose."""
        names = sorted(set().union(*(person.facts for person in train.people)))
        self.columns = []
        for name in names:
            values = _values(train, name)
            if name in NUMBERS:
                known = np.array([value for value in values if value is not None], float)
                if known.size:
                    self.columns.append([name, None, float(known.mean()), float(known.std()) or 1.0])
            else:
                found = sorted({str(value) for value in values if value is not None})
                self.columns += [[name, value, 0.0, 1.0] for value in found]
        self.columns = self.columns or [["duration_s", None, 0.0, 1.0]]
        self.readout = fit_logistic(self._features(train), train.labels_N, len(train.classes), 1.0)
        return self

    def adapt(self, target: Target) -> "MethodologyDecoder":
        """See `eegfm.decode.Decoder.adapt`; nothing is learned from it."""
        self.target = target
        return self

    def predict(self, windows: Trials) -> np.ndarray:
        """See `eegfm.decode.Decoder.predict`."""
        return self.readout(self._features(windows))

    def uses(self, windows: Trials) -> tuple[str, int]:
        """See `eegfm.decode.Decoder.uses`."""
        return target_use(self.target, windows)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what a new object needs to predict: settings (JSON) and arrays."""
        return {"columns": self.columns}, {
            f"readout_{name}": values for name, values in vars(self.readout).items()
        }

    @classmethod
    def from_state(
        cls, settings: dict[str, Any], arrays: dict[str, np.ndarray], alignment: Alignment | None
    ) -> "MethodologyDecoder":
        """Build from ``state()``."""
        made = cls()
        made.columns = settings["columns"]
        made.readout = LinearReadout(
            **{name.removeprefix("readout_"): values for name, values in arrays.items()}
        )
        return made

    def _features(self, trials: Trials) -> np.ndarray:
        """Numbers standardised by the training people, unknown ones at the mean; categories as 0 and 1."""
        features_NF = np.zeros((len(trials), len(self.columns)))
        for index, (name, category, mean, sd) in enumerate(self.columns):
            values = _values(trials, name)
            if category is None:
                features_NF[:, index] = [0.0 if value is None else (value - mean) / sd for value in values]
            else:
                features_NF[:, index] = [value is not None and str(value) == category for value in values]
        return features_NF


def _values(trials: Trials, name: str) -> list[Any]:
    absent = np.array([None], dtype=object)
    return [
        value for person in trials.people for value in person.facts.get(name, np.repeat(absent, len(person)))
    ]
