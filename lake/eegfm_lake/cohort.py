"""SQL in, lock out: which windows, checked for leaks, written once."""

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eegfm_lake import schema
from eegfm_lake.attrition import Attrition, lost_to_query
from eegfm_lake.cohort_sql import CohortQuery, find_query, library
from eegfm_lake.errors import EegfmError, UsageError
from eegfm_lake.lock import COHORTS, HASH_LENGTH, Lock, content_hash, find_lock, verify
from eegfm_lake.lock_tables import channel_table, recording_table
from eegfm_lake.people import SamePeople, check_sides
from eegfm_lake.query import run_sql
from eegfm_lake.storage import TEMPORARY_SUFFIX, Storage, explain_write_errors
from eegfm_lake.table import Lake
from eegfm_lake.windows import check_distance, place_windows, typed_answer

__all__ = ["Frozen", "freeze", "library"]

_RECORDING_COLUMNS = (
    *("recording_id", "profile", "dataset", "session", "task", "run", "person", "same_as", "age", "sex"),
    *("source", "licence", "citation", "methodology", "signal", "segments", "duration_s", "chain"),
    *("spectrum", "channels"),
)

_FACTS = ["recording_id", "profile", "person", "segments", "signal"]


@dataclass(frozen=True)
class Frozen:
    """A lock that was written, or that was there already.

    Attributes
    ----------
    path : str
        Folder or address of the lock.
    hash : str
    existed : bool
    counts : list of dict
        split, label, people, recordings, windows, hours.
    attrition : list of dict
        reason, windows, recordings, people: how many were lost for it, in order. What the lake holds less all
        that was lost is what the lock holds; windows are None where nobody can say how many they would be.
    """

    path: str
    hash: str
    existed: bool
    counts: list[dict[str, Any]]
    attrition: list[dict[str, Any]]


def freeze(
    lake: Lake,
    query: str,
    *,
    name: str | None = None,
    params: Mapping[str, str] | None = None,
    against: Sequence[str | Path] = (),
) -> Frozen:
    """Ask a cohort and write its lock.

    Parameters
    ----------
    lake
        The lake to ask.
    query
        Path of a ``.sql`` file, name of a shipped cohort (`library`), or SQL. It yields recording_id, start,
        seconds and, as needed, label, target, split, fold, weight, profile.
    name
        Name of the lock; by default the query's.
    params
        Values of ``$name`` in the query.
    against
        Locks whose people are left out.

    Returns
    -------
    Frozen

    Raises
    ------
    UsageError
        The query is wrong, or a person stands on both sides of a split.
    EegfmError
        No window is left (the message says what took them), or the signals are gone.
    """
    asked = find_query(query, name, params)
    others = [find_lock(ref, lake.storage.uri) for ref in against]
    answer = typed_answer(run_sql(lake, asked.sql, asked.params))
    everyone = lake.recordings(["recording_id", "profile", "dataset", "person", "same_as"]).to_pylist()
    attrition = Attrition(everyone)
    asked_ids = set(answer.column("recording_id").to_pylist())
    lost_to_query(attrition, lake, asked, answer.num_rows, asked_ids)
    rows = _recordings(lake, answer)
    recordings = rows.select(_FACTS).to_pylist()
    windows, kept = place_windows(answer, recordings)
    attrition.lose(
        "window reaches into a gap or past the recording's end", asked_ids, int((~kept).sum()),
        left={recordings[i]["recording_id"] for i in set(windows.column("recording").to_pylist())},
    )  # fmt: skip
    attrition.lose("window asked for twice", set(), int(kept.sum()) - windows.num_rows)
    same = SamePeople([*everyone, *(row for other in others for row in _people_rows(other))])
    windows = _leave_out(windows, recordings, others, same, attrition)
    if windows.num_rows == 0:
        raise EegfmError(f"{asked.name}: no window is left. {attrition.explained()}")
    windows, rows = _only_used(windows, rows)
    _check_leaks(windows, rows.select(_FACTS).to_pylist(), same)
    lock = _assemble(lake, asked, others, windows, rows, attrition)
    verify(lock)
    existed = _write_once(lake, lock)
    return Frozen(lock.path, lock.hash, existed, lock.meta["counts"], lock.meta["attrition"])


def _recordings(lake: Lake, answer: pa.Table) -> pa.Table:
    ids = sorted(set(answer.column("recording_id").to_pylist()))
    rows = lake.recordings(_RECORDING_COLUMNS, recording_id=ids)
    if asked := set(answer.column("profile").to_pylist()) - {None}:
        rows = rows.filter(pc.is_in(rows.column("profile"), pa.array(sorted(asked), pa.string())))
    profiles = sorted(asked or set(rows.column("profile").to_pylist()))
    if len(profiles) > 1:
        raise UsageError(
            f"the cohort's recordings are stored in the profiles {', '.join(profiles)}; a cohort never mixes "
            "two: yield a column profile and say WHERE profile = '…'"
        )
    if unknown := sorted(set(ids) - set(rows.column("recording_id").to_pylist())):
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise UsageError(f"the query yields recording_id {unknown[0]}{more}, which the lake does not hold")
    return rows.sort_by("recording_id")


