"""EEG During Mental Arithmetic Tasks of PhysioNet: 36 people at rest and while they subtract.

https://physionet.org/content/eegmat/1.0.0/: "_1" is the background EEG before the task, "_2" the task; Zyma et
al. 2019: rest with eyes closed; reference "interconnected ears"; mains notch at 50 Hz; artefacts removed by ICA.
"""

import re
from functools import partial
from pathlib import Path

from eegfm_etl.demographics import age_years, sex_letter, table
from eegfm_etl.downloads.manifests import physionet
from eegfm_etl.recipe import Job, Person, Recipe, files_below, nearest, parts_of

_FILE = re.compile(r"(?P<person>Subject\d\d)_(?P<run>[12])\.edf", re.IGNORECASE)
_TABLE = "subject-info.csv"
_TASKS = {"1": "rest", "2": "arithmetic"}
_LABELS = {"1": "rest/eyes_closed", "2": "cognition/arithmetic"}
_PROTOCOLS = {
    "1": (("protocol", "rest with eyes closed before mental arithmetic", "declared"),),
    "2": (("protocol", "serial subtraction", "declared"), ("cue_modality", "auditory", "declared")),
}
_COUNT_QUALITY = {"0": "bad", "1": "good"}

_METHODOLOGY = (
    ("reference", "linked ears", "declared"),
    ("amplifier", "Neurocom EEG 23-channel (XAI-MEDICA)", "declared"),
    ("electrode", "Ag/AgCl", "declared"),
    ("site", "Taras Shevchenko National University of Kyiv", "declared"),
    ("country", "UA", "declared"),
    ("hardware_notch", "50", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every Subjectnn_1.edf and Subjectnn_2.edf at any depth; people from the nearest subject-info.csv."""
    return [
        _job(root, rel, match["person"].capitalize(), match["run"]) for rel, match in files_below(root, _FILE)
    ]


def _job(root: Path, rel: str, person: str, run: str) -> Job:
    people = nearest(root, rel, _TABLE)
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"eegmat/{person}/{_TASKS[run]}",
        person=_person(person, people),
        task=_TASKS[run],
        run=run,
        # The channel between the ears is no scalp EEG, though its label says so.
        overrides={"EEG A2-A1": "other"},
        methodology=(*_METHODOLOGY, *_PROTOCOLS[run]),
        line_freq_hz=50.0,
        label=_LABELS[run],
        events=(),  # the files' only annotation, "[Total time]", is their length
        parts=parts_of(root, people),
    )


def _person(person: str, people: Path | None) -> Person:
    """From the table: age and sex in the files' headers contradict it, and each other."""
    rows = [row for row in (table(people) if people else []) if row.get("Subject") == person]
    if not rows:
        return Person(person)
    quality, subtractions = rows[0].get("Count quality", ""), rows[0].get("Number of subtractions", "")
    phenotype = {"count_quality": _COUNT_QUALITY.get(quality, ""), "subtractions": subtractions}
    return Person(
        person,
        age=age_years(rows[0].get("Age")),
        sex=sex_letter(rows[0].get("Gender")),
        diagnosis="healthy",
        phenotype={name: value for name, value in phenotype.items() if value},
    )


RECIPE = Recipe(
    id="eegmat",
    version="1",
    title="EEG During Mental Arithmetic Tasks (PhysioNet)",
    people=36,
    hours=2.4,
    task="rest with eyes closed; mental arithmetic",
    licence="ODC-BY-1.0",
    citation="Zyma et al., Data 4(1):14, 2019; Goldberger et al., Circulation 101(23):e215-e220, 2000",
    access="open",
    verified=True,
    layout_source="https://physionet.org/content/eegmat/1.0.0/",
    namespace="eegmat",
    plan=plan,
    download=partial(physionet, "https://physionet.org/files/eegmat/1.0.0/"),
    start_time_note="dropped: every header says midnight of 1 January",
    layout="Subjectnn_1.edf (rest), Subjectnn_2.edf (arithmetic), subject-info.csv",
)
