"""Recordings and failures as Delta tables: replace by key, read, compact.

A recording is one row, so one commit makes it visible, whole or not at all.
"""

import errno
import json
import os
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from eegfm_lake import schema
from eegfm_lake.errors import EegfmError, MissingExtraError, UsageError
from eegfm_lake.storage import Storage

try:
    import deltalake
    from deltalake.exceptions import CommitFailedError, DeltaError
except ModuleNotFoundError as error:
    raise MissingExtraError("deltalake", "lake") from error

MARKER = "lake.json"
TABLES: dict[str, pa.Schema] = {"recordings": schema.RECORDINGS, "failures": schema.FAILURES}

# Statistics on more columns would make every commit's log entry as large as the rows.
_STATISTICS = {
    "recordings": ("recording_id", "profile", "dataset"),
    "failures": ("dataset", "path", "sha256"),
}
_KEYS = {"recordings": schema.RECORDING_KEY, "failures": schema.FAILURE_KEY}
_COMPACT_EVERY = 100
_COMPACT_BYTES = 8 << 20  # one big file makes a replacement cost seconds
_ROWS_A_COMMIT = 500
_KEEP_HOURS = 7 * 24
_GIVE_UP_S = 600.0


@dataclass(frozen=True)
class KnownSource:
    """What the lake knows of one source file."""

    sha256: str
    bytes: int | None
    recording_id: str | None
    failed: bool  # no recording was ever made of it
    failed_sha256: tuple[str, ...] = ()  # contents found at this path that could not be read
    signal_file: str | None = None  # below the lake's root


