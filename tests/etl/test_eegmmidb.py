import csv
import re
import socketserver
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from mne.datasets import eegbci

from eegfm_etl.events import label_events
from eegfm_etl.recipes.eegmmidb import PEOPLE, RECIPE, RUNS, download, labels_of_run, plan
from eegfm_lake import schema
from eegfm_lake.errors import EegfmError, UsageError

from .ingest_miniatures import write_corpus, write_edf

# What PhysioNet's page says of each task, written down once more and independently of the recipe.
TASKS = {
    "BASE1": {"T0": "rest/eyes_open"},
    "BASE2": {"T0": "rest/eyes_closed"},
    "TASK1": {
        "T0": "rest/between_trials",
        "T1": "motor/execution/left_fist",
        "T2": "motor/execution/right_fist",
    },
    "TASK2": {"T0": "rest/between_trials", "T1": "motor/imagery/left_fist", "T2": "motor/imagery/right_fist"},
    "TASK3": {
        "T0": "rest/between_trials",
        "T1": "motor/execution/both_fists",
        "T2": "motor/execution/both_feet",
    },
    "TASK4": {"T0": "rest/between_trials", "T1": "motor/imagery/both_fists", "T2": "motor/imagery/both_feet"},
}


@pytest.mark.shared
def test_labels_agree_with_the_bids_sidecars_of_all_recordings(ds004362_dir: Path):
    recordings, counts = 0, Counter()
    for path in sorted(ds004362_dir.glob("sub-*/eeg/*_events.tsv")):
        run = int(re.search(r"_run-(\d+)_", path.name)[1])
        with path.open() as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        annotations = [(float(row["onset"]), 0.0, row["value"][-2:]) for row in rows]
        events = label_events(annotations, labels_of_run(run))
        assert [event.label for event in events] == [
            TASKS[row["value"][:5]].get(row["value"][-2:]) for row in rows
        ]
        assert [event.source_label for event in events] == [row["value"][-2:] for row in rows]
        recordings += 1
        counts.update(event.label for event in events)
    assert recordings == 1526
    assert counts[None] == 2  # a stray T1 in both baselines of S089
    assert {label for label in counts if label} == {path for task in TASKS.values() for path in task.values()}


@pytest.mark.shared
def test_the_plan_finds_every_recording_of_the_original_layout(ds004362_dir: Path, tmp_path: Path):
    with (ds004362_dir / "eegmmidb-openneuro-pointers.tsv").open() as file:
        paths = [row["path"] for row in csv.DictReader(file, delimiter="\t")]
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    jobs = plan(tmp_path)
    assert len(jobs) == 1526
    assert len({job.recording_id for job in jobs}) == 1526
    assert len({job.person.id for job in jobs}) == RECIPE.people


@pytest.mark.parametrize("run", RUNS)
def test_a_run_has_its_own_labels_and_declared_methodology(run: int, tmp_path: Path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / f"s007r{run:02d}.EDF").touch()
    (job,) = plan(tmp_path)
    assert job.recording_id == f"eegmmidb/S007/R{run:02d}"
    assert job.person.id == "S007"
    assert job.rel == f"deep/er/s007r{run:02d}.EDF"
    assert job.line_freq_hz == 60
    assert {origin for _, _, origin in job.methodology} == {"declared"}
    assert {name for name, _, _ in job.methodology} <= set(schema.COVARIATES)
    assert "reference" not in {name for name, _, _ in job.methodology}  # no public source names the electrode
    assert job.label == {1: "rest/eyes_open", 2: "rest/eyes_closed"}.get(run)
    assert (job.person.age, job.person.sex) == (None, None)


def test_files_that_are_no_recordings_of_the_data_set_are_left_alone(tmp_path: Path):
    for name in ("S001R04.edf.event", "S110R01.edf", "S001R15.edf", "S000R01.edf", "S01R01.edf", "wfdbcal"):
        (tmp_path / name).touch()
    assert plan(tmp_path) == []


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path: Path):
    """A web server in PhysioNet's layout: (its folder, its address)."""
    folder = tmp_path / "www" / "files" / "eegmmidb" / "1.0.0"
    folder.mkdir(parents=True)
    handler = partial(_Quiet, directory=tmp_path / "www")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}/files/eegmmidb/1.0.0/"
        server.shutdown()


@pytest.mark.shared
def test_the_download_is_what_the_plan_reads(mirror, eegmmidb_dir: Path, tmp_path: Path):
    folder, address = mirror
    (folder / "S001").mkdir()
    for run in (1, 4):
        name = f"S001/S001R{run:02d}.edf"
        (folder / name).write_bytes((eegmmidb_dir / name).read_bytes())
    root = download(tmp_path / "sources", ["*S001R01", "*S001R04.edf"], base_url=address)
    assert [job.recording_id for job in plan(root)] == ["eegmmidb/S001/R01", "eegmmidb/S001/R04"]


def test_a_download_that_fails_says_how_to_go_on(mirror, tmp_path: Path):
    folder, address = mirror
    with pytest.raises(EegfmError, match=r"could not be downloaded.*404.*--source"):
        download(tmp_path / "sources", ["*S001R01"], base_url=address)
    write_corpus(folder, people=1, runs=(1,))  # a file with other bytes than the registry of hashes says
    with pytest.raises(EegfmError, match="could not be downloaded"):
        download(tmp_path / "sources", ["*S001R01"], base_url=address)


def test_only_what_is_asked_for_is_downloaded(monkeypatch, tmp_path: Path):
    fetched = []
    monkeypatch.setattr(eegbci, "load_data", lambda people, runs, **_: fetched.append((people, runs)))
    download(tmp_path, ["*S00[12]R04.edf", "*S003*", "*S002R04"])
    assert fetched == [([1, 2], [4]), ([3], list(RUNS))]
    fetched.clear()
    download(tmp_path)
    assert fetched == [(list(PEOPLE), list(RUNS))]
    with pytest.raises(
        UsageError, match=r"no file of eegmmidb matches --only S001R99; the first is .*S001R01"
    ):
        download(tmp_path, ["S001R99"])


def test_a_plan_is_stable_and_ignores_hidden_folders(tmp_path: Path):
    write_corpus(tmp_path, people=3, runs=(4, 12), seconds=2)
    write_edf(tmp_path / ".trash" / "S009R04.edf", seconds=2)
    rels = [job.rel for job in plan(tmp_path)]
    assert rels == sorted(rels)
    assert len(rels) == 6
