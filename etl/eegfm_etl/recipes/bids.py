"""Any BIDS data set with EEG, as its sidecars describe it."""

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eegfm_etl.recipe import Job, Person, Recipe, files_below
from eegfm_lake.errors import UsageError

_SIGNAL = re.compile(r"sub-[^_]+(_[^_]+)*_eeg\.(vhdr|edf|bdf|set)", re.IGNORECASE)
_ELSEWHERE = ("sourcedata", "derivatives", "code", "stimuli")
_RUN_ENTITIES = ("task", "acquisition", "run", "recording", "split")


def plan(root: Path, dataset: str, labels: str | None = None) -> list[Job]:
    """One job for every signal file of datatype eeg, with what participants, channels, electrodes and events say.

    Parameters
    ----------
    root : Path
        Folder that holds ``dataset_description.json``.
    dataset : str
        Id of the data set in the lake.
    labels : str, optional
        File that says which event is what: TSV with the columns ``event`` and ``label``, or a JSON object;
        an empty label says that it is no event.
    """
    from eegfm_etl.bids import read_people  # mne-bids takes a second to import

    people, known = read_people(root), _labels(labels)
    found = [rel for rel, _ in files_below(root, _SIGNAL) if rel.split("/")[0] not in _ELSEWHERE]
    return [_job(root, rel, dataset, people, known) for rel in found]


def describe(root: Path) -> dict[str, str]:
    """Return licence and citation as ``dataset_description.json`` states them."""
    from eegfm_etl.bids import read_json

    about = read_json(root / "dataset_description.json")
    names = about.get("Authors")
    authors = ", ".join(str(name) for name in names) if isinstance(names, list) else ""
    parts = [authors, about.get("Name"), about.get("DatasetDOI"), about.get("HowToAcknowledge")]
    words = {"licence": about.get("License"), "citation": "; ".join(str(one) for one in parts if one)}
    return {field: re.sub(r"\s+", " ", str(text)).strip() for field, text in words.items() if text}


def _job(root: Path, rel: str, dataset: str, people: dict[str, Person], labels: dict[str, str | None]) -> Job:
    from eegfm_etl.bids import entities_of, read_sidecars

    path = root / rel
    entities = entities_of(path)
    subject, session = entities["subject"], entities.get("session")
    sidecars = read_sidecars(root, path, labels)
    run = "_".join(f"{name}-{entities[name]}" for name in _RUN_ENTITIES if name in entities) or "eeg"
    where = "/".join(part for part in (dataset, f"sub-{subject}", session and f"ses-{session}", run) if part)
    return Job(
        path=path,
        rel=rel,
        recording_id=where,
        person=people.get(subject, Person(subject)),
        session=session,
        task=entities.get("task"),
        run=entities.get("run"),
        labels=labels,
        overrides=sidecars.types,
        units=sidecars.units,
        bad=sidecars.bad,
        positions=sidecars.positions,
        events=sidecars.events,
        methodology=tuple((name, value, "declared") for name, value in sidecars.methodology),
        line_freq_hz=sidecars.line_freq_hz,
        parts=tuple(sorted(file.relative_to(root).as_posix() for file in sidecars.files)),
    )


def _labels(file: str | None) -> dict[str, str | None]:
    if file is None:
        return {}
    path = Path(file).expanduser()
    if not path.is_file():
        raise UsageError(
            f"--param labels={file} is no file; it is a TSV with the columns event and label, or JSON"
        )
    text = path.read_text(encoding="utf-8-sig")
    pairs: Iterable[tuple[str, Any]]
    if path.suffix.lower() == ".json":
        pairs = json.loads(text).items()
    else:
        rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
        if not rows or not {"event", "label"} <= rows[0].keys():
            raise UsageError(
                f"{path} needs a first line with the columns event and label, separated by a tab"
            )
        pairs = [(row["event"], row["label"]) for row in rows]
    return {str(event): (str(label) if label else None) for event, label in pairs}


RECIPE = Recipe(
    id="bids",
    version="1",
    title="Any BIDS data set with EEG",
    people=None,
    hours=None,
    task="as its events say",
    licence="as dataset_description.json says",
    citation="Pernet et al., Scientific Data 6:103, 2019",
    access="open",
    verified=True,
    layout_source=(
        "https://bids-specification.readthedocs.io/en/stable/modality-specific-files/electroencephalography.html"
    ),
    namespace="bids",
    plan=plan,
    describe=describe,
    params={
        "name": "id of the data set in the lake (default: the folder's name)",
        "namespace": "prefix of its people's ids, the same for copies of one data set (default: the name)",
        "labels": "file of events and label paths: TSV (event, label) or JSON",
    },
    generic=True,
)
