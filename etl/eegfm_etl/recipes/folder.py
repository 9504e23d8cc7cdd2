"""Any tree of recordings: every file below a folder, with or without a pattern that says whose they are.

The person is unknown unless the pattern names it; the recording's id is then its path.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from eegfm_etl.inventory import Entry, take_inventory
from eegfm_etl.recipe import Job, Person, Recipe
from eegfm_etl.source import ArrayLayout, Ask, TableLayout
from eegfm_lake.errors import UsageError

FIELDS = ("person", "session", "task", "run")

_PARAMS = {
    "pattern": "path below the folder with fields, such as {person}/{session}/{task}_{run}.edf; * is anything",
    "columns": "text tables: channel of each column, separated by commas; an empty one leaves the column out",
    "rate": "text tables and arrays: sampling rate in Hz",
    "unit": "text tables and arrays: unit of the samples (uV, mV, V)",
    "separator": "text tables: between columns (default: a comma; 'space' is any white space)",
    "comment": "text tables: a line that begins so is no row (default: %)",
    "skip_lines": "text tables: lines before the first row",
    "variable": "arrays in .mat, .npz: name of the array; its channels are those of --param columns",
    "axes": "arrays: names of its axes, such as 'trial channel time'",
    "line_freq": "mains frequency in Hz",
    "links": "'follow' also reads links that lead out of the folder",
}


def plan(root: Path, dataset: str = "folder", **params: str) -> list[Job]:
    """One job a recording; files that are none are left to the accounting.

    Raises
    ------
    UsageError
        Where a parameter cannot be understood, or a pattern has no field.
    """
    pattern = _pattern(params["pattern"]) if "pattern" in params else None
    ask, line_freq_hz = _ask(params), _number(params, "line_freq")
    follow = params.get("links") == "follow"
    jobs = []
    for entry in take_inventory(root).entries:
        match = pattern.fullmatch(entry.rel) if pattern else None
        if pattern is None or match is not None:
            fields = match.groupdict() if match else {}
            jobs.append(_job(root, dataset, entry, fields, ask, line_freq_hz, follow))
    return jobs


def _job(
    root: Path, dataset: str, entry: Entry, fields: Mapping[str, str], ask: Ask, line_freq_hz: float | None,
    follow: bool,
) -> Job:  # fmt: skip
    named = [fields[name] for name in FIELDS if fields.get(name)]
    path = root / entry.rel
    annotations = tuple(str(root / one) for one in entry.annotations)
    return Job(
        path=path,
        rel=entry.rel,
        recording_id="/".join([dataset, *(named or [entry.rel])]),
        person=Person(fields.get("person", "")),
        session=fields.get("session"),
        task=fields.get("task"),
        run=fields.get("run"),
        line_freq_hz=line_freq_hz,
        ask=Ask(ask.layout, annotations, ask.entry),
        parts=entry.annotations,
        refused=None if follow else _leads_out(root, path),
    )


def _leads_out(root: Path, path: Path) -> str | None:
    if not path.is_symlink() or not path.exists():  # what is dangling, reading explains
        return None
    target = path.resolve()
    if target.is_relative_to(root.resolve()):
        return None
    return (
        f"{path.name} is a link to {path.readlink()}, outside the folder that is read: put the file itself "
        "there, or give --param links=follow"
    )


def _pattern(text: str) -> re.Pattern[str]:
    seen: set[str] = set()
    made = "".join(_piece(text, piece, seen) for piece in re.split(r"(\{[^}]*\}|\*\*|\*)", text))
    if "person" not in seen:
        raise UsageError(f"--param pattern={text} does not say where the person is: it needs {{person}}")
    return re.compile(made)


def _piece(text: str, piece: str, seen: set[str]) -> str:
    """One piece of a pattern as a regular expression: a field, a star, or what stands between them."""
    if piece in ("*", "**"):
        return ".*" if piece == "**" else "[^/]*"
    if not piece.startswith("{"):
        return re.escape(piece)
    name = piece[1:-1]
    if name not in FIELDS:
        raise UsageError(f"--param pattern={text}: {piece} is no field; fields are {_braces(FIELDS)}")
    known = name in seen
    seen.add(name)
    return f"(?P={name})" if known else f"(?P<{name}>[^/]+?)"


def _braces(names: tuple[str, ...]) -> str:
    return " ".join(f"{{{name}}}" for name in names)


def _ask(params: Mapping[str, str]) -> Ask:
    given = {name: params[name] for name in ("columns", "rate", "unit") if name in params}
    if not given:
        return Ask()
    if missing := [name for name in ("columns", "rate", "unit") if name not in given]:
        raise UsageError(
            f"a layout needs columns, rate and unit; --param {missing[0]}=… is missing (given: {', '.join(given)})"
        )
    columns = tuple(name.strip() for name in params["columns"].split(","))
    rate_hz = _number(params, "rate")
    assert rate_hz is not None
    if "variable" in params:
        axes = params.get("axes", "channel time")
        return Ask(ArrayLayout(params["variable"], axes, columns, rate_hz, params["unit"]))
    separator = params.get("separator", ",")
    return Ask(
        TableLayout(
            columns, rate_hz, params["unit"], {"space": "", "tab": "\t"}.get(separator, separator),
            params.get("comment", "%"), int(_number(params, "skip_lines") or 0),
        )
    )  # fmt: skip


def _number(params: Mapping[str, str], name: str) -> float | None:
    if name not in params:
        return None
    try:
        value = float(params[name])
    except ValueError:
        value = -1.0
    if value < 0:
        raise UsageError(f"--param {name}={params[name]} must be a number, and not below 0")
    return value


RECIPE = Recipe(
    id="folder",
    version="1",
    title="Any folder of recordings",
    people=None,
    hours=None,
    task="any",
    licence="as the folder's owner says",
    citation="as the folder's owner says",
    access="open",
    verified=True,
    layout_source="the folder itself: every file is a recording, part of one, annotations, a failure or a document",
    namespace="folder",
    plan=plan,
    start_time_note="dropped: a date can help to identify a person",
    params=_PARAMS,
    generic=True,
    accounts_for_every_file=True,
)
"""Rates, units and people that no file states come as ``--param``; ``docs/formats.md`` lists what is read."""
