"""Reader operations: what happens to stored samples between the lock and a model, in one fixed order.

Read with margin → mark bad channels → re-reference → band → crop → pick and order → scale → clip. Referencing
comes before picking: the average of three picked channels is not the average of the head.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eegfm.config import ReaderConfig
from eegfm.data.fir import design_band, filter_valid, pad_odd
from eegfm.data.montage import Montage, build_montage
from eegfm_lake.errors import EegfmError

UNIT_UV = 100.0
"""The encoder's unit: 1.0 is 100 µV."""

TYPICAL_UV = 20.0
"""Robust amplitude that ``scale: robust`` gives every recording; then the encoder's unit applies."""


@dataclass(frozen=True)
class Window:
    """One window after re-referencing, band, crop and pick; scaling and clipping are ``scaled()``.

    Attributes
    ----------
    x_CT : ndarray of float32 (C, T)
        µV.
    names : tuple of str, length C
    positions_C3 : ndarray of float32 (C, 3)
        Metres in MNE's head frame, NaN where unknown.
    band_high_hz_C : ndarray of float64 (C,)
        Upper end of each channel's band.
    unit_uv : float
        µV that become 1.0 for the model.
    clip : float or None
        Largest magnitude after scaling.
    recording, window : int
        Rows of the lock; -1 for data that is in no lock.
    """

    x_CT: np.ndarray
    names: tuple[str, ...]
    positions_C3: np.ndarray
    band_high_hz_C: np.ndarray
    unit_uv: float
    clip: float | None
    recording: int = -1
    window: int = -1

    def scaled(self) -> np.ndarray:
        """Scale to the model's unit and clip: float32 (C, T)."""
        x_CT = self.x_CT / np.float32(self.unit_uv)
        return x_CT if self.clip is None else np.clip(x_CT, -self.clip, self.clip)


def read_array(
    samples_uv_CT: np.ndarray,
    channels: Sequence[Mapping[str, Any]],
    config: ReaderConfig,
    *,
    rate_hz: float = 200.0,
    start: int = 0,
    stop: int | None = None,
    reference: str | None = None,
    source: str = "the array",
) -> Window:
    """Apply the reader's operations to samples in memory; from a lock the same window gives the same numbers.

    Parameters
    ----------
    samples_uv_CT : ndarray (C, T)
        Stored channels of one segment, µV, after the signal chain. Samples outside start..stop serve as
        margin.
    channels : sequence of mapping
        One row a channel, shaped like ``schema.CHANNELS`` without the dropped ones.
    config : ReaderConfig
        ``channels: common`` means nothing for one array: give the names.
    rate_hz : float
        Sampling rate.
    start, stop : int
        The window; the whole array where omitted.
    reference : str, optional
        The methodology's reference, for the implicit electrode.
    source : str
        How errors call the data.

    Returns
    -------
    Window

    Raises
    ------
    EegfmError
        A channel that the configuration names is absent, or no common reference can be formed.
    """
    montage = build_montage(channels, reference)
    if samples_uv_CT.shape[0] != len(montage.names):
        n_rows, n_described = samples_uv_CT.shape[0], len(montage.names)
        raise EegfmError(f"{source} has {n_rows} rows, but {n_described} channels are described")
    stop = samples_uv_CT.shape[1] if stop is None else stop
    margin = margin_samples(config, rate_hz)
    first, last = max(0, start - margin), min(samples_uv_CT.shape[1], stop + margin)
    return operate(
        samples_uv_CT[:, first:last],
        montage,
        config,
        rate_hz=rate_hz,
        before=start - first,
        after=last - stop,
        source=source,
    )


def operate(
    samples_uv_CT: np.ndarray,
    montage: Montage,
    config: ReaderConfig,
    *,
    rate_hz: float,
    before: int,
    after: int,
    source: str,
) -> Window:
    """Apply the operations to samples that carry ``before`` and ``after`` samples of margin.

    Parameters and errors as for ``read_array``; margin that a segment's end denies is mirrored.
    """
    picks = pick(montage, config, source)
    samples_uv_CT = samples_uv_CT.astype(np.float32, copy=False)
    x_CT = _rereference(samples_uv_CT, montage, config.reference, source, picks)
    if config.bad == "zero":
        x_CT[~montage.good_C[picks]] = 0.0
    # Filter and crop act channel by channel, so the channels that are not picked need neither.
    if config.band_hz is not None:
        kernel = design_band(*config.band_hz, rate_hz)
        reach = len(kernel) // 2
        x_CT = pad_odd(x_CT, max(0, reach - before), max(0, reach - after))
        x_CT = filter_valid(x_CT, kernel)
        before, after = max(0, before - reach), max(0, after - reach)
    x_CT = np.ascontiguousarray(x_CT[:, before : x_CT.shape[1] - after])
    return Window(
        x_CT=x_CT,
        names=tuple(montage.names[index] for index in picks),
        positions_C3=montage.positions_C3[picks],
        band_high_hz_C=montage.band_high_hz_C[picks],
        unit_uv=unit_uv(montage, config, source),
        clip=config.clip,
    )


