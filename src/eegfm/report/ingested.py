"""What an ingest left in the lake, as numbers for one page.

Asked in SQL, so that a page of a hundred thousand recordings needs memory for its figures only.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eegfm.report.material import Montage
from eegfm_lake.errors import EegfmError
from eegfm_lake.query import connect
from eegfm_lake.table import Lake

SPECTRA_SHOWN = 200
WORST_SHOWN = 12
_GROUPS_SHOWN = 40
_INGESTS_SHOWN = 20


@dataclass(frozen=True)
class Failed:
    """Failures of one kind: the same words but for names and numbers."""

    step: str
    reason: str
    files: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Ingest:
    """One ingest of the data set, as its log tells it."""

    id: str
    started: str
    finished: bool
    done: int
    failed: int
    hours: float
    seconds: float
    steps: dict[str, float]
    workers: dict[str, int]
    slowest: tuple[dict[str, Any], ...]

    @property
    def hours_per_s(self) -> float:
        """Hours of EEG a second."""
        return self.hours / self.seconds if self.seconds else float("nan")


@dataclass(frozen=True)
class Ingested:
    """Everything the page says about one data set and profile in a lake."""

    lake: str
    dataset: str
    profile: str
    totals: dict[str, Any]
    failed: list[Failed]
    recordings: list[dict[str, Any]]
    """Per recording: good_share, eeg_channels, bad_channels, duration_s, line_ratio."""
    bad_channels: list[dict[str, Any]]
    montages: list[Montage]
    origins: dict[str, int]
    """Where positions of stored EEG channels come from: origin to channels."""
    left_out: list[dict[str, Any]]
    amplitudes_uv: np.ndarray
    coverage: dict[str, Counter[str]]
    """Covariate to origin to recordings."""
    values: dict[str, Counter[str]]
    """Covariate to value to recordings, of the common covariates."""
    spectra: list[dict[str, Any]]
    notes: list[tuple[str, int]]
    personal: list[tuple[str, int]]
    made_by: list[dict[str, Any]]
    ingests: list[Ingest] = field(default_factory=list)


def look(lake: Lake, dataset: str, profile: str, logs: dict[str, list[dict[str, Any]]]) -> Ingested:
    """Ask a lake for what became of a data set.

    Parameters
    ----------
    lake : Lake
    dataset, profile : str
    logs : dict of str to list of dict
        Id of an ingest to the lines of its log, the newest last.

    Raises
    ------
    EegfmError
        Where the lake holds neither a recording nor a failure of it.
    """
    connection = connect(lake)
    try:

        def ask(sql: str) -> list[dict[str, Any]]:
            asked = {"dataset": dataset, "profile": profile}
            return connection.sql(sql, params=asked).to_arrow_table().to_pylist()

        totals = ask(_TOTALS)[0]
        failures = ask(_FAILURES)
        if not totals["recordings"] and not failures:
            raise EegfmError(
                f"{lake.storage.uri} holds nothing of {dataset} ({profile}); what it holds: eegfm sql"
            )
        return Ingested(
            lake=lake.storage.uri,
            dataset=dataset,
            profile=profile,
            totals={**totals, "failures": len(failures)},
            failed=_by_reason(failures),
            recordings=ask(_RECORDINGS),
            bad_channels=ask(_BAD_CHANNELS),
            montages=[_montage(row) for row in ask(_MONTAGES)],
            origins={row["position_origin"] or "none": row["n"] for row in ask(_ORIGINS)},
            left_out=ask(_LEFT_OUT),
            amplitudes_uv=np.array([row["scale_uv"] for row in ask(_AMPLITUDES)], dtype=float),
            coverage=_counted(ask(_COVERAGE), "covariate", "origin"),
            values=_counted(ask(_VALUES), "covariate", "value"),
            spectra=[row["spectrum"] for row in ask(_SPECTRA)],
            notes=_alike(row["note"] for row in ask(_NOTES)),
            personal=[(row["field"], row["n"]) for row in ask(_PERSONAL)],
            made_by=ask(_MADE_BY),
            ingests=[_ingest(name, lines) for name, lines in list(logs.items())[-_INGESTS_SHOWN:]],
        )
    finally:
        connection.close()


def _by_reason(failures: Sequence[dict[str, Any]]) -> list[Failed]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for failure in failures:
        groups.setdefault((failure["step"], _pattern(failure)), []).append(failure)
    most_first = sorted(groups.items(), key=lambda one: (-len(one[1]), one[0]))
    return [
        Failed(step, _without_name(found[0]), len(found), tuple(one["path"] for one in found[:3]))
        for (step, _), found in most_first[:_GROUPS_SHOWN]
    ]


def _without_name(failure: dict[str, Any]) -> str:
    name = failure["path"].rpartition("/")[2]
    return failure["reason"].replace(failure["path"], name).removeprefix(name).lstrip(": ")


def _pattern(failure: dict[str, Any]) -> str:
    name = re.escape(failure["path"].rpartition("/")[2])
    return re.sub(r"\d[\d,.]*|b?'[^']*'", "N", re.sub(name, "", failure["reason"]))


def _alike(notes: Any) -> list[tuple[str, int]]:
    """Count notes that differ in numbers only as one; the first stands for all."""
    found: dict[str, tuple[str, int]] = {}
    for note in notes:
        key = re.sub(r"\d[\d,.]*", "N", note)
        first, n = found.get(key, (note, 0))
        found[key] = (first, n + 1)
    return sorted(found.values(), key=lambda one: -one[1])[:_GROUPS_SHOWN]


def _montage(row: dict[str, Any]) -> Montage:
    channels = row["montage"]
    positions = [[np.nan if one[axis] is None else one[axis] for axis in "xyz"] for one in channels]
    return Montage(
        group=f"{row['recordings']:,} recordings",
        names=[one["name"] for one in channels],
        positions_C3=np.array(positions, dtype=float),
        regions=[one["region"] or "unknown" for one in channels],
        recordings=row["recordings"],
        people=row["people"],
        from_file=sum(one["position_origin"] == "file" for one in channels),
    )


def _counted(rows: Sequence[dict[str, Any]], key: str, value: str) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for row in rows:
        found.setdefault(row[key], Counter())[row[value]] += row["n"]
    return found


def _ingest(name: str, lines: Sequence[dict[str, Any]]) -> Ingest:
    files = [line for line in lines if line["what"] in ("recording", "failure")]
    done = [line for line in files if line["what"] == "recording"]
    steps: Counter[str] = Counter()
    for line in files:
        steps.update(line.get("steps", {}))
    end = next((line for line in lines if line["what"] == "end"), None)
    start = lines[0]["time"] if lines else ""
    return Ingest(
        id=name,
        started=start[:16].replace("T", " "),
        finished=end is not None,
        done=len(done),
        failed=len(files) - len(done),
        hours=sum(line.get("hours", 0.0) for line in done),
        seconds=end["seconds"] if end else _between(lines),
        steps=dict(steps),
        workers=dict(Counter(line.get("worker", "unknown") for line in files).most_common()),
        slowest=tuple(sorted(files, key=lambda line: -line.get("seconds", 0.0))[:5]),
    )


def _between(lines: Sequence[dict[str, Any]]) -> float:
    """Seconds from the first line to the last, of an ingest that did not come to its end."""
    if not lines:
        return 0.0
    first, last = (np.datetime64(lines[i]["time"][:23]) for i in (0, -1))
    return float((last - first) / np.timedelta64(1, "s"))


_OURS = "WHERE dataset = $dataset AND profile = $profile"

_TOTALS = f"""
SELECT count(*) AS recordings, count(DISTINCT person) AS people, coalesce(sum(duration_s), 0) / 3600 AS hours,
    coalesce(sum(source.bytes), 0) AS source_bytes, list(DISTINCT licence) AS licences,
    list(DISTINCT citation) AS citations, list(DISTINCT signal.file) AS files
