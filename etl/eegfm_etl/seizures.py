"""Seizures as archives list them → events, with the background between them."""

from collections.abc import Iterable

from eegfm_etl.events import Event

SEIZURE, BACKGROUND = "seizure", "background"


def seizure_events(
    seizures: Iterable[tuple[float, float, str]], duration_s: float | None
) -> tuple[Event, ...]:
    """Give the seizures of a recording that was looked through, and what lies between them.

    Without background events a stretch where nobody looked for seizures could not be told from one without
    any.

    Parameters
    ----------
    seizures : iterable of (start_s, stop_s, source_label)
        Seconds from the recording's first sample.
    duration_s
        Of the recording; None leaves the background out, for it ends nobody knows where.

    Returns
    -------
    tuple of Event
        By onset, all with a duration: ``seizure`` and ``background``.
    """
    found = sorted(seizures)
    events = [Event(start, stop - start, SEIZURE, None, text, None) for start, stop, text in found]
    if duration_s is None:
        return tuple(events)
    free_from_s = 0.0
    for start_s, stop_s, _ in [*found, (duration_s, duration_s, "")]:
        if start_s > free_from_s:
            length_s = min(start_s, duration_s) - free_from_s
            events.append(Event(free_from_s, length_s, BACKGROUND, None, "no seizure", None))
        free_from_s = max(free_from_s, stop_s)
    return tuple(sorted(events, key=lambda event: event.onset_s))
