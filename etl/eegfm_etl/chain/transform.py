"""Resample and filter a stream in one transform: overlap-save whose inverse has another length than its forward.

A frame of n source samples has the same bins in Hz as one of n times the ratio of rates, so that resampling is
an inverse transform of another length, and both kernels are one product between the two.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from scipy import fft

from eegfm_etl.chain.filters import Kernel, filtered
from eegfm_etl.chain.resample import Resampling, resampled
from eegfm_etl.chain.tape import Frames, Tape, extended

_SHORT = 36_000  # stored samples: a segment up to here is one frame
_FRAME = 32_768  # stored samples of a frame of a longer one, at least
_LARGEST_FRAME = 2**18  # samples at either rate: rates without a small ratio go one step after the other
_LARGEST_UP = 256


def transformed(
    frames: Frames, ratio: Resampling, kernels: Sequence[Kernel], samples: int
) -> Iterator[np.ndarray]:
    """Bring one segment to the stored rate and filter it.

    Parameters
    ----------
    frames : iterable of np.ndarray, shape (C, n), float32
        The segment's source samples.
    ratio : Resampling
        Of the stored rate to the source's.
    kernels : sequence of Kernel
        One a channel, at the stored rate.
    samples : int
        Length of the segment in source samples.

    Yields
    ------
    np.ndarray, shape (C, n), float32
        Sample k of the result lies at k / stored rate from the segment's start. The same however the input was
        cut: every transform sees the same samples.
    """
    total = ratio.stored(samples)
    half = max(kernel.half for kernel in kernels)
    pad_units = math.ceil((half + ratio.half / ratio.down + 1) / ratio.up)
    units = _units(ratio, pad_units, total)
    if ratio.up > _LARGEST_UP or units * max(ratio.up, ratio.down) > _LARGEST_FRAME:
        yield from filtered(resampled(frames, ratio, samples), kernels, total)
        return
    pad_in, pad_out = pad_units * ratio.down, pad_units * ratio.up
    n_in, n_out = units * ratio.down, units * ratio.up
    response_CF = _responses(kernels, ratio, n_in, n_out)
    hop_in, hop_out = n_in - 2 * pad_in, n_out - 2 * pad_out
    tape = Tape(extended(frames, pad_in, samples))
    for frame, start in enumerate(range(0, total, hop_out)):
        first = frame * hop_in
        piece = tape.take(first, min(first + n_in, samples + 2 * pad_in), length=n_in)
        spectrum = _with_images(fft.rfft(piece, axis=-1), n_in, n_out, response_CF)
        valid = min(hop_out, total - start)
        yield fft.irfft(spectrum, n_out, axis=-1, overwrite_x=True)[:, pad_out : pad_out + valid]


def _units(ratio: Resampling, pad_units: int, total: int) -> int:
    """Length of a frame in units of (down source samples, up stored samples)."""
    one = math.ceil(total / ratio.up) + 2 * pad_units
    if one * ratio.up <= _SHORT:
        return _fast(one)
    return _fast(max(math.ceil(_FRAME / ratio.up), 4 * pad_units))


def _fast(units: int) -> int:
    """Return the next length that transforms quickly; the ratio's own factors stay what they are."""
    return int(fft.next_fast_len(units, real=True))


def _with_images(spectrum_CF: np.ndarray, n_in: int, n_out: int, response_CF: np.ndarray) -> np.ndarray:
    """Multiply with a response that goes on above the source's Nyquist frequency, where its mirror image lies.

    Samples between zeros have it. The resampling kernel takes it off, but not at once: that is how it goes through
    the samples that it was given.
    """
    there, bins = spectrum_CF.shape[1], response_CF.shape[1]
    below = min(there, bins)
    product_CF = np.empty((len(spectrum_CF), n_out // 2 + 1), spectrum_CF.dtype)
    # Real and imaginary parts side by side: half of the time of complex by real
    parts, factors = product_CF.view(np.float32), np.repeat(response_CF, 2, axis=1)
    np.multiply(
        spectrum_CF.view(np.float32)[:, : 2 * below], factors[:, : 2 * below], out=parts[:, : 2 * below]
    )
    if bins > there:
        mirrored = spectrum_CF[:, n_in - bins + 1 : n_in - there + 1][:, ::-1]
        np.conjugate(mirrored, out=product_CF[:, there:bins])
        parts[:, 2 * there : 2 * bins] *= factors[:, 2 * there :]
    product_CF[:, bins:] = 0
    return product_CF


def _responses(kernels: Sequence[Kernel], ratio: Resampling, n_in: int, n_out: int) -> np.ndarray:
    """Real responses (C or 1, bins) of both kernels, and the scale between the two lengths."""
    unique = list(dict.fromkeys(kernels))
    bins = min(n_out // 2 + 1, n_in if ratio.up > ratio.down else n_in // 2 + 1)
    of_ratio = _of_ratio(ratio, n_in)[:bins] * (n_out / n_in)
    rows = {kernel: _of_kernel(kernel, n_out)[:bins] * of_ratio for kernel in unique}
    return np.stack([rows[kernel] for kernel in (unique if len(unique) == 1 else kernels)]).astype(np.float32)


@lru_cache(maxsize=16)
def _of_kernel(kernel: Kernel, n: int) -> np.ndarray:
    return _of_taps(kernel.taps, n)


def _of_taps(taps: np.ndarray, n: int) -> np.ndarray:
    return fft.rfft(np.roll(np.pad(taps, (0, n - len(taps))), -(len(taps) // 2))).real.copy()


@lru_cache(maxsize=64)
def _of_ratio(ratio: Resampling, n_in: int) -> np.ndarray:
    if ratio.up == ratio.down:
        return np.ones(n_in // 2 + 1)
    return _of_taps(ratio.kernel.astype(np.float64), n_in * ratio.up)[:n_in] / ratio.up
