"""SSVEP of Kalunga et al.: twelve people look at one of three flickering groups of LEDs, or at none.

Layout and codes: MOABB's ``Kalunga2016`` (https://moabb.neurotechx.com/docs/generated/moabb.datasets.Kalunga2016.html)
and https://zenodo.org/records/2392979, ``subject01_run1_raw.fif`` with two to five runs a person. The channel
``stim`` marks each trial of five seconds: 1 rest, 2 13 Hz, 3 21 Hz, 4 17 Hz; MOABB's notes say that 17 and 21 Hz
were swapped in earlier lists.
"""

import re
from pathlib import Path

from eegfm_etl.recipe import Job, Person, Recipe, files_below
from eegfm_etl.source import Ask

_FILE = re.compile(r"subject(?P<person>\d{2})_run(?P<run>\d+)_raw\.fif", re.IGNORECASE)
LABELS = {"1": "ssvep/rest", "2": "ssvep/13hz", "3": "ssvep/21hz", "4": "ssvep/17hz"}
_METHODOLOGY = (
    ("site", "Laboratoire d'Ingénierie des Systèmes de Versailles", "declared"),
    ("country", "FR", "declared"),
    ("amplifier", "g.tec MobiLab", "declared"),
    ("reference", "right mastoid", "declared"),
    ("protocol", "gaze at flickering LEDs", "declared"),
    ("cue_modality", "auditory", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every run's FIF, at any depth."""
    return [_job(root, rel, match["person"], match["run"]) for rel, match in files_below(root, _FILE)]


def _job(root: Path, rel: str, person: str, run: str) -> Job:
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"kalunga_ssvep/{person}/run{run}",
        person=Person(person),
        task="ssvep",
        run=f"run{run}",
        labels=LABELS,
        methodology=_METHODOLOGY,
        line_freq_hz=50.0,
        ask=Ask(triggers="stim"),
    )


RECIPE = Recipe(
    id="kalunga_ssvep",
    version="1",
    title="SSVEP with LEDs of 13, 17 and 21 Hz (Kalunga et al.)",
    people=12,
    hours=None,
    task="which of three lights is looked at, or none",
    licence="CC-BY-4.0",
    citation="Kalunga et al., Neurocomputing 191:55-68, 2016",
    access="open",
    verified=True,
    layout_source="https://zenodo.org/records/2392979",
    namespace="kalunga_ssvep",
    plan=plan,
    apply_at="https://zenodo.org/records/2392979",
    layout="subject01_run1_raw.fif …",
)
