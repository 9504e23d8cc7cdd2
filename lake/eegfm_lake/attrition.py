"""Where people, recordings and windows were lost on the way from the lake to a lock."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eegfm_lake.cohort_sql import CohortQuery
from eegfm_lake.query import run_sql
from eegfm_lake.table import Lake

_NOT_ASKED = "the query asks for none of its windows"


class Attrition:
    """A ledger: what the lake holds less every loss is what is left.

    Parameters
    ----------
    everyone
        Every recording of the lake: recording_id, dataset, person.

    Attributes
    ----------
    rows : list of dict
        reason, windows, recordings, people, in the order of losses; reasons that took nothing are left out.
    """

    def __init__(self, everyone: Sequence[Mapping[str, Any]]) -> None:
        self._person = {row["recording_id"]: row["person"] or row["recording_id"] for row in everyone}
        self._dataset = {row["recording_id"]: row["dataset"] for row in everyone}
        self._left = set(self._person)
        self.rows: list[dict[str, Any]] = []

    @property
    def left(self) -> set[str]:
        """Recordings not lost so far."""
        return set(self._left)

    def lose(
        self, reason: str, recordings: set[str], windows: int | None, left: set[str] | None = None
    ) -> None:
        """Enter a loss.

        Parameters
        ----------
        reason
            Why.
        recordings
            Recordings that it may have taken whole.
        windows
            Windows lost, None where nobody can say.
        left
            Those of the recordings that still have a window; none by default.
        """
        people_before = {self._person[name] for name in self._left}
        gone = (recordings - (left or set())) & self._left
        self._left -= gone
        people = people_before - {self._person[name] for name in self._left}
        if windows or gone:
            self.rows.append(
                {"reason": reason, "windows": windows, "recordings": len(gone), "people": len(people)}
            )

    def explained(self) -> str:
        """Say in one line what the lake holds and what took it."""
        if not self._person:
            return "The lake is empty: run eegfm ingest first"
        held: dict[str, list[str]] = {}
        for name, dataset in sorted(self._dataset.items()):
            held.setdefault(str(dataset), []).append(name)
        lake = ", ".join(f"{dataset} ({len(names)} recordings)" for dataset, names in held.items())
        losses = "; ".join(
            f"{row['reason']}: {_amount(row['windows'], 'windows')}{row['recordings']} recordings, "
            f"{row['people']} people"
            for row in self.rows
        )
        return f"The lake holds {lake}; lost: {losses}"


def lost_to_query(
    attrition: Attrition, lake: Lake, asked: CohortQuery, n_windows: int, asked_ids: set[str]
) -> None:
    """Enter what the query itself left out, told apart as far as its macros allow.

    A recording without any event that fits the pattern of ``trials`` lost there; windows that only ``clean``
    takes are those that come back when ``clean`` accepts all; the rest was not asked for.
    """
    patterns = _trial_patterns(asked)
    if patterns:
        fitting = _with_events(lake, patterns)
        shown = " or ".join(repr(pattern) for pattern in patterns)
        attrition.lose(f"no event fits {shown}", attrition.left - asked_ids - fitting, None)
    either_way, n_places = re.subn(r"\bclean\s*\(", "clean_or_not(", asked.sql, flags=re.IGNORECASE)
    if n_places:
        found = run_sql(lake, either_way, asked.params)
        found_ids = set(found.column("recording_id").to_pylist()) | asked_ids
        attrition.lose(_NOT_ASKED, attrition.left - found_ids, None)
        attrition.lose("blocks are not clean", found_ids - asked_ids, max(0, found.num_rows - n_windows))
    attrition.lose(_NOT_ASKED, attrition.left - asked_ids, None)


def _trial_patterns(asked: CohortQuery) -> list[str]:
    found = re.findall(r"\btrials\s*\(\s*(?:'((?:[^']|'')*)'|\$(\w+))", asked.sql, re.IGNORECASE)
    texts = (literal.replace("''", "'") or str(asked.params.get(param, "")) for literal, param in found)
    return sorted(set(texts))


def _with_events(lake: Lake, patterns: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for pattern in patterns:
        rows = run_sql(
            lake,
            "SELECT DISTINCT recording_id FROM events "
            "WHERE label GLOB $pattern OR starts_with(label, $pattern || '/')",
            {"pattern": pattern},
        )
        found.update(rows.column(0).to_pylist())
    return found


def _amount(count: int | None, what: str) -> str:
    return "" if count is None else f"{count} {what}, "
