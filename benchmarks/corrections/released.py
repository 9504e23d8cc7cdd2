"""The released model beside ours, at a size that can be compared.

Legend: B windows, C electrodes, T samples, P patches, S samples a patch, Q quarter-second steps, D width of a token,
K coefficients.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corrections.material import STEP
from eegfm.data import Batch
from eegfm.model import OfficialConfig, OfficialEncoder, official_loss
from eegfm.pretrain.objective import Objective, Statistics, dct_matrix


class Released(nn.Module):
    """The released network at width 50, so that a patch is 0.25 s; its output put together to patches of 0.5 s.

    Without statistics it is trained as released; with them it writes DCT coefficients of typical size, as ours does.
    """

    def __init__(self, statistics: Statistics | None) -> None:
        super().__init__()
        self.config = OfficialConfig.of("pretrain", d_model=STEP, depth=1, heads=5, ff=100, reconstruct=False)
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
