"""Write and read signal files: one recording's stored samples, immutable, named by their content.

Rows are (block, channel, quality, samples), one row group a block of all channels. Anyone can read them with
pandas, polars or DuckDB; `SignalReader` reads any span of samples without touching the rest.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eegfm_lake import schema
from eegfm_lake.errors import EegfmError
from eegfm_lake.storage import Storage, explain_write_errors

_METADATA_KEY = b"eegfm"
_SAMPLES_LEAF = "samples.list.element"
_COMPUTED = ("block", "channel", "samples")


@dataclass(frozen=True)
class SignalFile:
    """A finished signal file on local disk."""

    path: Path
    sha256: str
    bytes: int
    samples: int  # per channel


class SignalWriter:
    """Write a signal file block by block; a context manager that removes the file when the body fails.

    Parameters
    ----------
    local_path
        Where to write; `store_signal` moves it into a lake.
    rate_hz
        Sampling rate of the stored samples.
    channels
        Names of the stored channels, in order.
    steps_uv
        (C,) µV that a unit of the stored int16 stands for.
    """

    def __init__(
        self, local_path: str | Path, *, rate_hz: float, channels: Sequence[str], steps_uv: np.ndarray
    ) -> None:
        self._path = Path(local_path)
        self._n_channels = len(channels)
        self._n_blocks = self._n_samples = 0
        self._finished: SignalFile | None = None
        steps = np.asarray(steps_uv, dtype=np.float64)
        if not channels or steps.shape != (len(channels),) or not (steps > 0).all():
            raise EegfmError(
                f"{self._path}: {len(channels)} channels with steps of shape {steps.shape}; "
                "expected at least one channel and a positive step in µV for each"
            )
        header = {
            "contract": schema.CONTRACT_VERSION,
            "rate_hz": float(rate_hz),
            "channels": list(channels),
            "steps_uv": steps.tolist(),
        }
        with explain_write_errors(str(self._path)):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(
                self._path,
                schema.SIGNAL.with_metadata({_METADATA_KEY: json.dumps(header).encode()}),
                use_dictionary=False,
                write_statistics=False,
                compression="none",  # the deltas are packed to the bit: a codec gains little and costs speed
                column_encoding={_SAMPLES_LEAF: "DELTA_BINARY_PACKED"},
            )

    def __enter__(self) -> "SignalWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._finished is None:
            with suppress(OSError):  # the body's own error is on its way already
                self._writer.close()
            self._path.unlink(missing_ok=True)

    def write_blocks(self, blocks: Sequence[np.ndarray], quality: Mapping[str, np.ndarray]) -> None:
        """Append blocks of all channels: many at once cost less than one after the other.

        Parameters
        ----------
        blocks
            Each (C, N) int16, N at least 1 and not the same for all.
        quality
            Quality column of `schema.SIGNAL` to its (blocks, C) values; an optional column that is missing, and
            NaN in one that is not, are stored as NULL.

        Raises
        ------
        EegfmError
            Shape, type or quality columns differ from the contract, or the disk is full.
        """
        for block in blocks:
            if block.dtype != np.int16 or block.ndim != 2 or block.shape[0] != self._n_channels:
                raise EegfmError(
                    f"{self._path}: a block of {block.dtype} with shape {block.shape}; "
                    f"expected int16 ({self._n_channels}, samples)"
                )
            if block.shape[1] == 0:
                raise EegfmError(f"{self._path}: a block without samples; leave it out")
        if not blocks:
            return
        with explain_write_errors(str(self._path)):
            self._writer.write_table(self._rows(blocks, quality), row_group_size=self._n_channels)
        self._n_blocks += len(blocks)
        self._n_samples += sum(block.shape[1] for block in blocks)

    def _rows(self, blocks: Sequence[np.ndarray], quality: Mapping[str, np.ndarray]) -> pa.Table:
        if unknown := set(quality) - (set(schema.SIGNAL.names) - set(_COMPUTED)):
            raise EegfmError(f"{self._path}: unknown quality column {', '.join(sorted(unknown))}")
        item, n_rows = schema.SIGNAL.field("samples").type, len(blocks) * self._n_channels
        lengths = np.repeat([block.shape[1] for block in blocks], self._n_channels)
        offsets = np.zeros(n_rows + 1, dtype=np.int32)
        np.cumsum(lengths, out=offsets[1:])
        numbers = np.arange(self._n_blocks, self._n_blocks + len(blocks), dtype=np.int32)
        values = np.concatenate([block.ravel() for block in blocks])
        columns: dict[str, pa.Array] = {
            "block": pa.array(np.repeat(numbers, self._n_channels)),
            "channel": pa.array(np.tile(np.arange(self._n_channels, dtype=np.int32), len(blocks))),
            "samples": pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=item),
        }
        for field in schema.SIGNAL:
            if field.name not in columns:
                columns[field.name] = self._quality_column(field, quality.get(field.name), len(blocks))
        return pa.Table.from_arrays([columns[name] for name in schema.SIGNAL.names], schema=schema.SIGNAL)

    def _quality_column(self, field: pa.Field, values: np.ndarray | None, n_blocks: int) -> pa.Array:
        wanted = (n_blocks, self._n_channels)
        if values is None:
            if not field.nullable:
                raise EegfmError(
                    f"{self._path}: quality column {field.name} is missing; every block needs it"
                )
            return pa.nulls(n_blocks * self._n_channels, field.type)
        found = np.asarray(values)
        if found.shape != wanted:
            raise EegfmError(
                f"{self._path}: quality column {field.name} has shape {found.shape}, expected {wanted}"
            )
        return pa.array(found.ravel(), from_pandas=field.nullable).cast(field.type)

    def close(self) -> SignalFile:
        """Write the footer and name the content; calling it again returns the same."""
        if self._finished is None:
            with explain_write_errors(str(self._path)):
                self._writer.close()
            if self._n_blocks == 0:
                self._path.unlink()
                raise EegfmError(f"{self._path}: no block was written; a recording needs at least one sample")
            with open(self._path, "rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            self._finished = SignalFile(self._path, sha256, self._path.stat().st_size, self._n_samples)
        return self._finished


def store_signal(storage: Storage, dataset: str, signal_file: SignalFile) -> str:
    """Move a finished signal file into a lake under its content's name and return that name.

    Returns
    -------
    str
        ``signals/<dataset>/<sha256>.parquet``.
    """
    rel = f"signals/{dataset}/{signal_file.sha256}.parquet"
    storage.put_file(signal_file.path, rel, move=True)
    return rel


class SignalReader:
    """Random access to one signal file; only its footer is kept, no open file.

    Parameters
    ----------
    storage
        Where the file lies.
    rel
        Its name below the root.

    Attributes
    ----------
    rate_hz : float
    channels : tuple of str
    steps_uv : (C,) float32
    n_samples : int
    block_samples : (blocks,) int64
        Samples of every block, per channel.

    Raises
    ------
    EegfmError
        The file is gone, damaged, or no signal file.
    """

    def __init__(self, storage: Storage, rel: str) -> None:
        self.storage, self.rel = storage, rel
        self._metadata = _footer(storage, rel)
        header = (self._metadata.metadata or {}).get(_METADATA_KEY)
        if header is None:
            raise EegfmError(f"{storage.full(rel)}: a Parquet file, but no signal file of a lake")
        facts = json.loads(header)
        self.rate_hz = float(facts["rate_hz"])
        self.channels: tuple[str, ...] = tuple(facts["channels"])
        self.steps_uv: np.ndarray = np.array(facts["steps_uv"], dtype=np.float32)
        self.block_samples = _block_samples(self._metadata, len(self.channels))
        self._ends = np.cumsum(self.block_samples)
        self.n_samples = int(self._ends[-1]) if len(self._ends) else 0

    def __reduce__(self) -> tuple[type["SignalReader"], tuple[Storage, str]]:
        return SignalReader, (self.storage, self.rel)

    def read(self, first: int, n: int, channels: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Read stored integers.

        Parameters
        ----------
        first
            First stored sample.
        n
            Samples per channel.
        channels
            Indices of the channels wanted, in the order wanted; all by default.

        Returns
        -------
        (C, n) int16

        Raises
        ------
        EegfmError
            The span or a channel lies outside the file, or the file is gone.
        """
        rows = self._rows(channels)
        if first < 0 or n < 0 or first + n > self.n_samples:
            raise EegfmError(
                f"{self.storage.full(self.rel)}: samples {first} to {first + n} were asked for; "
                f"the file holds 0 to {self.n_samples}"
            )
        out_CN = np.empty((len(rows) if rows is not None else len(self.channels), n), dtype=np.int16)
        if n == 0:
            return out_CN
        begin, end = np.searchsorted(self._ends, [first, first + n - 1], side="right")
        with (
            _opened(self.storage, self.rel) as file,
            pq.ParquetFile(file, metadata=self._metadata) as parquet,
        ):
            for block in range(begin, end + 1):
                block_CN = self._block(parquet, block)
                offset = int(self._ends[block] - self.block_samples[block])
                start, stop = max(first, offset), min(first + n, int(self._ends[block]))
                piece_CN = block_CN[:, start - offset : stop - offset]
                out_CN[:, start - first : stop - first] = piece_CN if rows is None else piece_CN[rows]
        return out_CN

    def read_uv(self, first: int, n: int, channels: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Read samples in µV: (C, n) float32; parameters and errors as `read`."""
        steps = self.steps_uv if channels is None else self.steps_uv[self._rows(channels)]
        samples_CN: np.ndarray = self.read(first, n, channels) * steps[:, None]
        return samples_CN

    def _rows(self, channels: Sequence[int] | np.ndarray | None) -> np.ndarray | None:
        if channels is None:
            return None
        rows = np.asarray(channels, dtype=np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self.channels)):
            raise EegfmError(
                f"{self.storage.full(self.rel)}: channel {rows.max()} was asked for; "
                f"the file holds 0 to {len(self.channels) - 1}"
            )
        return rows

    def _block(self, parquet: pq.ParquetFile, block: int) -> np.ndarray:
        table = parquet.read_row_group(block, columns=["samples"], use_threads=False)
        values = table.column(0).combine_chunks().flatten()
        block_CN: np.ndarray = values.to_numpy().reshape(len(self.channels), -1)
        return block_CN


def open_signal(storage: Storage, rel: str) -> SignalReader:
    """Return the reader of a signal file; footers are remembered, one memory a process."""
    return _remembered(storage, rel, os.getpid())


@lru_cache(maxsize=4096)
def _remembered(storage: Storage, rel: str, process: int) -> SignalReader:
    return SignalReader(storage, rel)


def _opened(storage: Storage, rel: str) -> pa.NativeFile:
    try:
        return storage.open(rel)
    except EegfmError as error:
        raise EegfmError(
            f"{storage.full(rel)}: signals are gone; ingest again, or name the lake that holds them"
        ) from error


def _footer(storage: Storage, rel: str) -> pq.FileMetaData:
    with _opened(storage, rel) as file:
        try:
            return pq.read_metadata(file)
        except pa.ArrowInvalid as error:
            raise EegfmError(f"{storage.full(rel)}: damaged, no Parquet file ({error})") from error


def _block_samples(metadata: pq.FileMetaData, n_channels: int) -> np.ndarray:
    # The footer counts the values of a row group, so block lengths need no second source.
    if metadata.num_row_groups == 0:
        return np.zeros(0, dtype=np.int64)
    paths = [metadata.row_group(0).column(i).path_in_schema for i in range(metadata.num_columns)]
    leaf = paths.index(_SAMPLES_LEAF)
    counts = [metadata.row_group(i).column(leaf).num_values for i in range(metadata.num_row_groups)]
    return np.array(counts, dtype=np.int64) // n_channels
