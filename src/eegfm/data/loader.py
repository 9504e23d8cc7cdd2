"""Windows to batches: an order that is a function of (seed, epoch, step), read ahead by threads.

Shapes: B windows, C channels, T samples.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from eegfm.data.operations import Window
from eegfm.data.reader import WindowReader


@dataclass(frozen=True)
class Batch:
    """Windows side by side; shorter montages are padded with channels that do not exist.

    Attributes
    ----------
    x_BCT : float32 (B, C, T)
        In the model's unit, clipped; 0 where a channel does not exist.
    positions_BC3 : float32 (B, C, 3)
        Metres; NaN where unknown or not existing.
    channel_mask_BC : bool (B, C)
        True where a channel exists.
    band_high_hz_BC : float32 (B, C)
        Upper end of each channel's band; 0 where a channel does not exist.
    unit_uv_B, weight_B : float32 (B,)
        µV of one unit; the cohort's weight of a window, 1 where it gives none.
    window_B : int64 (B,)
        Rows of the lock's windows.
    patch_mask_BCP : bool (B, C, P) or None
        True where a patch is hidden; what ``prepare`` put there.
    condition_BK : int64 (B, K) or None
        Methodology of each window for an encoder with conditions, 0 for unknown.
    epoch, step : int
    """

    x_BCT: torch.Tensor
    positions_BC3: torch.Tensor
    channel_mask_BC: torch.Tensor
    band_high_hz_BC: torch.Tensor
    unit_uv_B: torch.Tensor
    weight_B: torch.Tensor
    window_B: torch.Tensor
    patch_mask_BCP: torch.Tensor | None = None
    condition_BK: torch.Tensor | None = None
    epoch: int = 0
    step: int = 0

    def to(self, device: torch.device) -> "Batch":
        """Copy the tensors to a device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True)
            for name, value in values.items()
            if isinstance(value, torch.Tensor)
        }
        return replace(self, **moved)

    @property
    def hidden(self) -> torch.Tensor:
        """`patch_mask_BCP` of a batch whose patches were hidden."""
        if self.patch_mask_BCP is None:
            raise ValueError(
                "found a batch without hidden patches, expected one that Objective.hide has prepared"
            )
        return self.patch_mask_BCP


