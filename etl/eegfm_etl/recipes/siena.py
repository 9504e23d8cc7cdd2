"""Siena Scalp EEG Database of PhysioNet: video-EEG of adults with epilepsy, a seizure or more in each recording.

https://physionet.org/content/siena-scalp-eeg/1.0.0/: ``PN00/PN00-1.edf``, and ``PN00/Seizures-list-PN00.txt`` with
clock times. The lists were typed by hand: letters O for zeros, names without a number, an hour that lies beyond the
recording's end, two times where one belongs. What was read otherwise than it is written the event says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from eegfm_etl.demographics import age_years, sex_letter, table
from eegfm_etl.downloads.manifests import physionet
from eegfm_etl.edf_fields import edf_fields
from eegfm_etl.events import Event
from eegfm_etl.recipe import Job, Person, Recipe, files_below, nearest, parts_of
from eegfm_etl.seizures import seizure_events

_FILE = re.compile(r"(?P<person>PN\d\d)-(?P<run>[\d.]+)\.edf", re.IGNORECASE)
_CLOCK = re.compile(r"(?<!\d)(\d{1,2})\s*[.:]\s*(\d\d)\s*[.:]\s*(\d\d)(?!\d)")
_DAY_S, _HOUR_S = 86400.0, 3600.0
_FIELD = re.compile(
    r"^\s*(?:Seizure\s+)?(?P<what>File name|Start time|End time)\s*:(?P<value>.*)$", re.IGNORECASE
)

_METHODOLOGY = (
    ("site", "University of Siena", "declared"),
    ("country", "IT", "declared"),
    ("protocol", "video-EEG monitoring", "declared"),
)


@dataclass(frozen=True)
class _Listed:
    """A seizure as its list has it."""

    file: str
    start: str
    stop: str


def plan(root: Path) -> list[Job]:
    """Every PNnn-n.edf at any depth; seizures from the list beside it."""
    return [_job(root, rel, match["person"].upper(), match["run"]) for rel, match in files_below(root, _FILE)]


def _job(root: Path, rel: str, person: str, run: str) -> Job:
    path = root / rel
    seizures = nearest(root, rel, f"Seizures-list-{person}.txt")
    people = nearest(root, rel, "subject_info.csv")
    events, refused = _events(seizures, path) if seizures else ((), None)
    return Job(
        path=path,
        rel=rel,
        recording_id=f"siena/{person}/{run}",
        person=_person(person, people),
        task="monitoring",
        run=run,
        methodology=_METHODOLOGY,
        line_freq_hz=50.0,
        more_events=events,
        refused=refused,
        parts=parts_of(root, seizures, people),
    )


def _events(seizures: Path, path: Path) -> tuple[tuple[Event, ...], str | None]:
    """Seizures and background, in seconds from the start that the EDF's header names.

    The lists name a start as well; where the two differ (PN05-3, PN14-3) the header's fits the file's length.
    """
    fields = edf_fields(path)
    if fields is None or fields.start is None or fields.duration_s is None:
        return (), None  # no EDF with a clock: reading it says more
    clock = fields.start.hour * _HOUR_S + fields.start.minute * 60 + fields.start.second
    listed = [one for one in _listed(seizures) if _names(one.file, path)]
    found = []
    for one in listed:
        start, stop = _offset_s(one.start, clock, electric=True), _offset_s(one.stop, clock)
        note = "seizure" if _exact(one) else f"seizure, listed as {one.start} to {one.stop}"
        if start is not None and stop is not None and start < fields.duration_s < stop:
            # An end beyond the recording's is a slip of the hour, if the same minute of the seizure's hour fits
            stop, note = start + (stop - start) % _HOUR_S, f"seizure, listed as {one.start} to {one.stop}"
        if start is None or stop is None or not 0 <= start < stop <= fields.duration_s + 1:
            return (), f"{seizures.name}: the seizure {one.start} to {one.stop} does not lie in {path.name}"
        found.append((start, stop, note))
    if not found:
        return (), None
    return seizure_events(found, fields.duration_s), None


def _listed(seizures: Path) -> Iterator[_Listed]:
    """Seizures in the list's order; one without a file's name belongs to the file before it."""
    file, start = "", ""
    for line in seizures.read_text(encoding="latin-1").splitlines():
        match = _FIELD.match(line)
        if match is None:
            continue
        what, value = match["what"].lower(), match["value"].strip()
        if what == "file name":
            file = value
        elif what == "start time":
            start = value
        else:
            yield _Listed(file, start, value)


def _names(listed: str, path: Path) -> bool:
    """Whether a listed name means this file: PNO6 is PN06, and PN01.edf or PN11-.edf the person's only file."""
    name = re.sub(r"^PNO", "PN0", listed.upper()).removesuffix(".EDF")
    if re.fullmatch(r"PN\d\d-?", name):
        others = [one for one in path.parent.iterdir() if _FILE.fullmatch(one.name)]
        return len(others) == 1 and path.stem.upper().startswith(name.rstrip("-"))
    return name == path.stem.upper()


def _offset_s(text: str, start_clock_s: float, electric: bool = False) -> float | None:
    """Seconds from the recording's start to a clock time, over midnight if need be.

    Of two times the first is taken, but an electric onset (the EEG's) before a clinical one.
    """
    times = list(_CLOCK.finditer(text))
    if not times:
        return None
    chosen = times[0]
    if electric and len(times) > 1 and (word := re.search("electric", text, re.IGNORECASE)):
        chosen = max((one for one in times if one.start() < word.start()), key=lambda one: one.start())
    hours, minutes, seconds = (int(part) for part in chosen.groups())
    return (hours * _HOUR_S + minutes * 60 + seconds - start_clock_s) % _DAY_S


def _exact(one: _Listed) -> bool:
    return all(_CLOCK.fullmatch(text) for text in (one.start, one.stop))


def _person(person: str, people: Path | None) -> Person:
    rows = [row for row in (table(people) if people else []) if row.get("patient_id") == person]
    if not rows:
        return Person(person, diagnosis="epilepsy")
    kept = ("seizure", "localization", "lateralization")
    return Person(
        person,
        age=age_years(rows[0].get("age_years")),
        sex=sex_letter(rows[0].get("gender")),
        diagnosis="epilepsy",
        phenotype={name: rows[0][name] for name in kept if rows[0].get(name)} or None,
    )


RECIPE = Recipe(
    id="siena",
    version="1",
    title="Siena Scalp EEG Database (PhysioNet)",
    people=14,
    hours=128.0,
    task="seizures of adults",
    licence="CC-BY-4.0",
    citation=(
        "Detti et al., Processes 8(7):846, 2020; Detti, PhysioNet 2020, doi:10.13026/5d4a-j060; "
        "Goldberger et al., Circulation 101(23):e215-e220, 2000"
    ),
    access="open",
    verified=True,
    layout_source="https://physionet.org/content/siena-scalp-eeg/1.0.0/",
    namespace="siena",
    plan=plan,
    download=partial(physionet, "https://physionet.org/files/siena-scalp-eeg/1.0.0/"),
    layout="PN00/PN00-1.edf, PN00/Seizures-list-PN00.txt, subject_info.csv",
)
