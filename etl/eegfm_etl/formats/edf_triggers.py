"""Events from the Status channel of a BDF, where the file has no annotations.

BioSemi's 24 bits: the lower 16 are the trigger inputs, the others the state of the amplifier.
"""

import numpy as np

from eegfm_etl.edf import EdfHeader
from eegfm_etl.formats.edf_annotations import Annotation
from eegfm_etl.formats.edf_records import EdfRecords

_TRIGGER_BITS = 0xFFFF
_CHUNK = 2**20
_MOST_A_SECOND = 20.0  # a channel that changes more often is no trigger


def trigger_events(records: EdfRecords, signal: int, rate_hz: float) -> tuple[list[Annotation], list[str]]:
    """Find where the trigger inputs change to another code.

    The code at rest is no event: 0 where it occurs, else the code that most samples have (inputs that nobody
    connected float high). What is on before the first sample has no onset.

    Parameters
    ----------
    records : EdfRecords
    signal : int
        The Status channel.
    rate_hz : float
        Its rate.

    Returns
    -------
    annotations : list of Annotation
        Named by the code; the duration is the code's own.
    notes : list of str
    """
    header = records.header
    total = header.records * header.samples_per_record[signal]
    most = int(_MOST_A_SECOND * max(total / rate_hz, 1.0))
    starts: list[np.ndarray] = []
    codes: list[np.ndarray] = []
    changes, last = 0, -1
    for start in range(0, total, _CHUNK):
        values = records.digital([signal], start, min(start + _CHUNK, total))[0].astype(np.int64)
        values &= _TRIGGER_BITS
        at = np.flatnonzero(np.diff(values, prepend=last))
        starts.append(at + start)
        codes.append(values[at])
        changes, last = changes + len(at), int(values[-1])
        if changes > most:
            return [], [
                f"{header.labels[signal]} changes more than {_MOST_A_SECOND:g} times a second: no triggers"
            ]
    begin, code = np.concatenate(starts), np.concatenate(codes)
    length = np.diff(begin, append=total)
    rest = 0 if (code == 0).any() else _longest(code, length)
    found = [
        (round(int(first) / rate_hz, 9), round(int(samples) / rate_hz, 9), str(int(value)))
        for first, samples, value in zip(begin, length, code, strict=True)
        if first > 0 and value != rest
    ]
    notes = [f"events from the trigger inputs of {header.labels[signal]} (at rest {rest}): {len(found):,}"]
    return found, notes if found else []


def status_channel(header: EdfHeader) -> int | None:
    """Give the index of a BDF's Status channel; None where it has none."""
    if header.sample_bytes != 3:
        return None
    return next((i for i in header.signals if header.labels[i].lower() in ("status", "trigger")), None)


def _longest(codes: np.ndarray, lengths: np.ndarray) -> int:
    known = np.unique(codes)
    return int(known[np.argmax([lengths[codes == code].sum() for code in known])])
