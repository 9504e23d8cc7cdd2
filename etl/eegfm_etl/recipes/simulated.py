"""Three simulated laboratories: left and right motor imagery of people who never lived.

Layout: `eegfm_etl.simulated.corpus.write_corpus`, which is also this recipe's download.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eegfm_etl.recipe import Job, Person, Recipe, files_below
from eegfm_lake.errors import EegfmError

_PERSON = r"(?P<person>(?P<lab>[ABC])\d{2,})"
_FILES = {
    "A": re.compile(rf"{_PERSON}R01\.edf"),
    "B": re.compile(rf"sub-{_PERSON}_task-imagery_eeg\.vhdr"),
    "C": re.compile(rf"{_PERSON}_imagery_simulated\.set"),
}
_LEFT, _RIGHT, _REST = "motor/imagery/left_fist", "motor/imagery/right_fist", "rest/between_trials"
_LABELS = {
    "A": {"T0": _REST, "T1": _LEFT, "T2": _RIGHT},
    "B": {"Stimulus/S  9": _REST, "Stimulus/S  1": _LEFT, "Stimulus/S  2": _RIGHT},
    "C": {"276": _REST, "769": _LEFT, "770": _RIGHT},
}
# Laboratory B's own sidecar names its reference and mains; A and C write neither into their files.
_DECLARED: dict[str, dict[str, Any]] = {
    "A": {"EEGReference": "TP9+TP10", "PowerLineFrequency": 60.0},
    "C": {"EEGReference": "TP9", "PowerLineFrequency": 50.0},
}


def plan(root: Path) -> list[Job]:
    """Every recording of the three laboratories, at any depth."""
    found = [(rel, match) for pattern in _FILES.values() for rel, match in files_below(root, pattern)]
    return [_job(root, rel, match["person"], match["lab"]) for rel, match in found]


def download(target: Path, only: Sequence[str] = ()) -> Path:
    """Simulate the corpus into `target`, unless it is there; it is made whole, whatever `only` asks for."""
    from eegfm_etl.simulated.corpus import write_corpus

    return write_corpus(target).root


def _job(root: Path, rel: str, person: str, lab: str) -> Job:
    facts, origin = (_DECLARED[lab], "declared") if lab in _DECLARED else (_sidecar(root / rel), "recorded")
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"simulated/{person}/imagery",
        person=Person(person),
        task="imagery",
        run="R01",
        labels=_LABELS[lab],
        methodology=(
            ("simulated", "true", "declared"),
            ("site", lab, "declared"),
            ("amplifier", "simulated", "declared"),
            ("protocol", "imagery of left or right fist", "declared"),
            ("reference", facts["EEGReference"], origin),
        ),
        line_freq_hz=facts["PowerLineFrequency"],
    )


def _sidecar(header: Path) -> dict[str, Any]:
    path = header.with_suffix(".json")
    if not path.exists():
        raise EegfmError(
            f"{path} not found: laboratory B's reference and mains are in this sidecar; simulate again"
        )
    return json.loads(path.read_text(encoding="utf-8"))


RECIPE = Recipe(
    id="simulated",
    version="1",
    title="Left and right motor imagery of three simulated laboratories",
    people=27,
    hours=2.0,
    task="left and right fist, imagined; rest (simulated)",
    licence="CC0-1.0",
    citation="Simulated by eegfm_etl.simulated.corpus; no person was recorded.",
    access="simulated",
    verified=True,
    layout_source="eegfm_etl.simulated.corpus",
    namespace="sim",
    plan=plan,
    download=download,
    start_time_note="dropped: the date of a simulated recording means nothing",
)
