"""A cohort's query: found by file, by name in the library, or given as SQL; with its parameters."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from eegfm_lake.errors import UsageError

_PARAM = re.compile(r"^--\s*:param\s+(\w+)=(\S+)\s*(.*)$", re.MULTILINE)
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")


@dataclass(frozen=True)
class CohortQuery:
    """A query with the values of its parameters.

    Attributes
    ----------
    name : str
    sql : str
    params : dict
        Every parameter that the query uses, numbers as numbers.
    """

    name: str
    sql: str
    params: dict[str, str | float]


def library() -> dict[str, str]:
    """Return the shipped cohorts: name to what it is, from the first line of each file."""
    folder = files("eegfm_lake") / "cohorts"
    texts = {path.name: path.read_text("utf8") for path in folder.iterdir() if path.name.endswith(".sql")}
    return {name.removesuffix(".sql"): _title(text) for name, text in sorted(texts.items())}


def find_query(query: str, name: str | None, params: Mapping[str, str] | None) -> CohortQuery:
    """Resolve a query.

    Parameters
    ----------
    query
        Path of a ``.sql`` file, name of a shipped cohort, or SQL.
    name
        What the cohort is called; by default as its file.
    params
        Values for the parameters declared in header lines ``-- :param name=default what it is``.

    Raises
    ------
    UsageError
        There is no such file or cohort, or a parameter is unknown or missing.
    """
    text, own_name = _text_of(query)
    chosen = name or own_name
    if not re.fullmatch(r"[\w.-]+", chosen):
        raise UsageError(f"{chosen}: a cohort's name may hold letters, digits, '_', '-' and '.' only")
    return CohortQuery(chosen, text, _values(text, dict(params or {})))


def _text_of(query: str) -> tuple[str, str]:
    if re.search(r"\s", query.strip()) and not query.strip().endswith(".sql"):
        return query, "cohort"
    if Path(query).is_file():
        return Path(query).read_text("utf8"), Path(query).stem
    shipped = files("eegfm_lake") / "cohorts" / f"{query}.sql"
    if "/" not in query and shipped.is_file():
        return shipped.read_text("utf8"), query
    if query.endswith(".sql"):
        raise UsageError(f"{query}: no such file")
    close = get_close_matches(query, library(), 1, 0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UsageError(
        f"{query}: no such cohort; {hint}The library holds {', '.join(library())}; or give a .sql file"
    )


def _values(text: str, given: dict[str, str]) -> dict[str, str | float]:
    declared = {name: default for name, default, _ in _PARAM.findall(text)}
    body = re.sub(r"--.*|'(?:[^']|'')*'", "", text)
    used = set(re.findall(r"\$(\w+)", body))
    if unknown := sorted(set(given) - used):
        close = get_close_matches(unknown[0], used, 1, 0.5)
        hint = f"did you mean {close[0]}? " if close else ""
        listed = ", ".join(f"{name}={declared.get(name, '')}" for name in sorted(used)) or "none"
        raise UsageError(f"{unknown[0]}: no such parameter; {hint}the query's parameters are {listed}")
    if missing := sorted(used - set(declared) - set(given)):
        raise UsageError(f"the query needs a value for ${missing[0]}: give --param {missing[0]}=…")
    values = {}
    for name in sorted(used):
        value = given.get(name, declared.get(name, ""))
        as_number = _NUMBER.fullmatch(value) and _NUMBER.fullmatch(declared.get(name, value))
        if not as_number and _NUMBER.fullmatch(declared.get(name, "")):
            raise UsageError(f"{name}={value}: expected a number, as in {name}={declared[name]}")
        values[name] = (float(value) if "." in value else int(value)) if as_number else value
    return values


def _title(text: str) -> str:
    first = text.lstrip().splitlines()[0] if text.strip() else ""
    return first.lstrip("- ").strip() if first.startswith("--") else ""
