"""The four corpora of Temple University Hospital."""

import datetime as dt
from pathlib import Path

import edfio
import pytest

from eegfm_lake.cohort import freeze
from eegfm_lake.query import run_sql
from eegfm_lake.table import Lake

from .clinical_miniatures import (
    TEN_TWENTY,
    dropped,
    ingest_into_lake,
    ingested,
    methodology,
    spans,
    stored,
    write_edf,
)

HEAD = (*(name.upper() for name in TEN_TWENTY), "A1", "A2")


def write_tuh(path: Path, ref: str = "REF", seconds: float = 4, age: str = "Age:38", sex: str = "F") -> Path:
    labels = [*(f"EEG {name}-{ref}" for name in HEAD), f"EEG EKG1-{ref}", f"EEG 26-{ref}", f"EEG LOC-{ref}"]
    patient = edfio.Patient(
        code=path.stem.split("_")[0],
        sex=sex,
        birthdate=dt.date(1977, 1, 1),
        name=path.stem.split("_")[0],
        additional=[age],
    )
    return write_edf(
        path, [*labels, "PHOTIC-REF", "IBI", "BURSTS"], rate_hz=250, seconds=seconds, patient=patient
    )


def test_tueg_tells_linked_ears_from_the_averaged_reference(tmp_path: Path):
    root = tmp_path / "tueg"
    write_tuh(root / "edf/000/aaaaaaaa/s001_2015/01_tcp_ar/aaaaaaaa_s001_t000.edf")
    write_tuh(root / "edf/000/aaaaaaab/s002_2003_02_11/02_tcp_le/aaaaaaab_s002_t001.edf", "LE", sex="M")
    write_tuh(root / "edf/109/aaaaaaac/s001_2012/03_tcp_ar_a/aaaaaaac_s001_t000.edf", age="Age:999")
    rows = ingested(root, "tueg")
    assert {name: methodology(row)["reference"] for name, row in rows.items()} == {
        "tueg/aaaaaaaa/s001/t000": "average",
        "tueg/aaaaaaab/s002/t001": "linked ears",
        "tueg/aaaaaaac/s001/t000": "average",
    }
    assert [(row["person"], row["age"], row["sex"]) for row in rows.values()] == [
        ("tuh/aaaaaaaa", 38, "F"),
        ("tuh/aaaaaaab", 38, "M"),
        ("tuh/aaaaaaac", None, "F"),  # 999 is no age
    ]
    row = rows["tueg/aaaaaaab/s002/t001"]
    assert row["session"] == "s002"
    assert stored(row)["EKG1-LE"] == "ecg"
    assert stored(row)["LOC-LE"] == "eog"
    assert {"Fp1", "T7", "P8", "A1"} <= {name for name, kind in stored(row).items() if kind == "eeg"}
    assert {"EEG 26-LE", "PHOTIC-REF", "IBI", "BURSTS"} <= dropped(row)
    assert all(one["anode"] is None for one in row["channels"])


def test_the_labels_say_the_reference_where_no_folder_does(tmp_path: Path):
    root = tmp_path / "tuev"
    write_tuh(root / "edf/train/aaaaaaar/aaaaaaar_00000001.edf", "LE")
    (row,) = ingested(root, "tuev").values()
    assert methodology(row)["reference"] == "linked ears"


def test_tuab_gives_whole_recordings_a_label_and_its_split_comes_out_of_sql(tmp_path: Path):
    root = tmp_path / "tuab"
    for person, place in {
        "aaaaaaav": "train/normal",
        "aaaaabbb": "train/abnormal",
        "aaaaamye": "eval/abnormal",
    }.items():
        write_tuh(root / f"edf/{place}/01_tcp_ar/{person}_s001_t000.edf")
    ingested(root, "tuab")
    found = run_sql(
        Lake.open(str(tmp_path / "lake")),
        "SELECT person, label, official_split FROM recordings WHERE dataset = 'tuab' ORDER BY ALL",
    )
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("tuh/aaaaaaav", "clinical/normal", "train"),
        ("tuh/aaaaabbb", "clinical/abnormal", "train"),
        ("tuh/aaaaamye", "clinical/abnormal", "test"),
    ]
    params = {"seconds": "2", "stride_s": "2"}
    frozen = freeze(Lake.open(str(tmp_path / "lake")), "official_split", params=params)
    assert {(one["split"], one["label"]): one["people"] for one in frozen.counts} == {
        ("train", "clinical/normal"): 1,
        ("train", "clinical/abnormal"): 1,
        ("test", "clinical/abnormal"): 1,
    }


def test_a_cohort_keeps_the_people_of_an_evaluation_corpus_out_of_pre_training(tmp_path: Path):
    write_tuh(tmp_path / "tuab/edf/eval/normal/01_tcp_ar/aaaaaaaa_s001_t000.edf", seconds=12)
    for person in ("aaaaaaaa", "aaaaaaab"):
        path = f"tueg/edf/000/{person}/s001_2015/01_tcp_ar/{person}_s001_t000.edf"
        write_tuh(tmp_path / path, seconds=14)
    for corpus in ("tuab", "tueg"):
        assert ingest_into_lake(tmp_path / corpus, corpus)[0].failed == 0
    lake = Lake.open(str(tmp_path / "lake"))
    windows = "SELECT recording_id, start, seconds FROM windows(10, 10)"
    evaluation = freeze(lake, f"{windows} WHERE dataset = 'tuab'", name="evaluation")
    pretraining = freeze(
        lake, f"{windows} WHERE dataset = 'tueg'", name="pretraining", against=[evaluation.path]
    )
    (kept,) = pretraining.counts
    assert kept["people"] == 1
    assert kept["windows"] == 1


