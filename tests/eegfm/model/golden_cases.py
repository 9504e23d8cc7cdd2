"""The golden figures of the released CSBrain: weights and inputs by formula, figures from files.

`golden/` holds numbers alone, made by running the released code (snapshot `yuchen2199/CSBrain` 185aee5) with weights
and inputs that are integer formulas, so that any implementation can be compared without that code or its weights.
"""

import hashlib
import json
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parent / "golden"
CASES = ("a", "b", "c", "c2", "c3", "d", "e", "f", "g", "h")
CAPTIONS = (
    "1_patch_embedding",
    "2_after_temporal_cst",
    "3_after_spatial_cst",
    "4_after_inter_window",
    "5_after_inter_region",
    "6_layer0_output",
    "7_last_layer_output",
)
BLOCK = 1 << 15
GAINS = {
    "TemEmbedEEGLayer": 0.15,
    "BrainEmbedEEGLayer": 0.15,
    "in_proj_weight": 1.5,
    "out_proj.weight": 0.5,
    "global_fc.weight": 1.0,
    "linear2.weight": 0.5,
    "spectral_proj": 6.0,
    "positional_encoding": 0.5,
}


def uniform(name: str, count: int) -> np.ndarray:
    """Numbers in (-1, 1), float64: a hash of their index and the CRC-32 of a name."""
    r = np.empty(count)
    for start in range(
        0, count, BLOCK
    ):  # forty million numbers at once would leave the cache at every operation
        stop = min(start + BLOCK, count)
        x = np.arange(start, stop, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(
            zlib.crc32(name.encode())
        )
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x7FEB352D)
        x ^= x >> np.uint32(15)
        x *= np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
        r[start:stop] = (2.0 * x + 1.0) / 2.0**32 - 1.0
    return r


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The float32 value of a parameter, from its released name and its shape."""
    count = int(np.prod(shape))
    r = uniform(name, count)
    if name.endswith("mask_encoding"):
        value = 0.5 * r
    elif len(shape) == 1:
        value = 1 + 0.125 * r if name.endswith("weight") else 0.0625 * r
    else:
        gain = next((gain for part, gain in GAINS.items() if part in name), 1.0)
        value = gain * np.sqrt(3.0 / (count // shape[0])) * r
    return value.astype(np.float32).reshape(shape)


def signal(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Input (windows, electrodes, patches, samples), float32: eighths of sums over 16 numbers in a row."""
    count = int(np.prod(shape))
    whole = np.rint(uniform(f"input:{name}", count + 15) * 2.0**32).astype(np.int64)
    sums = np.convolve(whole, np.ones(16, np.int64), "valid")
    return (sums / 2.0**35).astype(np.float32).reshape(shape)


def hidden(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Mask (windows, electrodes, patches), int64: about half is 1."""
    return (uniform(f"mask:{name}", int(np.prod(shape))) < 0).astype(np.int64).reshape(shape)


def labels(name: str, batch: int, classes: int) -> np.ndarray:
    return np.floor((uniform(f"labels:{name}", batch) + 1) / 2 * classes).astype(np.int64)


def direction(name: str, count: int) -> np.ndarray:
    """What the gradient of a parameter is projected on."""
    return uniform(f"grad:{name}", count)


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


@lru_cache
def facts(case: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"case_{case}.json").read_text())


@lru_cache
def figures(case: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"case_{case}.npz") as stored:
        return dict(stored)


@lru_cache
def shapes(which: str) -> dict[str, Any]:
    """Name, shape and digest of every tensor, of the ``default`` or of the ``small`` model."""
    return json.loads((GOLDEN / f"state_dict_{which}.json").read_text())
