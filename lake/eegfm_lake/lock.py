"""Read and verify a lock: a frozen list of windows with everything that training needs to know of them.

Training reads locks and signal files, nothing else; this module needs numpy and pyarrow only.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eegfm_lake import schema
from eegfm_lake.errors import EegfmError, UsageError
from eegfm_lake.storage import Storage

COHORTS = "cohorts"
HASH_LENGTH = 12
"""Characters of the hash in a lock's folder name."""

TABLES: dict[str, pa.Schema] = {
    "windows": schema.LOCK_WINDOWS,
    "recordings": schema.LOCK_RECORDINGS,
    "channels": schema.LOCK_CHANNELS,
}

# What a lock promises. Chain and spectrum follow from the signal file's content, whose name is its digest;
# licence and citation may be corrected without changing a sample.
_HASHED = {
    "recordings": (
        *("recording", "recording_id", "profile", "dataset", "person", "same_as"),
        *("signal_file", "rate", "methodology"),
    ),
    "channels": (
        *("recording", "channel", "name", "type", "x", "y", "z", "region"),
        *("step_uv", "status", "anode", "cathode", "scale_uv"),
    ),
    "windows": (*("recording", "first_sample", "samples", "label", "target", "split", "fold", "weight"),),
}


@dataclass(frozen=True)
class Lock:
    """A cohort that no longer changes.

    Attributes
    ----------
    path : str
        The lock's folder, or its address in an object store.
    name : str
    hash : str
        Digest of what the lock promises; its folder's name holds the first 12 characters.
    meta : dict
        ``lock.json``: SQL, parameters, counts, attrition, contract.
    windows, recordings, channels : pa.Table
        As `schema.LOCK_WINDOWS`, `schema.LOCK_RECORDINGS` and `schema.LOCK_CHANNELS`.
    """

    path: str
    name: str
    hash: str
    meta: Mapping[str, Any]
    windows: pa.Table
    recordings: pa.Table
    channels: pa.Table

    @cached_property
    def signals(self) -> Storage:
        """Root below which the signal files lie: the lake that holds the lock, wherever it has moved."""
        root = str(self.meta["signals"])
        absolute = "://" in root or os.path.isabs(root)
        return Storage(root) if absolute else Storage(self.path).below(root)

    @property
    def people(self) -> set[str]:
        """Every person in the lock, under every name that person is known by."""
        return people_of(self.recordings.select(["person", "same_as"]).to_pylist())


def people_of(recordings: Iterable[Mapping[str, Any]]) -> set[str]:
    """Names of the people of recordings, those that they are the same as included."""
    names: set[str] = set()
    for row in recordings:
        names.update(filter(None, [row["person"], *(row["same_as"] or [])]))
    return names


def read_lock(path: str | Path) -> Lock:
    """Read a lock from its folder.

    Raises
    ------
    EegfmError
        There is no lock, or it was written under a newer contract.
    """
    storage = Storage(path)
    if not storage.exists("lock.json"):
        raise EegfmError(f"{storage.uri}: no lock here (lock.json is missing); eegfm cohort writes one")
    meta = json.loads(storage.read_bytes("lock.json"))
    if meta.get("contract", 0) > schema.CONTRACT_VERSION:
        raise EegfmError(
            f"{storage.uri}: written under contract {meta['contract']}, this eegfm knows "
            f"{schema.CONTRACT_VERSION}; update eegfm"
        )
    tables = {table: _read_table(storage, table) for table in TABLES}
    return Lock(storage.uri, meta["name"], meta["hash"], meta, **tables)


