"""Recordings of different people that hold the same signal: found by landmarks, confirmed by correlation.

A person who is in the lake twice under two names, or a recording that two archives share, leaks from training into
testing without any name telling. A copy is found although it was cropped, rescaled, or its channels were reordered.
"""

from dataclasses import dataclass

import numpy as np

from eegfm_lake.query import connect
from eegfm_lake.signals import open_signal
from eegfm_lake.table import Lake

SAME = 0.9
"""Correlation of the stored samples from which on two recordings hold the same signal."""

_STRETCH_S = 20.0
_LAGS = 3  # samples to both sides: a crop moves the grid of stored samples


@dataclass(frozen=True)
class Duplicate:
    """Two recordings that hold the same signal.

    Attributes
    ----------
    recording_id, other_id : str
    person, other_person : str or None
    profile : str
    landmarks : int
        That both have at this distance in time.
    offset_s : float
        Stored seconds of the first at which the other's first sample lies.
    correlation : float
        Of the mean over common channels, over a stretch of at most 20 s that both have.
    """

    recording_id: str
    other_id: str
    person: str | None
    other_person: str | None
    profile: str
    landmarks: int
    offset_s: float
    correlation: float


def find_duplicates(lake: Lake) -> list[Duplicate]:
    """Find recordings of different people with the same signal, and confirm each by its stored samples.

    Parameters
    ----------
    lake : Lake

    Returns
    -------
    list of Duplicate
        In order of their ids.

    Raises
    ------
    EegfmError
        The signals are gone.
    """
    connection = connect(lake)
    try:
        found = connection.sql(
            "SELECT d.*, a.signal.file AS file, b.signal.file AS other_file FROM duplicates AS d "
            "JOIN recordings_rows AS a ON a.recording_id = d.recording_id AND a.profile = d.profile "
            "JOIN recordings_rows AS b ON b.recording_id = d.other_id AND b.profile = d.profile "
            "ORDER BY d.recording_id, d.other_id, d.profile"
        )
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    finally:
        connection.close()
    pairs = []
    for row in rows:
        correlation = _correlation(lake, row["file"], row["other_file"], row["at_s"], row["offset_s"])
        if correlation >= SAME:
            pairs.append(
                Duplicate(
                    row["recording_id"], row["other_id"], row["person"], row["other_person"], row["profile"],
                    row["landmarks"], row["offset_s"], correlation,
                )
            )  # fmt: skip
    return pairs


def _correlation(lake: Lake, file: str, other_file: str, at_s: float, offset_s: float) -> float:
    """Correlate the mean over channels of the same names (of all, where none is) around a common landmark."""
    one, other = open_signal(lake.storage, file), open_signal(lake.storage, other_file)
    length = min(round(_STRETCH_S * one.rate_hz), one.n_samples, other.n_samples - 2 * _LAGS)
    shift = round(offset_s * one.rate_hz)
    low, high = max(0, shift + _LAGS), min(one.n_samples, shift + other.n_samples - _LAGS) - length
    if length < one.rate_hz or high < low:
        return 0.0
    first = int(np.clip(round(at_s * one.rate_hz) - length // 2, low, high))
    names = [name for name in one.channels if name in other.channels]
    rows = [[reader.channels.index(name) for name in names] or None for reader in (one, other)]
    here = one.read_uv(first, length, rows[0])
    there = other.read_uv(first - shift - _LAGS, length + 2 * _LAGS, rows[1])
    scales = [np.maximum(np.std(samples, axis=1, keepdims=True), 1e-6) for samples in (here, there)]
    mean, other_mean = (here / scales[0]).mean(axis=0), (there / scales[1]).mean(axis=0)
    found = [np.corrcoef(mean, other_mean[lag : lag + length])[0, 1] for lag in range(2 * _LAGS + 1)]
    return float(np.nan_to_num(np.abs(found)).max())
