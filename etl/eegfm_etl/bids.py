"""What the sidecars of a BIDS data set say about one EEG recording.

BIDS 1.10, https://bids-specification.readthedocs.io/en/stable/modality-specific-files/electroencephalography.html.
Which sidecar holds for which recording is the inheritance principle; mne-bids finds it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mne_bids import BIDSPath, get_entities_from_fname

from eegfm_etl.bids_tables import hand, number, table
from eegfm_etl.demographics import age_years, sex_letter
from eegfm_etl.events import Event
from eegfm_etl.recipe import Person

XYZ = tuple[float, float, float]

_TYPES = {
    "EEG": "eeg", "EOG": "eog", "HEOG": "eog", "VEOG": "eog", "ECG": "ecg", "EMG": "emg", "RESP": "resp",
    "TRIG": "stim",
}  # fmt: skip
_METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
_FRONT_FIRST = ("CTF", "EEGLAB", "EEGLAB-HJ", "4DBTI", "KITYOKOGAWA", "CHIETIITAB")
"""Coordinate systems whose x axis leads to the nose and y to the left ear."""
_HEAD_RADIUS_M = (0.060, 0.120)
_DIAGNOSIS = ("diagnosis", "dx", "group")
_COVARIATES = {
    "EEGReference": "reference", "EEGGround": "ground", "PowerLineFrequency": "line_freq",
    "InstitutionName": "site", "TaskDescription": "protocol",
}  # fmt: skip


@dataclass(frozen=True)
class Sidecars:
    """Everything that BIDS files say about one recording beside its signal.

    Attributes
    ----------
    types, units, bad
        Channel name to type, unit, and why it is called bad.
    positions
        Electrode name to (x, y, z) in metres, x to the right ear and y to the nose; none where the unit is
        unknown or the head they describe is no head.
    events
        None where there is no ``events.tsv``: then the file's own annotations hold.
    methodology
        (covariate, value), declared.
    line_freq_hz
        None where unknown.
    files
        The sidecars that were read.
    """

    types: Mapping[str, str]
    units: Mapping[str, str]
    bad: Mapping[str, str]
    positions: Mapping[str, XYZ]
    events: tuple[Event, ...] | None
    methodology: tuple[tuple[str, str], ...]
    line_freq_hz: float | None
    files: tuple[Path, ...]


def read_sidecars(root: Path, path: Path, labels: Mapping[str, str | None]) -> Sidecars:
    """Read the sidecars of a recording.

    Parameters
    ----------
    root : Path
        Folder that holds ``dataset_description.json``.
    path : Path
        The signal file.
    labels : mapping of str to (str or None)
        ``trial_type`` or ``value`` to label path; None says that it is no event.
    """
    recording = BIDSPath(
        root=root, datatype="eeg", suffix="eeg", extension=path.suffix, check=False, **entities_of(path)
    )
    found: dict[str, Path] = {}

    def beside(suffix: str, extension: str) -> Path | None:
        path = recording.find_matching_sidecar(suffix=suffix, extension=extension, on_error="ignore")
        if path is not None:
            found[f"{suffix}{extension}"] = Path(path)
        return None if path is None else Path(path)

    about = read_json(beside("eeg", ".json"))
    channels = _rows(beside("channels", ".tsv"))
    electrodes = _rows(beside("electrodes", ".tsv"))
    system = read_json(beside("coordsystem", ".json")) if electrodes else {}
    events = beside("events", ".tsv")
    described = read_json(beside("events", ".json")) if events else {}
    return Sidecars(
        # A type that is not said is left to the label: a name of 10-05 is EEG.
        types={row["name"]: _TYPES.get(row["type"].upper(), "misc") for row in channels if "type" in row},
        units={row["name"]: row["units"] for row in channels if "units" in row},
        bad={
            row["name"]: row.get("status_description", "channels.tsv calls it bad")
            for row in channels
            if row.get("status") == "bad"
        },
        positions=_positions(electrodes, system),
        events=None if events is None else _events(table(events), described, labels),
        methodology=_methodology(about),
        line_freq_hz=number(str(about.get("PowerLineFrequency"))),
        files=tuple(found.values()),
    )


def entities_of(path: Path) -> dict[str, str]:
    """Return the entities of a file's name: subject, session, task, acquisition, run, recording, split."""
    return {name: value for name, value in get_entities_from_fname(path).items() if value}