def _people_rows(lock: Lock) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lock.recordings.select(["person", "same_as"]).to_pylist()
    return rows


def _leave_out(
    windows: pa.Table,
    recordings: Sequence[Mapping[str, Any]],
    others: Sequence[Lock],
    same: SamePeople,
    attrition: Attrition,
) -> pa.Table:
    for other in others:
        theirs = {same.one(name) for name in other.people}
        people = [row["person"] for row in recordings]
        unknown = np.array([person is None for person in people])
        seen = np.array([person is not None and same.one(person) in theirs for person in people])
        ref = f"{other.name}@{other.hash[:HASH_LENGTH]}"
        for reason, out in ((f"person is in {ref}", seen), (f"person unknown, may be in {ref}", unknown)):
            which = windows.column("recording").to_numpy()
            gone = out[which] if len(which) else np.zeros(0, bool)
            lost = {recordings[i]["recording_id"] for i in set(which[gone].tolist())}
            windows = windows.filter(pa.array(~gone, pa.bool_()))
            attrition.lose(reason, lost, int(gone.sum()))
    return windows


def _only_used(windows: pa.Table, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    used, which = np.unique(windows.column("recording").to_numpy(), return_inverse=True)
    columns = {
        "window": pa.array(np.arange(windows.num_rows)),
        "recording": pa.array(which, pa.int32()),
    }
    for name, column in columns.items():
        windows = windows.set_column(schema.LOCK_WINDOWS.get_field_index(name), name, column)
    return windows.cast(schema.LOCK_WINDOWS), rows.take(pa.array(used))


def _check_leaks(windows: pa.Table, recordings: Sequence[Mapping[str, Any]], same: SamePeople) -> None:
    people = [recordings[i]["person"] for i in windows.column("recording").to_pylist()]
    for kind in ("split", "fold"):
        check_sides(people, windows.column(kind).to_pylist(), kind, same)
    profile = schema.PROFILES.get(recordings[0]["profile"])
    if profile is None:
        raise EegfmError(
            f"profile {recordings[0]['profile']} is unknown; this eegfm knows {', '.join(schema.PROFILES)}"
        )
    rates_hz = np.array([row["signal"]["rate"] for row in recordings])
    check_distance(windows, profile.reach_s, rates_hz)


def _assemble(
    lake: Lake,
    asked: CohortQuery,
    others: Sequence[Lock],
    windows: pa.Table,
    rows: pa.Table,
    attrition: Attrition,
) -> Lock:
    recordings, channels = recording_table(rows), channel_table(rows)
    digest = content_hash(windows, recordings, channels)
    meta = {
        "contract": schema.CONTRACT_VERSION,
        "name": asked.name,
        "hash": digest,
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
        "profile": rows.column("profile")[0].as_py(),
        "signals": "../..",  # relative: a lake that moves takes its locks along
        "sql": asked.sql,
        "params": asked.params,
        "against": [{"name": other.name, "hash": other.hash} for other in others],
        "counts": _counts(windows, rows.select(_FACTS).to_pylist()),
        "attrition": attrition.rows,
    }
    path = f"{lake.storage.uri}/{COHORTS}/{asked.name}@{digest[:HASH_LENGTH]}"
    return Lock(path, asked.name, digest, meta, windows, recordings, channels)


def _counts(windows: pa.Table, recordings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str], list[tuple[int, int]]] = {}
    rows = zip(
        *(windows.column(name).to_pylist() for name in ("split", "label", "recording", "samples")),
        strict=True,
    )
    for split, label, recording, samples in rows:
        groups.setdefault((split, label), []).append((recording, samples))
    return [
        {
            "split": split,
            "label": label,
            "people": len({recordings[i]["person"] or recordings[i]["recording_id"] for i, _ in found}),
            "recordings": len({i for i, _ in found}),
            "windows": len(found),
            "hours": sum(n / recordings[i]["signal"]["rate"] for i, n in found) / 3600,
        }
        for (split, label), found in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    ]


def _write_once(lake: Lake, lock: Lock) -> bool:
    target = Storage(lock.path)
    if target.exists("lock.json"):
        return True
    contents = {
        "windows.parquet": lock.windows,
        "recordings.parquet": lock.recordings,
        "channels.parquet": lock.channels,
    }
    with tempfile.TemporaryDirectory(prefix="eegfm-lock-") as scratch, explain_write_errors(lock.path):
        for file, table in contents.items():
            pq.write_table(table, Path(scratch) / file, compression="zstd")
        (Path(scratch) / "lock.json").write_text(json.dumps(dict(lock.meta), indent=1), "utf8")
        if lake.storage.is_local:
            return _place_folder(Path(scratch), Path(lock.path))
        for file in (*contents, "lock.json"):  # lock.json last: a lock without it is none
            target.put_file(Path(scratch) / file, file)
    return False


def _place_folder(scratch: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}{TEMPORARY_SUFFIX}")
    try:
        shutil.copytree(scratch, beside)
        os.rename(beside, target)
    except OSError:
        if not (target / "lock.json").exists():  # else another process was first with the same lock
            raise
        return True
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return False
