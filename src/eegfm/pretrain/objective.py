"""Masked-patch reconstruction: what is hidden, and how the reconstruction is judged.

Legend: B windows, C channels, T samples, P patches, S samples a patch, K coefficients, M hidden patches.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from eegfm.config import ObjectiveConfig
from eegfm.data import Batch
from eegfm.model import EncoderConfig
from eegfm.pretrain.masks import disc_mask, scattered_mask
from eegfm_lake.errors import EegfmError

SMALLEST_SCALE = 0.01  # of the model's unit: 1 µV; a flat channel is not blown up
SMALLEST_VARIANCE = 1e-5  # of the largest coefficient's: what a notch removed is not blown up
BANDS_HZ = {
    "delta": (0.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 75.0),
}


@dataclass(frozen=True)
class Statistics:
    """What the objective has to know of the training windows.

    Attributes
    ----------
    variance_K : Tensor (S,)
        Variance of each DCT coefficient of a patch after its channel was divided by its scale.
    scale : float
        Median scale of a channel, in the model's unit.
    """

    variance_K: Tensor
    scale: float


class Objective:
    """Hide patches of a batch and judge their reconstruction.

    The hidden patches' errors are divided by the channel's root mean square over its whole window (at least
    1 µV), so a loud person, channel or artefact does not outweigh the others. ``equalised`` then takes the
    orthonormal DCT-II of the error and divides each coefficient by its variance over the training windows, so
    every frequency counts the same; ``plain`` is the mean square of the divided error. Coefficients above the
    channel's own band (or ``high_hz``) are not judged.

    Parameters
    ----------
    config : ObjectiveConfig
    encoder : EncoderConfig
        Patch and stride in samples.
    seed : int
        Seeds the masks.
    statistics : Statistics
        Of the training windows, from ``estimate``.
    band_hz : (float or None, float or None), optional
        What the reader's filter leaves.
    """

    def __init__(
        self,
        config: ObjectiveConfig,
        encoder: EncoderConfig,
        seed: int,
        statistics: Statistics,
        band_hz: tuple[float | None, float | None] | None = None,
    ) -> None:
        self.config, self.encoder, self.seed = config, encoder, seed
        self.statistics = statistics
        size = encoder.patch_samples
        self._dct_SK = torch.from_numpy(dct_matrix(size)).float()
        self._freq_K = torch.arange(size) * encoder.rate_hz / (2 * size)
        low, high = band_hz or (None, None)
        self._low_hz = low or 0.0
        self._high_hz = min(config.high_hz or np.inf, high or np.inf)
        floor = SMALLEST_VARIANCE * float(statistics.variance_K.max())
        self._weight_K = 1 / statistics.variance_K.clamp(min=floor).float()

    def to(self, device: torch.device) -> "Objective":
        """Move its constants to a device."""
        for name in ("_dct_SK", "_freq_K", "_weight_K"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    def hide(self, batch: Batch) -> Batch:
        """Choose the hidden patches of every window by (seed, epoch, window): run where the batch is read."""
        n_patches = (batch.x_BCT.shape[-1] - self.encoder.patch_samples) // self.encoder.stride_samples + 1
        hidden_BCP = np.zeros((*batch.x_BCT.shape[:2], n_patches), dtype=bool)
        for row, window in enumerate(batch.window_B.tolist()):
            exists_C = batch.channel_mask_BC[row].numpy()
            key = (self.seed, batch.epoch, window)
            positions_C3 = batch.positions_BC3[row].numpy()[exists_C]
            hidden_BCP[row, exists_C] = self._mask(positions_C3, n_patches, key)
        return replace(batch, patch_mask_BCP=torch.from_numpy(hidden_BCP))

    def loss(self, predicted_BCPS: Tensor, truth_BCPS: Tensor, batch: Batch) -> Tensor:
        """Compare hidden patches with the truth.

        Parameters
        ----------
        predicted_BCPS, truth_BCPS : Tensor (B, C, P, S)
            In the model's unit.
        batch : Batch
            With its hidden patches.

        Returns
        -------
        Tensor ()
            1 is what predicting zero reaches on average.
        """
        power_MK, judged_MK = self._power(predicted_BCPS, truth_BCPS, batch)
        if self.config.loss == "equalised":
            loss_M = _mean(power_MK * self._weight_K, judged_MK)
        else:
            loss_M = (power_MK * judged_MK).mean(dim=1)
        hidden_BCP = batch.hidden
        weight_M = batch.weight_B[:, None, None].expand_as(hidden_BCP)[hidden_BCP]
        return (loss_M * weight_M).sum() / weight_M.sum().clamp(min=1e-12)

    def copying_loss(self, predicted_BCPS: Tensor, truth_BCPS: Tensor, batch: Batch) -> Tensor:
        """Return what visible patches add to the loss that is trained, their small weight included."""
        visible_BCP = ~batch.hidden & batch.channel_mask_BC[:, :, None]
        visible = replace(batch, patch_mask_BCP=visible_BCP)
        return self.config.visible * self.loss(predicted_BCPS, truth_BCPS, visible)

    def by_band(self, predicted_BCPS: Tensor, truth_BCPS: Tensor, batch: Batch) -> dict[str, float]:
        """Return the equalised loss of each band; NaN where no hidden patch holds that band."""
        power_MK, judged_MK = self._power(predicted_BCPS, truth_BCPS, batch)
        shares = {}
        for name, (low, high) in BANDS_HZ.items():
            inside_MK = judged_MK & (self._freq_K >= low) & (self._freq_K < high)
            total = int(inside_MK.sum())
            error = float((power_MK * self._weight_K * inside_MK).sum())
            shares[name] = error / total if total else float("nan")
        return shares

    def _power(self, predicted_BCPS: Tensor, truth_BCPS: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the error's squared coefficients of every hidden patch, and which of them are judged."""
        hidden_BCP = batch.hidden
        scale_M = channel_scale(batch.x_BCT)[:, :, None].expand_as(hidden_BCP)[hidden_BCP]
        high_M = batch.band_high_hz_BC[:, :, None].expand_as(hidden_BCP)[hidden_BCP].clamp(max=self._high_hz)
        error_MS = (predicted_BCPS.float()[hidden_BCP] - truth_BCPS[hidden_BCP]) / scale_M[:, None]
        judged_MK = (self._freq_K >= self._low_hz) & (self._freq_K <= high_M[:, None])
        return (error_MS @ self._dct_SK).square(), judged_MK

    def _mask(self, positions_C3: np.ndarray, n_patches: int, key: tuple[int, ...]) -> np.ndarray:
        config, encoder = self.config, self.encoder
        if config.mask == "scattered":
            return scattered_mask(len(positions_C3), n_patches, ratio=config.ratio, key=key)
        samples = [span_s * encoder.rate_hz for span_s in config.span_s]
        span = [max(1, round((n - encoder.patch_samples) / encoder.stride_samples) + 1) for n in samples]
        return disc_mask(
            positions_C3,
            n_patches,
            ratio=config.ratio,
            radius_m=config.radius_m,
            span=(span[0], span[1]),
            key=key,
        )


