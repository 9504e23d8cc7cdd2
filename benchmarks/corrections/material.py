"""What every run shares: windows, trials, positions, statistics.

Legend: N, B windows, C electrodes, T samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from eegfm.config import ReaderConfig
from eegfm.data import Batch, WindowReader, read_windows
from eegfm.model import official_table, preset
from eegfm.pretrain.objective import Statistics, estimate
from eegfm_lake.electrodes import canonical
from eegfm_lake.lock import Lock, find_lock

STEP = 50
"""A quarter of a second: the step between our patches, and the released model's patch and width here."""
SEEN = 18
TABLE = tuple(str(canonical(name)) for name in official_table("pretrain").electrodes)


@dataclass(frozen=True)
class Windows:
    """Windows in the model's unit, their persons' numbers, and labels where there are any."""

    x_NCT: Tensor
    person_N: np.ndarray
    label_N: np.ndarray

    def of(self, seen: bool) -> "Windows":
        """Return the windows of the people who are trained on, or of the others."""
        keep = (self.person_N <= SEEN) == seen
        return Windows(self.x_NCT[torch.from_numpy(keep)], self.person_N[keep], self.label_N[keep])

    def first(self, samples: int) -> "Windows":
        """Return the windows' beginnings."""
        return Windows(self.x_NCT[..., :samples], self.person_N, self.label_N)


@dataclass(frozen=True)
class Material:
    """Everything that every run shares."""

    positions_C3: Tensor
    windows: Windows
    trials: Windows
    statistics: dict[int, Statistics]
    """Of the training windows, by the length of a patch."""


@cache
def material(windows: str, trials: str) -> Material:
    """Return what the runs share, of two locks at their folders."""
    positions_C3, unlabelled = read(find_lock(windows, ""), TABLE)
    _, labelled = read(find_lock(trials, ""), TABLE)
    sample = unlabelled.of(seen=True).x_NCT[::4]
    statistics = {
        size: estimate(
            [batch_of(sample, positions_C3)], preset("tiny", 4, patch_samples=size, stride_samples=STEP)
        )
        for size in (STEP, 2 * STEP, 4 * STEP)
    }
    return Material(positions_C3, unlabelled, labelled, statistics)


def read(lock: Lock, electrodes: Sequence[str]) -> tuple[Tensor, Windows]:
    """Return a lock's windows at these electrodes, in their order, and the electrodes' positions."""
    config = ReaderConfig(bad="keep", channels=list(electrodes))
    (group,) = read_windows(WindowReader(lock, config), scaled=True, workers=1)
    recording_N = lock.windows["recording"].to_numpy()[group.windows_N]
    people = [int(person[-3:]) for person in lock.recordings["person"].to_pylist()]
    labels = np.array(lock.windows["label"].to_pylist(), dtype=object)[group.windows_N]
    windows = Windows(torch.from_numpy(group.x_NCT), np.array(people)[recording_N], labels)
    return torch.from_numpy(group.positions_C3), windows


def batch_of(x_NCT: Tensor, positions_C3: Tensor, rows: np.ndarray | None = None) -> Batch:
    """Return windows as a batch; ``rows`` are their numbers, which decide what is hidden."""
    size, channels = x_NCT.shape[:2]
    return Batch(
        x_BCT=x_NCT,
        positions_BC3=positions_C3.expand(size, -1, -1),
        channel_mask_BC=torch.ones(size, channels, dtype=torch.bool),
        band_high_hz_BC=torch.full((size, channels), 75.0),
        unit_uv_B=torch.full((size,), 100.0),
        weight_B=torch.ones(size),
        window_B=torch.arange(size) if rows is None else torch.from_numpy(rows),
    )