class Loader:
    """Batches of a lock's windows, in an order that depends on nothing but (seed, epoch, step).

    Parameters
    ----------
    reader : WindowReader
    windows : sequence of int
        Rows of the lock's windows to go through.
    batch : int
        Windows a batch, over all ranks.
    seed : int
    workers : int
        Threads that read ahead; 0 reads when asked. The batches are the same.
    prefetch : int
        Batches read ahead.
    mix : bool
        Mix montages in a batch, padded, instead of batches of one shape. Lengths are never mixed.
    shuffle : bool
        Off for validation: the order given.
    rank, world : int
        This process takes every ``world``-th window of each batch.
    prepare : callable, optional
        ``Batch -> Batch``, run where the batch is read.
    condition_RK : ndarray of int64 (R, K), optional
        Methodology of each of the lock's recordings (`eegfm.data.methodology.numbers`), for the batches to carry.

    Attributes
    ----------
    steps_per_epoch : int
    wait_s : float
        Seconds that the consumer has waited for data so far.
    """

    def __init__(
        self,
        reader: WindowReader,
        windows: Sequence[int] | np.ndarray,
        *,
        batch: int,
        seed: int,
        workers: int = 2,
        prefetch: int = 4,
        mix: bool = False,
        shuffle: bool = True,
        rank: int = 0,
        world: int = 1,
        prepare: Callable[[Batch], Batch] | None = None,
        condition_RK: np.ndarray | None = None,
    ) -> None:
        self._reader, self._prepare, self._condition_RK = reader, prepare, condition_RK
        self._windows = np.asarray(windows, dtype=np.int64)
        shapes = reader.shapes(self._windows)
        keys = shapes[:, 1:] if mix else shapes
        self._group_N = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
        self._batch, self._seed, self._shuffle = batch, seed, shuffle
        self._workers, self._prefetch = workers, prefetch
        self._rank, self._world = rank, world
        self._plan = lru_cache(maxsize=2)(self._plan_epoch)
        self._weight_N = reader.lock.windows["weight"].fill_null(1.0).to_numpy().astype(np.float32)
        self.steps_per_epoch = sum(-(-int(size) // batch) for size in np.bincount(self._group_N))
        self.wait_s = 0.0

    def windows_of(self, step: int) -> np.ndarray:
        """Return the lock rows of a global step, all ranks together."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return self._windows[self._plan(epoch)[place]]

    def read(self, step: int) -> Batch:
        """Read the batch of a global step: a pure function of the step."""
        rows = self.windows_of(step)[self._rank :: self._world]
        windows = [self._reader.read(int(row)) for row in rows]
        batch = collate(windows, self._weight_N[rows], self._condition_RK)
        batch = replace(batch, epoch=step // self.steps_per_epoch, step=step)
        return self._prepare(batch) if self._prepare else batch

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """Go through the steps from ``start`` to ``stop``, reading ahead, and count the time waited."""
        if not self._workers:
            for step in range(start, stop):
                yield self._timed(partial(self.read, step))
            return
        with ThreadPoolExecutor(self._workers, thread_name_prefix="loader") as pool:
            ahead: deque[Future[Batch]] = deque()
            try:
                for step in range(start, stop):
                    while len(ahead) < self._prefetch and step + len(ahead) < stop:
                        ahead.append(pool.submit(self.read, step + len(ahead)))
                    yield self._timed(ahead.popleft().result)
            finally:
                for future in ahead:
                    future.cancel()

    def _timed(self, read: Callable[[], Batch]) -> Batch:
        begin = time.perf_counter()
        batch = read()
        self.wait_s += time.perf_counter() - begin
        return batch

    def _plan_epoch(self, epoch: int) -> list[np.ndarray]:
        return plan_epoch(self._group_N, self._batch, (self._seed, epoch) if self._shuffle else None)


def plan_epoch(group_N: np.ndarray, batch: int, key: tuple[int, int] | None) -> list[np.ndarray]:
    """Cut an epoch into batches: every window once, no batch across groups.

    Parameters
    ----------
    group_N : ndarray of int (N,)
        Windows with the same number may share a batch.
    batch : int
        Windows a batch; the last one of a group may be smaller.
    key : (seed, epoch) or None
        None keeps the order given.

    Returns
    -------
    list of ndarray of int
        Places in ``group_N``; as many batches in every epoch.
    """
    rng = np.random.default_rng(key) if key is not None else None
    order = rng.permutation(len(group_N)) if rng else np.arange(len(group_N))
    batches = []
    for group in np.unique(group_N):
        members = order[group_N[order] == group]
        batches += [members[at : at + batch] for at in range(0, len(members), batch)]
    return [batches[place] for place in rng.permutation(len(batches))] if rng else batches


def collate(
    windows: Sequence[Window], weight_B: np.ndarray | None = None, condition_RK: np.ndarray | None = None
) -> Batch:
    """Put windows of one length side by side, padding montages to the largest.

    ``condition_RK`` holds the methodology of every recording of the lock; each window takes its recording's.
    """
    n_batch, n_times = len(windows), windows[0].x_CT.shape[1] if windows else 0
    n_channels = max((len(window.names) for window in windows), default=0)
    x_BCT = np.zeros((n_batch, n_channels, n_times), dtype=np.float32)
    positions_BC3 = np.full((n_batch, n_channels, 3), np.nan, dtype=np.float32)
    exists_BC = np.zeros((n_batch, n_channels), dtype=bool)
    high_BC = np.zeros((n_batch, n_channels), dtype=np.float32)
    for row, window in enumerate(windows):
        n = len(window.names)
        x_BCT[row, :n] = window.scaled()
        positions_BC3[row, :n] = window.positions_C3
        exists_BC[row, :n] = True
        high_BC[row, :n] = window.band_high_hz_C
    weights = np.ones(n_batch, dtype=np.float32) if weight_B is None else weight_B
    recording_B = [window.recording for window in windows]
    return Batch(
        x_BCT=torch.from_numpy(x_BCT),
        positions_BC3=torch.from_numpy(positions_BC3),
        channel_mask_BC=torch.from_numpy(exists_BC),
        band_high_hz_BC=torch.from_numpy(high_BC),
        unit_uv_B=torch.tensor([window.unit_uv for window in windows], dtype=torch.float32),
        weight_B=torch.from_numpy(np.ascontiguousarray(weights)),
        window_B=torch.tensor([window.window for window in windows], dtype=torch.int64),
        condition_BK=None if condition_RK is None else torch.from_numpy(condition_RK[recording_B]),
    )
