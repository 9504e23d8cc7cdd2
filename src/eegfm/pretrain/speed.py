"""Windows and hours of EEG per second, waiting for data, and the share of the device's peak that is used."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils.flop_counter import FlopCounterMode

# Dense peaks in FLOP/s from the makers' data sheets: (float32, 16 bit).
PEAKS = {
    "H200": (67e12, 989e12),
    "H100": (67e12, 989e12),
    "A100": (19.5e12, 312e12),
    "L40S": (91.6e12, 362e12),
    "L4": (30.3e12, 121e12),
    "V100": (15.7e12, 125e12),
}


def peak_flops(device: torch.device, precision: str) -> float | None:
    """Return the device's peak, None where it is not known (every CPU)."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    half = not precision.startswith("32")
    return next((peaks[half] for key, peaks in PEAKS.items() if key in name), None)


class FlopCount:
    """Floating-point operations of a step, counted once a batch shape while it runs.

    Parameters
    ----------
    wanted : bool
        Counting a step slows it many times: off where the device's peak is not known anyway.

    Attributes
    ----------
    last : int
        Operations of the step counted last.
    """

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._known: dict[tuple[int, ...], int] = {}
        self.last = 0

    @contextmanager
    def counting(self, shape: tuple[int, ...]) -> Iterator[None]:
        """Count what runs inside, unless a batch of this shape has been counted."""
        if not self._wanted or shape in self._known:
            yield
        else:
            with FlopCounterMode(display=False) as counter:
                yield
            self._known[shape] = counter.get_total_flops()
        self.last = self._known.get(shape, 0)


class Speed:
    """Rates since they were last asked for.

    Parameters
    ----------
    peak : float or None
        FLOP/s of the device.
    """

    def __init__(self, peak: float | None) -> None:
        self._peak = peak
        self._reset(0.0)

    def add(self, windows: int, seconds_eeg: float, flops: int) -> None:
        """Count one step."""
        self._windows += windows
        self._seconds_eeg += seconds_eeg
        self._flops += flops

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave out time spent on something else: validation, a checkpoint."""
        begin = time.perf_counter()
        yield
        self._since += time.perf_counter() - begin

    def rates(self, wait_s: float) -> dict[str, float | None]:
        """Return the rates and start anew.

        Parameters
        ----------
        wait_s : float
            Seconds waited for data since the run began.

        Returns
        -------
        dict
            windows_s, hours_h (hours of EEG an hour), wait_share, mfu (None where the peak is not known).
        """
        elapsed = max(time.perf_counter() - self._since, 1e-9)
        rates = {
            "windows_s": self._windows / elapsed,
            "hours_h": self._seconds_eeg / elapsed,
            "wait_share": min(1.0, (wait_s - self._wait_s) / elapsed),
            "mfu": self._flops / elapsed / self._peak if self._peak else None,
        }
        self._reset(wait_s)
        return rates

    def _reset(self, wait_s: float) -> None:
        self._since = time.perf_counter()
        self._wait_s = wait_s
        self._windows = self._flops = 0
        self._seconds_eeg = 0.0
