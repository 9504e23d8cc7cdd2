"""What bench_corrections.py compares: our model, our model with one correction undone, the released model.

Legend: B windows, C electrodes, T samples, P patches, S samples a patch, Q quarter-second steps, D width of a token.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eegfm.config import ObjectiveConfig, OptimiserConfig
from eegfm.data import Batch
from eegfm.model import (
    Encoder,
    EncoderConfig,
    Layout,
    OfficialConfig,
    OfficialEncoder,
    layout_of,
    official_loss,
    preset,
)
from eegfm.model import layout as layouts
from eegfm.model.patches import SpectralPower
from eegfm.pretrain.objective import Objective, Statistics, dct_matrix
from eegfm.pretrain.setup import Masked
from eegfm_lake.electrodes import LOBES, REGIONS, SIDES

STEP, DEPTH = 50, 1
OBJECTIVE = ObjectiveConfig(span_s=(0.5, 2.0), high_hz=45.0)
OPTIMISER = OptimiserConfig(lr=4e-3, warmup_steps=100)
RELEASED = OptimiserConfig(lr=5e-4, warmup_steps=0, betas=(0.9, 0.999))
LINE_M = 0.08


@dataclass(frozen=True)
class Variant:
    """One row: what is undone, and how it is trained."""

    name: str
    undone: str
    changes: Mapping[str, object] = field(default_factory=dict)
    objective: ObjectiveConfig = OBJECTIVE
    optimiser: OptimiserConfig = OPTIMISER
    layout: Callable[[Tensor], Layout] = layout_of
    raw_spectrum: bool = False
    misordered: bool = False
    official: bool = False
    trained: bool = True

    @property
    def judged(self) -> bool:
        """Its patches are those of the others, so that its masked error can stand beside theirs."""
        return "patch_samples" not in self.changes

    def config(self) -> EncoderConfig:
        """Return the settings of our encoder; the released one is judged by their patches."""
        return preset("tiny", 4, **{"depth": DEPTH, **self.changes})

    def build(self, positions_C3: Tensor, statistics: Mapping[int, Statistics]) -> nn.Module:
        """Return the model as it begins; statistics by the length of a patch."""
        if self.official:
            return Released(statistics[STEP] if self.objective.loss == "equalised" else None)
        return Ours(self, positions_C3, statistics[self.config().patch_samples])


class Ours(nn.Module):
    """Our encoder on one montage, with what a variant changes."""

    def __init__(self, variant: Variant, positions_C3: Tensor, statistics: Statistics) -> None:
        super().__init__()
        encoder = OneMontage(variant.config())
        encoder.one = variant.layout(positions_C3)
        if variant.raw_spectrum:
            encoder.embedding.spectrum = RawMagnitude(encoder.config)
        self.masked = Masked(encoder, statistics)
        self.order = list(OfficialConfig().order) if variant.misordered else None

    def forward(self, batch: Batch) -> Tensor:
        """Return reconstructed patches (B, C, P, S)."""
        return self.masked(batch)

    def features(self, x_BCT: Tensor, positions_C3: Tensor) -> Tensor:
        """Return tokens (B, C, P, D) of whole windows."""
        return self.masked.encoder(x_BCT, positions_C3)

    def loss(self, batch: Batch, objective: Objective) -> Tensor:
        """Return what is trained."""
        predicted_BCPS, truth_BCPS = self(batch), self.masked.encoder.patches(batch.x_BCT)
        judged = batch
        if self.order is not None:  # prediction and mask in the network's order, truth in the input's
            predicted_BCPS = predicted_BCPS[:, self.order]
            judged = replace(batch, patch_mask_BCP=batch.patch_mask_BCP[:, self.order])
        return objective.loss(predicted_BCPS, truth_BCPS, judged)


class OneMontage(Encoder):
    """An encoder whose layout is given."""

    one: Layout

    def layout(self, positions_BC3: Tensor, channel_mask_BC: Tensor | None, batch: int) -> Layout:
        """Return the layout given, whatever the positions."""
        return self.one._replace(montage_B=torch.zeros(batch, dtype=torch.int64))


class RawMagnitude(SpectralPower):
    """Magnitudes of the rfft over the number of samples, neither windowed nor logarithmic nor standardised."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        size = config.patch_samples
        angles = 2 * np.pi * np.outer(np.arange(size), np.arange(1, self.bins + 1)) / size
        basis = np.concatenate([np.cos(angles), np.sin(angles)], 1) / size
        self.basis_SG = torch.from_numpy(basis).float()

    def log_power(self, x_BCPS: Tensor, layout: Layout) -> Tensor:
        """Return magnitudes (B, C, P, K, F) of every virtual electrode."""
        spectrum = x_BCPS @ self.basis_SG
        mixed = self.mix(spectrum, layout) if self.mix is not None else spectrum[:, :, :, None]
        real, imaginary = mixed.chunk(2, -1)
        return torch.sqrt(real.square() + imaginary.square() + 1e-12)