FROM recordings_rows {_OURS}"""

_FAILURES = f"SELECT path, step, reason FROM failures {_OURS} ORDER BY path"

_RECORDINGS = f"""
SELECT recording_id, duration_s, len(blocks) AS blocks, len(segments) AS segments,
    len(list_filter(blocks, lambda b: b.good)) / greatest(len(blocks), 1) AS good_share,
    len(list_filter(channels, lambda c: c.type = 'eeg' AND c.status <> 'dropped')) AS eeg_channels,
    len(list_filter(channels, lambda c: c.type = 'eeg' AND c.status = 'bad')) AS bad_channels,
    list_transform(list_filter(channels, lambda c: c.type = 'eeg' AND c.status = 'bad'), lambda c: c.name) AS bad_names,
    list_median(list_transform(blocks, lambda b: b.line_ratio)) AS line_ratio,
    list_median(list_transform(blocks, lambda b: b.amplitude_uv)) AS amplitude_uv
FROM recordings_rows {_OURS} ORDER BY good_share, bad_channels DESC, recording_id"""

_BAD_CHANNELS = f"""
SELECT c.name AS name, count(*) AS recordings, mode(c.reasons[1]) AS reason
FROM (SELECT unnest(channels) AS c FROM recordings_rows {_OURS}) WHERE c.type = 'eeg' AND c.status = 'bad'
GROUP BY ALL ORDER BY recordings DESC, name LIMIT 12"""

_LEFT_OUT = f"""
SELECT c.source_name AS name, c.type AS type, count(*) AS recordings, mode(c.reasons[1]) AS reason
FROM (SELECT unnest(channels) AS c FROM recordings_rows {_OURS}) WHERE c.status = 'dropped'
GROUP BY ALL ORDER BY recordings DESC, name LIMIT 20"""

_MONTAGES = f"""
SELECT any_value(montage) AS montage, count(*) AS recordings, count(DISTINCT person) AS people
FROM (SELECT person, list_filter(channels, lambda c: c.type = 'eeg' AND c.status <> 'dropped') AS montage
    FROM recordings_rows {_OURS})
