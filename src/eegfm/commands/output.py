"""How verbs write rows: aligned columns for people, CSV, JSON and Parquet for programs."""

import csv
import io
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eegfm_lake.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("table", "csv", "json", "parquet")
SHOWN_ROWS = 1000
CELL_WIDTH = 60


def print_columns(header: Sequence[str], rows: Sequence[Sequence[Any]], indent: str = "") -> None:
    """Print rows under a header, columns aligned; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    right = [
        all(isinstance(row[i], int | float) or row[i] is None for row in rows) for i in range(len(header))
    ]
    for line in ([*header], ["─" * width for width in widths], *cells):
        columns = zip(line, widths, right, strict=True)
        print((indent + "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in columns)).rstrip())


def write_table(table: "pa.Table", form: str, out: str | None = None) -> None:
    """Write a table to a file or to stdout.

    Parameters
    ----------
    table : pa.Table
    form : {"table", "csv", "json", "parquet"}
    out : str, optional
        A file instead of stdout.

    Raises
    ------
    UsageError
        Parquet is meant for a terminal.
    """
    if form == "parquet":
        _write_parquet(table, out)
        return
    if form == "table" and out is None:
        _print_table(table)
        return
    text = {"csv": as_csv, "json": as_json, "table": as_csv}[form](table)
    if out is None:
        sys.stdout.write(text)
        return
    from eegfm_lake.storage import explain_write_errors

    with explain_write_errors(out):
        Path(out).write_text(text, encoding="utf-8")


def as_csv(table: "pa.Table") -> str:
    """Rows as CSV; nested values are JSON in their cell, NULL is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        writer.writerow([_flat(value) for value in row.values()])
    return text.getvalue()


def as_json(table: "pa.Table") -> str:
    """Rows as a JSON list of objects, one a line; not-a-number is null."""
    rows = [json.dumps(_plain(row), ensure_ascii=False, default=str) for row in table.to_pylist()]
    return "[" + ",\n ".join(rows) + "]\n"


def _print_table(table: "pa.Table") -> None:
    shown = table.slice(0, SHOWN_ROWS)
    print_columns(table.column_names, [list(row.values()) for row in shown.to_pylist()])
    if table.num_rows > SHOWN_ROWS:
        print(f"… {table.num_rows - SHOWN_ROWS:,} more rows: --format csv has them all", file=sys.stderr)
    elif sys.stdout.isatty():
        print(f"({table.num_rows} row{'' if table.num_rows == 1 else 's'})")


def _write_parquet(table: "pa.Table", out: str | None) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from eegfm_lake.storage import explain_write_errors

    if out is not None:
        with explain_write_errors(out):
            pq.write_table(table, out)
        return
    if sys.stdout.isatty():
        raise UsageError(
            "Parquet is not for a terminal: add --out FILE.parquet or redirect with > FILE.parquet"
        )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    sys.stdout.buffer.write(sink.getvalue())


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    text = str(_flat(value)).replace("\n", " ")
    return text if len(text) <= CELL_WIDTH else text[: CELL_WIDTH - 1] + "…"


def _flat(value: Any) -> Any:
    if isinstance(value, list | dict | tuple):
        return json.dumps(_plain(value), ensure_ascii=False, default=str)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
