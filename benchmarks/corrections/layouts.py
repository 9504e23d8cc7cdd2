"""Layouts with one choice undone: regions without sides, a place in a list for a position.

Legend: C electrodes, R regions, M montages, N neighbours.
"""

import numpy as np
import torch
from torch import Tensor

from eegfm.model import Layout, OfficialConfig, layout_of
from eegfm.model.layout import _neighbours
from eegfm_lake.electrodes import LOBES, REGIONS, SIDES

LINE_M = 0.08


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
    index, near = _neighbours(xyz, known, region_C.numpy(), layout.neighbours_MCN.shape[-1])
    return layout._replace(
        region_MC=region_C[None],
        pool_MRC=(members_RC / counts_R1.clamp(min=1))[None],
        occupied_MR=(counts_R1[:, 0] > 0)[None],
        neighbours_MCN=torch.from_numpy(index)[None],
        near_MCN=torch.from_numpy(near)[None],
    )
