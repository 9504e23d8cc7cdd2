from pathlib import Path

import pytest

from eegfm_lake.cohort import freeze
from eegfm_lake.errors import EegfmError
from eegfm_lake.table import Lake

from .clinical_miniatures import TEN_TWENTY, dropped, ingested, methodology, stored, write_edf

LABELS = (*(f"EEG {name}-LE" for name in TEN_TWENTY), "EEG A2-A1", "EEG 23A-23R", "EEG 24A-24R")


def write_corpus(root: Path, *names: str) -> Path:
    for name in names:
        write_edf(root / name, LABELS, rate_hz=256, seconds=5)
    return root


def test_diagnosis_and_condition_come_from_the_files_names(tmp_path: Path):
    names = ("H S1 EC.edf", "6921143_H S15 EO.edf", "MDD S2  EO.edf", "MDD S33 TASK.edf")
    rows = ingested(write_corpus(tmp_path / "mumtaz", *names), "mumtaz")
    assert {name: (row["person"], row["diagnosis"], row["label"]) for name, row in rows.items()} == {
        "mumtaz/H_S1/EC": ("mumtaz/H_S1", "healthy", "rest/eyes_closed"),
        "mumtaz/H_S15/EO": ("mumtaz/H_S15", "healthy", "rest/eyes_open"),
        "mumtaz/MDD_S2/EO": ("mumtaz/MDD_S2", "major depressive disorder", "rest/eyes_open"),
        "mumtaz/MDD_S33/TASK": ("mumtaz/MDD_S33", "major depressive disorder", "cognition/oddball"),
    }
    row = rows["mumtaz/H_S1/EC"]
    assert list(stored(row).values()) == ["eeg"] * 19
    assert dropped(row) == {"EEG A2-A1", "EEG 23A-23R", "EEG 24A-24R"}
    assert all(one["anode"] is None for one in row["channels"])
    assert (methodology(row)["reference"], methodology(row)["country"]) == ("linked ears", "MY")


def test_two_names_with_the_same_bytes_never_stand_on_two_sides(tmp_path: Path):
    ingested(write_corpus(tmp_path / "mumtaz", "H S27 EC.edf", "H S30 EC.edf", "H S29 EC.edf"), "mumtaz")
    split = "CASE WHEN person LIKE '%S30' THEN 'test' ELSE 'train' END AS split"
    with pytest.raises(EegfmError, match="mumtaz/H_S"):
        freeze(
            Lake.open(str(tmp_path / "lake")),
            f"SELECT recording_id, start, seconds, {split} FROM windows(2, 2)",
            name="leak",
        )
