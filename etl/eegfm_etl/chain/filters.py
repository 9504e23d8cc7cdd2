"""The merged zero-phase FIR kernel of each channel type, and its application to a stream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import mne
import numpy as np
from scipy import fft

from eegfm_etl.chain.tape import Frames, Tape, extended
from eegfm_lake.schema import Profile

# What a type's chain keeps where it is not the profile's EEG band; None: no such filter.
TYPE_BANDS: dict[str, tuple[float | None, float | None]] = {
    "emg": (10.0, None),  # below lie movement and cable artefacts
    "resp": (None, 15.0),  # breathing lies below any EEG high-pass
}
NO_NOTCH = ("resp",)

_KERNEL_CYCLES = 3.3  # length of MNE's Hamming high-pass, whose transition band is as wide as its edge

SHORTEST_NOTCHED_S = 20.0
"""Three notch kernels; a shorter segment is not notched."""

_NFFT = 16384
_NOTCH_TRANSITION_HZ = 1.0  # MNE's default
_NOTCH_WIDTH = 1 / 200  # of the line frequency, MNE's default


@dataclass(frozen=True, eq=False)  # the same one is the same design: they are made once
class Kernel:
    """A zero-phase FIR filter, several designs merged into one by convolution."""

    taps: np.ndarray  # float64, odd length, symmetric
    high_pass_hz: float | None
    low_pass_hz: float | None
    notches_hz: tuple[float, ...]

    @property
    def half(self) -> int:
        """Samples that the filter looks to either side."""
        return len(self.taps) // 2


def wanted_band(kind: str, profile: Profile) -> tuple[float | None, float]:
    """Give high-pass and low-pass of a channel type in Hz, whatever its source can hold."""
    low, high = TYPE_BANDS.get(kind, (profile.high_pass_hz, profile.low_pass_hz))
    return low, high or profile.low_pass_hz


def shortest_high_passed_s(profile: Profile) -> float:
    """Three high-pass kernels (33 s at 0.3 Hz, 99 s at 0.1 Hz); a shorter segment is detrended instead."""
    return 3 * _KERNEL_CYCLES / profile.high_pass_hz


def kernel_for(
    kind: str,
    profile: Profile,
    *,
    line_freq_hz: float | None,
    source_nyquist_hz: float,
    segment_s: float = np.inf,
) -> Kernel:
    """Design the kernel of a channel; what source or segment make impossible is left out.

    Parameters
    ----------
    kind : str
        Channel type; EOG and ECG are filtered like EEG.
    profile : Profile
    line_freq_hz : float or None
        Notches lie here and at the harmonics below the profile's low-pass.
    source_nyquist_hz : float
        Half the channel's own sampling rate.
    segment_s : float
        Length of the segment: a short one gets no high-pass (`shortest_high_passed_s`) and no notch (under 20 s).

    Returns
    -------
    Kernel
        MNE's designs (``mne.filter.create_filter``: firwin, Hamming, zero phase).
    """
    low, high = wanted_band(kind, profile)
    notches: tuple[float, ...] = ()
    if line_freq_hz and kind not in NO_NOTCH and segment_s >= SHORTEST_NOTCHED_S:
        top = min(profile.low_pass_hz, source_nyquist_hz - 2 * _NOTCH_TRANSITION_HZ)
        notches = tuple(float(f) for f in np.arange(line_freq_hz, top, line_freq_hz))
    long = segment_s >= shortest_high_passed_s(profile) - 1e-9
    return _designed(
        profile.rate_hz,
        low if low is not None and low < source_nyquist_hz and long else None,
        high if high < source_nyquist_hz else None,
        notches,
    )


@lru_cache(maxsize=64)
def _designed(rate_hz: float, low: float | None, high: float | None, notches: tuple[float, ...]) -> Kernel:
    taps = np.ones(1)
    for l_freq, h_freq in [(low, None), (None, high)]:
        if l_freq is not None or h_freq is not None:
            taps = np.convolve(taps, _mne_taps(rate_hz, l_freq, h_freq))
    if notches:
        width, edge = np.array(notches) * _NOTCH_WIDTH / 2, _NOTCH_TRANSITION_HZ / 2
        lows, highs = np.array(notches) - width - edge, np.array(notches) + width + edge
        taps = np.convolve(taps, _mne_taps(rate_hz, highs, lows, transition=edge))
    taps.setflags(write=False)
    return Kernel(taps, low, high, notches)


def _mne_taps(rate_hz: float, l_freq: object, h_freq: object, transition: float | str = "auto") -> np.ndarray:
    return mne.filter.create_filter(
        None,
        rate_hz,
        l_freq,
        h_freq,
        l_trans_bandwidth=transition,
        h_trans_bandwidth=transition,
        method="fir",
        phase="zero",
        fir_window="hamming",
        fir_design="firwin",
        verbose="error",
    )


def filtered(frames: Frames, kernels: Sequence[Kernel], samples: int) -> Iterator[np.ndarray]:
    """Filter one segment by overlap-save on a grid fixed to its start.

    Parameters
    ----------
    frames : iterable of np.ndarray, shape (C, n), float32
        The segment, already at the profile's rate.
    kernels : sequence of Kernel
        One a channel.
    samples : int
        Length of the segment.

    Yields
    ------
    np.ndarray, shape (C, n), float32
        The same however the input was cut: every FFT sees the same samples.
    """
    half = max(kernel.half for kernel in kernels)
    nfft = _NFFT
    while nfft < 4 * half:
        nfft *= 2
    response_CF = _responses(kernels, half, nfft)
    hop = nfft - 2 * half
    tape = Tape(extended(frames, half, samples))
    for start in range(0, samples, hop):
        piece = tape.take(start, min(start + nfft, samples + 2 * half))
        spectrum = fft.rfft(piece, nfft, axis=-1)
        spectrum *= response_CF
        valid = min(hop, samples - start)
        yield fft.irfft(spectrum, nfft, axis=-1, overwrite_x=True)[:, 2 * half : 2 * half + valid]


def _responses(kernels: Sequence[Kernel], half: int, nfft: int) -> np.ndarray:
    response = {
        kernel: fft.rfft(np.pad(kernel.taps, half - kernel.half), nfft).astype(np.complex64)
        for kernel in set(kernels)
    }
    return np.stack([response[kernel] for kernel in kernels])
