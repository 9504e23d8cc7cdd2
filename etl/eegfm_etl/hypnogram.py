"""Sleep scorings → events, one for every epoch of 30 s."""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from eegfm_etl.edf_fields import edf_fields
from eegfm_etl.events import Event
from eegfm_lake.errors import EegfmError

EPOCH_S = 30.0
"""Both manuals, Rechtschaffen and Kales 1968 and AASM 2007, score epochs of this length."""

WAKE, N1, N2, N3, REM = "sleep/wake", "sleep/n1", "sleep/n2", "sleep/n3", "sleep/rem"
SLEEP_PERIOD = "protocol/sleep_period"

EDF_STAGES: dict[str, str] = {
    "Sleep stage W": WAKE,
    "Sleep stage 1": N1,
    "Sleep stage 2": N2,
    "Sleep stage 3": N3,
    "Sleep stage 4": N3,  # AASM 2007 joined stages 3 and 4
    "Sleep stage R": REM,
    "Sleep stage N1": N1,
    "Sleep stage N2": N2,
    "Sleep stage N3": N3,
}
"""EDF+'s standard texts; what is not listed (``Sleep stage ?``, ``Movement time``) is an event without a path."""


def edf_epochs(scoring: Path, recording: Path) -> tuple[Event, ...]:
    """Epochs of an EDF+ that holds a scoring alone, in seconds from the recording's first sample.

    Parameters
    ----------
    scoring, recording : Path
        Both headers' clocks are compared: a scoring that started later is moved.

    Raises
    ------
    EegfmError
        Where the scoring cannot be read, or starts on another day than the recording.
    """
    import mne  # takes half a second to import

    header, fields = edf_fields(scoring), edf_fields(recording)
    if header is None or not header.whole:  # of a web page or a stump MNE makes a scoring without stages
        raise _unreadable(scoring, recording, "it is no EDF" if header is None else "it is cut off")
    try:
        found = mne.read_annotations(scoring)
    except Exception as error:  # MNE lets many kinds through for a damaged file
        raise _unreadable(scoring, recording, _line(error)) from error
    annotations = [
        (float(onset), float(length), str(text))
        for onset, length, text in zip(found.onset, found.duration, found.description, strict=True)
    ]
    fields = edf_fields(recording)
    return epochs(
        annotations, EDF_STAGES, _later_s(scoring, recording), fields.duration_s if fields else None
    )


def numbered_epochs(path: Path, stages: Mapping[str, str], prefix: str = "") -> tuple[Event, ...]:
    """Epochs of a text file with one stage a line; `prefix` comes before every label path.

    Raises
    ------
    EegfmError
        Where a line is no stage that `stages` lists: then none can be trusted.
    """
    lines = [line.strip() for line in path.read_text(encoding="latin-1").splitlines() if line.strip()]
    unknown = sorted({line for line in lines if line not in stages})
    if unknown or not lines:
        found = f"line {unknown[0][:20]!r}" if unknown else "no line"
        raise EegfmError(
            f"{path.name}: {found} where a stage was expected ({' '.join(stages)}); it is damaged: fetch it "
            "again, then ingest with --retry-failed"
        )
    return tuple(
        Event(index * EPOCH_S, EPOCH_S, f"{prefix}{stages[line]}", line, line, None)
        for index, line in enumerate(lines)
    )


def epochs(
    annotations: Iterable[tuple[float, float, str]],
    stages: Mapping[str, str],
    later_s: float = 0.0,
    duration_s: float | None = None,
) -> tuple[Event, ...]:
    """Cut scored stretches into epochs.

    Parameters
    ----------
    annotations : iterable of (onset_s, duration_s, text)
    stages : mapping of str to str
        Text → label path. A stretch with another text is one event without a path.
    later_s
        Added to every onset.
    duration_s
        Of the recording: what the scoring says beyond its end is left out.

    Returns
    -------
    tuple of Event
        By onset. A rest shorter than an epoch at a stretch's end is no epoch.
    """
    end_s = float("inf") if duration_s is None else duration_s
    events = []
    for onset_s, length_s, text in annotations:
        first_s, label = onset_s + later_s, stages.get(_plain(text))
        stop_s = min(first_s + length_s, end_s)
        if first_s >= end_s or stop_s < 0:
            continue
        if label is None:
            events.append(Event(first_s, stop_s - first_s, None, None, _plain(text), None))
            continue
        count = int((stop_s - first_s) / EPOCH_S + 1e-6)
        events += [
            Event(first_s + index * EPOCH_S, EPOCH_S, label, None, _plain(text), None)
            for index in range(count)
        ]
    return tuple(sorted(events, key=lambda event: event.onset_s))


def sleep_period(events: Iterable[Event], margin_s: float = 1800.0) -> Event | None:
    """Say from `margin_s` before the first epoch of sleep to as long after the last; None without any sleep.

    Recordings of a whole day are mostly wake. Published results on Sleep-EDF leave out the wake beyond half an
    hour on both sides; nothing is cut here, the event says where that stretch lies.
    """
    asleep = [event for event in events if event.label in (N1, N2, N3, REM)]
    if not asleep:
        return None
    first_s = max(0.0, min(event.onset_s for event in asleep) - margin_s)
    stop_s = max(event.onset_s for event in asleep) + EPOCH_S + margin_s
    text = (
        f"from {margin_s / 60:g} min before the first to {margin_s / 60:g} min after the last epoch of sleep"
    )
    return Event(first_s, stop_s - first_s, SLEEP_PERIOD, None, text, None)


def _later_s(scoring: Path, recording: Path) -> float:
    """Seconds by which the scoring's file starts later; EDF+ counts onsets from a file's own start."""
    one, other = edf_fields(scoring), edf_fields(recording)
    if one is None or other is None or one.start is None or other.start is None:
        return 0.0
    later = one.start - other.start
    if abs(later) > timedelta(days=1):
        raise EegfmError(
            f"{scoring.name} starts at {one.start}, {recording.name} at {other.start}: the scoring belongs to "
            "another recording, or one of the dates is wrong"
        )
    return later.total_seconds()


def _unreadable(scoring: Path, recording: Path, found: str) -> EegfmError:
    return EegfmError(
        f"{scoring.name}, the scoring of {recording.name}, cannot be read ({found}); fetch it again, then ingest "
        "with --retry-failed"
    )


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