def read_people(root: Path) -> dict[str, Person]:
    """Read ``participants.tsv``: participant label without ``sub-`` to person; what is not plausible is None.

    Columns are found whatever their case, under the names in use (``sex`` or ``gender``, ``hand`` or
    ``handedness``, ``group`` or ``diagnosis``); the others are the phenotype. An age that no person has is kept
    there as it was given.
    """
    people = {}
    for facts in table(root / "participants.tsv"):
        label = facts.pop("participant_id", "").removeprefix("sub-")
        if not label:
            continue
        given = facts.pop("age", None)
        sex = facts.pop("sex", None) or facts.pop("gender", None)
        handedness = facts.pop("handedness", None) or facts.pop("hand", None)
        diagnosis = next((facts.pop(name) for name in _DIAGNOSIS if name in facts), None)
        age = age_years(given)
        if given is not None and age is None:
            facts["age as given"] = given
        people[label] = Person(
            id=label,
            age=age,
            sex=sex_letter(sex),
            handedness=hand(handedness),
            diagnosis=diagnosis,
            phenotype=facts or None,
        )
    return people


def read_json(path: Path | None) -> dict[str, Any]:
    """Read a JSON sidecar; empty where there is none or it holds no object."""
    if path is None or not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError:  # not JSON, or not UTF-8: what it says cannot be known
        return {}
    return content if isinstance(content, dict) else {}


def _rows(path: Path | None) -> list[dict[str, str]]:
    """Rows of a table that name what they are about."""
    return [] if path is None else [row for row in table(path) if "name" in row]


def _positions(electrodes: list[dict[str, str]], system: Mapping[str, Any]) -> dict[str, XYZ]:
    scale = _METRES.get(str(system.get("EEGCoordinateUnits", "")).lower())
    rows = {row["name"]: [number(row.get(axis)) for axis in "xyz"] for row in electrodes}
    known = {name: xyz for name, xyz in rows.items() if None not in xyz}
    if scale is None or len(known) < 4:
        return {}
    cloud = scale * np.array(list(known.values()), dtype=np.float64)
    if str(system.get("EEGCoordinateSystem", "")).upper() in _FRONT_FIRST:
        cloud = np.stack([-cloud[:, 1], cloud[:, 0], cloud[:, 2]], axis=1)
    radius = np.median(np.linalg.norm(cloud - cloud.mean(axis=0), axis=1))
    if not _HEAD_RADIUS_M[0] <= radius <= _HEAD_RADIUS_M[1]:
        return {}  # a unit sphere called millimetres, for one
    return {name: (float(x), float(y), float(z)) for name, (x, y, z) in zip(known, cloud, strict=True)}


def _events(
    rows: list[dict[str, str]], described: Mapping[str, Any], labels: Mapping[str, str | None]
) -> tuple[Event, ...]:
    events = []
    for row in rows:
        onset = number(row.get("onset"))
        text = row.get("trial_type") or row.get("value")
        if onset is None or not text or (text in labels and labels[text] is None):
            continue
        events.append(
            Event(
                onset_s=onset,
                duration_s=number(row.get("duration")),
                label=labels.get(text),
                value=row.get("value"),
                source_label=text,
                channel=None,
                hed=_hed(row, described),
            )
        )
    return tuple(sorted(events, key=lambda event: event.onset_s))


def _hed(row: Mapping[str, str], described: Mapping[str, Any]) -> str | None:
    """Put an event's HED tags together: those of its own column, and those of each value in the sidecar."""
    tags = [row.get("hed", "")]
    for column, description in described.items():
        of_column = description.get("HED") if isinstance(description, dict) else None
        value = row.get(column.lower(), "")
        if isinstance(of_column, dict) and value:
            tags.append(str(of_column.get(value, "")))
        elif isinstance(of_column, str) and value:
            tags.append(of_column.replace("#", value))
    return ", ".join(tag for tag in tags if tag) or None


def _methodology(about: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    found = {covariate: about.get(field) for field, covariate in _COVARIATES.items()}
    found["amplifier"] = _model(about, "Manufacturer", "ManufacturersModelName")
    found["cap"] = _model(about, "CapManufacturer", "CapManufacturersModelName")
    plain = {name: re.sub(r"\s+", " ", str(value)).strip() for name, value in found.items() if value}
    return tuple((name, value) for name, value in plain.items() if value.lower() not in ("n/a", "unknown"))


def _model(about: Mapping[str, Any], maker: str, model: str) -> str:
    said_of = [str(about.get(field, "n/a")) for field in (maker, model)]
    return " ".join(one for one in said_of if one.lower() != "n/a")
