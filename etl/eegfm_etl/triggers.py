"""Events that a recording holds as steps of a channel."""

import re
from collections.abc import Iterable

import mne
import numpy as np

from eegfm_etl.source import SourceError

_MOST_A_SECOND = 20.0  # a channel that changes more often is no trigger
_CHUNK_S = 300
_NO_EVENT = re.compile(r"bad|edge|boundary$|new segment/", re.IGNORECASE)
_COMPOSITE = ("STI101", "STI 014")  # Elekta's channels that hold the sum of the lines, newer systems first


def trigger_events(raw: mne.io.BaseRaw, channel: str) -> list[tuple[float, float, str]]:
    """Turn a trigger channel's steps into annotations.

    Parameters
    ----------
    raw : mne.io.BaseRaw
    channel : str

    Returns
    -------
    list of (onset_s, duration_s, text)
        One for each change to a value that is not zero, named by the value; as long as the value lasts.

    Raises
    ------
    SourceError
        Where there is no such channel.
    """
    if channel not in raw.ch_names:
        raise SourceError(
            "read", f"it has no channel {channel!r} with its events; it has {', '.join(raw.ch_names[:8])} …"
        )
    places, lengths, values = _steps(raw, channel)
    rate_hz = float(raw.info["sfreq"])
    return [
        (int(place) / rate_hz, int(length) / rate_hz, str(value))
        for place, length, value in zip(places, lengths, values, strict=True)
        if value
    ]


def stim_events(raw: mne.io.BaseRaw) -> tuple[list[tuple[float, float, str]], list[str]]:
    """Find the events of the stimulus channels as `mne.find_events` does.

    A step to a larger value is an event; what is on at the first sample has no onset. The channel that holds the
    sum of the lines is asked, or each stimulus channel where there is none. Unlike `mne.find_events` this holds
    one stretch in memory at a time and keeps pulses of one sample; negative values, which are the sixteenth line
    in 16 bits, are counted as unsigned.

    Parameters
    ----------
    raw : mne.io.BaseRaw

    Returns
    -------
    events : list of (onset_s, duration_s, text)
        Named by the value, after the channel's name where there are several channels; as long as the value lasts.
    notes : list of str
    """
    kinds = raw.get_channel_types()
    channels = [name for name, kind in zip(raw.ch_names, kinds, strict=True) if kind == "stim"]
    channels = next(([name] for name in _COMPOSITE if name in raw.ch_names), channels)
    rate_hz = float(raw.info["sfreq"])
    events: list[tuple[float, float, str]] = []
    used, notes = [], []
    for name in channels:
        most = _MOST_A_SECOND * max(len(raw.times) / rate_hz, 1.0)
        places, lengths, values = _steps(raw, name, most)
        if len(places) > most:
            notes.append(f"{name} changes more than {_MOST_A_SECOND:g} times a second: no triggers")
            continue
        if (values < 0).any():
            values = np.where(values < 0, values & 0xFFFF, values)
            notes.append(f"negative values of {name} are counted as unsigned numbers of 16 bits")
        rising = (np.diff(values, prepend=0) > 0) & (places > 0)
        prefix = f"{name} " if len(channels) > 1 else ""
        events += [
            (int(place) / rate_hz, int(length) / rate_hz, f"{prefix}{value}")
            for place, length, value in zip(places[rising], lengths[rising], values[rising], strict=True)
        ]
        used += [name] if rising.any() else []
    if events:
        notes.append(f"events from {', '.join(used)}, for want of annotations: {len(events):,}")
    return sorted(events), notes


def names_events(annotations: Iterable[tuple[float, float, str]]) -> bool:
    """Whether any annotation is more than a mark of bad data or a joint, as MNE writes them."""
    return any(not _NO_EVENT.match(text) for _, _, text in annotations)


def _steps(
    raw: mne.io.BaseRaw, channel: str, most: float = np.inf
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find where a channel changes, for how many samples and to which value; little beyond `most` changes is read."""
    row = raw.ch_names.index(channel)  # by number: MNE takes the name ``stim`` for a type
    n, last, count = len(raw.times), 0, 0
    chunk = max(1, round(_CHUNK_S * raw.info["sfreq"]))
    places, found = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, n, chunk):
        values = np.rint(raw.get_data([row], start=start, stop=min(start + chunk, n))[0]).astype(np.int64)
        changes = np.flatnonzero(np.diff(values, prepend=last))
        places.append(start + changes)
        found.append(values[changes])
        count, last = count + len(changes), int(values[-1])
        if count > most:
            break
    at = np.concatenate(places)
    return at, np.diff(at, append=n), np.concatenate(found)
