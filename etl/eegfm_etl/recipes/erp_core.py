"""ERP CORE: 40 people, six tasks, seven components of the event-related potential.

Layout and codes: Kappenman et al., NeuroImage 225:117465, 2021 (https://doi.org/10.18115/D5JW4R) and NEMAR's
nm000132; ``sub-001/eeg/sub-001_task-N170_eeg.set`` with ``_events.tsv`` (onset, duration, sample, trial_type,
value) and participants.tsv. Tasks are N170, MMN, N2pc, N400, P3, and the flankers, once as ERN and once as LRP in
the first release, ``flankers`` in the later one: the same recording, so ingest one. Visual stimuli came 26 ms after
their code (the monitor's delay, measured by the authors with a photosensor): their onsets are moved by it.
"""

import re
from pathlib import Path, PurePosixPath

from eegfm_etl import bids_tables
from eegfm_etl.demographics import age_years, sex_letter
from eegfm_etl.events import Event
from eegfm_etl.recipe import Job, Person, Recipe, files_below

_FILE = re.compile(
    r"sub-(?P<person>\d{3})(?:_ses-\w+?)?_task-(?P<task>N170|MMN|N2pc|N400|P3|ERN|LRP|flankers)_eeg\.set",
    re.IGNORECASE,
)
MONITOR_DELAY_S = 0.026
_EOG = ("HEOG_left", "HEOG_right", "VEOG_lower")
_METHODOLOGY = (
    ("site", "University of California, Davis", "declared"),
    ("country", "US", "declared"),
    ("amplifier", "BioSemi ActiveTwo", "declared"),
    ("reference", "none: single-ended", "declared"),
)


def _faces(code: int) -> str | None:
    kinds = ((1, "face"), (41, "car"), (101, "scrambled_face"), (141, "scrambled_car"))
    return next((f"erp/n170/{kind}" for first, kind in kinds if first <= code < first + 40), None)


def _tones(code: int) -> str | None:
    kinds = {70: "deviant", 80: "standard", 180: "first_standard"}
    return f"erp/mmn/{kinds[code]}" if code in kinds else None


def _search(code: int) -> str | None:
    """Colour of the target, its side, the gap's place."""
    if code not in (111, 112, 121, 122, 211, 212, 221, 222):
        return None
    return f"erp/n2pc/{'left' if code // 10 % 10 == 1 else 'right'}_target"


def _words(code: int) -> str | None:
    if code not in (111, 112, 121, 122, 211, 212, 221, 222):
        return None
    kind = "prime" if code < 200 else "target"
    return f"erp/n400/{kind}/{'related' if code // 10 % 10 == 1 else 'unrelated'}"


def _letters(code: int) -> str | None:
    """Read the block's target letter, then the letter shown, each 1 to 5."""
    target, shown = divmod(code, 10)
    if not (1 <= target <= 5 and 1 <= shown <= 5):
        return None
    return f"erp/p3/{'target' if target == shown else 'nontarget'}"


def _flankers(code: int) -> str | None:
    """Stimuli of two digits: flankers, side of the target; answers have the hand before them."""
    if code in (11, 12, 21, 22):
        return f"erp/flankers/{'compatible' if code < 20 else 'incompatible'}"
    if code in (111, 121, 212, 222, 112, 122, 211, 221):
        hand, side = ("left", "right")[code // 100 - 1], code % 10
        return f"response/{hand}/{'correct' if code // 100 == side else 'error'}"
    return None


_TASKS = {
    "n170": _faces, "mmn": _tones, "n2pc": _search, "n400": _words, "p3": _letters,
    "ern": _flankers, "lrp": _flankers, "flankers": _flankers,
}  # fmt: skip


def label(task: str, code: int) -> str | None:
    """Label path of an event's code in a task; None where the code means nothing there."""
    if _TASKS[task.lower()] is not _flankers and code in (201, 202):
        return f"response/{'correct' if code == 201 else 'error'}"
    return _TASKS[task.lower()](code)


def plan(root: Path) -> list[Job]:
    """Every task of every person, at any depth."""
    people = bids_tables.participants(root)
    return [
        _job(root, rel, match, people.get(match["person"], {})) for rel, match in files_below(root, _FILE)
    ]


def events_of(task: str, rows: list[dict[str, str]]) -> tuple[Event, ...]:
    """Make events of the rows of an events.tsv; stimuli on the monitor at the time at which they were seen."""
    events = []
    for row in rows:
        onset_s, code = bids_tables.number(row.get("onset")), bids_tables.number(row.get("value"))
        if onset_s is None or code is None or row.get("trial_type", "").upper() == "STATUS":
            continue
        path = label(task, int(code))
        seen = path is not None and path.startswith("erp/") and task.lower() != "mmn"
        text = f"{code:g}"
        length_s = bids_tables.number(row.get("duration"))
        events.append(Event(onset_s + MONITOR_DELAY_S * seen, length_s, path, text, text, None))
    return tuple(sorted(events, key=lambda event: event.onset_s))


def _job(root: Path, rel: str, match: re.Match[str], row: dict[str, str]) -> Job:
    task = match["task"]
    sidecar = PurePosixPath(rel).with_name(re.sub(r"_eeg\.set$", "_events.tsv", PurePosixPath(rel).name))
    rows = bids_tables.table(root / sidecar)
    cue = "auditory" if task.upper() == "MMN" else "visual"
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"erp_core/{match['person']}/{task}",
        person=Person(
            match["person"],
            age=age_years(row.get("age")),
            sex=sex_letter(row.get("sex")),
            handedness=bids_tables.hand(row.get("handedness")),
        ),
        task=task,
        events=events_of(task, rows) if rows else None,
        overrides=dict.fromkeys(_EOG, "eog"),
        methodology=(*_METHODOLOGY, ("protocol", task, "declared"), ("cue_modality", cue, "declared")),
        line_freq_hz=60.0,
        hardware_band=(None, 204.8),
        parts=(sidecar.as_posix(),) if rows else (),
    )


RECIPE = Recipe(
    id="erp_core",
    version="1",
    title="ERP CORE: seven components of the event-related potential",
    people=40,
    hours=None,
    task="faces, deviant tones, visual search, words, oddball letters, flankers",
    licence="CC-BY-SA-4.0",
    citation="Kappenman et al., NeuroImage 225:117465, 2021",
    access="open",
    verified=True,
    layout_source="https://doi.org/10.18115/D5JW4R",
    namespace="erp_core",
    plan=plan,
    apply_at="https://doi.org/10.18115/D5JW4R or https://nemar.org (nm000132)",
    layout="sub-001/eeg/sub-001_task-N170_eeg.set with _events.tsv, participants.tsv",
)
