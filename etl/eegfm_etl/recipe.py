"""What a data set declares: its people, files, labels and methodology.

A recipe is data and one function, `Recipe.plan`, that lists what becomes a recording; `docs/ingest.md` shows
how to write one.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TypeVar

from eegfm_etl.events import Event
from eegfm_etl.source import Ask
from eegfm_lake import schema
from eegfm_lake.errors import EegfmError

ACCESS = ("open", "agreement", "simulated")
T = TypeVar("T")
_ID = re.compile(r"^[a-z0-9][a-z0-9_-]*$")


@dataclass(frozen=True)
class Person:
    """Who was recorded. What is unknown is None, never guessed.

    Attributes
    ----------
    id : str
        Without the recipe's namespace: ``S001``.
    age : float or None
        Years.
    same_as : tuple of str
        Full ids (``namespace/id``) of the same person elsewhere.
    """

    id: str
    age: float | None = None
    sex: str | None = None
    handedness: str | None = None
    diagnosis: str | None = None
    phenotype: Mapping[str, str] | None = None
    same_as: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One file that becomes one recording.

    Attributes
    ----------
    path, rel
        The file, and its path below the source's root with forward slashes.
    recording_id
        ``<dataset>/<person>[/<session>]/<run>``; stable between releases of the recipe.
    labels
        Source label to label path; None where it is known to be no event. A source label that is not listed
        becomes an event without a path.
    overrides
        Source channel name to type, where the file is wrong.
    methodology
        (covariate, value, origin), names from `eegfm_lake.schema.COVARIATES`.
    line_freq_hz
        Declared mains frequency; None lets the chain detect it.
    label, target
        Of the whole recording.
    events
        Instead of the file's annotations, where labels live elsewhere (``events.tsv``, a .mat); None takes the
        file's.
    more_events
        Beside the file's annotations.
    positions
        Source channel name to (x, y, z) in metres, MNE's head frame: measured, from a sidecar.
    units
        Source channel name to unit, where a sidecar or the documentation says it and the file does not.
    bad
        Source channel name to the reason why a sidecar calls it bad.
    names
        Electrode of each source channel in the file's order, where the file's labels do not say it ("" keeps
        the file's); the other fields still go by the file's labels.
    in_order
        Source label to the labels that its annotations have in truth, first to last, where these were
        published apart (the competition's true labels for a "cue unknown").
    hardware_band
        (high-pass, low-pass) in Hz of what was filtered before the file was written, where only the
        documentation says it; None in either place is unknown.
    ask
        What the reader must be told.
    parts
        Further files of the recording, below the source's root (sidecars; what the reader finds by itself need
        not be named).
    refused
        Why the file is not to be opened at all; it becomes a failure with this reason.
    whole_bytes
        Set by an ingest: the lake holds this recording, made of so many bytes, more than are here now. A file that is
        cut off does not replace it.
    """

    path: Path
    rel: str
    recording_id: str
    person: Person
    session: str | None = None
    task: str | None = None
    run: str | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)
    methodology: tuple[tuple[str, str, str], ...] = ()
    line_freq_hz: float | None = None
    label: str | None = None
    target: float | None = None
    official_split: str | None = None
    events: tuple[Event, ...] | None = None
    more_events: tuple[Event, ...] = ()
    positions: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    bad: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    in_order: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hardware_band: tuple[float | None, float | None] | None = None
    ask: Ask = field(default_factory=Ask)
    parts: tuple[str, ...] = ()
    refused: str | None = None
    whole_bytes: int | None = None

    def __post_init__(self) -> None:
        for covariate, _, origin in self.methodology:
            if covariate not in schema.COVARIATES or origin not in schema.ORIGINS:
                raise EegfmError(
                    f"{self.rel}: methodology ({covariate}, {origin}) is outside the vocabulary; covariates: "
                    f"{', '.join(schema.COVARIATES)}; origins: {', '.join(schema.ORIGINS)}"
                )