class Lake:
    """A lake: a folder or an object store with its two tables, signal files and cohorts.

    Use `Lake.open`.

    Attributes
    ----------
    storage : Storage
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    @classmethod
    def open(cls, uri: str | Path | Storage, create: bool = False) -> "Lake":
        """Open a lake.

        Parameters
        ----------
        uri
            A folder or ``s3://bucket/prefix``.
        create
            Whether to make one where there is none.

        Raises
        ------
        UsageError
            There is no lake, and none is to be made.
        EegfmError
            The lake was written under a newer contract.
        """
        storage = uri if isinstance(uri, Storage) else Storage(uri)
        if storage.is_local and Path(storage.uri).is_file():
            raise UsageError(f"{storage.uri} is a file; a lake is a folder: name one with --lake")
        if not storage.exists(MARKER):
            if not create:
                raise UsageError(
                    f"{storage.uri}: no lake here ({MARKER} is missing); "
                    "run eegfm ingest to make one, or name another with --lake"
                )
            _create_tables(storage)
            storage.put_bytes(json.dumps({"contract": schema.CONTRACT_VERSION}).encode(), MARKER)
        found = json.loads(storage.read_bytes(MARKER)).get("contract", 0)
        if found > schema.CONTRACT_VERSION:
            raise EegfmError(
                f"{storage.uri}: written under contract {found}, this eegfm knows {schema.CONTRACT_VERSION}; "
                "update eegfm"
            )
        return cls(storage)

    def commit_recordings(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Make recordings visible, replacing those of the same recording and profile.

        Parameters
        ----------
        rows
            Dictionaries shaped like `schema.RECORDINGS`; absent fields become NULL. The signal files that
            they name must be stored already.

        Raises
        ------
        EegfmError
            A row lacks its key, or the table stays busy for ten minutes.
        """
        self._replace("recordings", rows)

    def commit_failures(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Note sources that could not be read; parameters and errors as `commit_recordings`."""
        # NULL equals nothing, so a source whose bytes could not be read has the empty digest.
        self._replace("failures", [{**row, "sha256": row.get("sha256") or ""} for row in rows])

    def recordings(self, columns: Sequence[str] | None = None, **equal: str | Sequence[str]) -> pa.Table:
        """Return recordings as `schema.RECORDINGS`.

        Parameters
        ----------
        columns
            Columns wanted, in order; all by default.
        **equal
            Columns to the value that they must have, or to values of which they must have one, such as
            ``dataset="eegmmidb"``.
        """
        return self._read("recordings", columns, equal)

    def failures(self, **equal: str | Sequence[str]) -> pa.Table:
        """Return what could not be read, without sources that have become recordings since."""
        failures = self._read("failures", None, equal)
        if failures.num_rows == 0:
            return failures
        made = _ingested_sources(self.recordings(["dataset", "profile", "source", "ingest"]).to_pylist())
        kept = [not _has_become_recording(row, made) for row in failures.to_pylist()]
        return failures.filter(pa.array(kept, pa.bool_()))

    def known_sources(self, dataset: str, profile: str) -> dict[str, KnownSource]:
        """Return what is known of every source path of a data set: its recording, or that it failed."""
        wanted = {"dataset": dataset, "profile": profile}
        known: dict[str, KnownSource] = {}
        failed: dict[str, tuple[str, ...]] = {}
        for row in self._read("failures", ["path", "sha256", "bytes", "recording_id"], wanted).to_pylist():
            failed[row["path"]] = (*failed.get(row["path"], ()), row["sha256"])
            known[row["path"]] = KnownSource(
                row["sha256"], row["bytes"], row["recording_id"], True, failed[row["path"]]
            )
        for row in self.recordings(["recording_id", "source", "signal"], **wanted).to_pylist():
            source = row["source"] or {}
            if path := source.get("path"):
                known[path] = KnownSource(
                    source.get("sha256") or "",
                    source.get("bytes"),
                    row["recording_id"],
                    False,
                    failed.get(path, ()),
                    (row["signal"] or {}).get("file"),
                )
        return known

    def version(self, table: str = "recordings") -> int:
        """Version of a table: the number of commits since it was made."""
        return int(self._delta(table).version())

    def live_files(self, table: str) -> list[str]:
        """Files of a table's current version, named below the lake's root."""
        # file_uris() would percent-encode the names
        actions = pa.table(self._delta(table).get_add_actions(flatten=True))
        return sorted(f"{table}/{path}" for path in actions.column("path").to_pylist())

    def compact(self) -> None:
        """Merge small table files and forget those replaced more than seven days ago."""
        for table in TABLES:
            delta = self._delta(table)
            try:
                delta.optimize.compact(
                    target_size=_COMPACT_BYTES,
                    writer_properties=_writer_properties(),
                    commit_properties=deltalake.CommitProperties(max_commit_retries=0),
                )
                delta.vacuum(retention_hours=_KEEP_HOURS, dry_run=False)
            except CommitFailedError:
                continue  # somebody committed meanwhile; the next hundredth commit compacts

    def _delta(self, table: str) -> deltalake.DeltaTable:
        uri = f"{self.storage.uri}/{table}"
        try:
            return deltalake.DeltaTable(uri, storage_options=self.storage.delta_options())
        except (DeltaError, OSError) as error:
            raise EegfmError(f"{uri}: the lake's table cannot be read: {first_line(error)}") from error

    def _read(
        self, table: str, columns: Sequence[str] | None, equal: Mapping[str, str | Sequence[str]]
    ) -> pa.Table:
        contract = TABLES[table]
        wanted = pa.schema([contract.field(name) for name in (columns or contract.names)])
        # deltalake's own file system calls Python from Arrow's threads, which can abort a process that ends.
        files = pafs.SubTreeFileSystem(self.storage.full(table), self.storage.filesystem)
        dataset = self._delta(table).to_pyarrow_dataset(filesystem=files)
        present = [name for name in wanted.names if name in dataset.schema.names]
        conditions = [
            pc.field(name) == value
            if isinstance(value, str)
            else pc.field(name).isin(pa.array(value, pa.string()))
            for name, value in equal.items()
        ]
        condition = reduce(lambda left, right: left & right, conditions) if conditions else None
        found = dataset.to_table(columns=present, filter=condition)
        arrays = [
            _cast(found.column(field.name), field.type)
            if field.name in present
            else pa.nulls(found.num_rows, field.type)
            for field in wanted
        ]
        return pa.Table.from_arrays(arrays, schema=wanted)

    def _replace(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        unique = {_key(table, row): row for row in rows}  # the last of a key wins
        keys = list(unique)
        for start in range(0, len(keys), _ROWS_A_COMMIT):
            batch = keys[start : start + _ROWS_A_COMMIT]
            data = _typed([unique[key] for key in batch], TABLES[table])
            predicate = _matches_any(_KEYS[table], batch)
            version = _retried(
                partial(self._overwrite, table, data, predicate), f"{self.storage.uri}/{table}"
            )
            if version % _COMPACT_EVERY == 0:
                self.compact()

    def _overwrite(self, table: str, data: pa.Table, predicate: str) -> int:
        delta = self._delta(table)
        deltalake.write_deltalake(
            delta,
            data,
            mode="overwrite",
            predicate=predicate,
            schema_mode="merge",
            writer_properties=_writer_properties(),
            # Zero: what others committed meanwhile must be read again, never assumed not to matter.
            commit_properties=deltalake.CommitProperties(max_commit_retries=0),
        )
        return int(delta.version())


def _create_tables(storage: Storage) -> None:
    for table, columns in TABLES.items():
        if storage.is_local:
            Path(storage.full(table)).mkdir(parents=True, exist_ok=True)
        configuration = {
            "delta.dataSkippingStatsColumns": ",".join(_STATISTICS[table]),
            "delta.enableDeletionVectors": "false",  # raw readers would ignore them
        }
        create = partial(
            deltalake.DeltaTable.create,
            f"{storage.uri}/{table}",
            columns,
            mode="ignore",
            configuration=configuration,
            storage_options=storage.delta_options(),
            # Zero: who comes second at version 0 would put a second beginning after the first.
            commit_properties=deltalake.CommitProperties(max_commit_retries=0),
        )
        _retried(create, f"{storage.uri}/{table}")  # tried again, it finds the other's and leaves it


def _retried(commit: Callable[[], Any], uri: str) -> Any:
    deadline = time.monotonic() + _GIVE_UP_S
    pause_s = 0.02
    while True:
        try:
            return commit()
        except CommitFailedError as error:
            if time.monotonic() > deadline:
                raise EegfmError(
                    f"the lake's table stayed busy for {_GIVE_UP_S:.0f} s ({first_line(error)}); "
                    "run the command again when other ingests have ended"
                ) from error
        except (DeltaError, OSError) as error:
            raise EegfmError(f"{uri}: the lake's table cannot be written: {_words(error)}") from error
        time.sleep(random.uniform(0, pause_s))  # so that two committers do not collide in step
        pause_s = min(2 * pause_s, 1.0)


def _words(error: BaseException) -> str:
    """Put what the table's engine says into one line; it gives every cause a line of its own."""
    if os.strerror(errno.ENOSPC) in str(error):
        return "no space left on the device; free some and run the command again"
    lines = [re.sub(r"\x1b\[\d+m|↳", "", line).strip() for line in str(error).splitlines()]
    return ": ".join(line for line in lines if line) or type(error).__name__


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _writer_properties() -> deltalake.WriterProperties:
    return deltalake.WriterProperties(compression="ZSTD", compression_level=3)


def _key(table: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    names = _KEYS[table]
    if missing := [name for name in names if row.get(name) is None]:
        raise EegfmError(f"a row for {table} lacks {', '.join(missing)}; its key is {', '.join(names)}")
    return tuple(str(row[name]) for name in names)


def _typed(rows: Iterable[Mapping[str, Any]], columns: pa.Schema) -> pa.Table:
    plain = []
    for row in rows:
        if unknown := set(row) - set(columns.names):
            raise EegfmError(f"unknown field {', '.join(sorted(unknown))} in a row; see eegfm_lake.schema")
        phenotype = row.get("phenotype")
        # Arrow takes a map as pairs.
        pairs = {"phenotype": list(phenotype.items())} if isinstance(phenotype, Mapping) else {}
        plain.append({**row, **pairs})
    arrays = []
    for field in columns:
        try:
            arrays.append(pa.array([row.get(field.name) for row in plain], field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
            raise EegfmError(f"field {field.name} does not fit {field.type}: {error}") from error
    return pa.Table.from_arrays(arrays, schema=columns)


def _matches_any(names: Sequence[str], keys: Iterable[tuple[str, ...]]) -> str:
    # One IN list where only one part of the key varies: the engine prunes files by it.
    groups: dict[tuple[str, ...], list[str]] = {}
    varying = names.index("recording_id") if "recording_id" in names else names.index("path")
    for key in keys:
        groups.setdefault(key[:varying] + key[varying + 1 :], []).append(key[varying])
    fixed = [*names[:varying], *names[varying + 1 :]]
    return " OR ".join(
        "("
        + " AND ".join(
            [
                f"{names[varying]} IN ({', '.join(map(_quoted, values))})",
                *(f"{name} = {_quoted(value)}" for name, value in zip(fixed, rest, strict=True)),
            ]
        )
        + ")"
        for rest, values in groups.items()
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    try:
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        # Written under an older or newer contract: fields that one of the two lacks inside a struct.
        return pa.chunked_array([pa.array(column.to_pylist(), kind)])


def _ingested_sources(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], tuple[str, str]]:
    made: dict[tuple[str, str, str], tuple[str, str]] = {}
    for row in rows:
        source, ingest = row["source"] or {}, row["ingest"] or {}
        place = (row["dataset"], row["profile"], source.get("path") or "")
        made[place] = (source.get("sha256") or "", ingest.get("time") or "")
    return made


def _has_become_recording(
    failure: Mapping[str, Any], made: Mapping[tuple[str, str, str], tuple[str, str]]
) -> bool:
    found = made.get((failure["dataset"], failure["profile"], failure["path"]))
    if found is None:
        return False
    sha256, time_made = found
    failed_at = (failure["ingest"] or {}).get("time") or ""
    # Other bytes at the same path, read later, are the repaired file.
    return sha256 == failure["sha256"] or time_made > failed_at