def find_lock(ref: str | Path, lake_uri: str | Path | None = None) -> Lock:
    """Read a lock by its folder, by ``name@hash``, or by a name alone.

    Parameters
    ----------
    ref
        A folder; ``name@hash`` with any unambiguous beginning of the hash; or ``name``: its newest lock.
    lake_uri
        The lake to look in.

    Raises
    ------
    UsageError
        Nothing or more than one lock is meant; the message lists the lake's locks.
    """
    text = str(ref)
    if Storage(text).exists("lock.json"):
        return read_lock(text)
    if lake_uri is None:
        raise UsageError(
            f"{text}: no folder of a lock, and no lake to look in; give the lock's folder or --lake"
        )
    lake = Storage(lake_uri)
    known = sorted(
        {entry.rel.split("/")[1] for entry in lake.list(COHORTS) if entry.rel.endswith("/lock.json")}
    )
    name, _, prefix = text.partition("@")
    matching = [folder for folder in known if folder.startswith(f"{name}@{prefix}")]
    if not matching:
        listed = ", ".join(known) or "none yet; eegfm cohort writes one"
        raise UsageError(f"{text}: no such lock in {lake.uri}; it holds: {listed}")
    if prefix and len(matching) > 1:
        raise UsageError(f"{text}: fits {', '.join(matching)}; give more of the hash")
    locks = [read_lock(f"{lake.uri}/{COHORTS}/{folder}") for folder in matching]
    return max(locks, key=lambda lock: str(lock.meta.get("created", "")))


def verify(lock: Lock) -> None:
    """Check that a lock's content is what its hash says and that its signals are there.

    Raises
    ------
    EegfmError
        The content was changed, or signal files are gone; the message says how many.
    """
    found = content_hash(lock.windows, lock.recordings, lock.channels)
    if found != lock.hash:
        raise EegfmError(
            f"{lock.path}: its content has the hash {found[:HASH_LENGTH]}, not {lock.hash[:HASH_LENGTH]}; "
            "it was changed after it was written: freeze the cohort again"
        )
    files = sorted(set(lock.recordings.column("signal_file").to_pylist()))
    present = _present(lock.signals, files)
    gone = [file for file in files if file not in present]
    if gone:
        raise EegfmError(
            f"{lock.path}: {len(gone)} of {len(files)} signal files are gone from {lock.signals.uri} "
            f"(first: {gone[0]}); ingest the same sources again, or put back the lake that held them"
        )


def content_hash(windows: pa.Table, recordings: pa.Table, channels: pa.Table) -> str:
    """SHA-256 over what a lock promises: windows, channels, steps, signals, people and methodology.

    Times, paths and the table's version do not enter: the same cohort frozen after an unrelated ingest has
    the same hash. Rows are hashed in their order, which freezing makes canonical.
    """
    tables = {"recordings": recordings, "channels": channels, "windows": windows}
    whole = hashlib.sha256(f"contract {schema.CONTRACT_VERSION}".encode())
    for table, names in _HASHED.items():
        for name in names:
            whole.update(f"\n{table}.{name} ".encode())
            whole.update(_column_bytes(name, tables[table].column(name)))
    return whole.hexdigest()


def _column_bytes(name: str, column: pa.ChunkedArray) -> bytes:
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = column.cast(pa.float64() if pa.types.is_floating(column.type) else pa.int64())
        known = pc.fill_null(pc.is_finite(values), False)
        plain = pc.fill_null(pc.if_else(known, values, None), 0).to_numpy() + 0  # no negative zero
        return bytes(np.ascontiguousarray(plain).tobytes() + np.packbits(known.to_numpy()).tobytes())
    values = column.to_pylist()
    if name == "signal_file":
        values = [Path(value).stem for value in values]  # where it lies is no promise, its content is
    # Lists are sets by nature: aliases of a person, covariates of a recording.
    ordered = [sorted(value, key=str) if isinstance(value, list) else value for value in values]
    return json.dumps(ordered, sort_keys=True).encode()


def _read_table(storage: Storage, table: str) -> pa.Table:
    try:
        with storage.open(f"{table}.parquet") as file:
            found = pq.read_table(file)
    except pa.ArrowInvalid as error:
        raise EegfmError(
            f"{storage.full(table)}.parquet: damaged ({error}); freeze the cohort again"
        ) from error
    columns = TABLES[table]
    return pa.Table.from_arrays(
        [
            found.column(field.name).cast(field.type)
            if field.name in found.column_names
            else pa.nulls(found.num_rows, field.type)
            for field in columns
        ],
        schema=columns,
    )


def _present(storage: Storage, files: list[str]) -> set[str]:
    # One listing a data set: cheaper than asking for every file where asking costs a round trip.
    folders = {re.sub(r"/[^/]*$", "", file) for file in files}
    return {entry.rel for folder in folders for entry in storage.list(folder)}
