"""One model on one kind of window: what is built, and the step that is timed.

Legend: B windows, C electrodes, T samples, P patches, S samples a patch, D width of a token, K outputs.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eegfm.model import (
    ClassifierHead,
    Encoder,
    EncoderConfig,
    OfficialConfig,
    OfficialEncoder,
    ReconstructionHead,
    official_loss,
    official_table,
    preset,
)
from eegfm_lake import electrodes

RATE_HZ = 200
TABLES = {19: "pretrain", 64: "physionet_ft_temporal"}
HEAD_M, CENTRE_M = 0.095, (0.0, 0.008, 0.04)
HIDDEN_SHARE = 0.5


@dataclass(frozen=True)
class Case:
    """What is timed: JSON-able.

    Parameters
    ----------
    model
        ``ours``, ``official`` (the released network) or the name of a class of ``braindecode.models``.
    channels, seconds, batch
        Windows. The released network and braindecode's take 19 and 64 electrodes.
    training
        Forward, loss and backward; else forward alone, without gradients.
    task
        ``reconstruct`` hidden patches (squared error) or ``classify`` into two (cross-entropy).
    size
        Preset of ours; a size other than ``base`` makes the released network small too.
    short
        Ours with its default for short windows (0.5 s every 0.25 s) in place of patches of 1 s.
    attention, checkpointing
        Of ours.
    bf16
        Autocast to bfloat16.
    compiled
        Ours: every block is compiled.
    micro
        Windows at a time in a training step whose gradients add up to those of ``batch``; 0 takes all at once.
    device
        Where.
    """

    model: str = "ours"
    channels: int = 19
    seconds: int = 30
    batch: int = 4
    training: bool = True
    task: str = "reconstruct"
    size: str = "base"
    short: bool = False
    attention: str = "structured"
    checkpointing: bool = False
    bf16: bool = False
    compiled: bool = False
    micro: int = 0
    device: str = "cpu"

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "Case":
        """Build from ``asdict``'s result."""
        return cls(**{f.name: found[f.name] for f in fields(cls) if f.name in found})

    @property
    def windows(self) -> str:
        """How the table calls the windows."""
        return f"{self.channels} × {self.seconds}"

    @property
    def label(self) -> str:
        """How the table calls the model."""
        name = {"ours": f"ours, {self.size}", "official": "as released"}.get(self.model, self.model)
        parts = [name, "0.5-s patches" * self.short, "checkpointing" * self.checkpointing]
        parts += ["compiled" * self.compiled, "bf16" * self.bf16]
        return ", ".join(part for part in parts if part)


