"""Windows of a lock, after the reader's operations."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock as Mutex
from typing import Any

import numpy as np

from eegfm.config import ReaderConfig
from eegfm.data.methodology import covariates
from eegfm.data.montage import Montage, build_montage
from eegfm.data.operations import Window, margin_samples, operate
from eegfm_lake.errors import EegfmError
from eegfm_lake.lock import Lock
from eegfm_lake.schema import BLOCK_S
from eegfm_lake.signals import open_signal


class WindowReader:
    """Read windows of a lock by their row.

    Parameters
    ----------
    lock : Lock
        As ``eegfm_lake.lock.read_lock`` returns it.
    config : ReaderConfig
        ``channels: common`` is resolved here, over all recordings of the lock.

    Attributes
    ----------
    config : ReaderConfig
        With the channels resolved.
    rate_hz : float
        Sampling rate of every window.

    Raises
    ------
    EegfmError
        The lock mixes sampling rates, or its recordings have no channel in common.
    """

    def __init__(self, lock: Lock, config: ReaderConfig) -> None:
        self.lock = lock
        windows = lock.windows
        self._recording_N = windows["recording"].to_numpy()
        self._first_N = windows["first_sample"].to_numpy()
        self._samples_N = windows["samples"].to_numpy()
        rates = set(lock.recordings["rate"].to_pylist())
        if len(rates) != 1:
            raise EegfmError(
                f"lock {lock.name} mixes sampling rates {sorted(rates)}; a cohort keeps to one profile"
            )
        self.rate_hz = float(rates.pop())
        self._channels = _ChannelRows(lock)
        self._montages: dict[int, Montage] = {}
        self._mutex = Mutex()
        self.config = self._resolve_common(config)

    def __len__(self) -> int:
        return len(self._recording_N)

    def read(self, window: int) -> Window:
        """Read one window.

        Parameters
        ----------
        window : int
            Row of the lock's windows.

        Returns
        -------
        Window
            µV; ``Window.scaled()`` gives what a model takes.

        Raises
        ------
        EegfmError
            Signals are gone, a picked channel is absent, or the reference cannot be formed.
        """
        recording = int(self._recording_N[window])
        first, samples = int(self._first_N[window]), int(self._samples_N[window])
        signal = open_signal(self.lock.signals, self.lock.recordings["signal_file"][recording].as_py())
        before = after = 0
        if margin := margin_samples(self.config, self.rate_hz):
            low, high = _segment_around(signal.block_samples, first, samples, self.rate_hz)
            before, after = min(margin, first - low), min(margin, high - first - samples)
        samples_uv_CT = signal.read_uv(
            first - before, before + samples + after, self._channels.stored(recording)
        )
        result = operate(
            samples_uv_CT,
            self.montage(recording),
            self.config,
            rate_hz=self.rate_hz,
            before=before,
            after=after,
            source=self._source(recording),
        )
        return replace(result, recording=recording, window=window)

    def montage(self, recording: int) -> Montage:
        """Return the stored channels of a recording (a row of the lock's recordings)."""
        with self._mutex:
            if recording not in self._montages:
                reference = covariates(self.lock.recordings["methodology"][recording].as_py()).get(
                    "reference"
                )
                self._montages[recording] = build_montage(self._channels.rows(recording), reference)
            return self._montages[recording]

    def shapes(self, windows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return (channels, samples) that each window will have, without reading it: int (N, 2)."""
        windows = np.asarray(windows, dtype=np.int64)
        recordings = self._recording_N[windows]
        if isinstance(self.config.channels, str):
            n_channels = self._channels.count(self.config)[recordings]
        else:
            n_channels = np.full(len(windows), len(self.config.channels))
        return np.stack([n_channels, self._samples_N[windows]], axis=1)

    def _source(self, recording: int) -> str:
        return f"recording {self.lock.recordings['recording_id'][recording].as_py()}"

    def _resolve_common(self, config: ReaderConfig) -> ReaderConfig:
        if config.channels != "common":
            return config
        names = self._channels.common(config, np.unique(self._recording_N))
        if not names:
            raise EegfmError(
                f"the recordings of lock {self.lock.name} have no channel in common; use channels: all"
            )
        return config.model_copy(update={"channels": names})


@dataclass(frozen=True)
class MontageWindows:
    """Windows that share their channels.

    Attributes
    ----------
    x_NCT : ndarray of float32 (N, C, T)
        µV, or the model's unit where asked.
    names : tuple of str, length C
    positions_C3 : ndarray of float32 (C, 3)
    windows_N : ndarray of int (N,)
        Rows of the lock's windows.
    """

    x_NCT: np.ndarray
    names: tuple[str, ...]
    positions_C3: np.ndarray
    windows_N: np.ndarray


def read_windows(
    reader: WindowReader,
    windows: Sequence[int] | np.ndarray | None = None,
    *,
    scaled: bool = False,
    workers: int = 2,
) -> list[MontageWindows]:
    """Read windows into memory, one array for each set of channels and length.

    Parameters
    ----------
    reader : WindowReader
    windows : sequence of int, optional
        Rows of the lock's windows; all of them where omitted.
    scaled : bool
        In the model's unit and clipped, instead of µV.
    workers : int
        Threads that read.

    Returns
    -------
    list of MontageWindows
        Largest group first; inside a group the order of ``windows``. Recordings whose electrodes bear the
        same names but lie elsewhere are in different groups.
    """
    rows = np.arange(len(reader)) if windows is None else np.asarray(windows, dtype=np.int64)
    with ThreadPoolExecutor(max(1, workers)) as pool:
        found = pool.map(lambda row: _loaded(reader, int(row), scaled), rows)
        groups = _grouped(found)
    return sorted(groups, key=lambda group: -len(group.windows_N))


def _loaded(reader: WindowReader, row: int, scaled: bool) -> tuple[Window, np.ndarray]:
    window = reader.read(row)
    return window, window.scaled() if scaled else window.x_CT


def _grouped(found: Iterable[tuple[Window, np.ndarray]]) -> list[MontageWindows]:
    members: dict[Any, list[tuple[Window, np.ndarray]]] = {}
    for window, x_CT in found:
        key = (window.names, x_CT.shape, window.positions_C3.tobytes())
        members.setdefault(key, []).append((window, x_CT))
    return [
        MontageWindows(
            x_NCT=np.stack([x_CT for _, x_CT in group]),
            names=group[0][0].names,
            positions_C3=group[0][0].positions_C3,
            windows_N=np.array([window.window for window, _ in group]),
        )
        for group in members.values()
    ]


class _ChannelRows:
    """The lock's channel table, cut by recording; dropped channels are not stored and do not appear."""

    def __init__(self, lock: Lock) -> None:
        table = lock.channels
        table = table.filter(np.array(table["status"].to_pylist(), dtype=object) != "dropped")
        self._table = table.sort_by([("recording", "ascending"), ("channel", "ascending")]).combine_chunks()
        recording_R = self._table["recording"].to_numpy()
        self._starts = np.searchsorted(recording_R, np.arange(lock.recordings.num_rows + 1))
        self._recording_R = recording_R

    def rows(self, recording: int) -> list[dict[str, Any]]:
        start, stop = self._starts[recording : recording + 2]
        return self._table.slice(start, stop - start).to_pylist()

    def stored(self, recording: int) -> np.ndarray:
        start, stop = self._starts[recording : recording + 2]
        return self._table["channel"].slice(start, stop - start).to_numpy()

    def usable(self, config: ReaderConfig) -> np.ndarray:
        usable_R = np.isin(np.array(self._table["type"].to_pylist(), dtype=object), config.types)
        if config.bad == "drop":
            usable_R &= np.array(self._table["status"].to_pylist(), dtype=object) != "bad"
        return usable_R

    def count(self, config: ReaderConfig) -> np.ndarray:
        return np.bincount(self._recording_R[self.usable(config)], minlength=len(self._starts) - 1)

    def common(self, config: ReaderConfig, recordings: np.ndarray) -> list[str]:
        names = np.array(self._table["name"].to_pylist(), dtype=object)
        usable_R = self.usable(config)
        per_recording = []
        for recording in recordings:
            span = slice(*self._starts[recording : recording + 2])
            per_recording.append(list(names[span][usable_R[span]]))
        shared = set(per_recording[0]).intersection(*per_recording) if per_recording else set()
        return [name for name in per_recording[0] if name in shared] if shared else []


def _segment_around(block_samples: np.ndarray, first: int, samples: int, rate_hz: float) -> tuple[int, int]:
    """Return the stored samples around a window that margin may come from without crossing a gap.

    A block is full unless its segment ends there, so a short block ends a segment. (A segment that is a whole
    number of blocks long leaves no such trace.)
    """
    ends = np.cumsum(block_samples)
    full = round(BLOCK_S * rate_hz)
    closing = ends[(block_samples < full) | (ends == ends[-1])]
    after = np.searchsorted(closing, first, side="right")
    low = int(closing[after - 1]) if after else 0
    return low, int(closing[after]) if after < len(closing) else first + samples
