"""ISRUC-Sleep of the University of Coimbra: nights scored by two experts.

https://sleeptight.isr.uc.pt/; Khalighi et al. 2016: subgroup I 100 people with sleep disorders, II 8 people on two
nights (``subgroupII/1/2/2.rec``), III 10 healthy people. ``1.rec`` is an EDF; ``1_1.txt`` and ``1_2.txt`` have one
stage a line for every 30 s: 0 wake, 1 to 3 N1 to N3, 5 REM.
"""

import re
from pathlib import Path

from eegfm_etl.events import Event
from eegfm_etl.hypnogram import N1, N2, N3, REM, WAKE, numbered_epochs
from eegfm_etl.recipe import Job, Person, Recipe, files_below, parts_of
from eegfm_lake.errors import EegfmError

_FILE = re.compile(r"(?P<run>\d{1,3})\.(?:rec|edf)", re.IGNORECASE)
_FOLDERS = re.compile(
    r"(?:^|/)sub_?group_?(?P<group>I{1,3}|[123])/(?P<person>\d{1,3})(?:/(?P<night>[12]))?/[^/]+$",
    re.IGNORECASE,
)
_GROUPS = {"1": "I", "2": "II", "3": "III"}
_DIAGNOSES = {"I": "sleep disorder", "II": "sleep disorder", "III": "healthy"}
_STAGES = {"0": WAKE, "1": N1, "2": N2, "3": N3, "5": REM}
_METHODOLOGY = (
    ("reference", "contralateral ear", "declared"),
    ("site", "Centro Hospitalar e Universitário de Coimbra", "declared"),
    ("country", "PT", "declared"),
    ("protocol", "night in a sleep clinic", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every n.rec (or n.edf, as some tools rename it) in a person's or night's folder of a subgroup."""
    return [
        _job(root, rel, folders, match["run"])
        for rel, match in files_below(root, _FILE)
        if (folders := _FOLDERS.search(rel)) and match["run"] in (folders["person"], folders["night"])
    ]


def _job(root: Path, rel: str, folders: re.Match[str], run: str) -> Job:
    path = root / rel
    group = _GROUPS.get(folders["group"], folders["group"].upper())
    person, night = f"{group}_{folders['person']}", folders["night"] or "1"
    scorings = [path.with_name(f"{run}_{scorer}.txt") for scorer in "12"]
    events, refused = _events(scorings)
    return Job(
        path=path,
        rel=rel,
        recording_id=f"isruc/{person}/night{night}",
        person=Person(person, diagnosis=_DIAGNOSES[group]),
        session=f"night{night}",
        task="sleep",
        run=run,
        overrides=dict.fromkeys(("LOC-A2", "ROC-A1", "E1-M2", "E2-M1"), "eog"),
        methodology=_METHODOLOGY,
        line_freq_hz=50.0,
        more_events=events,
        refused=refused,
        parts=parts_of(root, *scorings),
    )


def _events(scorings: list[Path]) -> tuple[tuple[Event, ...], str | None]:
    """Give the first expert's epochs below ``sleep``, the second's below ``second_scorer/sleep``."""
    events: tuple[Event, ...] = ()
    for scoring, prefix in zip(scorings, ("", "second_scorer/"), strict=True):
        try:
            events += numbered_epochs(scoring, _STAGES, prefix) if scoring.is_file() else ()
        except EegfmError as error:
            return (), str(error)
    return events, None


RECIPE = Recipe(
    id="isruc",
    version="1",
    title="ISRUC-Sleep",
    people=118,
    hours=None,
    task="sleep stages by two experts",
    licence="unstated; the publication is to be cited",
    citation="Khalighi et al., Computer Methods and Programs in Biomedicine 124:180-192, 2016",
    access="open",
    verified=True,
    layout_source=(
        "https://sleeptight.isr.uc.pt/; "
        "https://pyhealth.readthedocs.io/en/latest/api/datasets/pyhealth.datasets.ISRUCDataset.html"
    ),
    namespace="isruc",
    plan=plan,
    apply_at="https://sleeptight.isr.uc.pt/ (RAR archives, to be unpacked into the folders of their subgroups)",
    layout="subgroupI/1/1.rec with 1_1.txt and 1_2.txt, subgroupII/1/2/2.rec, subgroupIII/1/1.rec",
)
