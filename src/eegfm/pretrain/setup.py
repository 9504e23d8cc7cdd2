"""What a pre-training run is made of, built once from its configuration and lock."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eegfm.config import ModelConfig, PretrainConfig
from eegfm.data import Batch, Loader, WindowReader
from eegfm.data.methodology import account, numbers, of_lock, vocabulary
from eegfm.model import Encoder, ReconstructionHead, load_pretrained, preset
from eegfm.pretrain.objective import Objective, Statistics, dct_matrix, estimate
from eegfm.pretrain.people import People, split_people
from eegfm_lake.errors import EegfmError, UsageError
from eegfm_lake.lock import Lock

STATISTICS_WINDOWS = 256


class Masked(nn.Module):
    """Encoder and reconstruction head as one module.

    What the head returns are the patch's DCT coefficients in units of their typical size: a head that
    returned samples would begin as white noise, thousands of times too strong where EEG is weak.

    Parameters
    ----------
    encoder : Encoder
    statistics : Statistics
        Of the training windows.
    """

    def __init__(self, encoder: Encoder, statistics: Statistics) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = ReconstructionHead(encoder.config)
        size_K = statistics.scale * statistics.variance_K.sqrt()
        basis_KS = size_K[:, None] * torch.from_numpy(dct_matrix(encoder.config.patch_samples)).T
        self.register_buffer("basis_KS", basis_KS.float(), persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        """Return reconstructed patches (B, C, P, S) in the model's unit."""
        tokens_BCPD = self.encoder(
            batch.x_BCT,
            batch.positions_BC3,
            batch.channel_mask_BC,
            batch.patch_mask_BCP,
            batch.condition_BK,
        )
        return self.head(tokens_BCPD) @ self.basis_KS


@dataclass(frozen=True)
class Setup:
    """The parts of a run.

    Attributes
    ----------
    lock : Lock
    people : People
    reader : WindowReader
    model : Masked
        With its first weights: random by the seed, or an earlier run's.
    objective : Objective
    train, valid : Loader
        ``valid`` goes through a fixed choice of the held-out people's windows; None where nobody is held out.
    steps : int
        Optimiser steps of the whole run.
    condition_RK : ndarray of int64 (R, K) or None
        Methodology of the lock's recordings for an encoder with conditions.
    """

    lock: Lock
    people: People
    reader: WindowReader
    model: Masked
    objective: Objective
    train: Loader
    valid: Loader | None
    steps: int
    condition_RK: np.ndarray | None = None

    def methodology(self) -> dict[str, Any]:
        """Count the training recordings by what the encoder's conditions are told of them; see `account`."""
        return account(of_lock(self.lock, self.people.train_N), self.model.encoder.config.condition)


def prepare(config: PretrainConfig, lock: Lock, statistics: Statistics | None = None) -> Setup:
    """Build the parts of a run.

    Parameters
    ----------
    config : PretrainConfig
    lock : Lock
    statistics : Statistics, optional
        Of the training windows, from a checkpoint; estimated from 256 training windows where omitted.

    Returns
    -------
    Setup
    """
    people = split_people(lock, config.validation.people)
    reader = WindowReader(lock, config.reader)
    torch.manual_seed(config.seed)
    of_training = of_lock(lock, people.train_N)
    encoder = build_encoder(config.model, longest_s(reader, people.train_N), of_training)
    condition_RK = numbers(of_lock(lock), encoder.config.condition) if encoder.config.condition else None
    loading: dict[str, Any] = {
        "batch": config.loader.batch,
        "seed": config.seed,
        "workers": config.loader.workers,
    }
    if statistics is None:
        sample = Loader(reader, spread(people.train_N, STATISTICS_WINDOWS), shuffle=False, **loading)
        statistics = estimate(sample.batches(0, sample.steps_per_epoch), encoder.config)
    torch.manual_seed(config.seed)
    encoder.checkpointing = config.checkpointing
    if config.compile:
        encoder.compile_blocks()
    model = Masked(encoder, statistics)
    objective = Objective(config.objective, encoder.config, config.seed, statistics, config.reader.band_hz)
    loading |= {"prefetch": config.loader.prefetch, "mix": config.loader.mix, "prepare": objective.hide}
    loading |= {"condition_RK": condition_RK}
    train = Loader(reader, people.train_N, **loading)
    watched = spread(people.valid_N, config.validation.windows)
    valid = Loader(reader, watched, shuffle=False, **loading) if len(watched) else None
    steps = config.steps or max(1, math.ceil((config.epochs or 1) * train.steps_per_epoch))
    return Setup(lock, people, reader, model, objective, train, valid, steps, condition_RK)


def build_encoder(config: ModelConfig, window_s: float, recordings: Sequence[dict[str, str]] = ()) -> Encoder:
    """Return an encoder with random weights, or the one that an earlier run left.

    Parameters
    ----------
    config : ModelConfig
    window_s : float
        Length of the windows.
    recordings : sequence of dict
        Covariate → value of each training recording: a new encoder's conditions take their values from there.

    Raises
    ------
    EegfmError
        Nothing of the kind lies at ``checkpoint``.
    UsageError
        ``condition`` names no covariates, or others than the checkpoint's.
    """
    if config.checkpoint is not None:
        return load_encoder(config)
    values = vocabulary(recordings, config.condition, config.condition_recordings)
    condition = {"condition": values, "condition_drop": config.condition_drop}
    return Encoder(preset(config.preset, window_s, **(condition | config.changes)))


def load_encoder(config: ModelConfig) -> Encoder:
    """Return the encoder at ``checkpoint``, its conditions as they were trained.

    Raises
    ------
    EegfmError
        Nothing of the kind lies there.
    UsageError
        ``condition`` asks for covariates other than the checkpoint's.
    """
    encoder = load_pretrained(model_folder(str(config.checkpoint)))
    own = [name for name, _ in encoder.config.condition]
    if config.condition and sorted(config.condition) != own:
        raise UsageError(
            f"{config.checkpoint}: its encoder is conditioned on {', '.join(own) or 'nothing'}, model.condition asks "
            f"for {', '.join(sorted(config.condition))}; leave model.condition out, or train a new encoder"
        )
    return encoder


def model_folder(checkpoint: str) -> Path:
    """Return the folder with config.json: the one given, or ``model`` in the run folder given."""
    path = Path(checkpoint)
    for folder in (path, path / "model"):
        if (folder / "config.json").exists():
            return folder
    raise EegfmError(f"{checkpoint} holds no encoder: expected a run folder or its model/ with config.json")


def longest_s(reader: WindowReader, windows: np.ndarray) -> float:
    """Return the length of the longest of these windows in seconds."""
    return float(reader.shapes(windows)[:, 1].max()) / reader.rate_hz


def spread(windows: np.ndarray, count: int) -> np.ndarray:
    """Choose ``count`` windows evenly over all of them."""
    if len(windows) <= count:
        return windows
    return windows[np.linspace(0, len(windows) - 1, count).round().astype(int)]
