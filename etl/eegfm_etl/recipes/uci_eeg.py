"""EEG Database at UCI: people with alcoholism and controls look at pictures of objects.

Layout: https://archive.ics.uci.edu/dataset/121/eeg+database. A trial of one second is a text file,
``co2a0000364.rd.000.gz``; the fourth letter says who it was: ``a`` with alcoholism, ``c`` a control. A folder of
one person's trials is a recording, each trial a segment. Three versions hold some of the same trials: small
(``a_1_co2a0000364`` …, a folder a condition), large (``SMNI_CMI_TRAIN`` and ``SMNI_CMI_TEST``, the official
split, with the same people on both sides) and full (a folder a person): ingest one of them.
"""

import re
from itertools import groupby
from pathlib import Path, PurePosixPath

from eegfm_etl.companions import TRIAL
from eegfm_etl.recipe import Job, Person, Recipe, files_below

_SMALL = re.compile(r"[ac]_(?P<condition>[1mn])_co\d[ac]\d{7}", re.IGNORECASE)
_CONDITIONS = {"1": "s1", "m": "s2_match", "n": "s2_nomatch"}
_SPLITS = {"SMNI_CMI_TRAIN": "train", "SMNI_CMI_TEST": "test"}
_DIAGNOSES = {"a": "alcoholism", "c": "control"}
LABELS = {
    "S1 obj": "visual/object/s1",
    "S2 match": "visual/object/s2_match",
    "S2 nomatch": "visual/object/s2_nomatch",
    "S2 match err": "visual/object/s2_match/error",
    "S2 nomatch err": "visual/object/s2_nomatch/error",
}
_METHODOLOGY = (
    ("site", "Neurodynamics Laboratory, SUNY Health Center at Brooklyn", "declared"),
    ("country", "US", "declared"),
    ("protocol", "delayed matching of one or two pictures", "declared"),
    ("cue_modality", "visual", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every folder that holds one person's trials; trials of several people in one folder stay apart."""
    found = files_below(root, TRIAL)
    jobs = []
    for folder, group in groupby(sorted(found, key=_folder), key=_folder):
        trials = list(group)
        people = {match["person"].lower() for _, match in trials}
        if len(people) == 1 and folder != ".":
            jobs.append(_job(root, folder, trials[0][1], _run_of(folder)))
        else:
            jobs += [_job(root, rel, match, f"trial_{match['trial']}") for rel, match in trials]
    return sorted(jobs, key=lambda job: job.rel)


def _folder(found: tuple[str, re.Match[str]]) -> str:
    return PurePosixPath(found[0]).parent.as_posix()


def _run_of(folder: str) -> str:
    small = _SMALL.fullmatch(PurePosixPath(folder).name)
    return _CONDITIONS[small["condition"].lower()] if small else _split_of(folder) or "all"


def _split_of(rel: str) -> str | None:
    return next((_SPLITS[part.upper()] for part in PurePosixPath(rel).parts if part.upper() in _SPLITS), None)


def _job(root: Path, rel: str, match: re.Match[str], run: str) -> Job:
    person = match["person"].lower()
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"uci_eeg/{person}/{run}",
        person=Person(person, diagnosis=_DIAGNOSES[person[3]]),
        task="objects",
        run=run,
        labels=LABELS,
        overrides={"X": "eog", "Y": "eog", "nd": "other"},
        methodology=_METHODOLOGY,
        line_freq_hz=60.0,
        official_split=_split_of(rel),
    )


RECIPE = Recipe(
    id="uci_eeg",
    version="1",
    title="EEG Database (UCI): alcoholism and controls, visual objects",
    people=122,
    hours=None,
    task="pictures of objects, matched or not; alcoholism or control",
    licence="CC-BY-4.0",
    citation=(
        "Begleiter, EEG Database, UCI Machine Learning Repository, 1999; "
        "Zhang et al., Brain Research Bulletin 38(6):531-538, 1995"
    ),
    access="open",
    verified=True,
    layout_source="https://archive.ics.uci.edu/dataset/121/eeg+database",
    namespace="uci_eeg",
    plan=plan,
    start_time_note="absent: the files have no date",
    within_person=True,
    apply_at="https://archive.ics.uci.edu/dataset/121/eeg+database",
    layout="SMNI_CMI_TRAIN/co2a0000364/co2a0000364.rd.000.gz …; or a_1_co2a0000364/…; or co2a0000364/…",
)
