"""What is compared: our model, our model with one choice undone, the released model.

Legend: B windows, C electrodes, T samples, P patches, S samples a patch, Q quarter-second steps, D width of a token.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from corrections import undone
from corrections.layouts import on_a_line, without_sides
from corrections.material import STEP
from corrections.released import Released
from eegfm.config import ObjectiveConfig, OptimiserConfig
from eegfm.data import Batch
from eegfm.model import Encoder, EncoderConfig, Layout, OfficialConfig, layout_of, preset
from eegfm.pretrain.objective import Objective, Statistics
from eegfm.pretrain.setup import Masked

DEPTH = 1
OBJECTIVE = ObjectiveConfig(span_s=(0.5, 2.0), high_hz=45.0)
OPTIMISER = OptimiserConfig(lr=4e-3, warmup_steps=100)
RELEASED = OptimiserConfig(lr=5e-4, warmup_steps=0, betas=(0.9, 0.999))


@dataclass(frozen=True)
class Variant:
    """One row: what is undone, and how it is trained."""

    name: str
    undone: str
    changes: Mapping[str, object] = field(default_factory=dict)
    objective: ObjectiveConfig = OBJECTIVE
    optimiser: OptimiserConfig = OPTIMISER
    layout: Callable[[Tensor], Layout] = layout_of
    alter: Callable[[Encoder], None] = lambda encoder: None
    """Exchanges parts of our encoder."""
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
        variant.alter(encoder)
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


def _with(**changes: object) -> ObjectiveConfig:
    return OBJECTIVE.model_copy(update=changes)


VARIANTS = (
    Variant("ours", "nothing"),
    Variant("no_sides", "regions without sides: five lobes", layout=without_sides),
    Variant("scattered", "scattered masks", objective=_with(mask="scattered")),
    Variant("plain", "squared error, not equalised over frequency", objective=_with(loss="plain")),
    Variant("raw_spectrum", "raw magnitudes for standardised log power", alter=undone.raw_spectrum),
    Variant("no_mix", "no linear mix over electrodes", {"mix_filters": 0}),
    Variant("index", "place in the released order for position", layout=on_a_line),
    Variant("misordered", "target in another order, as released", misordered=True),
    Variant(
        "scrambled_time",
        "temporal tokenizer over a re-read block, as released",
        alter=undone.scrambled_time,
    ),
    Variant("one_key", "between windows one key: windows of all 15 patches", {"window_patches": 15}),
    Variant(
        "electrode_regions",
        "attention among electrodes with their region's mean, as released",
        alter=undone.electrode_regions,
    ),
    Variant("window_norm", "patches normalised over all of a window, as released", alter=undone.window_norm),
    Variant("zero_mask", "hidden patches are zeros, none is learned", alter=undone.zero_mask),
    Variant(
        "padded_four",
        "nothing, but windows of 4 patches: one of 16 is padding",
        {"window_patches": 4},
    ),
    Variant(
        "padded_four_unmasked",
        "the same; padding takes part, as released",
        {"window_patches": 4},
        alter=undone.padding_takes_part,
    ),
    Variant("three_blocks", "nothing, but three blocks", {"depth": 3}),
    Variant(
        "three_shared",
        "the same; one pair of tokenizers for all, as released",
        {"depth": 3, "tokenizer": "shared"},
        alter=undone.bare_tokenizers,
    ),
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
