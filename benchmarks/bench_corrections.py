"""What each correction of the released CSBrain is worth: ours, ours with one undone at a time, the released model.

All are pre-trained on the same windows of S001-S018 for the same number of multiplications, and judged alike on
S019-S036, whom none has seen: by the error of hidden patches (the same discs, the equalised loss) and by left against
right imagery read linearly off the frozen tokens. From a lake that holds eegmmidb (runs 4, 8 and 12 of S001-S036):

    eegfm ingest eegmmidb --only '*R04.edf' --only '*R08.edf' --only '*R12.edf'
    python benchmarks/bench_corrections.py

Finished runs are found again, so that an interrupted benchmark goes on; the table holds what has been run.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from variants import OBJECTIVE, STEP, VARIANTS, Variant

from eegfm.config import ReaderConfig
from eegfm.data import Batch, WindowReader, read_windows
from eegfm.model import official_table, preset
from eegfm.pretrain.objective import BANDS_HZ, Objective, Statistics, estimate
from eegfm.pretrain.optimiser import build_optimiser, lr_at
from eegfm_lake.cohort import freeze
from eegfm_lake.electrodes import canonical
from eegfm_lake.lock import find_lock
from eegfm_lake.table import Lake

RESULTS = Path(__file__).parent / "results"
SEEN = 18
BATCH = 8
JUDGES_SEED = 999
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
JUDGED_PER_PERSON = 16


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


@dataclass(frozen=True)
class Material:
    """Everything that every run shares."""

    positions_C3: Tensor
    windows: Windows
    trials: Windows
    statistics: dict[int, Statistics]
    """Of the training windows, by the length of a patch."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lake", default="data/lake")
    parser.add_argument("--runs", default="runs/corrections")
    parser.add_argument("--steps", type=int, default=600, help="of ours; others get the same multiplications")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="names of variants")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lake = Lake.open(options.lake)
    locks = [
        freeze(lake, "eegmmidb_pretrain", params={"first": "1", "last": "36"}),
        freeze(lake, "eegmmidb_left_right", params={"last": "36"}),
    ]
    runs = Path(options.runs)
    runs.mkdir(parents=True, exist_ok=True)
    named = [v for v in VARIANTS if not options.only or v.name in options.only]
    reference = runs / "zeros.json"
    if not reference.exists():
        given = material(*(lock.path for lock in locks))
        reference.write_text(json.dumps(hidden_error(lambda batch: torch.zeros(()), given)))
    for seed in range(options.seeds):
        for variant in named:
            file = runs / f"{variant.name}_{options.steps}_{seed}.json"
            if not file.exists():
                result = run(variant, seed, options.steps, material(*(lock.path for lock in locks)))
                file.write_text(json.dumps(result))
                print(file.stem, json.dumps(result), flush=True)
                write(runs, options.steps, locks)
    write(runs, options.steps, locks)


@cache
def material(windows: str, trials: str) -> Material:
    locks = [find_lock(windows, ""), find_lock(trials, "")]
    table = official_table("pretrain")
    names = [canonical(name) for name in table.electrodes]
    config = ReaderConfig(bad="keep", channels=names)
    found, positions = [], None
    for lock in locks:
        (group,) = read_windows(WindowReader(lock, config), scaled=True, workers=1)
        recording_N = lock.windows["recording"].to_numpy()[group.windows_N]
        people = [int(person[-3:]) for person in lock.recordings["person"].to_pylist()]
        labels = np.array(lock.windows["label"].to_pylist(), dtype=object)[group.windows_N]
        found.append(Windows(torch.from_numpy(group.x_NCT), np.array(people)[recording_N], labels))
        positions = torch.from_numpy(group.positions_C3)
    sample = found[0].of(seen=True).x_NCT[::4]
    statistics = {
        size: estimate(
            [batch_of(sample, positions)], preset("tiny", 4, patch_samples=size, stride_samples=STEP)
        )
        for size in (STEP, 2 * STEP, 4 * STEP)
    }
    return Material(positions, found[0], found[1], statistics)


def run(variant: Variant, seed: int, steps: int, given: Material) -> dict:
    torch.manual_seed(seed)
    model = variant.build(given.positions_C3, given.statistics)
    multiplied, reference = (
        flops(built, given) for built in (model, VARIANTS[0].build(given.positions_C3, given.statistics))
    )
    steps = round(steps * reference / multiplied) if variant.trained else 0
    begin = time.process_time()
    train(variant, model, seed, steps, given)
    cpu_s = time.process_time() - begin
    model.eval()
    return {
        "steps": steps,
        "mflop": round(multiplied / 1e6, 1),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "cpu_s": round(cpu_s, 1),
        "hidden": hidden_error(model, given) if variant.judged else None,
        **probe(model, given),
    }


def train(variant: Variant, model: nn.Module, seed: int, steps: int, given: Material) -> None:
    config = variant.config()
    objective = Objective(variant.objective, config, seed, given.statistics[config.patch_samples])
    optimiser = build_optimiser(model, variant.optimiser)
    x_NCT = given.windows.of(seen=True).x_NCT
    rng = np.random.default_rng(seed)
    queue = np.empty(0, np.int64)
    model.train()
    for step in range(steps):
        if len(queue) < BATCH:
            queue = np.concatenate([queue, rng.permutation(len(x_NCT))])
        rows, queue = queue[:BATCH], queue[BATCH:]
        for group in optimiser.param_groups:
            group["lr"] = lr_at(step, steps, variant.optimiser)
        batch = batch_of(x_NCT[torch.from_numpy(rows)], given.positions_C3, rows)
        batch = objective.hide(replace(batch, epoch=step * BATCH // len(x_NCT)))
        loss = model.loss(batch, objective)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), variant.optimiser.clip_norm)
        optimiser.step()


