"""EEG Motor Movement/Imagery of PhysioNet: 109 people, 14 runs each, fists and feet, executed and imagined.

https://physionet.org/content/eegmmidb/1.0.0/. Nothing in the files says what T1 and T2 mean; the run decides.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from eegfm_etl.recipe import Job, Person, Recipe, files_below, wanted
from eegfm_lake.errors import EegfmError, UsageError

PEOPLE = range(1, 110)
RUNS = range(1, 15)

_FILE = re.compile(r"S(?P<person>\d{3})R(?P<run>\d{2})\.edf", re.IGNORECASE)
_DOWNLOADED = "MNE-eegbci-data/files/eegmmidb/1.0.0/S{person:03d}/S{person:03d}R{run:02d}.edf"
_BASELINES = {1: "rest/eyes_open", 2: "rest/eyes_closed"}
_FISTS = (3, 4, 7, 8, 11, 12)
_FISTS_OR_FEET = (5, 6, 9, 10, 13, 14)

# The page of the data set names the laboratory; the cap is what OpenNeuro's copy (ds004362) declares. That
# copy's reference, "left or right ear lobe", names no electrode, so the reference stays unknown.
_METHODOLOGY = (
    ("site", "Wadsworth Center, Albany", "declared"),
    ("country", "US", "declared"),
    ("cap", "Electro-Cap International", "declared"),
)


def labels_of_run(run: int) -> dict[str, str]:
    """Say what T0, T1 and T2 mean in a run (1 to 14), as label paths.

    The stray T1 in S089's baselines is not listed: it stays an event without a label path.
    """
    if run in _BASELINES:
        return {"T0": _BASELINES[run]}
    how = "execution" if run % 2 else "imagery"
    first, second = ("left_fist", "right_fist") if run in _FISTS else ("both_fists", "both_feet")
    return {"T0": "rest/between_trials", "T1": f"motor/{how}/{first}", "T2": f"motor/{how}/{second}"}


def plan(root: Path) -> list[Job]:
    """Every SxxxRyy.edf at any depth, whatever its case."""
    found = [(rel, int(match["person"]), int(match["run"])) for rel, match in files_below(root, _FILE)]
    return [_job(root, rel, person, run) for rel, person, run in found if person in PEOPLE and run in RUNS]


def download(target: Path, only: Sequence[str] = (), *, base_url: str | None = None) -> Path:
    """Fetch the files from PhysioNet with MNE's own fetcher, which checks every hash and skips what is there.

    Parameters
    ----------
    target : Path
        Folder that receives ``MNE-eegbci-data/…``; it becomes the source's root.
    only : sequence of str
        Globs over the paths below it; all files where omitted.
    base_url : str or None
        A mirror in PhysioNet's layout; None is PhysioNet.

    Raises
    ------
    UsageError
        Where no file matches.
    EegfmError
        Where a file cannot be fetched.
    """
    people_of_runs = _chosen(only)
    from mne.datasets import eegbci  # takes a second to import

    target.mkdir(parents=True, exist_ok=True)
    mirror = {} if base_url is None else {"base_url": base_url}
    try:
        for runs, people in people_of_runs.items():
            eegbci.load_data(people, list(runs), path=target, update_path=False, verbose="error", **mirror)
    except (OSError, ValueError) as error:  # no network, HTTP errors, full disk; a hash that differs
        raise EegfmError(
            f"eegmmidb could not be downloaded to {target} ({str(error).splitlines()[0]}); "
            "the same command goes on where it stopped, or fetch it yourself and name its folder: --source"
        ) from error
    return target


def _chosen(only: Sequence[str]) -> dict[tuple[int, ...], list[int]]:
    """Group the people by the runs of theirs that match."""
    people_of_runs: dict[tuple[int, ...], list[int]] = {}
    for person in PEOPLE:
        runs = tuple(run for run in RUNS if wanted(_DOWNLOADED.format(person=person, run=run), only))
        if runs:
            people_of_runs.setdefault(runs, []).append(person)
    if not people_of_runs:
        first = _DOWNLOADED.format(person=1, run=1)
        raise UsageError(f"no file of eegmmidb matches --only {' '.join(only)}; the first is {first}")
    return people_of_runs


def _job(root: Path, rel: str, person: int, run: int) -> Job:
    protocol = "baseline" if run in _BASELINES else f"{'execution' if run % 2 else 'imagery'} of {_what(run)}"
    cue = () if run in _BASELINES else (("cue_modality", "visual", "declared"),)
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"eegmmidb/S{person:03d}/R{run:02d}",
        person=Person(f"S{person:03d}"),
        task=_task(run),
        run=f"R{run:02d}",
        labels=labels_of_run(run),
        methodology=(*_METHODOLOGY, ("protocol", protocol, "declared"), *cue),
        line_freq_hz=60.0,
        label=_BASELINES.get(run),
    )


def _task(run: int) -> str:
    return "baseline" if run in _BASELINES else "execution" if run % 2 else "imagery"


def _what(run: int) -> str:
    return "left or right fist" if run in _FISTS else "both fists or both feet"


RECIPE = Recipe(
    id="eegmmidb",
    version="1",
    title="EEG Motor Movement/Imagery Dataset (PhysioNet)",
    people=109,
    hours=48.5,
    task="fists and feet, executed and imagined; rest",
    licence="ODC-BY-1.0",
    citation=(
        "Schalk et al., IEEE Transactions on Biomedical Engineering 51(6):1034-1043, 2004; "
        "Goldberger et al., Circulation 101(23):e215-e220, 2000"
    ),
    access="open",
    verified=True,
    layout_source="https://physionet.org/content/eegmmidb/1.0.0/",
    namespace="eegmmidb",
    plan=plan,
    download=download,
    start_time_note="dropped: every header says 2009-08-12 16:15:00, which is not when it was recorded",
)
