"""Any data set of MOABB, by its code: MOABB fetches and reads it, FIF files lie between.

https://moabb.neurotechx.com/docs/dataset_summary.html. MOABB reads a whole person at once and with readers of its
own; what it read is written once, a file a run, so that an ingest goes on, hashes and reads in pieces as ever.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eegfm_etl.recipe import Job, Person, Recipe, files_below, wanted
from eegfm_lake.errors import EegfmError, MissingExtraError, UsageError

_FILE = re.compile(r"sub-(?P<person>[^_]+)_ses-(?P<session>[^_]+)_run-(?P<run>[^_]+)_raw\.fif")
_ABOUT = "moabb.json"
_FAMILIES = {
    "imagery": "motor/imagery",
    "p300": "erp/p300",
    "ssvep": "ssvep",
    "cvep": "cvep",
    "rstate": "rest",
}
_ABOUT_ACQUISITION = {
    "reference": "reference",
    "ground": "ground",
    "hardware": "amplifier",
    "cap_model": "cap",
}


def plan(root: Path, dataset: str, code: str | None = None) -> list[Job]:
    """One job for every run that `download` wrote."""
    found = files_below(root, _FILE)
    if not found:
        return []
    about = json.loads((root / _ABOUT).read_text(encoding="utf-8"))
    return [_job(root, rel, match.groupdict(), dataset, about) for rel, match in found]


def download(target: Path, only: Sequence[str] = (), *, code: str | None = None) -> Path:
    """Let MOABB fetch and read a data set, and write every run as FIF with its events as annotations.

    Parameters
    ----------
    target : Path
        Folder; the files go to ``target/<code>``.
    only : sequence of str
        Globs over the paths below it; people of whom no file matches are not fetched.
    code : str
        As MOABB names the data set: its code (``BNCI2014-001``) or its class (``BNCI2014_001``).

    Raises
    ------
    UsageError
        Where MOABB has no such data set.
    EegfmError
        Where it cannot be fetched.
    """
    dataset = _find(code)
    return export(dataset, target / dataset.code, only)


def export(dataset: Any, folder: Path, only: Sequence[str] = ()) -> Path:
    """Write every run of a MOABB data set as FIF; what is there already is kept.

    Parameters
    ----------
    dataset : moabb.datasets.base.BaseDataset
    folder : Path
        Receives ``sub-1_ses-0_run-0_raw.fif`` … and ``moabb.json``.
    only : sequence of str
        As `download`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for person in dataset.subject_list:
        done = folder / f".sub-{person}.done"
        if done.exists() or not wanted(f"sub-{person}_ses-0_run-0_raw.fif", _of_person(only)):
            continue
        try:
            sessions = dataset.get_data([person])[person]
        except (OSError, ValueError) as error:  # no network, HTTP errors, full disk; a file that is not whole
            raise EegfmError(
                f"{dataset.code}: MOABB could not fetch or read person {person} ({str(error).splitlines()[0]}); "
                "the same command goes on where it stopped"
            ) from error
        for session, runs in sessions.items():
            for run, raw in runs.items():
                _write(dataset, raw, folder / f"sub-{person}_ses-{_plain(session)}_run-{_plain(run)}_raw.fif")
        done.touch()
    about = {
        "code": dataset.code,
        "events": list(dataset.event_id),
        "paradigm": dataset.paradigm,
        "methodology": _acquisition(dataset),
        "doi": getattr(dataset, "doi", None),
    }
    (folder / _ABOUT).write_text(json.dumps(about, indent=1, default=str), encoding="utf-8")
    return folder


def describe(root: Path) -> dict[str, str]:
    """Return the citation of the data set as MOABB knows it."""
    about = root / _ABOUT
    doi = json.loads(about.read_text(encoding="utf-8")).get("doi") if about.exists() else None
    return {"citation": f"doi:{doi}"} if doi else {}


def _write(dataset: Any, raw: Any, path: Path) -> None:
    from moabb.datasets.preprocessing import SetRawAnnotations

    raw = SetRawAnnotations(dataset.event_id, dataset.interval).transform(raw)
    scratch = path.with_name(f".{path.name}")
    raw.pick(
        [name for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind != "stim"]
    )
    raw.save(scratch, overwrite=True, verbose="error")
    scratch.rename(path)


def _find(code: str | None) -> Any:
    try:
        from moabb.datasets.utils import dataset_list
    except ImportError as error:
        raise MissingExtraError("moabb", "decode") from error
    known = {kind.__name__: kind for kind in dataset_list}
    if code in known:
        return known[code]()
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): kind for name, kind in known.items()}
    kind = plain.get(re.sub(r"[^a-z0-9]", "", (code or "").lower()))
    if kind is None:
        raise UsageError(
            f"MOABB has no data set {code!r}: name one with --param code=…, for example BNCI2014-001; "
            f"known are {', '.join(sorted(known))}"
        )
    return kind()


def _acquisition(dataset: Any) -> dict[str, str]:
    about = getattr(getattr(dataset, "metadata", None), "acquisition", None)
    found = {covariate: getattr(about, name, None) for name, covariate in _ABOUT_ACQUISITION.items()}
    line_freq = getattr(about, "line_freq", None)
    return {name: str(value) for name, value in found.items() if value} | (
        {"line_freq": f"{float(line_freq):g}"} if line_freq else {}
    )


def _job(root: Path, rel: str, who: Mapping[str, str], dataset: str, about: Mapping[str, Any]) -> Job:
    family = _FAMILIES.get(about["paradigm"], about["paradigm"])
    labels = {event: f"{family}/{re.sub(r'[^a-z0-9_.]+', '_', event.lower())}" for event in about["events"]}
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"{dataset}/{who['person']}/{who['session']}/{who['run']}",
        person=Person(who["person"]),
        session=who["session"],
        task=about["paradigm"],
        run=who["run"],
        labels=labels,
        methodology=tuple((name, value, "declared") for name, value in about["methodology"].items()),
        line_freq_hz=float(about["methodology"]["line_freq"])
        if "line_freq" in about["methodology"]
        else None,
        parts=(),
    )


def _of_person(only: Sequence[str]) -> list[str]:
    """Globs that name a session or a run ask for the whole person: MOABB reads nothing less."""
    return [re.sub(r"_ses-.*$", "_*", pattern) for pattern in only]


def _plain(name: object) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", str(name))


RECIPE = Recipe(
    id="moabb",
    version="1",
    title="Any data set of MOABB, by its code",
    people=None,
    hours=None,
    task="as MOABB's paradigm says",
    licence="as the data set's page says",
    citation="Aristimunha et al., Mother of all BCI Benchmarks, doi:10.5281/zenodo.10034223",
    access="open",
    verified=True,
    layout_source="https://moabb.neurotechx.com/docs/dataset_summary.html",
    namespace="moabb",
    plan=plan,
    download=download,
    describe=describe,
    params={
        "code": "which data set: BNCI2014-001, Cho2017 …",
        "name": "id of the data set in the lake (default: the code)",
        "namespace": "prefix of its people's ids (default: the name)",
    },
    generic=True,
)
