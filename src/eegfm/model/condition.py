"""Methodology as a condition: what is known of how a window was recorded scales and shifts its tokens.

Legend: B windows, C electrodes, P patches, D width of a token, K covariates, V values of all covariates, F = 2 D.
"""

import torch
from torch import Tensor, nn

from eegfm.model.presets import EncoderConfig
from eegfm_lake.errors import UsageError


class Condition(nn.Module):
    """Feature-wise scale and shift of the tokens (FiLM, arXiv 1709.07871), one pair a value of each covariate.

    The pairs of a window's covariates add up. All begin at zero, so a new condition changes nothing, and a value
    that training rarely shows stays near nothing. They act once, on the stream that enters the blocks: the residual
    stream carries the shift to every block and to the heads.

    Parameters
    ----------
    config
        ``condition`` names the covariates and their values, ``condition_drop`` is the share of a window's covariates
        that are read as unknown while training, each drawn by itself.
    """

    size_K: Tensor
    first_K: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        sizes = [1 + len(values) for _, values in config.condition]
        self.names = tuple(name for name, _ in config.condition)
        self.drop_prob = config.condition_drop
        size_K = torch.tensor(sizes)
        self.register_buffer("size_K", size_K, persistent=False)
        self.register_buffer("first_K", size_K.cumsum(0) - size_K, persistent=False)
        self.film_VF = nn.Parameter(torch.zeros(sum(sizes), 2 * config.d_model))

    def forward(self, h_BCPD: Tensor, condition_BK: Tensor | None = None) -> Tensor:
        """Return the tokens under their windows' conditions.

        Parameters
        ----------
        h_BCPD
            Tokens.
        condition_BK
            int64, for each covariate of ``config.condition`` in its order: 0 for unknown, i for the i-th of its
            values. Numbers beyond them are unknown too. None: nothing is known.
        """
        if condition_BK is None:
            condition_BK = torch.zeros(
                [h_BCPD.shape[0], self.size_K.shape[0]], dtype=torch.int64, device=h_BCPD.device
            )
        if not torch.jit.is_scripting():
            self._check(condition_BK, h_BCPD.shape[0])
        known_BK = (condition_BK > 0) & (condition_BK < self.size_K)
        if self.training:
            known_BK = known_BK & (torch.rand(known_BK.shape, device=h_BCPD.device) >= self.drop_prob)
        film_BF = self.film_VF[self.first_K + condition_BK * known_BK].sum(1)
        scale_BD, shift_BD = film_BF.chunk(2, -1)
        return h_BCPD * (1 + scale_BD[:, None, None]) + shift_BD[:, None, None]

    @torch.jit.unused
    def _check(self, condition_BK: Tensor, batch: int) -> None:
        if condition_BK.shape != (batch, len(self.names)):
            raise UsageError(
                f"condition: found shape {tuple(condition_BK.shape)}, expected ({batch}, {len(self.names)}): "
                f"one number a window for each of {', '.join(self.names)}"
            )
