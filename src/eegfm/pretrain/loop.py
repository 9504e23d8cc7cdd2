"""Masked-patch pre-training: one screen of code over Fabric, resumed by itself.

Everything that a step does is a function of (seed, step): the windows, their masks, dropout, the learning
rate. So the state of a run is its weights, the optimiser's moments and a few numbers.
"""

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from eegfm.config import PretrainConfig, dump_config
from eegfm.data import Batch, Loader
from eegfm.pretrain.checkpoint import load_checkpoint, save_checkpoint
from eegfm.pretrain.keep import save_model, save_reconstructions
from eegfm.pretrain.objective import Statistics
from eegfm.pretrain.optimiser import build_optimiser, lr_at
from eegfm.pretrain.record import RunRecord, drop_log_after, read_facts
from eegfm.pretrain.setup import Setup, prepare
from eegfm.pretrain.speed import FlopCount, Speed, peak_flops
from eegfm.pretrain.stop import listen_for_stop
from eegfm_lake.allocator import keep_freed_memory
from eegfm_lake.errors import EegfmError
from eegfm_lake.lock import find_lock


class StoppedError(EegfmError):
    """The run was asked to stop and is saved."""


def pretrain(config: PretrainConfig) -> Path:
    """Pre-train an encoder; a folder that holds a checkpoint is continued, a finished run is left as it is.

    Parameters
    ----------
    config : PretrainConfig

    Returns
    -------
    Path
        The run folder: run.json, config.yaml, log.jsonl, model/, reconstructions.npz, resume/.

    Raises
    ------
    EegfmError
        The loss is not finite, the signals are gone, the disk is full, or the run was asked to stop (it is
        saved).
    UsageError
        No such lock; the folder holds a checkpoint of another configuration.
    """
    lock = find_lock(config.lock, config.lake or os.environ.get("EEGFM_LAKE") or "data/lake")
    state = load_checkpoint(config.run_dir, config.model_dump(mode="json"), lock.hash)
    if state and read_facts(config.run_dir).get("status") == "finished":
        return config.run_dir
    keep_freed_memory()
    fabric = Fabric(accelerator=config.accelerator, devices=1, precision=config.precision)
    setup = prepare(config, lock, Statistics(**state["statistics"]) if state else None)
    if state:
        drop_log_after(config.run_dir, state["step"])
    record = RunRecord(config.run_dir, _facts(config, setup, fabric), dump_config(config))
    try:
        fit(config, setup, fabric, record, state)
    except BaseException as error:
        stopped = isinstance(error, StoppedError | KeyboardInterrupt)
        record.close("stopped" if stopped else "failed", error=str(error) or type(error).__name__)
        raise
    record.close("finished")
    return config.run_dir


def fit(
    config: PretrainConfig, setup: Setup, fabric: Fabric, record: RunRecord, state: dict[str, Any] | None
) -> None:
    """Step from where the state ends to the last step; log, validate and save on the way."""
    model, optimiser = fabric.setup(setup.model, build_optimiser(setup.model, config.optimiser))
    setup.objective.to(fabric.device)
    step, windows = 0, 0
    if state:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        step, windows = state["step"], state["windows"]
    peak = peak_flops(fabric.device, config.precision)
    speed, flops = Speed(peak), FlopCount(wanted=peak is not None)
    saved_at = time.monotonic()
    with listen_for_stop() as stop:
        for batch in setup.train.batches(step, setup.steps):
            batch = batch.to(fabric.device)
            lr = lr_at(step, setup.steps, config.optimiser)
            with flops.counting(tuple(batch.x_BCT.shape)):
                loss, norm = train_step(config, setup, fabric, model, optimiser, batch, lr)
            step, windows = step + 1, windows + len(batch.window_B)
            speed.add(len(batch.window_B), batch.x_BCT.shape[::2].numel() / setup.reader.rate_hz, flops.last)
            last = step == setup.steps
            at = {"stage": "pretrain", "step": step, "epoch": step / setup.train.steps_per_epoch}
            if last or step == 1 or step % config.log_steps == 0:
                rates = speed.rates(setup.train.wait_s)
                record.log(**at, split="train", loss=loss, lr=lr, gradient_norm=norm, **rates)
            with speed.aside():
                if setup.valid and (last or step % config.validation.every_steps == 0):
                    record.log(**at, split="valid", **validate(setup, setup.valid, fabric, model))
                overdue = time.monotonic() - saved_at > 60 * config.checkpoint_min
                if last or stop or overdue or step % config.checkpoint_steps == 0:
                    save_checkpoint(config.run_dir, _state(config, setup, model, optimiser, step, windows))
                    saved_at = time.monotonic()
            if stop and not last:
                way_on = f"saved in {config.run_dir}; the same command goes on from there"
                raise StoppedError(f"{stop.reason} at step {step} of {setup.steps}: {way_on}")
    save_model(config, setup, model, steps=step, windows=windows)
    save_reconstructions(config, setup, fabric, model)


