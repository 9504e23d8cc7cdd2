"""Where ``chs_info`` says that electrodes lie: their own positions, else their names' in the template.

Legend: C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eegfm_lake import electrodes

NEAREST_M, FARTHEST_M = 0.03, 0.3
SHOWN = 5


@dataclass(frozen=True)
class Positions:
    """Positions of a model's channels, and which of them were not taken as they came.

    Attributes
    ----------
    xyz_C3 : np.ndarray, float32
        Metres in the head frame; NaN where unknown.
    unknown : tuple of str
        Channels with neither a plausible position nor a known name.
    implausible : tuple of str
        Channels whose position is not 3 to 30 cm from the origin; the template's, or none, stands in.
    """

    xyz_C3: np.ndarray
    unknown: tuple[str, ...]
    implausible: tuple[str, ...]

    def warnings(self) -> list[str]:
        """Say what a user should know of."""
        said = []
        if self.implausible:
            said.append(
                f"found positions of {self._few(self.implausible)} that are not 3 to 30 cm from the head's centre"
                " and reads the template's by name: give chs_info positions in metres, or NaN"
            )
        if self.unknown:
            said.append(
                f"knows no position of {self._few(self.unknown)}; they take no part in spatial filters: pass"
                " chs_info with positions or 10-05 names"
            )
        return said

    def _few(self, names: Sequence[str]) -> str:
        more = ", …" if len(names) > SHOWN else ""
        return f"{len(names)} of {len(self.xyz_C3)} channels ({', '.join(names[:SHOWN])}{more})"


def positions_of(chs_info: Sequence[dict[str, Any]] | None, n_chans: int) -> Positions:
    """Read the positions of a model's channels.

    A channel's ``loc[:3]`` counts where it is finite and 3 to 30 cm from the origin. Else the template's position of
    its canonical name does (``EEG T3-REF`` is T7), else it is unknown. MNE writes NaN or zeros where there is no
    position, so these go to the name without a word.
    """
    if chs_info is None:
        nowhere = np.full((n_chans, 3), np.nan, np.float32)
        return Positions(nowhere, tuple(str(i) for i in range(n_chans)), ())
    xyz_C3 = np.full((len(chs_info), 3), np.nan, np.float32)
    unknown, implausible = [], []
    for row, ch in enumerate(chs_info):
        name = str(ch.get("ch_name", ""))
        loc = ch.get("loc")
        own = np.full(3, np.nan) if loc is None else np.asarray(loc, float)[:3]
        if own.shape == (3,) and NEAREST_M <= np.linalg.norm(own) <= FARTHEST_M:
            xyz_C3[row] = own
            continue
        if not np.isnan(own).all() and own.any():
            implausible.append(name)
        template = electrodes.position(electrodes.canonical(name) or "")
        if template is None:
            unknown.append(name)
        else:
            xyz_C3[row] = template
    return Positions(xyz_C3, tuple(unknown), tuple(implausible))
