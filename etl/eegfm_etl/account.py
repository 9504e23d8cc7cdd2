"""What became of every file of a folder: the table at the end of an ingest that reads whatever it is pointed at.

The lake's own tables are asked, so the same account comes out after any number of runs.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from eegfm_etl.inventory import files_of, take_inventory
from eegfm_lake.schema import FAILURE_STEPS
from eegfm_lake.table import Lake

RECORDING, PART, ANNOTATIONS = "recording", "part of a recording", "annotations only"
FAILED, PART_OF_FAILED, NOT_READ = "failure", "part of a failure", "not read"


@dataclass(frozen=True)
class Fate:
    """What became of one file.

    Attributes
    ----------
    kind : str
        `RECORDING`, `PART`, `ANNOTATIONS`, `FAILED`, `PART_OF_FAILED`, `NOT_READ`, else what the file is
        (a document, a table …).
    of : str or None
        Path of the recording or failure that it is part of.
    step, reason : str or None
        Of a failure.
    """

    kind: str
    of: str | None = None
    step: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Account:
    """Every file below a root and its fate.

    Attributes
    ----------
    fates : dict of str to Fate
        By path below the root.
    folders : dict of str to Fate
        Folders that are one recording or failure; their files are parts of it.
    """

    fates: dict[str, Fate]
    folders: dict[str, Fate]

    def table(self) -> list[tuple[str, int, int]]:
        """Rows (what, recordings or failures, files); the files add up to all files."""
        heads = [*self.fates.values(), *self.folders.values()]
        rows = [(RECORDING + "s", _count(heads, RECORDING), _count(self.fates.values(), RECORDING))]
        rows.append(("parts of recordings", 0, _count(self.fates.values(), PART)))
        rows.append((ANNOTATIONS, _count(heads, ANNOTATIONS), _count(self.fates.values(), ANNOTATIONS)))
        for step in FAILURE_STEPS:
            failed = [fate for fate in heads if fate.kind == FAILED and fate.step == step]
            files = [fate for fate in self.fates.values() if fate.kind == FAILED and fate.step == step]
            if failed:
                rows.append((f"failed: {step}", len(failed), len(files)))
        rows.append(("parts of failures", 0, _count(self.fates.values(), PART_OF_FAILED)))
        ours = {RECORDING, PART, ANNOTATIONS, FAILED, PART_OF_FAILED}
        kinds = Counter(fate.kind for fate in self.fates.values() if fate.kind not in ours)
        return rows + [(f"other: {kind}", 0, files) for kind, files in sorted(kinds.items())]

    @property
    def files(self) -> int:
        """Number of files."""
        return len(self.fates)

    @property
    def unexplained(self) -> list[str]:
        """Files that nothing became of: not read in this run or any other."""
        return sorted(rel for rel, fate in self.fates.items() if fate.kind == NOT_READ)


def account_of(root: Path, lake: Lake, dataset: str, profile: str) -> Account:
    """Ask the lake what became of every file below a root.

    Parameters
    ----------
    root : Path
    lake : Lake
    dataset, profile : str

    Returns
    -------
    Account
    """
    recordings = [
        row["source"] for row in lake.recordings(["source"], dataset=dataset, profile=profile).to_pylist()
    ]
    failures = lake.failures(dataset=dataset, profile=profile).to_pylist()
    heads = {row["path"]: Fate(RECORDING) for row in recordings}
    for row in failures:
        kind = ANNOTATIONS if row["step"] == "annotations" else FAILED
        heads.setdefault(row["path"], Fate(kind, step=row["step"], reason=row["reason"]))
    parts = _parts(recordings, PART)
    for rel, fate in _parts(failures, PART_OF_FAILED).items():
        parts.setdefault(rel, fate)
    found = {path.relative_to(root).as_posix() for path in files_of(root)}
    others = take_inventory(root).others
    fates = {
        rel: heads.get(rel) or parts.get(rel) or Fate(others.get(rel, NOT_READ))
        for rel in sorted(found | set(others))
    }
    return Account(fates, {rel: fate for rel, fate in heads.items() if rel not in fates})


def print_account(console: Console, account: Account) -> None:
    """Print the table: what, how many recordings or failures, how many files."""
    table = Table(title=f"every file: {account.files}", title_justify="left")
    table.add_column("what")
    table.add_column("recordings", justify="right")
    table.add_column("files", justify="right")
    for what, heads, files in account.table():
        table.add_row(what, str(heads) if heads else "", str(files))
    console.print(table)
    for rel in account.unexplained[:10]:
        console.print(f"  not read: {rel}", highlight=False, soft_wrap=True, markup=False)


def _parts(rows: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Fate]:
    return {part: Fate(kind, of=row["path"]) for row in rows for part in row["parts"] or ()}


def _count(fates: Iterable[Fate], kind: str) -> int:
    return sum(fate.kind == kind for fate in fates)
