"""Models judged where they were not trained: at other electrodes, at another length.

Legend: N windows, C electrodes, T samples.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from corrections.judging import hidden_error
from corrections.material import TABLE, Material, read
from corrections.report import shown, write
from corrections.training import trained
from corrections.variants import VARIANTS
from eegfm.config import ReaderConfig
from eegfm.data import WindowReader
from eegfm.model import layout_of
from eegfm_lake.electrodes import positions
from eegfm_lake.lock import Lock

MODELS = ("ours", "official_ours")
SHORT = 400


@dataclass(frozen=True)
class Place:
    """Where models are judged."""

    name: str
    given: Callable[[Material, Lock], Material]
    models: Sequence[str] = MODELS
    told: bool = True
    """Ours is told where the electrodes are; else that they are those of training."""


def neighbours(cap: Sequence[str]) -> list[str]:
    """Return for each electrode of training another one: the nearest that is free, over all by least distance."""
    others = [name for name in cap if name not in TABLE]
    apart_CC = np.linalg.norm(positions(TABLE)[:, None] - positions(others)[None], axis=-1)
    return [others[i] for i in linear_sum_assignment(apart_CC)[1]]


def at_neighbours(given: Material, lock: Lock) -> Material:
    electrodes = neighbours(cap_of(lock))
    positions_C3, windows = read(lock, electrodes)
    return replace(given, positions_C3=positions_C3, windows=windows)


def at_all(given: Material, lock: Lock) -> Material:
    positions_C3, windows = read(lock, cap_of(lock))
    return replace(given, positions_C3=positions_C3, windows=windows)


def cap_of(lock: Lock) -> Sequence[str]:
    """Return all electrodes of a lock's recordings."""
    return WindowReader(lock, ReaderConfig(bad="keep")).read(0).names


def beginnings(given: Material, lock: Lock) -> Material:
    return replace(given, windows=given.windows.first(SHORT))


PLACES = (
    Place("as in training", lambda given, lock: given),
    Place("19 other electrodes", at_neighbours),
    Place("19 other electrodes, taken for those of training", at_neighbours, ("ours",), told=False),
    Place("64 electrodes", at_all, ("ours",)),
    Place("windows of 2 s", beginnings),
)


def write_elsewhere(steps: int, seeds: int, given: Material, runs: Path, locks: Sequence[Lock]) -> None:
    """Judge what has not been judged, and write the table."""
    rows = []
    for place in PLACES:
        here = place.given(given, locks[0])
        zeros = hidden_error(lambda batch: torch.zeros(()), here)["all"]
        for name in place.models:
            (variant,) = (v for v in VARIANTS if v.name == name)
            judged = []
            for seed in range(seeds):
                model = trained(variant, seed, steps, given, runs)
                judged.append(judge(model, place, here, runs / f"elsewhere_{name}_{steps}_{seed}.json"))
            errors = [each["all"] for each in judged]
            share = shown([error / zeros for error in errors])
            rows.append([place.name, name, shown(errors), f"{zeros:.3f}", share, str(seeds)])
    heads = ["judged at", "model", "hidden error", "zeros", "of zeros", "seeds"]
    write("elsewhere", list(locks), heads, rows)


def judge(model: nn.Module, place: Place, here: Material, file: Path) -> dict[str, float]:
    """Return what a model scores there, found again if it was judged before."""
    known = json.loads(file.read_text()) if file.exists() else {}
    if place.name not in known:
        if hasattr(model, "masked") and place.told:
            model.masked.encoder.one = layout_of(here.positions_C3)
        known[place.name] = hidden_error(model, here)
        file.write_text(json.dumps(known))
        print(file.stem, place.name, json.dumps(known[place.name]), flush=True)
    return known[place.name]
