"""Source annotations → events with label paths."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eegfm_etl.source import SourceError

# What readers and file formats write beside real annotations: time stamps of records, joints, padding.
_NO_EVENT = re.compile(r"^$|^[+-]\d+(\.\d+)?$|^BAD_ACQ_SKIP$|^EDGE boundary$|^boundary$|^New Segment/")
_NUMBER = re.compile(r"^[+-]?\d+(\.\d+)?$")


@dataclass(frozen=True)
class Event:
    """One event of a recording, shaped like an element of the lake's ``events``."""

    onset_s: float  # from the recording's first sample
    duration_s: float | None  # None where the source gives none
    label: str | None  # path from general to particular; None where the source label has no known meaning
    value: str | None  # the source's number, where it gave one
    source_label: str
    channel: str | None
    hed: str | None = None  # tags of the Hierarchical Event Descriptors, where the data set has them


def label_events(
    annotations: Iterable[tuple[float, float, str]], labels: Mapping[str, str | None]
) -> list[Event]:
    """Give every annotation its label path and keep the source's words beside it.

    Parameters
    ----------
    annotations : iterable of (onset_s, duration_s, text)
        As the reader gave them; a duration that is not finite means none was given.
    labels : mapping of str to (str or None)
        Source text → label path; None says that this text is no event. A text that is missing here becomes an
        event without a label.

    Returns
    -------
    list of Event
        By onset. Time stamps, padding and joints that formats write as annotations are left out, and so is
        an annotation whose onset is no number.
    """
    known = {_plain(text): path for text, path in labels.items()}
    events = []
    for onset_s, duration_s, text in annotations:
        source_label = _plain(text)
        label = known.get(source_label)
        declared = source_label in known
        if not math.isfinite(onset_s) or (declared and label is None):
            continue
        if not declared and _NO_EVENT.match(source_label):
            continue
        events.append(
            Event(
                onset_s=float(onset_s),
                duration_s=max(0.0, float(duration_s)) if math.isfinite(duration_s) else None,
                label=label,
                value=source_label if _NUMBER.match(source_label) else None,
                source_label=source_label,
                channel=None,
            )
        )
    return sorted(events, key=lambda event: event.onset_s)


def in_order(
    annotations: Iterable[tuple[float, float, str]], true_labels: Mapping[str, Sequence[str]]
) -> list[tuple[float, float, str]]:
    """Give annotations the labels that were published apart, first to last.

    Parameters
    ----------
    annotations : iterable of (onset_s, duration_s, text)
    true_labels : mapping of str to sequence of str
        Source text → what its annotations say in truth, in the order of their onsets.

    Returns
    -------
    list of (onset_s, duration_s, text)
        By onset.

    Raises
    ------
    SourceError
        Where there are more or fewer annotations than true labels: then none can be trusted.
    """
    found = sorted(annotations, key=lambda one: one[0])
    waiting = {_plain(text): iter(labels) for text, labels in true_labels.items()}
    for text, labels in true_labels.items():
        count = sum(_plain(one[2]) == _plain(text) for one in found)
        if count != len(labels):
            raise SourceError(
                "read",
                f"it holds {count} events {text!r}, but {len(labels)} true labels were published for them; "
                "one of the two files is cut off or belongs to another recording",
            )
    return [(onset, length, next(waiting.get(_plain(text), iter([text])))) for onset, length, text in found]


def _plain(text: str) -> str:
    # BrainVision pads numbers with spaces (``S  1``), and versions of one file differ in it
    return re.sub(r"\s+", " ", text).strip()
