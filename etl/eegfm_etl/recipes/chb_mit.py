"""CHB-MIT Scalp EEG Database of PhysioNet: children with epilepsy, hours before, in and after seizures.

https://physionet.org/content/chbmit/1.0.0/: 24 cases, ``chb01/chb01_03.edf``, seizures in ``chb01-summary.txt``,
ages and sexes in SUBJECT-INFO. Case chb21 is the girl of chb01, one and a half years later. Labels are bipolar
derivations; ``-`` stands for an input without an electrode.
"""

import re
from functools import partial
from pathlib import Path

from eegfm_etl.demographics import age_years, sex_letter, table
from eegfm_etl.downloads.manifests import physionet
from eegfm_etl.edf_fields import edf_fields
from eegfm_etl.events import Event
from eegfm_etl.recipe import Job, Person, Recipe, files_below, nearest, parts_of
from eegfm_etl.seizures import seizure_events

_FILE = re.compile(r"(?P<case>chb\d\d)(?P<run>[a-z]?_\d+\+?)\.edf")
_BLOCK = re.compile(r"^File Name:\s*(?P<file>\S+)(?P<rest>.*?)(?=^File Name:|\Z)", re.MULTILINE | re.DOTALL)
_START = re.compile(r"Seizure\s*\d*\s*Start Time:\s*(\d+(?:\.\d+)?)\s*seconds", re.IGNORECASE)
_STOP = re.compile(r"Seizure\s*\d*\s*End Time:\s*(\d+(?:\.\d+)?)\s*seconds", re.IGNORECASE)
_COUNT = re.compile(r"Number of Seizures in File:\s*(\d+)", re.IGNORECASE)
_SAME = {"chb01": ("chb_mit/chb21",), "chb21": ("chb_mit/chb01",)}

_METHODOLOGY = (
    ("reference", "bipolar", "declared"),
    ("site", "Boston Children's Hospital", "declared"),
    ("country", "US", "declared"),
    ("protocol", "monitoring before epilepsy surgery", "declared"),
    ("medication", "anti-seizure medication withdrawn", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every chbnn_nn.edf at any depth; seizures from the case's summary beside it."""
    return [
        _job(root, rel, match["case"], match["run"].lstrip("_")) for rel, match in files_below(root, _FILE)
    ]


def _job(root: Path, rel: str, case: str, run: str) -> Job:
    path = root / rel
    summary = nearest(root, rel, f"{case}-summary.txt")
    people = nearest(root, rel, "SUBJECT-INFO")
    events, refused = _events(summary, path) if summary else ((), None)
    return Job(
        path=path,
        rel=rel,
        recording_id=f"chb_mit/{case}/{run}",
        person=_person(case, people),
        task="monitoring",
        run=run,
        overrides={"LOC-ROC": "eog", "LUE-RAE": "other", "VNS": "other"},
        methodology=_METHODOLOGY,
        line_freq_hz=60.0,
        more_events=events,
        refused=refused,
        parts=parts_of(root, summary, people, path.with_name(f"{path.name}.seizures")),
    )


def _events(summary: Path, path: Path) -> tuple[tuple[Event, ...], str | None]:
    """Seizures and background of a file by its case's summary; nothing where the summary does not list it."""
    blocks = {
        match["file"]: match["rest"] for match in _BLOCK.finditer(summary.read_text(encoding="latin-1"))
    }
    if path.name not in blocks:
        return (), None
    starts = [float(text) for text in _START.findall(blocks[path.name])]
    stops = [float(text) for text in _STOP.findall(blocks[path.name])]
    count = _COUNT.search(blocks[path.name])
    ordered = all(start < stop for start, stop in zip(starts, stops, strict=False))
    if count is None or not len(starts) == len(stops) == int(count[1]) or not ordered:
        return (), (
            f"{summary.name} is damaged: for {path.name} it counts {count[1] if count else 'no'} seizures and "
            f"gives {len(starts)} starts and {len(stops)} ends; fetch it again, then ingest with --retry-failed"
        )
    fields = edf_fields(path)
    seizures = [(start, stop, "seizure") for start, stop in zip(starts, stops, strict=True)]
    return seizure_events(seizures, fields.duration_s if fields else None), None


def _person(case: str, people: Path | None) -> Person:
    same = _SAME.get(case, ())
    rows = [row for row in (table(people, "\t") if people else []) if row.get("Case") == case]
    if not rows:  # chb24 came later and is not in the table
        return Person(case, diagnosis="epilepsy", same_as=same)
    age, sex = age_years(rows[0].get("Age (years)")), sex_letter(rows[0].get("Gender"))
    return Person(case, age=age, sex=sex, diagnosis="epilepsy", same_as=same)


RECIPE = Recipe(
    id="chb_mit",
    version="1",
    title="CHB-MIT Scalp EEG Database (PhysioNet)",
    people=23,
    hours=None,
    task="seizures of children",
    licence="ODC-BY-1.0",
    citation=(
        "Shoeb, Application of Machine Learning to Epileptic Seizure Onset Detection and Treatment, MIT, 2009; "
        "Guttag, PhysioNet 2010, doi:10.13026/C2K01R; Goldberger et al., Circulation 101(23):e215-e220, 2000"
    ),
    access="open",
    verified=True,
    layout_source="https://physionet.org/content/chbmit/1.0.0/",
    namespace="chb_mit",
    plan=plan,
    download=partial(physionet, "https://physionet.org/files/chbmit/1.0.0/"),
    start_time_note="dropped: dates were replaced by others before publication",
    layout="chb01/chb01_03.edf, chb01/chb01-summary.txt, SUBJECT-INFO",
)
