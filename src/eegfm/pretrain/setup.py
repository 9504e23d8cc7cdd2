"""What a pre-training run is made of, built once from its configuration and lock."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from eegfm.config import ModelConfig, PretrainConfig
from eegfm.data import Batch, Loader, WindowReader
from eegfm.model import Encoder, ReconstructionHead, load_pretrained, preset
from eegfm.pretrain.objective import Objective, Statistics, dct_matrix, estimate
from eegfm.pretrain.people import People, split_people
from eegfm_lake.errors import EegfmError
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
            batch.x_BCT, batch.positions_BC3, batch.channel_mask_BC, batch.patch_mask_BCP
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
    """

    lock: Lock
    people: People
    reader: WindowReader
    model: Masked
    objective: Objective
    train: Loader
    valid: Loader | None
    steps: int


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
    encoder = build_encoder(config.model, longest_s(reader, people.train_N))
    loading = {"batch": config.loader.batch, "seed": config.seed, "workers": config.loader.workers}
    if statistics is None:
        sample = Loader(reader, spread(people.train_N, STATISTICS_WINDOWS), shuffle=False, **loading)
        statistics = estimate(sample.batches(0, sample.steps_per_epoch), encoder.config)
    torch.manual_seed(config.seed)
    model = Masked(encoder, statistics)
    objective = Objective(config.objective, encoder.config, config.seed, statistics, config.reader.band_hz)
    loading |= {"prefetch": config.loader.prefetch, "mix": config.loader.mix, "prepare": objective.hide}
    train = Loader(reader, people.train_N, **loading)
    watched = spread(people.valid_N, config.validation.windows)
    valid = Loader(reader, watched, shuffle=False, **loading) if len(watched) else None
    steps = config.steps or max(1, math.ceil((config.epochs or 1) * train.steps_per_epoch))
    return Setup(lock, people, reader, model, objective, train, valid, steps)


def build_encoder(config: ModelConfig, window_s: float) -> Encoder:
    """Return an encoder with random weights, or the one that an earlier run left.

    Raises
    ------
    EegfmError
        Nothing of the kind lies at ``checkpoint``.
    """
    if config.checkpoint is None:
        return Encoder(preset(config.preset, window_s, **config.changes))
    return load_pretrained(model_folder(config.checkpoint))


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
