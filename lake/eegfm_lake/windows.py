"""From what a cohort's query answers to windows of stored samples."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eegfm_lake import schema
from eegfm_lake.errors import UsageError

COLUMNS: dict[str, pa.DataType] = {
    "recording_id": pa.string(),
    "start": pa.float64(),
    "seconds": pa.float64(),
    "label": pa.string(),
    "target": pa.float64(),
    "split": pa.string(),
    "fold": pa.int32(),
    "weight": pa.float64(),
    "profile": pa.string(),
}
REQUIRED = ("recording_id", "start", "seconds")


def typed_answer(answer: pa.Table) -> pa.Table:
    """Check the columns of a query's answer and bring them to the types of `COLUMNS`.

    Raises
    ------
    UsageError
        A column is missing, unknown, or of another type; or a required value is NULL.
    """
    for name in answer.column_names:
        if name not in COLUMNS:
            close = get_close_matches(name, COLUMNS, 1, 0.5)
            meant = f"did you mean {close[0]}? " if close else ""
            raise UsageError(f"the query yields a column {name}; {meant}A cohort has {', '.join(COLUMNS)}")
    if missing := [name for name in REQUIRED if name not in answer.column_names]:
        raise UsageError(
            f"the query yields no {', '.join(missing)}; a cohort needs {', '.join(REQUIRED)}, "
            f"and may have {', '.join(name for name in COLUMNS if name not in REQUIRED)}"
        )
    columns = {name: _typed(name, answer.column(name)) for name in answer.column_names}
    for name in REQUIRED:
        if columns[name].null_count:
            raise UsageError(
                f"{name} is NULL in {columns[name].null_count} rows; say WHERE {name} IS NOT NULL"
            )
    for name, kind in COLUMNS.items():
        columns.setdefault(name, pa.nulls(answer.num_rows, kind))
    columns["split"] = _checked_splits(columns["split"])
    return pa.table({name: columns[name] for name in COLUMNS})


def _typed(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(COLUMNS[name])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UsageError(f"{name} is {column.type}; expected {COLUMNS[name]} ({error})") from error


def _checked_splits(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.null_count == len(column):
        return pa.chunked_array([pa.array([schema.UNSPLIT] * len(column), pa.string())])
    if column.null_count:
        raise UsageError(f"split is NULL in {column.null_count} rows; give every window one, or none")
    allowed = (*schema.SPLITS, schema.UNSPLIT)
    if wrong := sorted(set(column.unique().to_pylist()) - set(allowed)):
        raise UsageError(f"split is {wrong[0]!r} in some rows; expected one of {', '.join(allowed)}")
    return column


def place_windows(answer: pa.Table, recordings: Sequence[Mapping[str, Any]]) -> tuple[pa.Table, np.ndarray]:
    """Find every window's stored samples.

    Parameters
    ----------
    answer
        As `typed_answer` returns it.
    recordings
        Rows in canonical order with recording_id, segments and signal, one for every recording of the answer.

    Returns
    -------
    windows : pa.Table
        As `schema.LOCK_WINDOWS`, in canonical order, each once; ``window`` is the row.
    kept : (rows of the answer,) bool
        False where a window reaches beyond its segment: into a gap, or past an end.

    Raises
    ------
    UsageError
        A window has no length or no finite time.
    """
    row_of = {row["recording_id"]: i for i, row in enumerate(recordings)}
    which = np.array([row_of[name] for name in answer.column("recording_id").to_pylist()], dtype=np.int64)
    start_s = answer.column("start").to_numpy()
    seconds = answer.column("seconds").to_numpy()
    if not (np.isfinite(start_s).all() and np.isfinite(seconds).all()):
        raise UsageError(
            "start or seconds is not finite in some rows; expected seconds from the recording's start"
        )
    first = np.full(len(which), -1, dtype=np.int64)
    n_samples = np.zeros(len(which), dtype=np.int64)
    order = np.argsort(which, kind="stable")
    bounds = np.searchsorted(which[order], np.arange(len(recordings) + 1))
    for i, row in enumerate(recordings):
        mine = order[bounds[i] : bounds[i + 1]]
        first[mine], n_samples[mine] = _stored_span(start_s[mine], seconds[mine], row)
    if (n_samples < 1).any():
        raise UsageError(
            f"{int((n_samples < 1).sum())} windows are shorter than one stored sample; check seconds"
        )
    kept = first >= 0
    return _window_table(answer, which, first, n_samples, kept), kept


def _stored_span(
    start_s: np.ndarray, seconds: np.ndarray, recording: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    rate_hz = recording["signal"]["rate"]
    segments = sorted(recording["segments"], key=lambda segment: segment["start_s"])
    begins_s = np.array([segment["start_s"] for segment in segments])
    firsts = np.array([segment["first_sample"] for segment in segments])
    lengths = np.array([segment["samples"] for segment in segments])
    half_sample_s = 0.5 / rate_hz  # a start just before its segment rounds into it
    segment = np.clip(np.searchsorted(begins_s, start_s + half_sample_s, side="right") - 1, 0, None)
    offset = np.rint((start_s - begins_s[segment]) * rate_hz).astype(np.int64)
    samples = np.rint(seconds * rate_hz).astype(np.int64)
    inside = (offset >= 0) & (offset + samples <= lengths[segment])
    return np.where(inside, firsts[segment] + offset, -1), samples


def _window_table(
    answer: pa.Table, which: np.ndarray, first: np.ndarray, n_samples: np.ndarray, kept: np.ndarray
) -> pa.Table:
    columns = {
        "recording": pa.array(which, pa.int32()),
        "first_sample": pa.array(first),
        "samples": pa.array(n_samples, pa.int32()),
        "start_s": answer.column("start"),
        **{name: answer.column(name) for name in ("label", "target", "split", "fold", "weight")},
    }
    table = pa.table(columns).filter(pa.array(kept))
    keys = ["recording", "first_sample", "samples", "label", "split", "fold", "target", "weight"]
    once = table.group_by(keys, use_threads=False).aggregate([("start_s", "min")])
    once = once.rename_columns([*keys, "start_s"]).sort_by([(key, "ascending") for key in keys])
    once = once.append_column("window", pa.array(np.arange(once.num_rows)))
    return once.select(schema.LOCK_WINDOWS.names).cast(schema.LOCK_WINDOWS)


def check_distance(windows: pa.Table, reach_s: float, rates_hz: np.ndarray) -> None:
    """Refuse windows of different splits in one recording whose filters reach into each other.

    Parameters
    ----------
    windows
        As `schema.LOCK_WINDOWS`.
    reach_s
        How far to both sides a stored sample looks.
    rates_hz
        (recordings,) rate of the stored samples.

    Raises
    ------
    UsageError
        Says how close they lie and how far they must.
    """
    splits = windows.column("split")
    if len(pc.unique(splits)) < 2:
        return
    recording = windows.column("recording").to_numpy()
    code = splits.combine_chunks().dictionary_encode().indices.to_numpy()
    begin = windows.column("first_sample").to_numpy()
    end = begin + windows.column("samples").to_numpy()
    for row in np.unique(recording):
        mine = np.flatnonzero(recording == row)
        if len(np.unique(code[mine])) < 2:
            continue
        closest = _closest(begin[mine], end[mine], code[mine]) / rates_hz[row]
        if closest < 2 * reach_s - 1e-9:
            raise UsageError(
                f"windows of different splits lie {max(closest, 0):.1f} s apart in one recording; stored "
                f"samples look {reach_s:g} s to both sides, so leave {2 * reach_s:g} s between splits"
            )


def _closest(begin: np.ndarray, end: np.ndarray, code: np.ndarray) -> float:
    # In order of time it is enough to remember the furthest end of each split.
    furthest: dict[int, int] = {}
    closest = np.inf
    for i in np.argsort(begin, kind="stable"):
        others = [stop for split, stop in furthest.items() if split != code[i]]
        closest = min([closest, *(begin[i] - stop for stop in others)])
        furthest[int(code[i])] = max(furthest.get(int(code[i]), -1), int(end[i]))
    return float(closest)
