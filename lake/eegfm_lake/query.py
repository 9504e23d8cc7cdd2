"""Ask a lake in SQL: one DuckDB connection is one snapshot, seen through views and macros."""

import os
import re
import tempfile
import threading
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eegfm_lake import schema
from eegfm_lake.errors import EegfmError, MissingExtraError, UsageError
from eegfm_lake.sandbox import check_statement, explain_sql_error, lock_down
from eegfm_lake.signals import open_signal
from eegfm_lake.table import TABLES, Lake, first_line

try:
    import duckdb
except ModuleNotFoundError as error:
    raise MissingExtraError("duckdb", "lake") from error

VIEWS = (
    "datasets",
    "people",
    "recordings",
    "channels",
    "events",
    "blocks",
    "methodology",
    "failures",
    "duplicates",
)
MACROS = (
    ("windows(seconds, stride)", "every window of so many seconds, one each stride, never across a gap"),
    ("trials(pattern, before, after)", "a window around every event whose label fits, '*' for anything"),
    (
        "clean(recording_id, start, seconds)",
        "whether every block that a window touches is good; profile_name := 'erp200' for another profile; "
        "edges := false refuses what lies within a kernel of a segment's end, and segments too short for one",
    ),
    ("signal(recording_id, channel, t0, t1)", "the stored samples of one channel in µV, one row a sample"),
)
EXAMPLES = (
    ("What is in the lake", "SELECT * FROM datasets"),
    (
        "References used, and by how many people's recordings",
        "SELECT reference, count(DISTINCT person) AS people, count(*) AS recordings FROM recordings "
        "GROUP BY ALL ORDER BY people DESC",
    ),
    (
        "Trials of every label",
        "SELECT label, count(*) AS trials, count(DISTINCT person) AS people FROM events "
        "GROUP BY ALL ORDER BY label",
    ),
    (
        "Clean half-minute windows of every data set",
        "SELECT dataset, count(*) AS windows FROM windows(30, 30) "
        "WHERE clean(recording_id, start, seconds) GROUP BY ALL",
    ),
    ("Why sources could not be read", "SELECT step, reason, count(*) AS sources FROM failures GROUP BY ALL"),
)

_SIGNAL_NAME = re.compile(r"signals/[^/\s]+/[0-9a-f]{64}\.parquet")
_TIME_LIMIT_S = 300.0
_MEMORY_LIMIT = "4GB"


def connect(lake: Lake) -> duckdb.DuckDBPyConnection:
    """Connect to a snapshot of a lake, trusted: for your own SQL from Python.

    Returns
    -------
    duckdb.DuckDBPyConnection
        With the views `VIEWS` and the macros `MACROS`. What is committed later is not seen: connect again.
    """
    return _connect(lake)[0]


def run_sql(
    lake: Lake,
    statement: str,
    params: Mapping[str, Any] | None = None,
    *,
    sandbox: bool = True,
    time_limit_s: float = _TIME_LIMIT_S,
    memory_limit: str = _MEMORY_LIMIT,
) -> pa.Table:
    """Run one SELECT over a lake.

    Parameters
    ----------
    lake
        The lake to ask.
    statement
        One SELECT over the views and macros.
    params
        Values for ``$name`` in the statement.
    sandbox
        Whether the statement may come from a stranger: only the lake's own rows can be read then, nothing can
        be written, and only known functions may be called.
    time_limit_s, memory_limit
        Where the query is stopped.

    Returns
    -------
    pa.Table

    Raises
    ------
    UsageError
        The statement is wrong or refused; the message names the line, and what was probably meant.
    EegfmError
        A limit was reached.
    """
    connection, live_files = _connect(lake)
    try:
        if sandbox:
            lock_down(connection, live_files, memory_limit)
            check_statement(connection, statement)
        return _stopped_after(time_limit_s, connection, statement, dict(params or {}))
    except duckdb.OutOfMemoryException as error:
        raise EegfmError(
            f"the query needs more than {memory_limit} of memory; narrow it with WHERE, or aggregate earlier"
        ) from error
    except duckdb.Error as error:
        located = _with_line(connection, statement, dict(params or {}), error)
        raise UsageError(explain_sql_error(located, statement, VIEWS)) from error
    finally:
        connection.close()


