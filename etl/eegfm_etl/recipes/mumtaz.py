"""MDD patients and healthy controls (Mumtaz): eyes closed, eyes open, and a visual oddball task.

https://figshare.com/articles/dataset/EEG_Data_New/4244171: ``H S1 EC.edf``, ``MDD S2  EO.edf`` (one space or two),
``… TASK.edf``; a download of the whole article puts a number before (``6921143_H S15 EO.edf``). 19 electrodes
against linked ears at 256 Hz. H S27 and H S30, and MDD S33 and MDD S34, hold the same bytes with eyes closed: which
of the two was recorded nobody wrote down, so each is declared to be the other.
"""

import re
from pathlib import Path

from eegfm_etl.recipe import Job, Person, Recipe, files_below

_FILE = re.compile(r"(?:\d+_)?(?P<group>H|MDD)\s+S(?P<number>\d+)\s+(?P<run>EC|EO|TASK)\.edf", re.IGNORECASE)
_DIAGNOSES = {"H": "healthy", "MDD": "major depressive disorder"}
_LABELS = {"EC": "rest/eyes_closed", "EO": "rest/eyes_open", "TASK": "cognition/oddball"}
_TASKS = {"EC": "rest", "EO": "rest", "TASK": "oddball"}
_SAME = {"H_S27": "H_S30", "H_S30": "H_S27", "MDD_S33": "MDD_S34", "MDD_S34": "MDD_S33"}

_METHODOLOGY = (
    ("reference", "linked ears", "declared"),
    ("site", "Hospital Universiti Sains Malaysia", "declared"),
    ("country", "MY", "declared"),
)
# The channel between the ears and two bipolar inputs, all labelled as EEG.
_OVERRIDES = dict.fromkeys(("EEG A2-A1", "EEG 23A-23R", "EEG 24A-24R"), "other")


def plan(root: Path) -> list[Job]:
    """Every recording at any depth."""
    return [_job(root, rel, match) for rel, match in files_below(root, _FILE)]


def _job(root: Path, rel: str, match: re.Match[str]) -> Job:
    group, run = match["group"].upper(), match["run"].upper()
    person = f"{group}_S{int(match['number'])}"
    same = (f"mumtaz/{_SAME[person]}",) if person in _SAME else ()
    protocol = {"EC": "rest with eyes closed", "EO": "rest with eyes open", "TASK": "visual oddball"}[run]
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"mumtaz/{person}/{run}",
        person=Person(person, diagnosis=_DIAGNOSES[group], same_as=same),
        task=_TASKS[run],
        run=run,
        overrides=_OVERRIDES,
        methodology=(*_METHODOLOGY, ("protocol", protocol, "declared")),
        line_freq_hz=50.0,
        label=_LABELS[run],
    )


RECIPE = Recipe(
    id="mumtaz",
    version="1",
    title="MDD Patients and Healthy Controls EEG Data (Mumtaz, figshare)",
    people=64,
    hours=None,
    task="depression; rest with eyes closed and open, visual oddball",
    licence="CC-BY-4.0",
    citation="Mumtaz, MDD Patients and Healthy Controls EEG Data (New), figshare 2016, doi:10.6084/m9.figshare.4244171",
    access="open",
    verified=True,
    layout_source="https://figshare.com/articles/dataset/EEG_Data_New/4244171",
    namespace="mumtaz",
    plan=plan,
    apply_at="https://figshare.com/articles/dataset/EEG_Data_New/4244171",
    layout="H S1 EC.edf, MDD S1 EO.edf, H S1 TASK.edf",
)
