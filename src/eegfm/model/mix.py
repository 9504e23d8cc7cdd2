"""The linear spatial mix: virtual electrodes around every electrode, by position.

Legend: B windows, M montages, C electrodes, P patches, G real and imaginary parts, K virtual electrodes,
J spatial operators.
"""

import torch
from torch import Tensor, nn

from eegfm.model.layout import OPERATORS, Layout, per_window
from eegfm.model.position import SPACE_FEATURES, space_features

RANK = 8


class SpatialMix(nn.Module):
    """K linear combinations of all electrodes for each electrode, their weights a learned function of positions.

    A filter is a sum of fixed operators (the electrode itself, averages over 2.5, 4.5 and 9 cm and over the head,
    gradients) with coefficients that depend on where its electrode lies, so Laplacians, bipolar derivations and
    re-referencing are points of the space, and a free part: a bilinear form of both electrodes' Fourier features.
    """

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.filters = filters
        start_KJ = torch.zeros(filters, len(OPERATORS))
        for k in range(filters):
            start_KJ[k, 0] = 1.0
            if k > 0:  # the electrode against its surroundings, wider from filter to filter
                start_KJ[k, 1 + (k - 1) % 4] = -1.0
        self.base_KJ = nn.Parameter(start_KJ + 0.1 * torch.randn(filters, len(OPERATORS)))
        self.local = nn.Linear(SPACE_FEATURES, filters * len(OPERATORS), bias=False)
        self.near = nn.Linear(SPACE_FEATURES, filters * RANK, bias=False)
        self.far = nn.Linear(SPACE_FEATURES, filters * RANK, bias=False)
        nn.init.normal_(self.local.weight, std=0.02)
        nn.init.normal_(self.near.weight, std=0.2)
        nn.init.normal_(self.far.weight, std=0.2)

    def forward(self, x_BCPG: Tensor, layout: Layout) -> Tensor:
        """Mix a linear quantity of all electrodes, giving (B, C, P, K, G)."""
        weights_BKCC = per_window(self.weights(layout), layout.montage_B)
        batch, channels, patches, parts = x_BCPG.shape
        mixed = torch.matmul(
            weights_BKCC.reshape(batch, self.filters * channels, channels), x_BCPG.flatten(2)
        )
        return mixed.view(batch, self.filters, channels, patches, parts).permute(0, 2, 3, 1, 4)

    def weights(self, layout: Layout) -> Tensor:
        """Return the filters of every montage, (M, K, C, C): row = the electrode they belong to."""
        features_MCF = space_features(layout.positions_MC3) * layout.known_MC[..., None]
        montages, channels = features_MCF.shape[:2]
        coefficients = self.local(features_MCF).view(montages, channels, self.filters, -1) + self.base_KJ
        weights_MKCC = torch.einsum("mckj,mjce->mkce", coefficients, layout.operators_MJCC)
        near = self.near(features_MCF).view(montages, channels, self.filters, -1)
        far = self.far(features_MCF).view(montages, channels, self.filters, -1)
        members = layout.known_MC.sum(1).clamp(min=1)[:, None, None, None]
        return weights_MKCC + torch.einsum("mckr,mekr->mkce", near, far) / (near.shape[-1] * members)
