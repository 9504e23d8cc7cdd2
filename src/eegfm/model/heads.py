"""What is read off the tokens: hidden patches, or a class.

Legend: B windows, M montages, C electrodes, P patches, S samples a patch, R regions, Q queries, D width of a
token, K outputs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eegfm.model.layout import Layout, layout_of, per_window
from eegfm.model.position import SPACE_FEATURES, space_features
from eegfm.model.presets import EncoderConfig
from eegfm_lake.electrodes import REGIONS
from eegfm_lake.errors import UsageError

MAPS = 16
QUERIES = 8
N_REGIONS = len(REGIONS)
TYPICAL_AREA = 16.0


class ReconstructionHead(nn.Module):
    """The samples of every patch from its token, in units of 100 µV."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.out = nn.Linear(config.d_model, config.patch_samples)

    def forward(self, tokens_BCPD: Tensor) -> Tensor:
        """Return patches (B, C, P, S)."""
        return self.out(tokens_BCPD)


class Pooling(nn.Module):
    """A window's features from its tokens, without losing where on the head they came from.

    Parameters
    ----------
    config
        The encoder's settings.
    kind
        ``position``: integrals over the head, weighted by learned, signed functions of position, so that neighbouring
        electrodes may count differently and sparse and dense caps agree; ``region``: means over each region
        (lobe x side);
        ``attention``: learned queries look at positions and contents; ``mean``: over all tokens, which cannot tell
        left from right by itself. All are means over time.
    """

    def __init__(self, config: EncoderConfig, kind: str = "position") -> None:
        super().__init__()
        groups = {"position": MAPS, "region": N_REGIONS, "attention": QUERIES, "mean": 1}
        if kind not in groups:
            raise UsageError(f"pooling: found {kind!r}, expected {' or '.join(groups)}")
        self.kind = kind
        self.n_features = groups[kind] * config.d_model
        self.maps = PositionMaps(MAPS) if kind == "position" else None
        self.where = nn.Linear(SPACE_FEATURES, QUERIES) if kind == "attention" else None
        self.what = nn.Linear(config.d_model, QUERIES, bias=False) if kind == "attention" else None

    def forward(self, tokens_BCPD: Tensor, layout: Layout) -> Tensor:
        """Return features (B, n_features)."""
        tokens_BCD = tokens_BCPD.mean(2)
        present_BC = per_window(layout.present_MC, layout.montage_B)
        if self.maps is not None:
            weights = per_window(self.maps(layout), layout.montage_B)
        elif self.where is not None and self.what is not None:
            where = self.where(space_features(layout.positions_MC3)) * layout.known_MC[:, :, None]
            logits = per_window(where, layout.montage_B) + self.what(tokens_BCD)
            weights = logits.masked_fill(~present_BC[:, :, None], float("-inf")).softmax(1).transpose(1, 2)
        elif self.kind == "region":
            weights = per_window(region_means(layout), layout.montage_B)
        else:
            weights = (present_BC / present_BC.sum(1, keepdim=True))[:, None]
        return torch.matmul(weights.to(tokens_BCD.dtype), tokens_BCD).flatten(1)


def region_means(layout: Layout) -> Tensor:
    """Weights of the electrodes in the mean of each region, (M, R, C) over all regions; zero for empty ones."""
    member_MCR = F.one_hot(layout.region_MC, N_REGIONS) * layout.present_MC[:, :, None]
    return (member_MCR / member_MCR.sum(1, keepdim=True).clamp(min=1)).transpose(1, 2)


class PositionMaps(nn.Module):
    """Weights of electrodes: learned functions of position, times the area that an electrode stands for.

    The first map starts as the plain mean, the next three rise along the axes of the head, the others start at
    random. All but the first sum to zero over the electrodes: they see how the head differs from place to place, and
    what all electrodes share, which is large and changes with the cap, is left to the first. Electrodes of unknown
    position have one learned weight a map.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.typical_area = TYPICAL_AREA
        self.free = nn.Linear(SPACE_FEATURES, maps)
        self.unknown = nn.Parameter(torch.ones(maps))
        with torch.no_grad():
            nn.init.normal_(self.free.weight, std=SPACE_FEATURES**-0.5)
            self.free.weight[:4] = 0
            self.free.weight[1:4, :3] = torch.eye(3)
            self.free.bias.zero_()
            self.free.bias[0] = 1

    def forward(self, layout: Layout) -> Tensor:
        """Return the weights (M, maps, C)."""
        weights_MCQ = self.free(space_features(layout.positions_MC3))
        weights_MCQ = torch.where(layout.known_MC[:, :, None], weights_MCQ, self.unknown)
        weights_MQC = (weights_MCQ * layout.area_MC[:, :, None]).transpose(1, 2) / self.typical_area
        share_MC = layout.area_MC / layout.area_MC.sum(1, keepdim=True)
        common_MQC = weights_MQC.sum(2, keepdim=True) * share_MC[:, None]
        return weights_MQC - torch.cat([torch.zeros_like(common_MQC[:, :1]), common_MQC[:, 1:]], 1)


class ClassifierHead(nn.Module):
    """Logits of a window from its tokens.

    Parameters
    ----------
    config
        The encoder's settings.
    n_outputs
        Number of classes, or of regressed values.
    pooling
        See :class:`Pooling`.
    drop_prob
        Dropout of the pooled features.
    """

    def __init__(
        self, config: EncoderConfig, n_outputs: int, pooling: str = "position", drop_prob: float = 0.3
    ) -> None:
        super().__init__()
        self.pooling = Pooling(config, pooling)
        self.drop = nn.Dropout(drop_prob)
        self.out = nn.Linear(self.pooling.n_features, n_outputs)

    def forward(self, tokens_BCPD: Tensor, channel_mask_BC: Tensor | None, positions_BC3: Tensor) -> Tensor:
        """Return logits (B, K) of tokens (B, C, P, D); positions (B, C, 3) or (C, 3) in metres."""
        if positions_BC3.ndim == 2:
            positions_BC3 = positions_BC3.expand(tokens_BCPD.shape[0], -1, -1)
        return self.read(tokens_BCPD, layout_of(positions_BC3, channel_mask_BC))

    def read(self, tokens_BCPD: Tensor, layout: Layout) -> Tensor:
        """Return logits (B, K) of tokens whose layout is known."""
        return self.out(self.drop(self.pooling(tokens_BCPD, layout)))
