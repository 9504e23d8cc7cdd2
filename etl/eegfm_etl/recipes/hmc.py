"""Haaglanden Medisch Centrum sleep staging database of PhysioNet: nights of people with various sleep disorders.

https://physionet.org/content/hmc-sleep-staging/1.1/: ``recordings/SN001.edf`` (EEG against the other side's mastoid,
EOG, chin EMG, ECG at 256 Hz) and ``SN001_sleepscoring.edf``, scored by AASM; ``Lights off@@…`` is no stage.
"""

import re
from functools import partial
from pathlib import Path

from eegfm_etl.downloads.manifests import physionet
from eegfm_etl.events import Event
from eegfm_etl.hypnogram import edf_epochs
from eegfm_etl.recipe import Job, Person, Recipe, files_below, parts_of
from eegfm_lake.errors import EegfmError

_FILE = re.compile(r"(?P<person>SN\d{3})\.edf")
_METHODOLOGY = (
    ("reference", "contralateral mastoid", "declared"),
    ("site", "Haaglanden Medisch Centrum, The Hague", "declared"),
    ("country", "NL", "declared"),
    ("protocol", "night in a sleep clinic", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every SNnnn.edf at any depth, with the scoring beside it."""
    return [_job(root, rel, match["person"]) for rel, match in files_below(root, _FILE)]


def _job(root: Path, rel: str, person: str) -> Job:
    path = root / rel
    scoring = path.with_name(f"{person}_sleepscoring.edf")
    events, refused = _events(scoring, path)
    return Job(
        path=path,
        rel=rel,
        recording_id=f"hmc/{person}/night",
        person=Person(person),
        task="sleep",
        run="night",
        methodology=_METHODOLOGY,
        line_freq_hz=50.0,
        more_events=events,
        refused=refused,
        parts=parts_of(root, scoring, scoring.with_suffix(".txt")),
    )


def _events(scoring: Path, path: Path) -> tuple[tuple[Event, ...], str | None]:
    if not scoring.is_file():
        return (), None
    try:
        return edf_epochs(scoring, path), None
    except EegfmError as error:
        return (), str(error)


RECIPE = Recipe(
    id="hmc",
    version="1",
    title="Haaglanden Medisch Centrum sleep staging database (PhysioNet)",
    people=151,
    hours=None,
    task="sleep stages",
    licence="CC-BY-4.0",
    citation=(
        "Alvarez-Estevez and Rijsman, PLoS ONE 16(8):e0256111, 2021; the same, PhysioNet 2022, "
        "doi:10.13026/t79q-fr32; Goldberger et al., Circulation 101(23):e215-e220, 2000"
    ),
    access="open",
    verified=True,
    layout_source="https://physionet.org/content/hmc-sleep-staging/1.1/",
    namespace="hmc",
    plan=plan,
    download=partial(physionet, "https://physionet.org/files/hmc-sleep-staging/1.1/"),
    layout="recordings/SN001.edf, recordings/SN001_sleepscoring.edf",
)
