"""CSBrain as its authors released it (arXiv:2506.23075, snapshot `yuchen2199/CSBrain` 185aee5), executed to the letter.

What the released code does is done here, mistakes included, for weights trained that way need them: docs/official.md
names each. Whoever has no such weights wants :class:`eegfm.model.Encoder`.

Legend: B windows, C electrodes, P patches, S samples a patch, D width of a token, which is S here.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eegfm.model.official_config import OfficialConfig
from eegfm.model.official_layers import (
    Layers,
    PatchEmbedding,
    SpatialTokenizer,
    TemporalTokenizer,
    start_linear,
)
from eegfm_lake.errors import UsageError


class OfficialEncoder(nn.Module):
    """The released forward: one montage, patches of one second, electrodes by their index in a hand-made order.

    Parameters
    ----------
    config
        See :class:`OfficialConfig`.
    """

    order_C: Tensor

    def __init__(self, config: OfficialConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("order_C", torch.tensor(config.order), persistent=False)
        self.patch_embedding = PatchEmbedding(config)
        self.TemEmbedEEGLayer = TemporalTokenizer(config)
        self.BrainEmbedEEGLayer = SpatialTokenizer(config)
        self.encoder = Layers(config)
        last = [nn.Linear(config.d_model, config.d_model)] if config.reconstruct else []
        self.proj_out = nn.Sequential(*last)
        self.apply(start_linear)

    def forward(
        self, x_BCPS: Tensor, mask_BCP: Tensor | None = None, channel_mask_BC: Tensor | None = None
    ) -> Tensor:
        """Reconstruct patches, or return features where ``config.reconstruct`` is off.

        Parameters
        ----------
        x_BCPS
            Patches of ``d_model`` samples at 200 Hz in units of 100 µV, electrodes in input order.
        mask_BCP
            Non-zero hides a patch. As released, places count in the network's order, not in the input's.
        channel_mask_BC
            Accepted where all electrodes exist.

        Returns
        -------
        Tensor
            (B, C, P, D), electrodes in the network's order (``config.order``).

        Raises
        ------
        UsageError
            For another number of electrodes, another length of patches, or padded channels.
        """
        if not torch.jit.is_scripting():
            check_input(x_BCPS, mask_BCP, channel_mask_BC, self.config)
        h_BCPD = self.patch_embedding(x_BCPS[:, self.order_C], mask_BCP)
        for layer in self.encoder.layers:
            h_BCPD = h_BCPD + self.TemEmbedEEGLayer(h_BCPD)
            h_BCPD = h_BCPD + self.BrainEmbedEEGLayer(h_BCPD)
            h_BCPD = layer(h_BCPD)
        return self.proj_out(h_BCPD)


def check_input(
    x_BCPS: Tensor, mask_BCP: Tensor | None, channel_mask_BC: Tensor | None, config: OfficialConfig
) -> None:
    """Raise a UsageError for what the released design cannot read."""
    if x_BCPS.ndim != 4:
        raise UsageError(
            f"OfficialEncoder: found input of shape {tuple(x_BCPS.shape)}, expected (windows, electrodes, patches,"
            " samples): cut windows into patches that do not overlap"
        )
    _, channels, patches, samples = x_BCPS.shape
    if channels != len(config.regions):
        raise UsageError(
            f"OfficialEncoder: found {channels} electrodes, expected the {len(config.regions)} of its table: the"
            " released design is built for one montage; build it with another table, or take Encoder"
        )
    if samples != config.d_model:
        raise UsageError(
            f"OfficialEncoder: found patches of {samples} samples, expected {config.d_model}: the released design"
            " has one number for patch and width; resample to 200 Hz, or take Encoder"
        )
    if patches < 1:
        raise UsageError("OfficialEncoder: found windows without a patch, expected at least one")
    if mask_BCP is not None and mask_BCP.shape != x_BCPS.shape[:3]:
        raise UsageError(
            f"OfficialEncoder: found a mask of shape {tuple(mask_BCP.shape)}, expected {tuple(x_BCPS.shape[:3])}"
        )
    if channel_mask_BC is not None and not bool(channel_mask_BC.all()):
        raise UsageError(
            "OfficialEncoder: found padded channels, expected none: the released design has no missing electrode,"
            " and zeros would enter its normalisation and its region means; take Encoder"
        )


class FlattenHead(nn.Module):
    """The published classifier: all tokens flattened into three linear layers, most of the model's parameters.

    Parameters
    ----------
    config
        The encoder's settings.
    n_patches
        Patches a window, P: the first layer has C P D inputs and 200 P outputs for a width of 200.
    n_outputs
        Number of classes.
    drop_prob
        Dropout after both activations; each published data set has its own.
    """

    def __init__(
        self, config: OfficialConfig, n_patches: int, n_outputs: int, drop_prob: float = 0.1
    ) -> None:
        super().__init__()
        hidden = n_patches * config.d_model
        self.classifier = nn.Sequential(
            nn.Linear(len(config.regions) * hidden, hidden),
            nn.ELU(),
            nn.Dropout(drop_prob),
            nn.Linear(hidden, config.d_model),
            nn.ELU(),
            nn.Dropout(drop_prob),
            nn.Linear(config.d_model, n_outputs),
        )

    def forward(self, tokens_BCPD: Tensor) -> Tensor:
        """Return logits (B, n_outputs) of features (B, C, P, D) in the network's order."""
        return self.classifier(tokens_BCPD.flatten(1))


def official_loss(
    predicted_BCPS: Tensor,
    x_BCPS: Tensor,
    mask_BCP: Tensor | None = None,
    order: Sequence[int] | None = None,
) -> Tensor:
    """Return the released pre-training loss: the mean square over hidden patches, or over all without a mask.

    As released, the prediction (in the network's order) is compared with ``x`` in input order, so that most
    electrodes are asked for another one's patch. ``order=config.order`` compares like with like.
    """
    truth_BCPS = x_BCPS if order is None else x_BCPS[:, list(order)]
    if mask_BCP is None:
        return F.mse_loss(predicted_BCPS, truth_BCPS)
    hidden_BCP = mask_BCP != 0
    return F.mse_loss(predicted_BCPS[hidden_BCP], truth_BCPS[hidden_BCP])