def estimate(batches: Iterable[Batch], encoder: EncoderConfig) -> Statistics:
    """Estimate the statistics of training windows over existing channels that are not flat."""
    dct_SK = torch.from_numpy(dct_matrix(encoder.patch_samples))
    total_K, count, scales = torch.zeros(encoder.patch_samples, dtype=torch.float64), 0, []
    for batch in batches:
        scale_BC = channel_scale(batch.x_BCT)
        alive_BC = batch.channel_mask_BC & (scale_BC > SMALLEST_SCALE)
        x_NT = (batch.x_BCT / scale_BC[:, :, None])[alive_BC].double()
        patches_MS = x_NT.unfold(-1, encoder.patch_samples, encoder.stride_samples).flatten(0, 1)
        total_K += (patches_MS @ dct_SK).square().sum(dim=0)
        count += len(patches_MS)
        scales.append(scale_BC[alive_BC])
    if not count:
        raise EegfmError("every channel of the training windows is flat; ask the cohort for good blocks")
    return Statistics(total_K / count, float(torch.cat(scales).median()))


def channel_scale(x_BCT: Tensor) -> Tensor:
    """Return the root mean square of each channel over its window, at least 1 µV: (B, C)."""
    return x_BCT.square().mean(dim=-1).sqrt().clamp(min=SMALLEST_SCALE)


def dct_matrix(size: int) -> np.ndarray:
    """Return the orthonormal DCT-II as a matrix (S, K): ``x @ dct_matrix(S)`` are the coefficients of x.

    Coefficient k oscillates at k * rate / (2 S). Unlike the DFT it has no jump at a patch's ends, whose
    leakage would drown the weak high frequencies of a 1/f signal.
    """
    sample_S1, order_1K = np.arange(size)[:, None], np.arange(size)[None, :]
    matrix_SK = np.cos(np.pi / size * (sample_S1 + 0.5) * order_1K) * np.sqrt(2 / size)
    matrix_SK[:, 0] /= np.sqrt(2)
    return matrix_SK


def _mean(value_MK: Tensor, judged_MK: Tensor) -> Tensor:
    return (value_MK * judged_MK).sum(dim=1) / judged_MK.sum(dim=1).clamp(min=1)
