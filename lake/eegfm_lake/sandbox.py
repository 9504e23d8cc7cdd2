"""What SQL from a stranger may do: read the lake's rows, and nothing else.

Configuration alone does not suffice: it lets COPY overwrite a live file and read_blob read one, and a WITH
may hide a COPY. So the statement itself is parsed and judged as well.
"""

import json
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from typing import Any

import duckdb

from eegfm_lake.errors import UsageError

_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "CTE_NODE", "RECURSIVE_CTE_NODE"}
_THREADS = 4


def lock_down(connection: duckdb.DuckDBPyConnection, live_files: Sequence[str], memory_limit: str) -> None:
    """Close a connection to everything but the given files; it cannot be opened again.

    Parameters
    ----------
    connection
        With every view, macro and function that it will need.
    live_files
        Paths that may be read.
    memory_limit
        As DuckDB writes it, ``4GB``. Nothing is spilled to disk.
    """
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in live_files)
    for setting in (
        f"allowed_paths = [{listed}]",
        f"memory_limit = '{memory_limit}'",
        f"threads = {_THREADS}",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "allow_community_extensions = false",
        "python_enable_replacements = false",
        "enable_external_access = false",
        "lock_configuration = true",  # last: it forbids the others
    ):
        connection.execute(f"SET {setting}")


def check_statement(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Accept one SELECT that calls known functions only.

    Raises
    ------
    UsageError
        There is more than one statement, it is no SELECT, it holds something that writes, or it calls a
        function outside the list in ``sql/functions.txt``.
    """
    answer = connection.execute("SELECT json_serialize_sql(?)", [statement]).fetchall()
    parsed: dict[str, Any] = json.loads(answer[0][0])
    if parsed["error"]:
        if parsed.get("error_type") == "parser":
            raise UsageError(_syntax_error(parsed, statement))
        raise UsageError("only one SELECT may be asked here (it may begin with WITH); nothing can be changed")
    if not parsed["statements"]:
        raise UsageError(
            "the statement is empty; ask one SELECT (eegfm sql without a statement has examples)"
        )
    if len(parsed["statements"]) != 1:
        raise UsageError(f"{len(parsed['statements'])} statements were given; ask one SELECT at a time")
    for node in _dictionaries(parsed):
        kind = node.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _NODES:
            raise UsageError(
                f"{kind.removesuffix('_NODE').removesuffix('_QUERY')} may not stand inside a SELECT here; "
                "nothing can be changed"
            )
        if "function_name" in node:
            _check_function(str(node["function_name"]).lower())


def explain_sql_error(error: duckdb.Error, statement: str, views: Sequence[str]) -> str:
    """Put what DuckDB says into one line: what is wrong, where, and what was probably meant."""
    text = str(error)
    what = re.sub(r"^[A-Za-z -]*Error: ", "", text.splitlines()[0] if text else type(error).__name__)
    what = what.removeprefix("Python exception occurred while executing the UDF: EegfmError: ").rstrip("!")
    parts = [f"{_place(text, statement)}{what}"]
    if candidates := re.search(r"Candidate bindings: (.*)", text):
        parts.append(f"did you mean {candidates[1].strip()}?")
    elif macros := re.search(r"Candidate (?:macros|functions):\n((?:\t.*\n?)+)", text):
        parts.append("it is called as " + ", ".join(macros[1].split("\n")).strip(", ").replace("\t", ""))
    elif missing := re.search(r"Table with name (\S+) does not exist", text):
        close = get_close_matches(missing[1].lower(), views, 1, 0.5)
        meant = f"did you mean {close[0]}? " if close else ""
        parts.append(f"{meant}The views are {', '.join(views)}")
    elif what.startswith("Cannot access file"):
        parts = [f"SQL: files cannot be read here, only the views {', '.join(views)}"]
    return "; ".join(parts)


def _place(text: str, statement: str) -> str:
    found = re.search(r"LINE (\d+):", text)
    several = "\n" in statement.strip()
    return f"SQL line {found[1]}: " if found and several else "SQL: "


def _syntax_error(parsed: dict[str, Any], statement: str) -> str:
    position = int(parsed.get("position") or 0)
    before = statement.encode()[:position].decode(errors="ignore")
    line = before.count("\n") + 1
    text = statement.splitlines()[line - 1].strip() if statement.strip() else "nothing"
    return f"SQL line {line}: {parsed['error_message']}, in: {text}"


def _dictionaries(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _dictionaries(child)


def _check_function(name: str) -> None:
    allowed = _functions()
    if name in allowed:
        return
    reason = _REASONS.get(name)
    close = get_close_matches(name, allowed, 1, 0.75)
    hint = reason or (
        f"did you mean {close[0]}?" if close else "eegfm sql without a statement lists what helps"
    )
    raise UsageError(f"SQL: the function {name} may not be called here; {hint}")


_REASONS = {
    "random": "the same cohort must come back every time: order by hash(recording_id, start) instead",
    "now": "the same cohort must come back at any time",
    "_signal": "call signal(recording_id, channel, t0, t1)",
}


@lru_cache(maxsize=1)
def _functions() -> frozenset[str]:
    text = (files("eegfm_lake") / "sql" / "functions.txt").read_text("utf8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())
