"""FACED: 123 people watch 28 video clips that aim at nine emotions.

Layout: Chen et al., Scientific Data 10:740, 2023 (https://doi.org/10.1038/s41597-023-02650-w), and the tables of
https://doi.org/10.7303/syn50614194. ``Data/sub000/data.bdf`` is the recording, ``evt.bdf`` beside it has its events:
a clip's number (1-28), then 101 at its start and 102 at its end; 100 starts the task, 201 and 202 bound blocks.
``Recording_info.csv`` has sub, Gender, Age, Sample_rate (1000 or 250) and Unit (V or µV, which the headers must
say as well: a unit is not guessed here). The clips' emotions are those of ``Stimuli_info.xlsx``.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from eegfm_etl import bids_tables
from eegfm_etl.demographics import age_years, sex_letter
from eegfm_etl.events import Event
from eegfm_etl.formats.edf_annotations import read_annotations
from eegfm_etl.recipe import Job, Person, Recipe, files_below
from eegfm_etl.source import SourceError

_FILE = re.compile(r"data\.bdf", re.IGNORECASE)
_PERSON = re.compile(r"sub(?P<person>\d{3})", re.IGNORECASE)
_CLIPS = {
    "anger": range(1, 4),
    "disgust": range(4, 7),
    "fear": range(7, 10),
    "sadness": range(10, 13),
    "neutral": range(13, 17),
    "amusement": range(17, 20),
    "inspiration": range(20, 23),
    "joy": range(23, 26),
    "tenderness": range(26, 29),
}
EMOTIONS = {clip: emotion for emotion, clips in _CLIPS.items() for clip in clips}
_METHODOLOGY = (
    ("country", "CN", "declared"),
    ("protocol", "video clips", "declared"),
    ("cue_modality", "visual and auditory", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every person's data.bdf, with the events of the evt.bdf beside it."""
    people = {
        row.get("sub", "").lower(): row
        for rel, _ in files_below(root, re.compile(r"Recording_info\.csv", re.IGNORECASE))[:1]
        for row in bids_tables.table(root / rel)
    }
    jobs = []
    for rel, _ in files_below(root, _FILE):
        folder = _PERSON.fullmatch(Path(rel).parent.name)
        if folder is not None:
            jobs.append(_job(root, rel, folder["person"], people.get(f"sub{folder['person']}", {})))
    return jobs


def clips_of(annotations: Iterable[tuple[float, str]]) -> tuple[Event, ...]:
    """Pair a clip's number, its start (101) and its end (102); a start without a number is no clip.

    Parameters
    ----------
    annotations : iterable of (onset_s, text)
    """
    events, clip, started_s = [], None, None
    for onset_s, text in annotations:
        code = int(text) if text.strip().isdigit() else 0
        if code in EMOTIONS:
            clip, started_s = code, None
        elif code == 101 and clip is not None:
            started_s = onset_s
        elif code == 102 and clip is not None and started_s is not None:
            events.append(
                Event(
                    started_s,
                    onset_s - started_s,
                    f"emotion/{EMOTIONS[clip]}",
                    str(clip),
                    f"clip {clip}",
                    None,
                )
            )
            clip = started_s = None
    return tuple(events)


def _job(root: Path, rel: str, person: str, row: dict[str, str]) -> Job:
    beside = Path(rel).with_name("evt.bdf").as_posix()
    events, refused = _events(root / beside, rel, beside)
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"faced/sub{person}",
        person=Person(f"sub{person}", age=age_years(row.get("age")), sex=sex_letter(row.get("gender"))),
        task="videos",
        events=events if refused is None else None,
        methodology=_METHODOLOGY,
        line_freq_hz=50.0,
        parts=(beside,) if refused is None else (),
        refused=refused,
    )


def _events(path: Path, of: str, beside: str) -> tuple[tuple[Event, ...], str | None]:
    """Read the clips of an evt.bdf, or say why not."""
    try:
        _, found = read_annotations(path)
    except (SourceError, OSError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        return (), f"{beside} is missing or damaged: it has the clips of {of} ({words})"
    return clips_of((onset, text) for onset, _, text in found), None


RECIPE = Recipe(
    id="faced",
    version="1",
    title="FACED: video clips, nine emotions",
    people=123,
    hours=None,
    task="anger, disgust, fear, sadness, neutral, amusement, inspiration, joy, tenderness",
    licence="CC-BY-4.0",
    citation="Chen et al., Scientific Data 10:740, 2023",
    access="agreement",
    verified=False,
    layout_source="https://doi.org/10.1038/s41597-023-02650-w",
    namespace="faced",
    plan=plan,
    apply_at="https://doi.org/10.7303/syn50614194 (register with Synapse)",
    layout="Data/sub000/data.bdf and evt.bdf …, Recording_info.csv",
)
