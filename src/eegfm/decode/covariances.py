"""Covariance of windows in a band, and functions of symmetric matrices on the subspace that holds the signal.

Legend: N windows, C channels, T samples, R dimensions of the subspace.
"""

from collections.abc import Callable

import numpy as np

from eegfm.decode.trials import PersonTrials

FLOOR = 1e-6
"""Eigenvalues below this share of the largest are no signal; an average reference leaves one."""

ORDER = 4
"""Of the Butterworth band-pass, run forwards and backwards over the window."""

CHUNK = 128
"""Windows filtered at once: bounds the memory."""


def band_covariances(
    person: PersonTrials, rate_hz: float, band_hz: tuple[float | None, float | None]
) -> np.ndarray:
    """Return the covariance of every window in a band, µV², float64 (N, C, C).

    The band-pass is a zero-phase Butterworth filter over the window alone. Computed once a person and band.
    """
    low_hz, high_hz = band_hz
    key = ("covariance", rate_hz, (low_hz, high_hz))
    return person.remember(key, lambda: _covariances(person.x_NCT, rate_hz, (low_hz, high_hz)))


def running_mean(covariances_NCC: np.ndarray) -> np.ndarray:
    """Return the mean of each matrix and those before it, (N, C, C)."""
    count_N = np.arange(1, len(covariances_NCC) + 1)
    return np.cumsum(covariances_NCC, axis=0) / count_N[:, None, None]


def inverse_root(covariance_CC: np.ndarray, shrinkage: float = 0.0) -> np.ndarray:
    """Return the symmetric inverse square root on the subspace above ``FLOOR`` of the largest eigenvalue.

    Parameters
    ----------
    covariance_CC : ndarray (..., C, C)
        Symmetric, positive semidefinite; average-referenced data is singular.
    shrinkage : float
        Share of the mean eigenvalue (over the subspace) that replaces the same share of the matrix.

    Returns
    -------
    ndarray (..., C, C)
        W with W S W = the projector on the subspace; zero outside it.
    """
    values, vectors = np.linalg.eigh(covariance_CC)
    kept = values > FLOOR * np.maximum(values[..., -1:], np.finfo(float).tiny)
    mean = (values * kept).sum(-1, keepdims=True) / np.maximum(kept.sum(-1, keepdims=True), 1)
    shrunk = (1 - shrinkage) * values + shrinkage * mean
    factors = np.where(kept, np.where(kept, shrunk, 1.0) ** -0.5, 0.0)
    return (vectors * factors[..., None, :]) @ np.swapaxes(vectors, -1, -2)


def subspace(covariance_CC: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis (C, R) of the directions above ``FLOOR`` of the largest eigenvalue.

    The basis depends on the subspace alone, not on the matrix, so that folds over the same montage share it.
    """
    values, vectors = np.linalg.eigh(covariance_CC)
    null_CM = vectors[:, values <= FLOOR * values[-1]]
    if not null_CM.shape[1]:
        return np.eye(len(covariance_CC))
    projector = np.round(np.eye(len(covariance_CC)) - null_CM @ null_CM.T, 5)
    return np.linalg.eigh(projector)[1][:, null_CM.shape[1] :]


def matrix_function(matrix_CC: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply a function to the eigenvalues of symmetric matrices (..., C, C)."""
    values, vectors = np.linalg.eigh(matrix_CC)
    return (vectors * function(values)[..., None, :]) @ np.swapaxes(vectors, -1, -2)


def _covariances(x_NCT: np.ndarray, rate_hz: float, band_hz: tuple[float | None, float | None]) -> np.ndarray:
    n_windows, n_channels, n_times = x_NCT.shape
    made_NCC = np.empty((n_windows, n_channels, n_channels))
    for start in range(0, n_windows, CHUNK):
        part = band_pass(x_NCT[start : start + CHUNK], rate_hz, band_hz)
        made_NCC[start : start + CHUNK] = part @ np.swapaxes(part, 1, 2) / n_times
    return made_NCC


def band_pass(x_NCT: np.ndarray, rate_hz: float, band_hz: tuple[float | None, float | None]) -> np.ndarray:
    """Filter windows to a band (zero-phase Butterworth of order 4); an open end is not filtered."""
    from scipy.signal import butter, sosfiltfilt

    low, high = band_hz
    x_NCT = x_NCT - x_NCT.mean(-1, keepdims=True)
    if low is None and high is None:
        return x_NCT
    edges, kind = (
        ([low, high], "bandpass") if low and high else ([low or high], "highpass" if low else "lowpass")
    )
    sections = butter(ORDER, edges, kind, fs=rate_hz, output="sos")
    return sosfiltfilt(sections, x_NCT, axis=-1)
