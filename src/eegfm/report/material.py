"""What a lock is made of: groups of recordings, montages, methodology and its gaps, licences."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from eegfm_lake.lock import Lock
from eegfm_lake.schema import COMMON_COVARIATES


@dataclass(frozen=True)
class Group:
    """Recordings of one data set and site."""

    name: str
    recordings: list[dict[str, Any]]
    hours: float
    windows: int

    @property
    def people(self) -> list[str]:
        """Its people, sorted."""
        return sorted({recording["person"] for recording in self.recordings})


@dataclass(frozen=True)
class Montage:
    """A set of EEG channels and who was recorded with it."""

    group: str
    names: list[str]
    positions_C3: np.ndarray
    regions: list[str]
    recordings: int
    people: int
    from_file: int
    """Electrodes whose position was measured or given by the file, not taken from a template."""


@dataclass(frozen=True)
class Covariate:
    """What is known about one aspect of the methodology, in one group."""

    name: str
    group: str
    values: dict[str, int]
    """value (origin): recordings."""
    unknown: int


def groups(lock: Lock) -> list[Group]:
    """Group the recordings of a lock by data set and site, the largest group first."""
    windows = Counter(lock.windows["recording"].to_pylist())
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for recording in lock.recordings.to_pylist():
        found[_group_name(recording)].append(recording)
    made = [
        Group(
            name,
            recordings,
            sum(r["duration_s"] or 0.0 for r in recordings) / 3600,
            sum(windows[r["recording"]] for r in recordings),
        )
        for name, recordings in found.items()
    ]
    return sorted(made, key=lambda group: (-group.hours, group.name))


def montages(lock: Lock) -> list[Montage]:
    """Distinct sets of EEG channels of a lock, the most common first."""
    recordings = {r["recording"]: r for r in lock.recordings.to_pylist()}
    channels: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for channel in lock.channels.to_pylist():
        if channel["type"] == "eeg" and channel["status"] != "dropped":
            channels[channel["recording"]].append(channel)
    alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for number, rows in channels.items():
        alike[(_group_name(recordings[number]), *(row["name"] for row in rows))].append(number)
    made = [_montage(str(key[0]), numbers, channels, recordings) for key, numbers in alike.items()]
    return sorted(made, key=lambda montage: (-montage.recordings, montage.group))


def methodology(lock: Lock) -> list[Covariate]:
    """Say, group by group, what is known of the common covariates and of any other that occurs."""
    made = []
    expected = [
        name for name in COMMON_COVARIATES if name != "simulated"
    ]  # absent where people were recorded
    named = dict.fromkeys(expected) | dict.fromkeys(
        entry["covariate"] for r in lock.recordings.to_pylist() for entry in r["methodology"] or ()
    )
    for name in named:
        for group in groups(lock):
            values: Counter[str] = Counter()
            for recording in group.recordings:
                entries = [e for e in recording["methodology"] or () if e["covariate"] == name]
                values.update(f"{entry['value']} ({entry['origin']})" for entry in entries[:1])
            made.append(
                Covariate(
                    name, group.name, dict(values.most_common()), len(group.recordings) - values.total()
                )
            )
    return made


def licences(lock: Lock) -> list[dict[str, Any]]:
    """One row a data set, licence and citation: dataset, licence, citation, recordings."""
    rows = Counter((r["dataset"], r["licence"], r["citation"]) for r in lock.recordings.to_pylist())
    return [
        {
            "dataset": dataset,
            "licence": licence or "unknown",
            "citation": citation or "unknown",
            "recordings": n,
        }
        for (dataset, licence, citation), n in sorted(rows.items(), key=str)
    ]


def _montage(
    group: str,
    numbers: list[int],
    channels: dict[int, list[dict[str, Any]]],
    recordings: dict[int, dict[str, Any]],
) -> Montage:
    rows = channels[numbers[0]]
    positions = [[row[axis] if row[axis] is not None else np.nan for axis in "xyz"] for row in rows]
    return Montage(
        group=group,
        names=[row["name"] for row in rows],
        positions_C3=np.array(positions, dtype=float),
        regions=[row["region"] or "unknown" for row in rows],
        recordings=len(numbers),
        people=len({recordings[number]["person"] for number in numbers}),
        from_file=sum(row["position_origin"] == "file" for row in rows),
    )


def _group_name(recording: dict[str, Any]) -> str:
    site = next((e["value"] for e in recording["methodology"] or () if e["covariate"] == "site"), None)
    return f"{recording['dataset']} · {site}" if site else str(recording["dataset"])