def margin_samples(config: ReaderConfig, rate_hz: float) -> int:
    """Return the samples of margin to both sides that the configuration asks for: none without a band."""
    if config.band_hz is None:
        return 0
    reach = len(design_band(*config.band_hz, rate_hz)) // 2
    return reach if config.margin_s is None else min(reach, round(config.margin_s * rate_hz))


def pick(montage: Montage, config: ReaderConfig, source: str) -> np.ndarray:
    """Return the indices of the channels that the configuration asks for, in its order.

    Raises
    ------
    EegfmError
        A named channel is absent (or bad, where bad ones are dropped), or nothing is left.
    """
    wanted = montage.of_types(config.types)
    if config.bad == "drop":
        wanted &= montage.good_C
    if isinstance(config.channels, str):
        picks = np.flatnonzero(wanted)
    else:
        place = {montage.names[index]: index for index in np.flatnonzero(wanted)}
        missing = [name for name in config.channels if name not in place]
        if missing:
            raise EegfmError(
                f"{source} lacks {len(missing)} of {len(config.channels)} channels ({', '.join(missing[:8])}"
                f"{' …' if len(missing) > 8 else ''}); choose channels that it has, or keep its bad ones"
            )
        picks = np.array([place[name] for name in config.channels], dtype=int)
    if not picks.size:
        raise EegfmError(f"{source} has no usable channel of type {', '.join(config.types)}")
    return picks


def unit_uv(montage: Montage, config: ReaderConfig, source: str) -> float:
    """Return how many µV become 1.0 for the model."""
    if config.scale == "uv100":
        return UNIT_UV
    scale = montage.recording_scale_uv
    if not np.isfinite(scale):
        raise EegfmError(f"{source} has no scale_uv for any good EEG channel; use scale: uv100")
    return UNIT_UV * scale / TYPICAL_UV


def _rereference(
    x_CT: np.ndarray, montage: Montage, reference: str, source: str, picks: np.ndarray
) -> np.ndarray:
    """Subtract the reference from picked EEG channels; the reference is formed from all stored channels."""
    picked_CT = x_CT[picks]
    if reference == "none":
        return picked_CT
    if montage.bipolar:
        raise EegfmError(f"{source} is bipolar: it cannot be re-referenced; use reference: none")
    eeg = montage.of_types(["eeg"])
    if reference == "average":
        shared_T = _average(x_CT, eeg & montage.good_C, montage, source)
    else:
        shared_T = _mean_of_named(x_CT, reference.split("+"), montage, source)
    picked_CT[eeg[picks]] -= shared_T
    return picked_CT


def _average(x_CT: np.ndarray, members_C: np.ndarray, montage: Montage, source: str) -> np.ndarray:
    n_members = int(members_C.sum())
    if not n_members:
        raise EegfmError(f"{source} has no good EEG channel to average; use reference: none")
    # The reference electrode itself recorded zero; where it is known it is one more member of the average.
    implicit = montage.reference is not None and montage.reference not in montage.names
    weights_C = (members_C / (n_members + implicit)).astype(np.float32)
    return weights_C @ x_CT


def _mean_of_named(x_CT: np.ndarray, names: Sequence[str], montage: Montage, source: str) -> np.ndarray:
    total_T = np.zeros(x_CT.shape[1], dtype=np.float32)
    for name in names:
        if name in montage.names:
            index = montage.names.index(name)
            if not montage.good_C[index]:
                raise EegfmError(f"{source}: the reference {name} is marked bad; choose another")
            total_T += x_CT[index]
        elif name != montage.reference:  # the recording's own reference is zero
            raise EegfmError(f"{source} has no channel {name} to refer to; use reference: average")
    return total_T / len(names)
