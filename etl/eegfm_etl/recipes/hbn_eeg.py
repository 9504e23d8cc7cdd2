"""HBN-EEG: the Healthy Brain Network's EEG in BIDS, people of 5 to 21 years, six tasks.

Layout: Shirazi et al., https://doi.org/10.1101/2024.10.03.615261 and https://neuromechanist.github.io/data/hbn/; the
releases ds005505 … on OpenNeuro and NEMAR, ``sub-NDARAC904DMU/eeg/sub-NDARAC904DMU_task-…[_run-1]_eeg.set`` (or .bdf)
with ``_events.tsv`` (onset, duration, sample, value, event_code, feedback) and a participants.tsv with sex, age,
ehq_total (+100 right-handed, -100 left-handed) and the four factors of the Child Behavior Checklist. A target of
contrastChangeDetection lasts until the button is pressed: its duration and value are the reaction time. The cap is
"a 128-channel EEG geodesic hydrocel system by EGI" (Alexander et al. 2017), with its reference Cz as 129th channel.
"""

import re
from pathlib import Path, PurePosixPath

from eegfm_etl import bids_tables
from eegfm_etl.demographics import age_years, sex_letter
from eegfm_etl.events import Event
from eegfm_etl.recipe import Job, Person, Recipe, files_below

_FILE = re.compile(
    r"sub-(?P<person>[A-Za-z0-9]+)_task-(?P<task>[A-Za-z0-9]+?)(?:_run-(?P<run>\d+))?_eeg\.(?:set|bdf)"
)
FACTORS = ("p_factor", "attention", "internalizing", "externalizing", "ehq_total")
_TARGETS = {"left_target": "left_buttonPress", "right_target": "right_buttonPress"}
LABELS: dict[str, str | None] = {
    "left_target": "decision/contrast/left",
    "right_target": "decision/contrast/right",
    "contrastTrial_start": "trial/start",
    "left_buttonPress": "response/left",
    "right_buttonPress": "response/right",
    "instructed_toOpenEyes": "rest/eyes_open",
    "instructed_toCloseEyes": "rest/eyes_closed",
    "break cnt": None,
    "9999": None,
}
_RESTS = ("instructed_toOpenEyes", "instructed_toCloseEyes")
_METHODOLOGY = (
    ("site", "Child Mind Institute, New York", "declared"),
    ("country", "US", "declared"),
    ("amplifier", "EGI", "declared"),
    ("cap", "GSN-HydroCel-129", "declared"),
    ("reference", "Cz", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every recording of every release below the root."""
    people = bids_tables.participants(root)
    return [
        _job(root, rel, match, people.get(match["person"], {})) for rel, match in files_below(root, _FILE)
    ]


def events_of(rows: list[dict[str, str]]) -> tuple[Event, ...]:
    """Make events of the rows of an events.tsv; targets last until the answer, instructions until the next row.

    Rows without an onset are left out.
    """
    timed = [(onset, row) for row in rows if (onset := bids_tables.number(row.get("onset"))) is not None]
    timed.sort(key=lambda one: one[0])
    events = []
    for place, (onset_s, row) in enumerate(timed):
        text = row.get("value", "")
        if LABELS.get(text, "") is None or not text:
            continue
        duration_s, value = bids_tables.number(row.get("duration")), row.get("feedback")
        if text in _TARGETS:
            duration_s = _reaction_s(timed[place:])
            value = None if duration_s is None else f"{duration_s:.3f}"
        elif text in _RESTS and place + 1 < len(timed):
            duration_s = timed[place + 1][0] - onset_s
        events.append(Event(onset_s, duration_s, LABELS.get(text), value, text, None))
    return tuple(events)


def _reaction_s(timed: list[tuple[float, dict[str, str]]]) -> float | None:
    """Seconds from a target to the first button after it; None where the next trial came first."""
    for onset_s, row in timed[1:]:
        text = row.get("value", "")
        if text in _TARGETS.values():
            return round(onset_s - timed[0][0], 6)
        if text in _TARGETS or text == "contrastTrial_start":
            return None
    return None


def _job(root: Path, rel: str, match: re.Match[str], row: dict[str, str]) -> Job:
    run = f"run-{match['run']}" if match["run"] else None
    sidecar = PurePosixPath(rel).with_name(re.sub(r"_eeg\.\w+$", "_events.tsv", PurePosixPath(rel).name))
    rows = bids_tables.table(root / sidecar)
    factors = {name: row[name] for name in FACTORS if bids_tables.number(row.get(name)) is not None}
    return Job(
        path=root / rel,
        rel=rel,
        recording_id="/".join(["hbn_eeg", match["person"], match["task"], *([run] if run else [])]),
        person=Person(
            match["person"],
            age=age_years(row.get("age")),
            sex=sex_letter(row.get("sex")),
            phenotype=factors or None,
        ),
        task=match["task"],
        run=run,
        labels=LABELS,
        events=events_of(rows) if rows else None,
        methodology=(*_METHODOLOGY, ("protocol", match["task"], "declared")),
        line_freq_hz=60.0,
        parts=(sidecar.as_posix(),) if rows else (),
    )


RECIPE = Recipe(
    id="hbn_eeg",
    version="1",
    title="HBN-EEG: Healthy Brain Network, six tasks",
    people=None,
    hours=None,
    task="rest, films, surround suppression, contrast change, sequence learning, symbol search; CBCL factors",
    licence="CC-BY-SA-4.0",
    citation="Shirazi et al., bioRxiv 2024.10.03.615261; Alexander et al., Scientific Data 4:170181, 2017",
    access="open",
    verified=True,
    layout_source="https://neuromechanist.github.io/data/hbn/",
    namespace="hbn",
    plan=plan,
    apply_at="https://neuromechanist.github.io/data/hbn/",
    layout="sub-*/eeg/sub-*_task-*_eeg.set or .bdf with _events.tsv, participants.tsv",
)
