"""Which names mean the same person, and whether a person stands on both sides of a split."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eegfm_lake.errors import UsageError


class SamePeople:
    """Groups of names that belong to one person, from what recipes know.

    Parameters
    ----------
    recordings
        Rows with ``person`` and ``same_as``.
    """

    def __init__(self, recordings: Iterable[Mapping[str, Any]]) -> None:
        self._parent: dict[str, str] = {}
        for row in recordings:
            for other in row["same_as"] or []:
                if row["person"]:
                    self._parent[self.one(other)] = self.one(row["person"])

    def one(self, name: str) -> str:
        """Return the one name that stands for a person, however the person is called."""
        while (parent := self._parent.get(name, name)) != name:
            name = parent
        return name


def check_sides(people: Sequence[str | None], sides: Sequence[object], kind: str, same: SamePeople) -> None:
    """Refuse a cohort in which a person stands on both sides.

    Parameters
    ----------
    people
        Person of every window, None where unknown.
    sides
        Split or fold of every window.
    kind
        What the sides are called in the message.
    same
        Who is who.

    Raises
    ------
    UsageError
        Names the first such people and their sides.
    """
    found: dict[str, dict[object, set[str]]] = defaultdict(lambda: defaultdict(set))
    for person, side in set(zip(people, sides, strict=True)):
        if person is not None:
            found[same.one(person)][side].add(person)
    torn = {one: by_side for one, by_side in found.items() if len(by_side) > 1}
    if not torn:
        return
    one = min(torn)
    names = sorted(set().union(*torn[one].values()))
    where = ", ".join(sorted(map(str, torn[one])))
    others = f" and {len(torn) - 1} more" if len(torn) > 1 else ""
    raise UsageError(
        f"{' = '.join(names)}{others}: in more than one {kind} ({where}); a person stands on one side only, "
        f"so make {kind} a function of person"
    )