def prepare(case: Case) -> tuple[nn.Module, Callable[[], None]]:
    """Build the model with random weights, and the step that is timed; it ends when the device has."""
    torch.manual_seed(0)
    model = build(case).to(case.device).train(case.training)
    chunk = case.micro or case.batch
    x_BCT = 0.25 * torch.randn(chunk, case.channels, RATE_HZ * case.seconds, device=case.device)
    hidden_BCP = torch.rand(chunk, case.channels, patches(case), device=case.device) < HIDDEN_SHARE
    autocast = torch.autocast(torch.device(case.device).type, torch.bfloat16, enabled=case.bf16)

    def train() -> None:
        for _ in range(case.batch // chunk):
            with autocast:
                loss = model.loss(x_BCT, hidden_BCP)
            loss.backward()
        for parameter in model.parameters():
            parameter.grad = None
        synchronise(case.device)

    @torch.no_grad()
    def infer() -> None:
        with autocast:
            model(x_BCT)
        synchronise(case.device)

    return model, train if case.training else infer


def build(case: Case) -> nn.Module:
    """Return the model with ``forward(x_BCT)`` and ``loss(x_BCT, hidden_BCP)``."""
    if case.model == "ours":
        return Ours(case)
    return Official(case) if case.model == "official" else Peer(case)


def synchronise(device: str) -> None:
    """Wait for what a GPU still has to do."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def patches(case: Case) -> int:
    """Count the patches of a window."""
    if case.model != "ours":
        return case.seconds
    config = config_of(case)
    return (RATE_HZ * case.seconds - config.patch_samples) // config.stride_samples + 1


def places(channels: int) -> Tensor:
    """Positions (C, 3) in metres: of the table's electrodes, else spread evenly over the upper head."""
    if channels in TABLES:
        return torch.from_numpy(electrodes.positions(names(channels))).float()
    height = np.linspace(0.98, -0.2, channels)
    angle = np.arange(channels) * np.pi * (3 - np.sqrt(5))
    around = np.sqrt(1 - height**2)
    unit_C3 = np.stack([around * np.cos(angle), around * np.sin(angle), height], axis=1)
    return torch.from_numpy(HEAD_M * unit_C3 + np.array(CENTRE_M)).float()


def names(channels: int) -> list[str]:
    """Canonical names of the table's electrodes, in input order."""
    return [electrodes.canonical(name) or name for name in official_table(TABLES[channels]).electrodes]


def config_of(case: Case) -> EncoderConfig:
    """Return the settings of our encoder."""
    return preset(case.size, case.seconds if case.short else None, attention=case.attention)


class Ours(nn.Module):
    """Our encoder with a head."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        config = config_of(case)
        self.register_buffer("places_C3", places(case.channels))
        self.encoder = Encoder(config)
        classify = case.task == "classify"
        self.classifier = ClassifierHead(config, 2) if classify else None
        self.head = None if classify else ReconstructionHead(config)
        self.encoder.checkpointing = case.checkpointing
        if case.compiled:
            self.encoder.compile_blocks()

    def forward(self, x_BCT: Tensor, hidden_BCP: Tensor | None = None) -> Tensor:
        """Return patches (B, C, P, S) or logits (B, K); True in the mask hides a patch."""
        tokens_BCPD = self.encoder(x_BCT, self.places_C3, patch_mask_BCP=hidden_BCP)
        if self.head is not None:
            return self.head(tokens_BCPD)
        return self.classifier(tokens_BCPD, None, self.places_C3)

    def loss(self, x_BCT: Tensor, hidden_BCP: Tensor) -> Tensor:
        """Return the loss of one batch."""
        if self.head is None:
            return cross_entropy(self(x_BCT))
        found_BCPS = self(x_BCT, hidden_BCP).float()
        return F.mse_loss(found_BCPS[hidden_BCP], self.encoder.patches(x_BCT)[hidden_BCP])


class Official(nn.Module):
    """The released network and its loss, to the letter."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        small = {} if case.size == "base" else {"depth": 1, "ff": 200}
        self.network = OfficialEncoder(OfficialConfig.of(TABLES[case.channels], **small))

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Return patches (B, C, P, S)."""
        return self.network(x_BCT.unflatten(2, (-1, RATE_HZ)))

    def loss(self, x_BCT: Tensor, hidden_BCP: Tensor) -> Tensor:
        """Return the released loss."""
        x_BCPS = x_BCT.unflatten(2, (-1, RATE_HZ))
        return official_loss(self.network(x_BCPS, hidden_BCP).float(), x_BCPS, hidden_BCP)


class Peer(nn.Module):
    """A foundation model of braindecode as it comes, with its own head for two classes."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        from eegfm import csbrain  # noqa: F401, I001  before braindecode: torchaudio without its CUDA library
        from braindecode import models

        self.network = getattr(models, case.model)(
            n_outputs=2, n_chans=case.channels, n_times=RATE_HZ * case.seconds, sfreq=RATE_HZ
        )
        named = [name.upper() for name in names(case.channels)]
        self.extra = {"ch_names": named} if case.model == "Labram" else {}

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return self.network(x_BCT, **self.extra)

    def loss(self, x_BCT: Tensor, hidden_BCP: Tensor) -> Tensor:
        """Return the cross-entropy; nothing is hidden."""
        return cross_entropy(self(x_BCT))


def cross_entropy(logits_BK: Tensor) -> Tensor:
    """Loss of a batch whose windows are all of the first class."""
    return F.cross_entropy(
        logits_BK.float(), torch.zeros(len(logits_BK), dtype=torch.long).to(logits_BK.device)
    )
