"""Segments of an EDF+ or BDF+ from the onsets of its records; the flags EDF+C and EDF+D lie both ways."""

from itertools import pairwise

import numpy as np

from eegfm_etl.formats.edf_annotations import RecordTimes

_CLOCK_S = 1e-3  # recorders' clocks are no better


def further(times: RecordTimes, records: int, record_s: float) -> int:
    """Count the records behind those that the header counts whose time stamps go on where it stops."""
    count, tolerance = records, _tolerance_s(times, record_s, 0.0)
    while count < len(times.onsets_s):
        step = times.onsets_s[count] - times.onsets_s[count - 1] if count else record_s
        if not step >= record_s - tolerance:
            break
        count += 1
    return count


def segments(
    times: RecordTimes, record_s: float, per_record: int, rate_hz: float
) -> tuple[list[tuple[float, int, int]], list[str]]:
    """Cut a recording where the onsets of its records jump.

    Parameters
    ----------
    times : RecordTimes
    record_s : float
        Length of a record.
    per_record : int
        Samples a record of the channels that segments are counted in.
    rate_hz : float
        Of the same channels.

    Returns
    -------
    segments : list of (start_s, first, stop)
        Seconds from the first sample, samples.
    notes : list of str
    """
    tolerance = _tolerance_s(times, record_s, rate_hz)
    onsets_s, repaired = _repaired(times.onsets_s, record_s, tolerance)
    steps = np.diff(onsets_s) - record_s
    breaks = np.flatnonzero(np.abs(steps) > tolerance) + 1
    back = [int(one) for one in breaks if steps[one - 1] < 0]
    found: list[tuple[float, int, int]] = []
    shift_s = -float(onsets_s[0])
    for first, stop in pairwise([0, *breaks.tolist(), len(onsets_s)]):
        start_s = float(onsets_s[first]) + shift_s
        if first in back and found:  # time cannot run backwards: the piece follows the one before
            end_s = found[-1][0] + (found[-1][2] - found[-1][1]) / rate_hz
            shift_s += end_s - start_s
            start_s = end_s
        found.append((round(start_s, 9), first * per_record, stop * per_record))
    notes = []
    gaps_s = [b[0] - a[0] - (a[2] - a[1]) / rate_hz for a, b in pairwise(found)]
    if sum(gap > tolerance for gap in gaps_s):
        notes.append(
            f"gaps from the records' onsets: {sum(gap > tolerance for gap in gaps_s)}, {sum(gaps_s):.6g} s in all"
        )
    if repaired:
        notes.append(
            f"the onsets of {repaired:,} of {len(onsets_s):,} records cannot be right; counted from their neighbours"
        )
    if back:
        notes.append(
            f"the records' onsets go back {len(back)} times; what follows was laid behind what came before"
        )
    return found, notes


def _repaired(onsets_s: np.ndarray, record_s: float, tolerance: float) -> tuple[np.ndarray, int]:
    """Fill in onsets that are missing, or that the records on either side contradict."""
    step = record_s - tolerance
    if (np.diff(onsets_s) >= step).all():  # NaN is not
        return onsets_s, 0
    onsets_s = onsets_s.copy()
    for k in range(1, len(onsets_s) - 1):
        before, own, after = onsets_s[k - 1 : k + 2]
        if (own + step > after or own < before + step) and after >= before + 2 * step:
            onsets_s[k] = np.nan
    missing = np.flatnonzero(np.isnan(onsets_s))
    known = np.flatnonzero(~np.isnan(onsets_s))
    if not known.size:
        return np.arange(len(onsets_s)) * record_s, len(missing)
    onsets_s[: known[0]] = onsets_s[known[0]] - np.arange(known[0], 0, -1) * record_s
    for k in missing[missing > known[0]]:
        onsets_s[k] = onsets_s[k - 1] + record_s
    return onsets_s, len(missing)


def _tolerance_s(times: RecordTimes, record_s: float, rate_hz: float) -> float:
    """How far a step between onsets may be from a record's length without being a gap."""
    # An onset that is written with too few digits for the record's length jumps by its last digit.
    steps = record_s / times.resolution_s
    rounded = times.resolution_s if abs(steps - round(steps)) > 1e-6 else 0.0
    return max(1 / rate_hz if rate_hz else 0.0, _CLOCK_S, 1.001 * rounded)
