"""Averages of trials: BESA's .avr and .mul. They are no recordings, and are refused as what they are."""

from pathlib import Path
from typing import NoReturn

from eegfm_etl.source import Ask, SourceError


def open_recording(path: Path, ask: Ask) -> NoReturn:
    """Refuse.

    Raises
    ------
    SourceError
        Always; its step is "average".
    """
    raise SourceError(
        "average",
        f"{path.name} holds averages of trials (BESA), not a recording: ingest the recording itself",
    )
