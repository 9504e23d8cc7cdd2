"""What the positions of a cap's electrodes say, computed once a montage: neighbours, regions, spatial operators.

Legend: B windows, M different montages, C electrodes, R regions, N neighbours, J spatial operators.
"""

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from eegfm_lake import electrodes
from eegfm_lake.errors import UsageError

HEAD_M = 0.1
AVERAGE_WIDTHS_M = (0.025, 0.045, 0.09)
GRADIENT_WIDTH_M = 0.045
OPERATORS = (
    "self",
    *(f"average_{w * 100:g}cm" for w in AVERAGE_WIDTHS_M),
    "average",
    "gradient_x",
    "gradient_y",
    "gradient_z",
)
SITE_M = 0.03
CACHE_SIZE = 512


class Layout(NamedTuple):
    """The montages of a batch as tensors; coordinates in units of 10 cm, unknown positions as zeros.

    ``region_MC`` counts over all regions; the R of ``pool_MRC`` and ``occupied_MR`` are those that occur in the batch.
    """

    montage_B: Tensor
    positions_MC3: Tensor
    known_MC: Tensor
    present_MC: Tensor
    region_MC: Tensor
    area_MC: Tensor
    pool_MRC: Tensor
    occupied_MR: Tensor
    neighbours_MCN: Tensor
    near_MCN: Tensor
    operators_MJCC: Tensor

    def to(self, device: torch.device) -> "Layout":
        """Return the same layout on another device."""
        return Layout(*(t.to(device, non_blocking=True) for t in self))


def per_window(t_M: Tensor, montage_B: Tensor) -> Tensor:
    """Give every window its montage's row; with one montage nothing is copied."""
    if t_M.shape[0] == 1:
        return t_M.expand([montage_B.shape[0]] + list(t_M.shape[1:]))  # noqa: RUF005 - TorchScript knows no star
    return t_M[montage_B]


def layout_of(positions_BC3: Tensor, channel_mask_BC: Tensor | None = None, neighbours: int = 5) -> Layout:
    """Describe the montages of a batch.

    Parameters
    ----------
    positions_BC3
        Electrode positions in metres in the head frame (x right, y front, z up); NaN where unknown.
        (C, 3) stands for a batch of one.
    channel_mask_BC
        True for electrodes that exist, False for padding; None: all exist.
    neighbours
        Electrodes kept for each electrode: itself, the nearest of its region, then the nearest beyond it.

    Raises
    ------
    UsageError
        If a shape is wrong or coordinates are not in metres.
    """
    positions = positions_BC3.detach().to("cpu", torch.float32).numpy()
    positions = positions[None] if positions.ndim == 2 else positions
    if positions.ndim != 3 or positions.shape[2] != 3:
        raise UsageError(f"positions: found shape {positions.shape}, expected (batch, channels, 3)")
    present = np.ones(positions.shape[:2], bool)
    if channel_mask_BC is not None:
        present = channel_mask_BC.detach().to("cpu", torch.bool).numpy().reshape(present.shape)
    rows: dict[bytes, int] = {}
    montages: list[dict[str, np.ndarray]] = []
    index = np.zeros(len(positions), np.int64)
    for b, (xyz, here) in enumerate(zip(positions, present, strict=True)):
        key = xyz.tobytes() + here.tobytes()
        if key not in rows:
            rows[key] = len(montages)
            montages.append(_cached_montage(key, xyz, here, neighbours))
        index[b] = rows[key]
    arrays = {name: np.stack([m[name] for m in montages]) for name in montages[0]}
    kept_R = _regions_kept(arrays["occupied_MR"])
    arrays |= {"pool_MRC": arrays["pool_MRC"][:, kept_R], "occupied_MR": arrays["occupied_MR"][:, kept_R]}
    stacked = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return Layout(montage_B=torch.from_numpy(index), **stacked).to(positions_BC3.device)


def _regions_kept(occupied_MR: np.ndarray) -> np.ndarray:
    """Which regions attend: those that some montage occupies; an even number, for eight shapes at most to compile."""
    used_R = occupied_MR.any(0)
    spare_R = np.flatnonzero(~used_R)[: used_R.sum() % 2]
    return np.sort(np.concatenate([np.flatnonzero(used_R), spare_R]))


_cache: OrderedDict[tuple[bytes, int], dict[str, np.ndarray]] = OrderedDict()