def train_step(
    config: PretrainConfig, setup: Setup, fabric: Fabric, model: Any, optimiser: Any, batch: Batch, lr: float
) -> tuple[float, float]:
    """Take one step and return the loss of hidden patches and the gradient's norm before clipping."""
    for group in optimiser.param_groups:
        group["lr"] = lr
    # Dropout, too, is a function of the step.
    torch.manual_seed(int(np.random.SeedSequence([config.seed, batch.step]).generate_state(1)[0]))
    model.train()
    predicted, truth = model(batch), setup.model.encoder.patches(batch.x_BCT)
    loss = setup.objective.loss(predicted, truth, batch)
    if not torch.isfinite(loss):
        raise EegfmError(
            f"the loss is {loss.item()} at step {batch.step + 1} (learning rate {lr:.2g}, {config.precision},"
            f" windows {batch.window_B[:3].tolist()} …); lower optimiser.lr, lengthen optimiser.warmup_steps"
            " or set precision=32-true"
        )
    copying = setup.objective.copying_loss(predicted, truth, batch) if config.objective.visible else 0.0
    fabric.backward(loss + copying)
    clip_norm = config.optimiser.clip_norm
    norm = fabric.clip_gradients(model, optimiser, max_norm=clip_norm, error_if_nonfinite=False)
    optimiser.step()
    optimiser.zero_grad()
    return loss.item(), float("nan") if norm is None else float(norm)


@torch.no_grad()
def validate(setup: Setup, valid: Loader, fabric: Fabric, model: Any) -> dict[str, Any]:
    """Return the loss over the validation windows, and how it divides over frequency bands."""
    model.eval()
    losses, bands, sizes = [], [], []
    for batch in valid.batches(0, valid.steps_per_epoch):
        batch = batch.to(fabric.device)
        predicted, truth = model(batch), setup.model.encoder.patches(batch.x_BCT)
        losses.append(setup.objective.loss(predicted, truth, batch).item())
        bands.append(setup.objective.by_band(predicted, truth, batch))
        sizes.append(len(batch.window_B))
    by_band = {name: float(np.average([band[name] for band in bands], weights=sizes)) for name in bands[0]}
    return {"loss": float(np.average(losses, weights=sizes)), "loss_by_band": by_band, "windows": sum(sizes)}


def _state(
    config: PretrainConfig, setup: Setup, model: Any, optimiser: Any, step: int, windows: int
) -> dict[str, Any]:
    return {
        "step": step,
        "windows": windows,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "statistics": asdict(setup.objective.statistics),
        "config": config.model_dump(mode="json"),
        "lock_hash": setup.lock.hash,
    }


def _facts(config: PretrainConfig, setup: Setup, fabric: Fabric) -> dict[str, Any]:
    lock, people = setup.lock, setup.people
    return {
        "kind": "pretrain",
        "name": config.name,
        "lock": {"path": str(lock.path), "name": lock.name, "hash": lock.hash},
        "encoder": setup.model.encoder.config.to_dict(),
        "parameters": sum(p.numel() for p in setup.model.encoder.parameters()),
        "seed": config.seed,
        "device": _device_name(fabric.device),
        "precision": config.precision,
        "steps": setup.steps,
        "steps_per_epoch": setup.train.steps_per_epoch,
        "train_windows": len(people.train_N),
        "valid_windows": len(people.valid_N),
        "people": len(people.seen),
        **({"condition": setup.methodology()} if setup.condition_RK is not None else {}),
    }


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