class Released(nn.Module):
    """The released network at width 50, so that a patch is 0.25 s; its output put together to patches of 0.5 s.

    Without statistics it is trained as released; with them it writes DCT coefficients of typical size, as ours does.
    """

    def __init__(self, statistics: Statistics | None) -> None:
        super().__init__()
        self.config = OfficialConfig.of(
            "pretrain", d_model=STEP, depth=DEPTH, heads=5, ff=100, reconstruct=False
        )
        self.encoder = OfficialEncoder(self.config)
        self.proj_out = nn.Linear(STEP, STEP)
        self.inverse = np.argsort(self.config.order).tolist()
        self.as_released = statistics is None
        basis_KS = torch.eye(STEP)
        if statistics is None:
            nn.init.kaiming_normal_(self.proj_out.weight, mode="fan_out", nonlinearity="relu")
        else:
            size_K = statistics.scale * statistics.variance_K.sqrt()
            basis_KS = (size_K[:, None] * torch.from_numpy(dct_matrix(STEP)).T).float()
        self.register_buffer("basis_KS", basis_KS)

    def steps(self, x_BCT: Tensor, hidden_BCQ: Tensor | None) -> Tensor:
        """Return the network's output for steps of 0.25 s, (B, C, Q, 50), in its order."""
        return self.proj_out(self.encoder(x_BCT.unfold(-1, STEP, STEP), hidden_BCQ)) @ self.basis_KS

    def forward(self, batch: Batch) -> Tensor:
        """Return reconstructed patches (B, C, P, S), electrodes in input order."""
        hidden_BCP = batch.patch_mask_BCP.float()
        hidden_BCQ = F.max_pool1d(F.pad(hidden_BCP, [1, 1]), 2, 1)[:, list(self.config.order)]
        wave_BCT = self.steps(batch.x_BCT, hidden_BCQ)[:, self.inverse].flatten(2)
        return wave_BCT.unfold(-1, 2 * STEP, STEP)

    def features(self, x_BCT: Tensor, positions_C3: Tensor) -> Tensor:
        """Return tokens (B, C, Q, D) of whole windows, electrodes in input order."""
        return self.encoder(x_BCT.unfold(-1, STEP, STEP))[:, self.inverse]

    def loss(self, batch: Batch, objective: Objective) -> Tensor:
        """Return what is trained."""
        x_BCQS = batch.x_BCT.unfold(-1, STEP, STEP)
        if self.as_released:
            hidden_BCQ = torch.rand(x_BCQS.shape[:3]) < 0.5
            return official_loss(self.steps(batch.x_BCT, hidden_BCQ), x_BCQS, hidden_BCQ)
        predicted_BCPS, truth_BCPS = self(batch), batch.x_BCT.unfold(-1, 2 * STEP, STEP)
        return objective.loss(predicted_BCPS, truth_BCPS, batch)


def without_sides(positions_C3: Tensor) -> Layout:
    """Lobes as regions: left, middle and right together."""
    return _with_regions(positions_C3, positions_C3, merge=True)


def on_a_line(positions_C3: Tensor) -> Layout:
    """Take the place in the released order as the only coordinate; regions as they are."""
    order = list(OfficialConfig().order)
    line_C3 = torch.zeros_like(positions_C3)
    line_C3[order, 0] = torch.linspace(-LINE_M, LINE_M, len(order))
    return _with_regions(line_C3, positions_C3, merge=False)


def _with_regions(coordinates_C3: Tensor, regions_from_C3: Tensor, merge: bool) -> Layout:
    """Lay out electrodes at coordinates, their regions taken from their true positions."""
    layout, true = layout_of(coordinates_C3), layout_of(regions_from_C3)
    region_C = true.region_MC[0]
    if merge:
        lobe_C = torch.clamp(region_C // len(SIDES), max=len(LOBES))
        region_C = lobe_C * len(SIDES)
    members_RC = (region_C[None] == torch.arange(len(REGIONS))[:, None]).float()
    counts_R1 = members_RC.sum(1, keepdim=True)
    known = np.ones(len(coordinates_C3), bool)
    xyz = coordinates_C3.double().numpy()
    index, near = layouts._neighbours(xyz, known, region_C.numpy(), layout.neighbours_MCN.shape[-1])
    return layout._replace(
        region_MC=region_C[None],
        pool_MRC=(members_RC / counts_R1.clamp(min=1))[None],
        occupied_MR=(counts_R1[:, 0] > 0)[None],
        neighbours_MCN=torch.from_numpy(index)[None],
        near_MCN=torch.from_numpy(near)[None],
    )


def _with(**changes: object) -> ObjectiveConfig:
    return OBJECTIVE.model_copy(update=changes)


VARIANTS = (
    Variant("ours", "nothing"),
    Variant("no_sides", "regions without sides: five lobes", layout=without_sides),
    Variant("scattered", "scattered masks", objective=_with(mask="scattered")),
    Variant("plain", "squared error, not equalised over frequency", objective=_with(loss="plain")),
    Variant("raw_spectrum", "raw magnitudes for standardised log power", raw_spectrum=True),
    Variant("no_mix", "no linear mix over electrodes", {"mix_filters": 0}),
    Variant("index", "place in the released order for position", layout=on_a_line),
    Variant("misordered", "target in another order, as released", misordered=True),
    Variant(
        "official",
        "everything: the released model, trained as released",
        optimiser=RELEASED,
        official=True,
        objective=_with(mask="scattered", loss="plain"),
    ),
    Variant(
        "official_ours",
        "the architecture alone: the released model, trained as ours",
        official=True,
    ),
    Variant("untrained", "pre-training: ours as it begins", trained=False),
    Variant(
        "official_untrained", "pre-training: the released model as it begins", official=True, trained=False
    ),
    Variant("criss_cross", "attention between single patches and electrodes", {"attention": "criss_cross"}),
    Variant("dense", "attention of every token with every token", {"attention": "dense"}),
    Variant(
        "one_second", "patches of 1 s", {"patch_samples": 200, "stride_samples": 200, "window_patches": 5}
    ),
)