def _cached_montage(key: bytes, xyz_C3: np.ndarray, present_C: np.ndarray, n: int) -> dict[str, np.ndarray]:
    if (key, n) not in _cache:
        _cache[key, n] = montage(xyz_C3, present_C, n)
        if len(_cache) > CACHE_SIZE:
            _cache.popitem(last=False)
    return _cache[key, n]


def montage(xyz_C3: np.ndarray, present_C: np.ndarray, neighbours: int) -> dict[str, np.ndarray]:
    """Compute one montage's part of a :class:`Layout`, as arrays."""
    known = present_C & np.isfinite(xyz_C3).all(-1)
    xyz = np.where(known[:, None], xyz_C3, 0.0).astype(np.float64)
    if known.any() and np.abs(xyz).max() > 1.0:
        raise UsageError(
            f"positions: found a coordinate of {np.abs(xyz).max():g}, expected metres from the head's centre"
        )
    region = np.asarray(electrodes.regions(np.where(known[:, None], xyz_C3, np.nan)), np.int64)
    members_RC = (region[None] == np.arange(len(electrodes.REGIONS))[:, None]) & present_C
    counts_R1 = members_RC.sum(1, keepdims=True)
    index, near = _neighbours(xyz, known, region, neighbours)
    return {
        "positions_MC3": (xyz / HEAD_M).astype(np.float32),
        "known_MC": known,
        "present_MC": present_C,
        "region_MC": region,
        "area_MC": _areas(xyz, known, present_C).astype(np.float32),
        "pool_MRC": (members_RC / np.maximum(counts_R1, 1)).astype(np.float32),
        "occupied_MR": counts_R1[:, 0] > 0,
        "neighbours_MCN": index,
        "near_MCN": near,
        "operators_MJCC": _operators(xyz, known, present_C).astype(np.float32),
    }


def _neighbours(
    xyz: np.ndarray, known: np.ndarray, region: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Itself, then the nearest of its region, then, where a region is too small, the nearest beyond it.

    In a sparse cap most regions hold one electrode, and a kernel that stopped at their borders would join nothing.
    What is missing points at itself and is not near.
    """
    channels = len(xyz)
    index = np.repeat(np.arange(channels)[:, None], n, 1)
    near = np.zeros((channels, n), bool)
    near[:, 0] = True
    for c in np.flatnonzero(known):
        others = np.flatnonzero(known & (np.arange(channels) != c))
        # Distances to 0.1 mm, ties by coordinates: the order depends on where electrodes lie, never on their index.
        distance = np.round(np.linalg.norm(xyz[others] - xyz[c], axis=1), 4)
        keys = (xyz[others, 2], xyz[others, 1], xyz[others, 0], distance, region[others] != region[c])
        order = np.lexsort(keys)[: n - 1]
        index[c, 1 : 1 + len(order)] = others[order]
        near[c, 1 : 1 + len(order)] = True
    return index, near


def _areas(xyz: np.ndarray, known: np.ndarray, present: np.ndarray) -> np.ndarray:
    """How much of the head each electrode stands for, in sites of 3 cm: the closer its neighbours, the less.

    Sums with these weights approximate integrals over the head, so they agree between sparse and dense caps. All
    electrodes of unknown position together are one site.
    """
    close_CC = np.exp(-((xyz[None] - xyz[:, None]) ** 2).sum(-1) / (2 * SITE_M**2)) * (
        known[:, None] & known[None]
    )
    unknown = present & ~known
    return np.where(known, 1 / np.maximum(close_CC.sum(1), 1.0), unknown / max(int(unknown.sum()), 1))


def _operators(xyz: np.ndarray, known: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Linear spatial operators (J, C, C) whose rows do not depend on how dense the cap is.

    An electrode of unknown position has itself alone, and belongs to no other electrode's surroundings.
    """
    offset_CC3 = xyz[None] - xyz[:, None]
    squared_CC = (offset_CC3**2).sum(-1)
    pair_CC = known[:, None] & known[None]
    own = np.diag(present.astype(float))

    def weights(width_m: float) -> np.ndarray:
        raw = np.exp(-squared_CC / (2 * width_m**2)) * pair_CC
        return raw / np.maximum(raw.sum(1, keepdims=True), 1e-12)

    averages = [weights(width) for width in AVERAGE_WIDTHS_M]
    overall = pair_CC / max(int(known.sum()), 1)
    local = weights(GRADIENT_WIDTH_M)
    gradients = []
    for axis in range(3):
        slope = local * offset_CC3[..., axis] / GRADIENT_WIDTH_M
        gradients.append(slope - np.diag(slope.sum(1)))
    return np.stack([own, *averages, overall, *gradients])
