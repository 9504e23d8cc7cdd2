"""Alzheimer's disease, frontotemporal dementia and healthy people at rest (OpenNeuro ds004504).

https://openneuro.org/datasets/ds004504: BIDS, ``sub-001/eeg/sub-001_task-eyesclosed_eeg.set``; participants.tsv has
Gender, Age, Group (A, F, C) and MMSE. What lies below ``derivatives`` under the same names was cleaned by ICA and is
left alone. The README names Cz as the reference, which is also a channel: it counts only if a sidecar says so.
"""

import json
import re
from functools import partial
from pathlib import Path

from eegfm_etl.demographics import age_years, sex_letter, table
from eegfm_etl.downloads.manifests import bucket
from eegfm_etl.recipe import Job, Person, Recipe, files_below, nearest, parts_of

_FILE = re.compile(r"(?P<person>sub-\d{3})_task-eyesclosed_eeg\.set")
_DIAGNOSES = {"A": "Alzheimer's disease", "F": "frontotemporal dementia", "C": "healthy"}
_METHODOLOGY = (
    ("amplifier", "Nihon Kohden EEG 2100", "declared"),
    ("site", "AHEPA General Hospital, Thessaloniki", "declared"),
    ("country", "GR", "declared"),
    ("protocol", "clinical rest, sitting, eyes closed", "declared"),
    ("hardware_highpass", "0.53", "declared"),  # time constant of 0.3 s
    ("hardware_lowpass", "70", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every unprocessed recording."""
    return [
        _job(root, rel, match["person"])
        for rel, match in files_below(root, _FILE)
        if "derivatives" not in rel.split("/")
    ]


def _job(root: Path, rel: str, person: str) -> Job:
    people = nearest(root, rel, "participants.tsv")
    sidecar = (root / rel).with_suffix(".json")
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"ds004504/{person}/eyesclosed",
        person=_person(person, people),
        task="eyesclosed",
        run="1",
        methodology=(*_METHODOLOGY, *_reference(sidecar)),
        line_freq_hz=50.0,
        label="rest/eyes_closed",
        parts=parts_of(root, people, sidecar),
    )


def _reference(sidecar: Path) -> tuple[tuple[str, str, str], ...]:
    try:
        said = json.loads(sidecar.read_text(encoding="utf-8")).get("EEGReference")
    except (OSError, ValueError, AttributeError):  # none beside the recording, or no JSON object
        return ()
    known = isinstance(said, str) and said.strip().lower() not in ("", "n/a")
    return (("reference", said.strip(), "recorded"),) if known else ()


def _person(person: str, people: Path | None) -> Person:
    rows = [row for row in (table(people, "\t") if people else []) if row.get("participant_id") == person]
    if not rows:
        return Person(person)
    return Person(
        person,
        age=age_years(rows[0].get("Age")),
        sex=sex_letter(rows[0].get("Gender")),
        diagnosis=_DIAGNOSES.get(rows[0].get("Group", "")),
        phenotype={"MMSE": rows[0]["MMSE"]} if rows[0].get("MMSE") else None,
    )


RECIPE = Recipe(
    id="ds004504",
    version="1",
    title="EEG of Alzheimer's disease, frontotemporal dementia and healthy subjects (OpenNeuro ds004504)",
    people=88,
    hours=19.4,
    task="dementia; rest with eyes closed",
    licence="CC0-1.0",
    citation="Miltiadous et al., Data 8(6):95, 2023, doi:10.3390/data8060095",
    access="open",
    verified=True,
    layout_source="https://openneuro.org/datasets/ds004504 (README, participants.tsv)",
    namespace="ds004504",
    plan=plan,
    download=partial(bucket, "https://s3.amazonaws.com/openneuro.org", "ds004504/"),
    apply_at="https://openneuro.org/datasets/ds004504",
    layout="sub-001/eeg/sub-001_task-eyesclosed_eeg.set, participants.tsv",
)