def view_help(lake: Lake) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every view with its columns and their types."""
    connection = connect(lake)
    try:
        return [
            (view, [(row[0], row[1]) for row in connection.execute(f"DESCRIBE {view}").fetchall()])
            for view in VIEWS
        ]
    finally:
        connection.close()


def _connect(lake: Lake) -> tuple[duckdb.DuckDBPyConnection, list[str]]:
    connection = duckdb.connect(config={"temp_directory": ""})
    live_files: list[str] = []
    try:
        for table in TABLES:
            live_files += _show_rows(connection, lake, table)
    except duckdb.Error as error:
        connection.close()
        raise EegfmError(
            f"{lake.storage.uri}: the lake's tables cannot be read: {first_line(error)}"
        ) from error
    sql = files("eegfm_lake") / "sql"
    connection.execute((sql / "views.sql").read_text("utf8").replace("{common_covariates}", _covariates()))
    connection.execute((sql / "macros.sql").read_text("utf8"))
    _define_signal(connection, lake)
    return connection, live_files


def _show_rows(connection: duckdb.DuckDBPyConnection, lake: Lake, table: str) -> list[str]:
    if not lake.storage.is_local:  # the metadata is small, and no extension reads object stores
        connection.register(f"{table}_rows", lake.failures() if table == "failures" else lake.recordings())
        return []
    paths = [str(_empty_file(table)), *map(lake.storage.full, lake.live_files(table))]
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    connection.execute(
        f"CREATE VIEW {table}_rows AS SELECT {', '.join(TABLES[table].names)} "
        f"FROM read_parquet([{listed}], union_by_name = true)"
    )
    return paths


def _empty_file(table: str) -> Path:
    # Typed by the contract: an empty lake answers, and old rows give NULL for new fields.
    path = _scratch(os.getpid()) / f"{table}.parquet"
    if not path.exists():  # also where something tidied the temporary folder
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(TABLES[table].empty_table(), path)
    return path


@lru_cache(maxsize=1)
def _scratch(process: int) -> Path:
    folder = tempfile.TemporaryDirectory(prefix="eegfm-contract-")
    _KEPT.append(folder)
    return Path(folder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


def _covariates() -> str:
    kinds = {"line_freq": "DOUBLE", "simulated": "BOOLEAN"}
    return "\n".join(
        f"    TRY_CAST(list_filter(methodology, lambda m: m.covariate = '{name}')[1].value "
        f"AS {kinds.get(name, 'VARCHAR')}) AS {name},"
        for name in schema.COMMON_COVARIATES
    )


def _define_signal(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    def read(file: str, channel: str, first: int, samples: int) -> list[float]:
        # Python is outside the sandbox, so nothing but a lake's own signal file is opened.
        if not _SIGNAL_NAME.fullmatch(file):
            raise EegfmError(f"{file}: no name of a signal file")
        reader = open_signal(lake.storage, file)
        if channel not in reader.channels:
            raise EegfmError(f"no stored channel {channel}; this recording has {', '.join(reader.channels)}")
        samples_uv: list[float] = reader.read_uv(first, samples, [reader.channels.index(channel)])[0].tolist()
        return samples_uv

    connection.create_function("_signal", read, ["VARCHAR", "VARCHAR", "BIGINT", "BIGINT"], "FLOAT[]")


def _with_line(
    connection: duckdb.DuckDBPyConnection, statement: str, params: dict[str, Any], error: duckdb.Error
) -> duckdb.Error:
    # sql() leaves out the line of a mistake, execute() names it.
    try:
        connection.execute(f"EXPLAIN {statement}", params)
    except duckdb.Error as located:
        return located
    return error


def _stopped_after(
    limit_s: float, connection: duckdb.DuckDBPyConnection, statement: str, params: dict[str, Any]
) -> pa.Table:
    timer = threading.Timer(limit_s, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        return connection.sql(statement, params=params).to_arrow_table()
    except duckdb.InterruptException as error:
        raise EegfmError(
            f"the query took longer than {limit_s:.0f} s and was stopped; narrow it with WHERE"
        ) from error
    finally:
        timer.cancel()
