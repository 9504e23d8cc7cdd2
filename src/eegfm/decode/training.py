"""The training loop of every network: AdamW, warm-up and cosine, stopped by validation people.

Legend: B windows of a batch, C channels, T samples, K classes.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eegfm.decode.scores import balanced_accuracy, log_loss
from eegfm_lake.errors import EegfmError

Log = Callable[[dict[str, Any]], None]
Forward = Callable[..., Tensor]
"""Windows (B, C, T), positions (C, 3) and, where the group has them, conditions (B, covariates) to logits (B, K)."""


@dataclass(frozen=True)
class Group:
    """Windows that share a montage."""

    x_NCT: Tensor
    positions_C3: Tensor
    labels_N: Tensor
    mirror_C: np.ndarray | None = None
    """Index of each channel's mirror image; None where the montage is not symmetric."""
    condition_NK: Tensor | None = None
    """Methodology of each window, for an encoder with conditions."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network learns."""

    epochs: int = 30
    batch: int = 32
    lr: float = 1e-3
    weight_decay: float = 0.01
    patience: int | None = None
    """Epochs without a better validation loss before stopping; None for none."""
    warmup: float = 0.1
    """Share of the steps over which the learning rate rises."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to training windows.

    Attributes
    ----------
    shift_s : float
        Windows are moved by up to this much, and the gap filled by reflection.
    drop_channels : float
        Share of channels that an encoder of any montage does without, drawn for every batch.
    noise : float
        White noise, as a share of each window's standard deviation.
    swap_K : tuple of int or None
        With probability one half, left and right of the head are exchanged, and class k becomes
        ``swap_K[k]``: sound where the classes are mirror images of each other (left and right fist).
    """

    shift_s: float = 0.0
    drop_channels: float = 0.0
    noise: float = 0.0
    swap_K: tuple[int, ...] | None = None


