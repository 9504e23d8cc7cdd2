"""Linear decoders on covariances: log band power, common spatial patterns, tangent space on one band or six.

Alignment acts on the signal, so on a covariance as W S W': nothing here touches samples twice.

Legend: N windows, C channels, R dimensions of the signal's subspace, F features, K classes.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from eegfm.decode.alignment import Alignment, Target, congruence, target_use
from eegfm.decode.covariances import band_covariances, inverse_root, matrix_function, subspace
from eegfm.decode.readout import LinearReadout, fit_discriminant, fit_logistic
from eegfm.decode.scores import log_loss
from eegfm.decode.trials import PersonTrials, Trials

Band = tuple[float, float]


@dataclass(frozen=True)
class LinearSpec:
    """A decoder on covariances.

    Attributes
    ----------
    kind : {"power", "csp", "tangent"}
    bands_hz : tuple of (float, float)
    recentre : bool
        Alignment is estimated in each of these bands, instead of in the alignment's own.
    cs : tuple of float
        Regularisations of the logistic regression to choose from on validation people; the first where there
        are none.
    shrinkage : float
        Share of the mean eigenvalue given to a window's covariance before its logarithm: four seconds in a
        narrow band hold fewer independent samples than there are channels.
    n_filters : int
        Of common spatial patterns.
    """

    kind: str
    bands_hz: tuple[Band, ...]
    recentre: bool = False
    cs: tuple[float, ...] = (1.0, 0.1, 10.0)
    shrinkage: float = 0.1
    n_filters: int = 8


LINEAR: dict[str, LinearSpec] = {
    "band_power": LinearSpec("power", ((8.0, 13.0), (13.0, 30.0))),
    "csp_lda": LinearSpec("csp", ((8.0, 30.0),)),
    "tangent": LinearSpec("tangent", ((8.0, 30.0),), recentre=True, shrinkage=0.05),
    "tangent_filterbank": LinearSpec(
        "tangent",
        ((4.0, 8.0), (8.0, 12.0), (12.0, 16.0), (16.0, 20.0), (20.0, 26.0), (26.0, 32.0)),
        recentre=True,
    ),
}


class CovarianceDecoder:
    """One of ``LINEAR`` behind the interface of every decoder; reads the channels that it was fitted on.

    Parameters
    ----------
    spec : LinearSpec
    alignment : Alignment or None
        None: people are not aligned.
    """

    def __init__(self, spec: LinearSpec, alignment: Alignment | None = None) -> None:
        self.spec = spec
        self.alignment = alignment
        self.target: Target = None
        self.names: tuple[str, ...] = ()
        self.readout: LinearReadout  # made by `fit`
        self.matrices: list[np.ndarray] = []
        """One a band: CSP filters (C, F), or the tangent space's whitening and reduction (C, R)."""

    def fit(self, train: Trials, valid: Trials | None = None, target: Target = None) -> "CovarianceDecoder":
        """See `eegfm.decode.Decoder.fit`."""
        self.names, self.rate_hz = train.common_channels(), train.rate_hz
        train = train.pick(self.names)
        if self.alignment is not None:
            self.alignment.fit(train, self.spec.bands_hz)
        labels_N, n_classes = train.labels_N, len(train.classes)
        self.matrices = [self._spatial(train, band) for band in self.spec.bands_hz]
        features_NF = self._features(train, training=True)
        if self.spec.kind == "csp":
            self.readout = fit_discriminant(features_NF, labels_N, n_classes)
            return self
        cs = self.spec.cs if valid is not None and len(valid) else self.spec.cs[:1]
        fitted = [fit_logistic(features_NF, labels_N, n_classes, c) for c in cs]
        best = 0
        if valid is not None and len(fitted) > 1:
            self.adapt(target)
            asked_NF = self._features(valid.pick(self.names))
            best = int(np.argmin([log_loss(valid.labels_N, readout(asked_NF)) for readout in fitted]))
        self.readout = fitted[best]
        return self

    def adapt(self, target: Target) -> "CovarianceDecoder":
        """See `eegfm.decode.Decoder.adapt`."""
        self.target = target
        if self.alignment is not None:
            self.alignment.adapt(target)
        return self

    def predict(self, windows: Trials) -> np.ndarray:
        """See `eegfm.decode.Decoder.predict`."""
        return self.readout(self._features(windows.pick(self.names)))

    def uses(self, windows: Trials) -> tuple[str, int]:
        """See `eegfm.decode.Decoder.uses`."""
        return target_use(self.target, windows)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what a new object needs to predict: settings (JSON) and arrays."""
        arrays = {f"readout_{name}": values for name, values in vars(self.readout).items()}
        arrays |= {f"matrix_{index}": matrix for index, matrix in enumerate(self.matrices)}
        return {"spec": asdict(self.spec), "names": list(self.names), "rate_hz": self.rate_hz}, arrays

    @classmethod
    def from_state(
        cls, settings: dict[str, Any], arrays: dict[str, np.ndarray], alignment: Alignment | None
    ) -> "CovarianceDecoder":
        """Build from ``state()``."""
        spec = settings["spec"] | {"bands_hz": tuple(map(tuple, settings["spec"]["bands_hz"]))}
        decoder = cls(LinearSpec(**spec), alignment)
        decoder.names, decoder.rate_hz = tuple(settings["names"]), settings["rate_hz"]
        fields = ("mean_F", "scale_F", "weights_FK", "offset_K")
        decoder.readout = LinearReadout(**{name: arrays[f"readout_{name}"] for name in fields})
        decoder.matrices = [arrays[f"matrix_{index}"] for index in range(len(spec["bands_hz"]))]
        return decoder

    def _spatial(self, train: Trials, band: Band) -> np.ndarray:
        """Fit what one band needs besides the readout, (C, R); log band power needs nothing."""
        if self.spec.kind == "power":
            return np.zeros((len(self.names), 0))
        aligned = [self._aligned(person, band, training=True) for person in train.people]
        mean_CC = np.mean([covariances_NCC.mean(0) for covariances_NCC in aligned], axis=0)
        basis_CR = subspace(mean_CC)
        if self.spec.kind == "tangent":
            # An aligned person's mean is the identity already; else the training mean is the reference.
            return basis_CR if self.alignment is not None else inverse_root(mean_CC) @ basis_CR
        return _common_spatial_patterns(
            basis_CR, np.concatenate(aligned), train.labels_N, self.spec.n_filters
        )

    def _features(self, trials: Trials, training: bool = False) -> np.ndarray:
        per_person = [
            np.concatenate(
                [
                    self._person_features(person, band, matrix, training)
                    for band, matrix in zip(self.spec.bands_hz, self.matrices, strict=True)
                ],
                axis=1,
            )
            for person in trials.people
        ]
        return np.concatenate(per_person)

    def _person_features(
        self, person: PersonTrials, band: Band, matrix_CR: np.ndarray, training: bool
    ) -> np.ndarray:
        def compute() -> np.ndarray:
            aligned_NCC = self._aligned(person, band, training)
            if self.spec.kind == "power":
                return np.log(
                    np.maximum(np.diagonal(aligned_NCC, axis1=1, axis2=2), np.finfo(np.float32).tiny)
                )
            reduced = matrix_CR.T @ aligned_NCC @ matrix_CR
            if self.spec.kind == "tangent":
                return log_map(reduced, self.spec.shrinkage)
            return np.log(np.maximum(np.diagonal(reduced, axis1=1, axis2=2), np.finfo(np.float32).tiny))

        # Logarithms of re-centred covariances depend on the person alone, so folds share them.
        use = None if self.alignment is None else self.alignment.use_of(person, training)
        if self.spec.kind != "tangent" or not self.spec.recentre or self.alignment is None or use is None:
            return compute()
        shrinkages = (self.alignment.shrinkage, self.spec.shrinkage)
        return person.remember(("log", use, self.rate_hz, band, shrinkages, matrix_CR.tobytes()), compute)

    def _aligned(self, person: PersonTrials, band: Band, training: bool) -> np.ndarray:
        covariances_NCC = band_covariances(person, self.rate_hz, band)
        if self.alignment is None:
            return covariances_NCC
        operators = self.alignment.operators(person, band if self.spec.recentre else None, training)
        return congruence(operators, covariances_NCC)


def log_map(covariances_NRR: np.ndarray, shrinkage: float) -> np.ndarray:
    """Map covariances to the tangent space at the identity: vectors of the logarithm's norm, (N, F).

    Barachant et al., IEEE TBME 59(4):920-928, 2012; float32.
    """
    n_dims = covariances_NRR.shape[-1]
    means_N = np.trace(covariances_NRR, axis1=1, axis2=2) / n_dims
    shrunk_NRR = (1 - shrinkage) * covariances_NRR + shrinkage * means_N[:, None, None] * np.eye(n_dims)
    logs_NRR = matrix_function(shrunk_NRR, lambda values: np.log(np.maximum(values, 1e-10)))
    rows, columns = np.triu_indices(n_dims)
    return (logs_NRR[:, rows, columns] * np.where(rows == columns, 1.0, np.sqrt(2.0))).astype(np.float32)


def _common_spatial_patterns(
    basis_CR: np.ndarray, covariances_NCC: np.ndarray, labels_N: np.ndarray, n_filters: int
) -> np.ndarray:
    """Spatial filters (C, F) on the signal's subspace; pyriemann's CSP serves several classes too."""
    from pyriemann.spatialfilters import CSP

    reduced_NRR = basis_CR.T @ covariances_NCC @ basis_CR
    n_filters = min(n_filters, basis_CR.shape[1])
    csp = CSP(nfilter=n_filters, metric="euclid", log=True).fit(reduced_NRR, labels_N)
    return basis_CR @ csp.filters_.T