def test_tuev_marks_name_the_channel_of_the_montage_they_count(tmp_path: Path):
    root = tmp_path / "tuev"
    train = write_tuh(root / "edf/train/aaaaaaar/aaaaaaar_00000001.edf")
    train.with_suffix(".rec").write_text("13,1.4,2.4,6\n0,0.5,1.5,1\n21,2.0,3.0,5\n")
    test = write_tuh(root / "edf/eval/000/bckg_000_a_.edf")
    test.with_suffix(".rec").write_text("1,1.0,2.0,4\n")
    write_tuh(root / "edf/eval/000/gped_000_a_1.edf")
    rows = ingested(root, "tuev")
    assert {name: (row["person"], row["official_split"]) for name, row in rows.items()} == {
        "tuev/aaaaaaar/00000001": ("tuh/aaaaaaar", "train"),
        "tuev/eval_000/bckg_a": ("tuh/tuev_eval_000", "test"),
        "tuev/eval_000/gped_a_1": ("tuh/tuev_eval_000", "test"),
    }
    events = rows["tuev/aaaaaaar/00000001"]["events"]
    assert [(one["label"], one["channel"], one["source_label"], one["value"]) for one in events] == [
        ("epileptiform/spike_and_wave", "FP1-F7", "spsw", "1"),
        ("background", "T4-A2", "bckg", "6"),
        ("artifact/other", "P4-O2", "artf", "5"),
    ]
    assert spans(rows["tuev/eval_000/bckg_a"], "artifact/eye_movement") == [(1.0, 2.0)]
    assert rows["tuev/aaaaaaar/00000001"]["source"]["parts"] == ["edf/train/aaaaaaar/aaaaaaar_00000001.rec"]


@pytest.mark.parametrize("line", ["22,0,1,6", "0,0,1,7", "0,zero,1,6", "<html>"])
def test_damaged_marks_cost_one_recording_and_say_why(tmp_path: Path, line: str):
    root = tmp_path / "tuev"
    good = write_tuh(root / "edf/train/aaaaaaar/aaaaaaar_00000001.edf")
    good.with_suffix(".rec").write_text("0,0.5,1.5,1\n")
    bad = write_tuh(root / "edf/train/aaaaaaas/aaaaaaas_00000001.edf")
    bad.with_suffix(".rec").write_text(f"0,0.5,1.5,1\n{line}\n")
    report, _ = ingest_into_lake(root, "tuev")
    ((path, reason),) = report.failures
    assert report.done == 1
    assert path == "edf/train/aaaaaaas/aaaaaaas_00000001.edf"
    assert "aaaaaaas_00000001.rec is damaged" in reason


def test_tusl_stretches_are_slowing_seizure_or_background(tmp_path: Path):
    root = tmp_path / "tusl"
    folder = root / "edf/aaaaaaju/s005_2010_10_05/01_tcp_ar"
    path = write_tuh(folder / "aaaaaaju_s005_t000.edf", seconds=32)
    path.with_suffix(".tse_agg").write_text(
        "version = tse_v1.0.0\n\n0.0000 10.0000 bckg 1.0000\n10.0000 20.0000 slow 1.0000\n"
        "20.0000 30.0000 seiz 1.0000\n30.0000 31.0000 shiv 1.0000\n"
    )
    (row,) = ingested(root, "tusl").values()
    assert (row["recording_id"], row["person"]) == ("tusl/aaaaaaju/s005/t000", "tuh/aaaaaaju")
    assert spans(row, "background") == [(0, 10)]
    assert spans(row, "slowing") == [(10, 20)]
    assert spans(row, "seizure") == [(20, 30)]
    assert [one["source_label"] for one in row["events"] if one["label"] is None] == ["shiv"]


def test_every_corpus_finds_its_own_files_below_one_root(tmp_path: Path):
    from eegfm_etl import recipes

    for path in (
        "tueg/v2.0.1/edf/000/aaaaaaaa/s001_2015/01_tcp_ar/aaaaaaaa_s001_t000.edf",
        "tuab/v3.0.1/edf/train/normal/01_tcp_ar/aaaaaaav_s004_t000.edf",
        "tuab/v2.0.0/edf/eval/normal/01_tcp_ar/000/00000021/s004_2013_08_15/00000021_s004_t000.edf",
        "tuev/v2.0.1/edf/eval/000/bckg_000_a_.edf",
        "tusl/v2.0.1/edf/aaaaaaju/s005_2010_10_05/02_tcp_le/aaaaaaju_s005_t000.edf",
        "tusz/v2.0.3/edf/train/aaaaaaac/s001_2002/01_tcp_ar/aaaaaaac_s001_t000.edf",
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    found = {corpus: recipes.find(corpus).plan(tmp_path) for corpus in ("tueg", "tuab", "tuev", "tusl")}
    assert {corpus: len(jobs) for corpus, jobs in found.items()} == {
        "tueg": 1,
        "tuab": 2,
        "tuev": 1,
        "tusl": 1,
    }
    assert {corpus: jobs[0].rel.split("/")[0] for corpus, jobs in found.items()} == {c: c for c in found}
    (linked,) = (value for name, value, _ in found["tusl"][0].methodology if name == "reference")
    assert linked == "linked ears"  # of the folder: an empty file has no labels