def batch_of(x_NCT: Tensor, positions_C3: Tensor, rows: np.ndarray | None = None) -> Batch:
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


def flops(model: nn.Module, given: Material) -> int:
    """Multiply-adds, twice, of the encoder's forward through one window."""
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        model.eval().features(given.windows.x_NCT[:1], given.positions_C3)
    return counted.get_total_flops()


def judge(given: Material) -> Objective:
    """Return the one objective by which all are judged, whatever they were trained with."""
    return Objective(OBJECTIVE, preset("tiny", 4), JUDGES_SEED, given.statistics[2 * STEP])


@torch.no_grad()
def hidden_error(model: Callable[[Batch], Tensor], given: Material) -> dict[str, float]:
    """Equalised error of hidden patches of unseen people, in all and by band; 1 is what zeros score."""
    unseen, objective = given.windows.of(seen=False), judge(given)
    rows = [spread(np.flatnonzero(unseen.person_N == person)) for person in np.unique(unseen.person_N)]
    found = []
    for chosen in rows:
        batch = objective.hide(batch_of(unseen.x_NCT[torch.from_numpy(chosen)], given.positions_C3, chosen))
        truth = batch.x_BCT.unfold(-1, 2 * STEP, STEP)
        predicted = model(batch).expand_as(truth)
        loss = objective.loss(predicted, truth, batch).item()
        found.append({"all": loss} | objective.by_band(predicted, truth, batch))
    return {name: float(np.mean([each[name] for each in found])) for name in ("all", *BANDS_HZ)}


def spread(rows: np.ndarray) -> np.ndarray:
    return rows[np.linspace(0, len(rows) - 1, JUDGED_PER_PERSON).round().astype(int)]


@torch.no_grad()
def probe(model: nn.Module, given: Material) -> dict[str, float]:
    """Left against right of unseen people, read linearly off each electrode's mean token."""
    sets = [given.trials.of(seen) for seen in (True, False)]
    features = [
        torch.cat([model.features(x, given.positions_C3).mean(2).flatten(1) for x in part.x_NCT.split(64)])
        for part in sets
    ]
    (known, unseen), (seen_NF, unseen_NF) = sets, [each.double().numpy() for each in features]

    def fitted(strength: float, rows: np.ndarray | slice):
        reader = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))
        return reader.fit(seen_NF[rows], known.label_N[rows].astype(str))

    def valid(strength: float) -> float:
        folds = GroupKFold(6).split(seen_NF, groups=known.person_N)
        return float(
            np.mean(
                [
                    balanced_accuracy_score(
                        known.label_N[held].astype(str), fitted(strength, rows).predict(seen_NF[held])
                    )
                    for rows, held in folds
                ]
            )
        )

    scores = {strength: valid(strength) for strength in STRENGTHS}
    best = max(scores, key=scores.__getitem__)
    said = fitted(best, slice(None)).predict(unseen_NF)
    by_person = [
        balanced_accuracy_score(unseen.label_N[unseen.person_N == p].astype(str), said[unseen.person_N == p])
        for p in np.unique(unseen.person_N)
    ]
    return {"probe": float(np.mean(by_person)), "probe_valid": scores[best], "strength": best}


def write(runs: Path, steps: int, locks: list) -> None:
    """Write the table of what has been run."""
    zeros = json.loads((runs / "zeros.json").read_text())
    rows = [
        ["zeros", "", *(shown([zeros[band]]) for band in ("all", *BANDS_HZ)), "0.500", "0.500", *5 * [""]]
    ]
    for variant in VARIANTS:
        files = sorted(runs.glob(f"{variant.name}_{steps}_[0-9].json"))
        found = [json.loads(file.read_text()) for file in files]
        if not found:
            continue
        hidden = [each["hidden"] for each in found if each["hidden"]]
        bands = [
            shown([each[band] for each in hidden]) if hidden else "" for band in ("all", *list(BANDS_HZ))
        ]
        cost = found[0]
        rows.append(
            [
                variant.name,
                variant.undone,
                *bands,
                shown([each["probe"] for each in found]),
                shown([each["probe_valid"] for each in found]),
                str(len(found)),
                str(cost["parameters"]),
                str(cost["mflop"]),
                str(cost["steps"]),
                f"{np.mean([each['cpu_s'] for each in found]):.0f}",
            ]
        )
    heads = ["variant", "undone", "hidden error", *BANDS_HZ, "left/right, unseen", "left/right, validation"]
    heads += ["seeds", "parameters", "MFLOP a window", "steps", "CPU s"]
    lines = ["| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows]]
    made = (
        f"`python {' '.join(sys.argv)}` · locks {', '.join(f'`{Path(lock.path).name}`' for lock in locks)} ·"
        f" {os.cpu_count()} cores, {platform.machine()}, one thread, torch {version('torch')}."
    )
    # The words around the tables are written by hand, and stay.
    opening, closing = f"<!-- {steps} steps -->", f"<!-- end of {steps} steps -->"
    told = RESULTS / "corrections.md"
    before, _, after = (told.read_text("utf-8") if told.exists() else "").partition(opening)
    after = after.partition(closing)[2] or "\n"
    told.write_text(before + "\n".join([opening, made, "", *lines, closing]) + after, encoding="utf-8")


def shown(values: list[float]) -> str:
    sd = f" ({np.std(values, ddof=1):.3f})" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{sd}"


if __name__ == "__main__":
    main()
