"""SHU motor imagery: 25 people imagine the left or the right hand on five days.

Layout: Ma et al., Scientific Data 9:531, 2022 (https://doi.org/10.1038/s41597-022-01647-1) and the data set's
README, https://doi.org/10.6084/m9.figshare.19228725. ``sub-001_ses-01_task_motorimagery_eeg.mat`` holds ``data``
(trials × 32 × 1000, µV) and ``labels`` (1 left, 2 right): the four seconds of imagery alone, bad segments left
out, filtered to 0.5-40 Hz. The sets' own events.tsv counts samples where BIDS counts seconds, so it is not read. The
archives of the third version ask for a password, which the authors give.
"""

import re
from pathlib import Path

from eegfm_etl import bids_tables
from eegfm_etl.demographics import age_years, sex_letter
from eegfm_etl.recipe import Job, Person, Recipe, files_below
from eegfm_etl.source import ArrayLabels, ArrayLayout, Ask

_FILE = re.compile(r"sub-(?P<person>\d{3})_ses-(?P<session>\d{2})_task_motorimagery_eeg\.mat", re.IGNORECASE)
# In the order of the data set's task-motorimagery_channels.tsv.
CHANNELS = (
    "Fp1", "Fp2", "Fz", "F3", "F4", "F7", "F8", "FC1", "FC2", "FC5", "FC6", "Cz", "C3", "C4", "T3", "T4",
    "A1", "A2", "CP1", "CP2", "CP5", "CP6", "Pz", "P3", "P4", "T5", "T6", "PO3", "PO4", "Oz", "O1", "O2",
)  # fmt: skip
LABELS = {"1": "motor/imagery/left_hand", "2": "motor/imagery/right_hand"}
_LAYOUT = ArrayLayout(
    variable="data",
    axes="trial channel time",
    channels=CHANNELS,
    rate_hz=250.0,
    unit="uV",
    labels=(ArrayLabels("labels"),),
)
_METHODOLOGY = (
    ("site", "Shanghai University", "declared"),
    ("country", "CN", "declared"),
    ("reference", "M1", "declared"),
    ("ground", "AFz", "declared"),
    ("protocol", "imagery of left or right hand", "declared"),
    ("cue_modality", "visual", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every session's MATLAB file, at any depth; people from participants.tsv where it is there."""
    tables = files_below(root, re.compile(r"participants\.tsv"))
    people = {
        row.get("participant_id", "").removeprefix("sub-"): row
        for rel, _ in tables[:1]
        for row in bids_tables.table(root / rel)
    }
    return [
        _job(root, rel, match["person"], match["session"], people.get(match["person"], {}))
        for rel, match in files_below(root, _FILE)
    ]


def _job(root: Path, rel: str, person: str, session: str, row: dict[str, str]) -> Job:
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"shu_mi/{person}/ses-{session}",
        person=Person(person, age=age_years(row.get("age")), sex=sex_letter(row.get("sex"))),
        session=f"ses-{session}",
        task="imagery",
        labels=LABELS,
        methodology=_METHODOLOGY,
        line_freq_hz=50.0,
        hardware_band=(0.5, 40.0),
        ask=Ask(layout=_LAYOUT),
    )


RECIPE = Recipe(
    id="shu_mi",
    version="1",
    title="SHU motor imagery: left and right hand on five days",
    people=25,
    hours=13.3,
    task="left and right hand, imagined",
    licence="CC-BY-4.0",
    citation="Ma et al., Scientific Data 9:531, 2022",
    access="open",
    verified=True,
    layout_source="https://doi.org/10.1038/s41597-022-01647-1",
    namespace="shu_mi",
    plan=plan,
    apply_at="https://doi.org/10.6084/m9.figshare.19228725 (the authors give the archives' password)",
    layout="sub-001_ses-01_task_motorimagery_eeg.mat …, participants.tsv",
)
