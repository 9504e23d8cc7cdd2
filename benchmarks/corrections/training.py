"""One run: a variant is pre-trained for its share of multiplications and judged; its weights are kept.

Legend: N windows, C electrodes, T samples.
"""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from corrections.judging import hidden_error, probe
from corrections.material import Material, batch_of
from corrections.variants import VARIANTS, Variant
from eegfm.pretrain.objective import Objective
from eegfm.pretrain.optimiser import build_optimiser, lr_at

BATCH = 8


def run(variant: Variant, seed: int, steps: int, given: Material, runs: Path) -> dict:
    """Train and judge; leave the figures and the weights among the runs."""
    begin = time.process_time()
    model, cost = pretrained(variant, seed, steps, given)
    cpu_s = time.process_time() - begin
    result = {
        **cost,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "cpu_s": round(cpu_s, 1),
        "hidden": hidden_error(model, given) if variant.judged else None,
        **probe(model, given),
    }
    torch.save(model.state_dict(), place(runs, variant, steps, seed, "pt"))
    place(runs, variant, steps, seed, "json").write_text(json.dumps(result))
    return result


def trained(variant: Variant, seed: int, steps: int, given: Material, runs: Path) -> nn.Module:
    """Return a variant as its run left it, trained now if its weights are not there."""
    weights = place(runs, variant, steps, seed, "pt")
    if not weights.exists():
        model, _ = pretrained(variant, seed, steps, given)
        torch.save(model.state_dict(), weights)
    torch.manual_seed(seed)
    model = variant.build(given.positions_C3, given.statistics)
    model.load_state_dict(torch.load(weights, weights_only=True))
    return model.eval()


def pretrained(variant: Variant, seed: int, steps: int, given: Material) -> tuple[nn.Module, dict]:
    """Return a variant after its share of the multiplications of ``steps`` steps of ours, and that share."""
    torch.manual_seed(seed)
    model = variant.build(given.positions_C3, given.statistics)
    multiplied, reference = (
        flops(built, given) for built in (model, VARIANTS[0].build(given.positions_C3, given.statistics))
    )
    own_steps = round(steps * reference / multiplied) if variant.trained else 0
    train(variant, model, seed, own_steps, given)
    return model.eval(), {"steps": own_steps, "mflop": round(multiplied / 1e6, 1)}


def place(runs: Path, variant: Variant, steps: int, seed: int, ending: str) -> Path:
    """Return where a run's figures (json) or weights (pt) lie."""
    return runs / f"{variant.name}_{steps}_{seed}.{ending}"


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


def flops(model: nn.Module, given: Material) -> int:
    """Multiply-adds, twice, of the encoder's forward through one window."""
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        model.eval().features(given.windows.x_NCT[:1], given.positions_C3)
    return counted.get_total_flops()
