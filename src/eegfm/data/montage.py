"""The channels of one recording as the reader needs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eegfm_lake import electrodes


@dataclass(frozen=True)
class Montage:
    """Stored channels of one recording, in the order of its signal file.

    Attributes
    ----------
    names, types : tuple of str, length C
        Canonical names and channel types.
    positions_C3 : ndarray of float32 (C, 3)
        Metres in MNE's head frame; NaN where unknown.
    good_C : ndarray of bool (C,)
        False for channels marked bad.
    scale_uv_C : ndarray of float64 (C,)
        Robust standard deviation of each channel over the recording; NaN where unknown.
    band_high_hz_C : ndarray of float64 (C,)
        Upper end of the band that is truly there; infinite where unknown.
    reference : str or None
        The electrode that all potentials are measured against, where it is known and one electrode.
    bipolar : bool
        The EEG channels have no common reference.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    positions_C3: np.ndarray
    good_C: np.ndarray
    scale_uv_C: np.ndarray
    band_high_hz_C: np.ndarray
    reference: str | None
    bipolar: bool

    def of_types(self, types: Sequence[str]) -> np.ndarray:
        """Mark the channels of these types: bool (C,)."""
        return np.isin(np.array(self.types, dtype=object), list(types))

    @property
    def recording_scale_uv(self) -> float:
        """Robust amplitude of the recording: median over its good EEG channels, NaN where unknown."""
        scales = self.scale_uv_C[self.good_C & self.of_types(["eeg"])]
        scales = scales[np.isfinite(scales) & (scales > 0)]
        return float(np.median(scales)) if scales.size else float("nan")


def build_montage(channels: Sequence[Mapping[str, Any]], reference: str | None = None) -> Montage:
    """Build a montage from rows shaped like ``schema.LOCK_CHANNELS`` or ``schema.CHANNELS``.

    Parameters
    ----------
    channels : sequence of mapping
        ``name`` and ``type`` are needed; x, y, z, status, scale_uv, band_high, anode, cathode may be absent.
        Dropped channels must not be among them: they are not stored.
    reference : str, optional
        The methodology covariate ``reference`` as stored.

    Returns
    -------
    Montage
    """
    names = tuple(str(row["name"]) for row in channels)
    types = tuple(str(row["type"]) for row in channels)
    positions = [[_number(row.get(axis)) for axis in "xyz"] for row in channels]
    eeg_rows = [row for row in channels if row["type"] == "eeg"]
    high = np.array([_number(row.get("band_high")) for row in channels], dtype=np.float64)
    return Montage(
        names=names,
        types=types,
        positions_C3=np.array(positions, dtype=np.float32).reshape(len(names), 3),
        good_C=np.array([row.get("status") != "bad" for row in channels], dtype=bool),
        scale_uv_C=np.array([_number(row.get("scale_uv")) for row in channels], dtype=np.float64),
        band_high_hz_C=np.where(np.isfinite(high), high, np.inf),
        reference=electrodes.canonical(reference) if reference else None,
        # Potentials against one electrode share their cathode; pairs do not.
        bipolar=len({row.get("cathode") for row in eeg_rows}) > 1,
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