GROUP BY list_transform(montage, lambda c: c.name) ORDER BY recordings DESC LIMIT 12"""

_ORIGINS = f"""
SELECT c.position_origin AS position_origin, count(*) AS n
FROM (SELECT unnest(channels) AS c FROM recordings_rows {_OURS}) WHERE c.type = 'eeg' AND c.status <> 'dropped'
GROUP BY ALL ORDER BY n DESC"""

# A hundred thousand channels say as much about the distribution as all of them.
_AMPLITUDES = f"""
SELECT c.scale_uv AS scale_uv FROM (SELECT recording_id, unnest(channels) AS c FROM recordings_rows {_OURS})
WHERE c.type = 'eeg' AND c.status <> 'dropped' AND c.scale_uv IS NOT NULL
ORDER BY hash(recording_id || c.name) LIMIT 100000"""

_COVERAGE = f"""
SELECT m.covariate AS covariate, m.origin AS origin, count(*) AS n
FROM (SELECT unnest(methodology) AS m FROM recordings_rows {_OURS}) GROUP BY ALL"""

_VALUES = f"""
SELECT m.covariate AS covariate, m.value AS value, count(*) AS n
FROM (SELECT unnest(methodology) AS m FROM recordings_rows {_OURS}) GROUP BY ALL ORDER BY covariate, n DESC"""

_SPECTRA = f"""
SELECT spectrum FROM recordings_rows {_OURS} AND spectrum IS NOT NULL
ORDER BY hash(recording_id) LIMIT {SPECTRA_SHOWN}"""

_NOTES = f"SELECT unnest(source.notes) AS note FROM recordings_rows {_OURS}"

_PERSONAL = f"""
SELECT field, count(*) AS n FROM (SELECT unnest(source.personal) AS field FROM recordings_rows {_OURS})
GROUP BY ALL ORDER BY n DESC, field"""

_MADE_BY = f"""
SELECT ingest.recipe AS recipe, ingest.version AS version, source.format AS format, source.reader AS reader,
    chain.version AS chain, count(*) AS recordings
FROM recordings_rows {_OURS} GROUP BY ALL ORDER BY recordings DESC"""