@dataclass(frozen=True)
class Recipe:
    """A data set that eegfm knows how to ingest.

    Attributes
    ----------
    people, hours
        What the whole data set holds; None where it is not known.
    access
        ``open``, ``agreement`` (each user signs one) or ``simulated``.
    verified
        True where the layout and the labels are those of a public source, which `layout_source` quotes, or the
        recipe has run on the real files.
    layout_source
        Where the layout and the labels are documented.
    namespace
        Prefix of the people's ids, shared by data sets that share people.
    plan
        Source root to jobs, in a stable order. Reads names and tables, never samples.
    download
        Target folder and patterns (`wanted`) to the folder that then holds the files; None where the user
        fetches them. A generic recipe's is also given the parameters.
    describe
        Source root to fields of this class that the data set itself states (``licence``, ``citation``).
    apply_at
        Where to sign the agreement, or to fetch the files, where `download` is None; None: `layout_source`.
    layout
        The layout that `plan` expects below the root, in a line: ``sub-*/eeg/*.edf, participants.tsv``.
    start_time_note
        Why the recordings' start time is not kept.
    params
        Name to help of what `plan` takes beside the root (``--param name=value``).
    within_person
        The official split puts one person's recordings on both sides.
    generic
        For any data set of a kind: the data set's id is ``--param name=…``, else made of the folder's name, and
        `plan` is given it as ``dataset``.
    accounts_for_every_file
        The ingest ends with what became of every file below the root.
    """

    id: str
    version: str
    title: str
    people: int | None
    hours: float | None
    task: str
    licence: str
    citation: str
    access: str
    verified: bool
    layout_source: str
    namespace: str
    plan: Callable[..., list[Job]]
    download: Callable[..., Path] | None = None
    describe: Callable[[Path], Mapping[str, str]] | None = None
    start_time_note: str = "dropped: a date can help to identify a person"
    params: Mapping[str, str] = field(default_factory=dict)
    within_person: bool = False
    generic: bool = False
    apply_at: str | None = None
    layout: str | None = None
    accounts_for_every_file: bool = False

    def __post_init__(self) -> None:
        if not _ID.match(self.id) or self.access not in ACCESS:
            raise EegfmError(
                f"recipe {self.id!r}: the id must match {_ID.pattern}, access be one of {', '.join(ACCESS)}"
            )


def wanted(rel: str, only: Sequence[str]) -> bool:
    """Whether a path below the root matches any of the globs, with or without its suffix; all without globs."""
    names = (rel, str(PurePosixPath(rel).with_suffix("")))
    return not only or any(fnmatchcase(name, pattern) for name in names for pattern in only)


def by_file_names(job: Job, names: Sequence[str]) -> Job:
    """Give what a sidecar declares by its channel names to the names that the file itself has.

    They are the same but for case, dots and spaces: ``Fc5.`` in an EDF is ``Fc5`` in its ``channels.tsv``.
    """
    plain = {_plain(name): name for name in reversed(names)}

    def matched(declared: Mapping[str, T]) -> dict[str, T]:
        pairs = list(declared.items())
        known = {plain.get(_plain(name), name): value for name, value in pairs}
        return known | {name: value for name, value in pairs if name in names}

    return replace(
        job,
        overrides=matched(job.overrides),
        units=matched(job.units),
        bad=matched(job.bad),
        positions=matched(job.positions),
    )


def _plain(name: str) -> str:
    return re.sub(r"[.\s]+", "", name).casefold()


def files_below(root: Path, pattern: re.Pattern[str]) -> list[tuple[str, re.Match[str]]]:
    """Files at any depth whose name matches, as (path below root with forward slashes, match), sorted.

    A folder of such a name counts as a file that cannot be read, unless the file lies in it. Links to folders
    are not followed: a loop would never end.
    """
    found: list[tuple[str, re.Match[str]]] = []
    folders: list[tuple[str, re.Match[str]]] = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for kind, kind_names in ((found, names), (folders, subfolders)):
            for name in kind_names:
                if match := pattern.fullmatch(name):
                    kind.append(((Path(folder) / name).relative_to(root).as_posix(), match))
    empty = [one for one in folders if not any(rel.startswith(f"{one[0]}/") for rel, _ in found)]
    return sorted(found + empty, key=lambda one: one[0])


def nearest(root: Path, rel: str, name: str) -> Path | None:
    """Find the file of this name closest to a recording: in its folder, or one above it up to the root."""
    for folder in PurePosixPath(rel).parents:
        if (root / folder / name).is_file():
            return root / folder / name
    return None


def parts_of(root: Path, *paths: Path | None) -> tuple[str, ...]:
    """`Job.parts` of those sidecars that are there."""
    return tuple(path.relative_to(root).as_posix() for path in paths if path is not None and path.is_file())
