from collections import Counter
from pathlib import Path

import pytest

from eegfm_etl.recipes.eegmat import RECIPE, plan
from eegfm_lake.cohort import freeze
from eegfm_lake.query import run_sql
from eegfm_lake.table import Lake

from .clinical_miniatures import (
    TEN_TWENTY,
    dropped,
    ingest_into_lake,
    ingested,
    methodology,
    stored,
    write_edf,
)

LABELS = (*(f"EEG {name}" for name in TEN_TWENTY), "EEG A2-A1", "ECG ECG")
TABLE = """Subject,Age,Gender,Recording year,Number of subtractions,Count quality
Subject00,21,F,2011,9.7,0
Subject01,18,F,2011,29.35,1
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for person in ("Subject00", "Subject01"):
        for run, seconds in (("1", 6), ("2", 4)):
            path = tmp_path / "eegmat" / f"{person}_{run}.edf"
            note = [(0.0, None, f"[Total time]+{seconds}.000")]
            write_edf(path, LABELS, rate_hz=500, seconds=seconds, units={"ECG ECG": "mV"}, annotations=note)
    (tmp_path / "eegmat" / "subject-info.csv").write_text(TABLE)
    return tmp_path / "eegmat"


def test_rest_and_arithmetic_are_told_apart_and_people_come_from_the_table(root: Path):
    rows = ingested(root, "eegmat")
    assert {name: row["label"] for name, row in rows.items()} == {
        f"eegmat/{person}/{task}": label
        for person in ("Subject00", "Subject01")
        for task, label in (("rest", "rest/eyes_closed"), ("arithmetic", "cognition/arithmetic"))
    }
    row = rows["eegmat/Subject00/arithmetic"]
    assert (row["person"], row["age"], row["sex"]) == ("eegmat/Subject00", 21, "F")
    assert dict(row["phenotype"]) == {"count_quality": "bad", "subtractions": "9.7"}
    assert methodology(row)["reference"] == "linked ears"
    assert (methodology(row)["line_freq"], methodology(row)["cue_modality"]) == ("50", "auditory")


def test_the_ears_are_no_eeg_and_the_length_of_the_file_is_no_event(root: Path):
    row = ingested(root, "eegmat")["eegmat/Subject01/rest"]
    assert Counter(stored(row).values()) == {"eeg": 19, "ecg": 1}
    assert {"T7", "T8", "P7", "P8"} <= set(stored(row))
    assert dropped(row) == {"EEG A2-A1"}
    assert all(one["anode"] is None for one in row["channels"])
    assert row["events"] == []


def test_without_the_table_nothing_is_guessed_about_people(root: Path):
    (root / "subject-info.csv").unlink()
    row = ingested(root, "eegmat")["eegmat/Subject00/rest"]
    assert (row["age"], row["sex"], row["phenotype"], row["source"]["parts"]) == (None, None, None, [])


@pytest.mark.shared
def test_the_plan_of_the_real_files_has_72_recordings_of_36_people(eegmat_dir: Path):
    jobs = plan(eegmat_dir)
    assert (len(jobs), len({job.person.id for job in jobs})) == (72, 36)
    assert all(job.person.age and job.person.sex and job.person.phenotype for job in jobs)


@pytest.mark.shared
@pytest.mark.slow
def test_all_real_recordings_become_recordings(eegmat_dir: Path, tmp_path: Path):
    root = tmp_path / "eegmat"
    root.symlink_to(eegmat_dir)
    report, lake_uri = ingest_into_lake(root, "eegmat")
    assert (report.done, report.failed) == (72, 0)
    assert report.hours == pytest.approx(RECIPE.hours, abs=0.05)
    people = run_sql(Lake.open(lake_uri), "SELECT sex, age FROM people").to_pylist()
    assert Counter(one["sex"] for one in people) == {"F": 27, "M": 9}
    assert min(one["age"] for one in people) == 16
    assert max(one["age"] for one in people) == 26
    frozen = freeze(Lake.open(lake_uri), "eegmat_arithmetic")
    people_of = {(one["split"], one["label"]): one["people"] for one in frozen.counts}
    assert people_of == {
        (split, label): count
        for split, count in {"train": 28, "valid": 4, "test": 4}.items()
        for label in ("rest/eyes_closed", "cognition/arithmetic")
    }
    for row in Lake.open(lake_uri).recordings().to_pylist():
        assert Counter(stored(row).values()) == {"eeg": 19, "ecg": 1}
        assert dropped(row) == {"EEG A2-A1"}
        assert row["events"] == []