def fit_network(
    network: nn.Module,
    forward: Forward,
    train: Sequence[Group],
    valid: Sequence[Group],
    schedule: Schedule,
    augmentation: Augmentation,
    *,
    rate_hz: float,
    seed: int,
    log: Log,
    slow: Mapping[str, float] | None = None,
) -> None:
    """Train in place and leave the weights of the epoch with the lowest validation loss.

    Parameters
    ----------
    network : nn.Module
        Parameters that require a gradient are trained.
    forward : callable
        See ``Forward``.
    train, valid : sequence of Group
        Without validation windows the last epoch's weights stay.
    schedule, augmentation
        See there.
    rate_hz : float
    seed : int
        Decides order and augmentation.
    log : callable
        Given one record an epoch and split: epoch, split, loss, lr, balanced_accuracy.
    slow : dict of str to float, optional
        Parameters whose names begin so learn at this share of the rate.

    Raises
    ------
    EegfmError
        The loss is no longer a number.
    """
    generator = np.random.default_rng(seed)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(_parameters(network, schedule, slow or {}))
    steps = schedule.epochs * sum(-(-len(group.labels_N) // schedule.batch) for group in train)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, _warmup_cosine(steps, schedule.warmup))
    best_loss, best_state, best_epoch = np.inf, None, 0
    for epoch in range(1, schedule.epochs + 1):
        network.train()
        losses = []
        for batch in _batches(train, schedule.batch, augmentation, rate_hz, generator):
            labels_B, *inputs = batch
            logits_BK = forward(*inputs)
            loss = nn.functional.cross_entropy(logits_BK, labels_B.to(logits_BK.device))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            scheduler.step()
            losses.append(loss.item())
        if not np.isfinite(losses).all():
            raise EegfmError(
                f"the training loss is no number in epoch {epoch}; lower lr (now {schedule.lr:g})"
            )
        log(
            {
                "epoch": epoch,
                "split": "train",
                "loss": float(np.mean(losses)),
                "lr": scheduler.get_last_lr()[0],
            }
        )
        if not valid:
            continue
        labels_N = np.concatenate([group.labels_N.numpy() for group in valid])
        probabilities_NK = np.concatenate(
            [predict_network(network, forward, g.x_NCT, g.positions_C3, g.condition_NK) for g in valid]
        )
        loss_valid = log_loss(labels_N, probabilities_NK)
        accuracy = balanced_accuracy(labels_N, probabilities_NK.argmax(1))
        log({"epoch": epoch, "split": "valid", "loss": loss_valid, "balanced_accuracy": accuracy})
        if loss_valid < best_loss:
            best_loss, best_epoch, best_state = loss_valid, epoch, copy.deepcopy(network.state_dict())
        elif schedule.patience is not None and epoch - best_epoch >= schedule.patience:
            break
    if best_state is not None:
        network.load_state_dict(best_state)


@torch.no_grad()
def predict_network(
    network: nn.Module,
    forward: Forward,
    x_NCT: Tensor,
    positions_C3: Tensor,
    condition_NK: Tensor | None = None,
    batch: int = 64,
) -> np.ndarray:
    """Return probabilities (N, K) of windows, each by itself: nothing is shared within a batch."""
    network.eval()
    per_window = [x_NCT] if condition_NK is None else [x_NCT, condition_NK]
    batches = zip(*(values.split(batch) for values in per_window), strict=True)
    parts = [forward(x_BCT, positions_C3, *told).softmax(-1) for x_BCT, *told in batches]
    return torch.cat(parts).double().cpu().numpy()


def class_mirror(classes: Sequence[str]) -> tuple[int, ...] | None:
    """Return which class each becomes when the head is mirrored; None where one becomes none of them."""
    exchanged = [
        name.replace("left", "\0").replace("right", "left").replace("\0", "right") for name in classes
    ]
    if not set(exchanged) <= set(classes):
        return None
    return tuple(list(classes).index(name) for name in exchanged)


def channel_mirror(positions_C3: np.ndarray, tolerance_m: float = 0.015) -> np.ndarray | None:
    """Return the index of each channel's mirror image about the midline; None where one has none."""
    if not np.isfinite(positions_C3).all():
        return None
    mirrored = positions_C3 * np.array([-1, 1, 1], positions_C3.dtype)
    distances = np.linalg.norm(mirrored[:, None] - positions_C3[None], axis=-1)
    nearest = distances.argmin(1)
    symmetric = (distances.min(1) < tolerance_m).all() and (nearest[nearest] == np.arange(len(nearest))).all()
    return nearest if symmetric else None


def _batches(
    groups: Sequence[Group],
    size: int,
    augmentation: Augmentation,
    rate_hz: float,
    generator: np.random.Generator,
) -> Iterator[tuple[Tensor, ...]]:
    """Yield labels, windows, positions and, where the group has them, conditions."""
    chosen = []
    for index, group in enumerate(groups):
        order = generator.permutation(len(group.labels_N))
        # A batch of one has no batch statistics; its window waits for the next epoch.
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        chosen += [(index, part) for part in parts if len(part) > 1]
    for which in generator.permutation(len(chosen)):
        index, rows = chosen[which]
        group = groups[index]
        x_BCT, labels_B = group.x_NCT[rows].clone(), group.labels_N[rows]
        x_BCT, positions_C3, labels_B = _augmented(x_BCT, labels_B, group, augmentation, rate_hz, generator)
        told = () if group.condition_NK is None else (group.condition_NK[rows],)
        yield labels_B, x_BCT, positions_C3, *told


def _augmented(
    x_BCT: Tensor,
    labels_B: Tensor,
    group: Group,
    augmentation: Augmentation,
    rate_hz: float,
    generator: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    n_batch, n_channels, n_times = x_BCT.shape
    if augmentation.swap_K is not None and group.mirror_C is not None:
        flipped = torch.from_numpy(generator.random(n_batch) < 0.5)
        mirror_C = torch.from_numpy(group.mirror_C)
        x_BCT[flipped] = x_BCT[flipped][:, mirror_C]
        labels_B = torch.where(flipped, torch.tensor(augmentation.swap_K)[labels_B], labels_B)
    if reach := min(round(augmentation.shift_s * rate_hz), n_times - 1):
        shift = int(generator.integers(-reach, reach + 1))
        padded = nn.functional.pad(x_BCT, (reach, reach), mode="reflect")
        x_BCT = padded[..., reach + shift : reach + shift + n_times]
    if augmentation.noise:
        white = torch.from_numpy(generator.standard_normal(x_BCT.shape, dtype=np.float32))
        x_BCT = x_BCT + augmentation.noise * x_BCT.std(dim=(1, 2), keepdim=True) * white
    positions_C3 = group.positions_C3
    if augmentation.drop_channels:
        # Left out, not masked: the encoder takes any montage, and what is not there costs nothing.
        kept = generator.permutation(n_channels)[
            : max(1, round((1 - augmentation.drop_channels) * n_channels))
        ]
        kept.sort()
        x_BCT, positions_C3 = x_BCT[:, kept], positions_C3[kept]
    return x_BCT, positions_C3, labels_B


def _parameters(network: nn.Module, schedule: Schedule, slow: Mapping[str, float]) -> list[dict[str, Any]]:
    """Weights decay; biases, norms and scalars do not."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            share = next((share for start, share in slow.items() if name.startswith(start)), 1.0)
            decay = schedule.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((schedule.lr * share, decay), []).append(parameter)
    return [{"params": found, "lr": lr, "weight_decay": decay} for (lr, decay), found in groups.items()]


def _warmup_cosine(steps: int, warmup: float) -> Callable[[int], float]:
    rising = max(1, round(warmup * steps))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + np.cos(np.pi * min(1.0, (step - rising) / max(1, steps - rising))))

    return factor
