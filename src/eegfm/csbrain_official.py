"""The released network behind the interface of ours, so that one class of braindecode's kind holds both.

Legend: B windows, C electrodes, T samples, P patches, S samples a patch, D width of a token, which is S here.
"""

from typing import Any

import numpy as np
from torch import Tensor, nn

from eegfm.csbrain_report import canonical
from eegfm.model import EncoderConfig, FlattenHead, Layout, OfficialConfig, OfficialEncoder, OfficialTable
from eegfm.model.official_config import RATE_HZ
from eegfm.model.official_tables import LOBES, official_table, official_tables
from eegfm_lake import electrodes
from eegfm_lake.errors import UsageError

LOBE_OF = {"sensorimotor": "central"}
FIXED = {"activation": "GELU", "pooling": "position", "patch_samples": None, "stride_samples": None}


class OfficialBody(nn.Module):
    """The released encoder with the methods of :class:`eegfm.model.Encoder` that a decoder calls.

    Parameters
    ----------
    config
        Its table's electrodes are the input's channels.
    """

    def __init__(self, config: OfficialConfig) -> None:
        super().__init__()
        self.config = config
        self.samples = config.d_model
        self.released = OfficialEncoder(config)

    def encode(self, x_BCT: Tensor, layout: Layout) -> Tensor:
        """Return tokens (B, C, P, D), electrodes in the network's order; samples after the last patch are not read."""
        patches = x_BCT.shape[-1] // self.samples
        return self.released(x_BCT[..., : patches * self.samples].unflatten(-1, [patches, self.samples]))

    def n_patches(self, n_times: int) -> int:
        """Return the number of patches in a window of ``n_times`` samples at 200 Hz."""
        if n_times < self.samples:
            raise UsageError(
                f"found windows of {n_times} samples, expected at least one patch of {self.samples} at {RATE_HZ:g} Hz"
            )
        return n_times // self.samples


class OfficialPooling(nn.Module):
    """The published classifier without its last linear layer, which is the decoder's ``final_layer``."""

    def __init__(self, config: OfficialConfig, n_patches: int, drop_prob: float) -> None:
        super().__init__()
        self.n_features = config.d_model
        *layers, _, _ = FlattenHead(config, n_patches, 1, drop_prob).classifier
        self.hidden = nn.Sequential(*layers)

    def forward(self, tokens_BCPD: Tensor, layout: Layout) -> Tensor:
        """Return features (B, n_features)."""
        return self.hidden(tokens_BCPD.flatten(1))


def official_config(
    compat: str,
    names: list[str],
    xyz_C3: np.ndarray,
    settings: dict[str, Any] | None,
    changes: dict[str, Any],
) -> OfficialConfig:
    """Return the released network's settings for a montage.

    Parameters
    ----------
    compat
        ``official``.
    names
        Channel names; empty where unknown.
    xyz_C3
        Electrode positions in metres, NaN where unknown.
    settings
        Those saved, without a table; None for the published sizes.
    changes
        Settings of a decoder; what is no field of :class:`OfficialConfig` must be as that design has it.

    Raises
    ------
    UsageError
        For a setting that the released design has not, or an electrode without a position.
    """
    if compat != "official":
        raise UsageError(f"CSBrain: found compat={compat!r}, expected 'official' or None")
    for name, value in FIXED.items():
        if changes.pop(name, value) != value:
            raise UsageError(
                f'CSBrain(compat="official"): found another {name} than the released design has; leave it out'
            )
    return OfficialConfig.of(
        montage_table(names, xyz_C3), **{"reconstruct": False, **(settings or {}), **changes}
    )


def sizes(config: EncoderConfig | OfficialConfig) -> dict[str, Any]:
    """Return the settings that are not the montage's: they are what is saved, for a table follows the channels."""
    return {k: v for k, v in config.to_dict().items() if k not in ("regions", "order", "electrodes")}


def montage_table(names: list[str], xyz_C3: np.ndarray) -> OfficialTable:
    """Return the published table with these channels in this order, else lobes from positions, left to right."""
    wanted = [canonical(name) for name in names]
    for name in official_tables():
        table = official_table(name)
        if [canonical(label) for label in table.electrodes] == wanted:
            return table
    if np.isnan(xyz_C3).any():
        lost = [names[i] if names else str(i) for i in np.flatnonzero(np.isnan(xyz_C3[:, 0]))]
        raise UsageError(
            f'CSBrain(compat="official"): found no position of {", ".join(lost[:5])}, expected one of every channel:'
            " the released design has no region for unknown electrodes; pass chs_info with positions or 10-05 names"
        )
    lobes = [electrodes.REGIONS[region].rsplit("_", 1)[0] for region in electrodes.regions(xyz_C3)]
    codes = [LOBES.index(LOBE_OF.get(lobe, lobe)) for lobe in lobes]
    order = sorted(range(len(codes)), key=lambda c: (codes[c], *xyz_C3[c].tolist()))
    return OfficialTable(tuple(names), tuple(codes), tuple(order))
