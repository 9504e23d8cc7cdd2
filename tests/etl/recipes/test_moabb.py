"""Any data set of MOABB, tried on the one that MOABB makes up."""

from pathlib import Path

import pytest

pytest.importorskip("moabb")
from moabb.datasets.fake import FakeDataset

from eegfm_etl.ingest import ingest
from eegfm_etl.recipes.moabb import download, export
from eegfm_lake.errors import UsageError
from eegfm_lake.query import run_sql
from eegfm_lake.table import Lake


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    dataset = FakeDataset(
        event_list=("left_hand", "right_hand"),
        n_sessions=2,
        n_runs=1,
        n_subjects=3,
        duration=40,
        n_events=8,
        seed=1,
    )
    return export(dataset, tmp_path_factory.mktemp("moabb") / "Fake-1")


def test_every_run_becomes_a_recording_of_its_person(exported: Path, tmp_path: Path):
    report = ingest(tmp_path / "lake", "moabb", source=exported, progress=False)
    assert (report.done, report.failures) == (6, ())
    lake = Lake.open(tmp_path / "lake")
    found = run_sql(
        lake, "SELECT recording_id, dataset, person, session FROM recordings ORDER BY 1"
    ).to_pylist()
    assert tuple(found[0].values()) == ("fake-1/1/0/0", "fake-1", "fake-1/1", "0")
    assert len({row["person"] for row in found}) == 3
    labels = run_sql(lake, "SELECT label, count(*) AS n FROM events GROUP BY 1 ORDER BY 1").to_pylist()
    assert [row["label"] for row in labels] == ["motor/imagery/left_hand", "motor/imagery/right_hand"]
    assert sum(row["n"] for row in labels) == 6 * 8
    types = run_sql(lake, "SELECT DISTINCT name, type FROM channels ORDER BY 1").to_pylist()
    assert [tuple(row.values()) for row in types] == [("C3", "eeg"), ("C4", "eeg"), ("Cz", "eeg")]


def test_what_was_exported_is_not_read_again(exported: Path):
    before = {path: path.stat().st_mtime_ns for path in exported.glob("*.fif")}
    dataset = FakeDataset(event_list=("left_hand", "right_hand"), n_sessions=2, n_runs=1, n_subjects=3)
    dataset.get_data = None  # asking for data would fail
    export(dataset, exported)
    assert before == {path: path.stat().st_mtime_ns for path in exported.glob("*.fif")}


def test_an_unknown_code_is_refused_with_the_known_ones(tmp_path: Path):
    with pytest.raises(UsageError, match="BNCI2014_001"):
        download(tmp_path, code="BNCI-nothing")
