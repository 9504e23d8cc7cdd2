"""Zero-phase FIR filters in numpy: the reader's optional band."""

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=32)
def design_band(low_hz: float | None, high_hz: float | None, rate_hz: float) -> np.ndarray:
    """Design a linear-phase band filter by the windowed-sinc method.

    Hamming window, 3.3 / transition width long; transitions a quarter of the edge, at least 2 Hz where there
    is room (the customary defaults, see Widmann, Schröger & Maess 2015, J Neurosci Methods 250).

    Parameters
    ----------
    low_hz, high_hz : float or None
        Pass band; None leaves that side open.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    ndarray of float64 (2 * reach + 1,)
        Symmetric kernel; ``reach`` samples are looked at to both sides.

    Raises
    ------
    ValueError
        Edges out of order, or beyond the Nyquist frequency.
    """
    nyquist = rate_hz / 2
    if not all(0 < edge < nyquist for edge in (low_hz, high_hz) if edge is not None):
        raise ValueError(f"band edges {low_hz} and {high_hz} Hz do not lie between 0 and {nyquist:g} Hz")
    if low_hz is not None and high_hz is not None and low_hz >= high_hz:
        raise ValueError(f"the band's lower edge {low_hz} Hz is not below its upper edge {high_hz} Hz")
    parts = []
    if high_hz is not None:
        width = min(max(0.25 * high_hz, 2.0), nyquist - high_hz)
        parts.append((+1, _low_pass(high_hz + width / 2, width, rate_hz)))
    else:
        parts.append((+1, np.ones(1)))
    if low_hz is not None:
        width = min(max(0.25 * low_hz, 2.0), low_hz)
        parts.append((-1, _low_pass(low_hz - width / 2, width, rate_hz)))
    kernel = np.zeros(max(len(part) for _, part in parts))
    for sign, part in parts:
        at = (len(kernel) - len(part)) // 2
        kernel[at : at + len(part)] += sign * part
    return kernel


def filter_valid(x_CT: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve along time and keep only samples whose whole kernel lies inside.

    Parameters
    ----------
    x_CT : ndarray (C, T)
        Signal with margin.
    kernel : ndarray (K,)
        Symmetric, so the result has no phase.

    Returns
    -------
    ndarray of float32 (C, T - K + 1)
    """
    n_times, n_kernel = x_CT.shape[-1], len(kernel)
    n_fft = _fast_length(n_times)
    # Circular convolution as long as the signal spoils only the first K - 1 samples, which are cut.
    spectrum = np.fft.rfft(x_CT, n_fft) * np.fft.rfft(kernel, n_fft)
    return np.fft.irfft(spectrum, n_fft)[..., n_kernel - 1 : n_times].astype(np.float32)


def pad_odd(x_CT: np.ndarray, before: int, after: int) -> np.ndarray:
    """Continue a signal beyond its ends, mirrored in time and about its end values.

    A signal too short to be mirrored that far is held at its last mirrored value.
    """
    n_times = x_CT.shape[-1]
    mirrored = (min(before, n_times - 1), min(after, n_times - 1))
    x_CT = np.pad(x_CT, ((0, 0), mirrored), mode="reflect", reflect_type="odd")
    return np.pad(x_CT, ((0, 0), (before - mirrored[0], after - mirrored[1])), mode="edge")


def _low_pass(cutoff_hz: float, width_hz: float, rate_hz: float) -> np.ndarray:
    length = int(np.ceil(3.3 / width_hz * rate_hz)) | 1
    place = np.arange(length) - length // 2
    kernel = np.sinc(2 * cutoff_hz / rate_hz * place) * np.hamming(length)
    return kernel / kernel.sum()


def _fast_length(n: int) -> int:
    candidates = (2**a * 3**b * 5**c for a in range(25) for b in range(6) for c in range(5))
    return min(size for size in candidates if size >= n)
