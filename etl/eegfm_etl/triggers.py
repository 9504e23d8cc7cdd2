"""Events that a recording holds as steps of a channel."""

import mne
import numpy as np

from eegfm_etl.source import SourceError

_CHUNK_S = 300


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
    row = raw.ch_names.index(channel)  # by number: MNE takes the name ``stim`` for a type
    rate_hz, n = raw.info["sfreq"], len(raw.times)
    chunk, last, steps = max(1, round(_CHUNK_S * rate_hz)), 0, []
    for start in range(0, n, chunk):
        values = np.rint(raw.get_data([row], start=start, stop=min(start + chunk, n))[0]).astype(np.int64)
        changes = np.flatnonzero(np.diff(values, prepend=last))
        steps += [(start + int(place), int(values[place])) for place in changes]
        last = int(values[-1])
    ends = [place for place, _ in steps[1:]] + [n]
    return [
        (place / rate_hz, (end - place) / rate_hz, str(value))
        for (place, value), end in zip(steps, ends, strict=True)
        if value
    ]
