"""Polyphase, zero-phase resampling of a stream; the samples do not depend on how the stream is cut."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from scipy import signal

from eegfm_etl.chain.tape import Frames, Tape, extended

PASSBAND = 0.84
"""Share of the lower Nyquist frequency up to which amplitudes are kept."""

_KAISER_BETA = 5.0
_HALF_LENGTH = 10  # zero crossings of the sinc on either side
_FRAME = 2000  # stored samples resampled at once
_LARGEST = 2**16  # of either number of the ratio: the kernel has twenty times as many taps


@dataclass(frozen=True)
class Resampling:
    """The ratio between two rates and the kernel that goes with it.

    The kernel is the default of SciPy and MNE for polyphase resampling, a windowed sinc (Kaiser, beta 5, ten
    zero crossings): amplitudes are kept up to 0.84 of the lower Nyquist frequency, and above 1.16 of it
    everything is at least 50 dB down.
    """

    up: int
    down: int

    @classmethod
    def between(cls, source_hz: float, stored_hz: float, samples: int) -> "Resampling":
        """Find the smallest ratio that drifts by less than a tenth of a stored sample over a recording.

        Parameters
        ----------
        source_hz, stored_hz : float
            Sampling rates.
        samples : int
            Length of the recording in source samples.
        """
        exact = Fraction(stored_hz) / Fraction(source_hz)
        tolerance = Fraction(1, 10) / max(samples, 1)
        limit = 1
        while abs((ratio := exact.limit_denominator(limit)) - exact) > tolerance or ratio == 0:
            if max(ratio.numerator, ratio.denominator) > _LARGEST:
                break
            limit *= 2
        if max(ratio.numerator, ratio.denominator) > _LARGEST:
            ratio = exact.limit_denominator(max(1, min(_LARGEST, int(_LARGEST / exact))))
        return cls(ratio.numerator, ratio.denominator)

    def drift_s(self, source_hz: float, stored_hz: float, samples: int) -> float:
        """Seconds by which the last of `samples` source samples lies off: no ratio of small numbers is exact."""
        exact = Fraction(stored_hz) / Fraction(source_hz)
        return float(abs(Fraction(self.up, self.down) - exact) * samples / Fraction(stored_hz))

    @property
    def half(self) -> int:
        """Half the kernel's length at the common multiple of both rates."""
        return _HALF_LENGTH * max(self.up, self.down)

    @property
    def reach(self) -> int:
        """How many source samples a stored sample looks to either side."""
        return math.ceil(self.half / self.up)

    def stored(self, samples: int) -> int:
        """Count stored samples: as many as have their time before the end of the last source sample."""
        return -(-samples * self.up // self.down)

    @cached_property
    def kernel(self) -> np.ndarray:
        """Taps at the common multiple of both rates, float32, with a gain of `up`."""
        taps = signal.firwin(2 * self.half + 1, 1 / max(self.up, self.down), window=("kaiser", _KAISER_BETA))
        return (taps * self.up).astype(np.float32)


def resampled(frames: Frames, ratio: Resampling, samples: int) -> Iterator[np.ndarray]:
    """Resample one segment; sample k of the result lies at k / stored rate from the segment's start.

    Parameters
    ----------
    frames : iterable of np.ndarray, shape (C, n), float32
        The segment's source samples.
    ratio : Resampling
    samples : int
        Length of the segment in source samples.

    Yields
    ------
    np.ndarray, shape (C, n), float32
    """
    if ratio.up == ratio.down:
        yield from frames
        return
    pad, half, up, down = ratio.reach + 1, ratio.half, ratio.up, ratio.down
    tape = Tape(extended(frames, pad, samples))
    total = ratio.stored(samples)
    for first in range(0, total, _FRAME):
        count = min(_FRAME, total - first)
        start = (first * down - half) // up
        stop = ((first + count - 1) * down + half) // up + 1
        source = tape.take(start + pad, stop + pad)
        # Delay the kernel so that the frame's first sample falls on one that upfirdn computes
        lead = first * down - start * up + half
        delay = -lead % down
        taps = np.concatenate([np.zeros(delay, np.float32), ratio.kernel])
        skip = (lead + delay) // down
        yield signal.upfirdn(taps, source, up, down, axis=-1)[:, skip : skip + count]
