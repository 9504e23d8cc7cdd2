"""Data set 2b in its true layout: five sessions a person, three bipolar channels, labels of the evaluation apart."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from eegfm_etl.recipes.bci_iv_2b import RECIPE

from .miniatures import eeg_uv, ingested, labels_of, methodology_of, splits, types_of, write_gdf

LABELS = ("EEG:C3", "EEG:Cz", "EEG:C4", "EOG:ch01", "EOG:ch02", "EOG:ch03")
RATE = 250


def write_session(path: Path, cues: list[int], seed: int) -> None:
    events = [(0, 32766, 0), (0, 276, 5 * RATE), (RATE, 1077, RATE), (2 * RATE, 1081, RATE)]
    for trial, cue in enumerate(cues):
        start = (5 + 8 * trial) * RATE
        events += [(start, 768, 8 * RATE), (start + 3 * RATE, cue, 313), (start + 3 * RATE + 125, 781, 875)]
    write_gdf(path, LABELS, eeg_uv(6, (5 + 8 * len(cues)) * RATE, seed), events)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "BCICIV_2b_gdf"
    (root / "labels").mkdir(parents=True)
    for person in (1, 9):
        for number, session in enumerate(("01T", "02T", "03T", "04E", "05E")):
            cues = [783, 783] if session.endswith("E") else [769, 770]
            write_session(root / f"B0{person}{session}.gdf", cues, seed=10 * person + number)
            savemat(root / "labels" / f"B0{person}{session}.mat", {"classlabel": np.array([[2], [1]])})
    return root


def test_five_sessions_a_person_with_the_official_split(source: Path, tmp_path: Path):
    report, rows = ingested(tmp_path, "bci_iv_2b", source)
    assert (report.done, report.failed) == (10, 0), report.failures
    assert splits(tmp_path) == {"test": 4, "train": 6}
    assert {row["session"] for row in rows if row["official_split"] == "test"} == {"04E", "05E"}
    assert RECIPE.within_person
    assert {(row["person"], row["handedness"]) for row in rows} == {
        ("bci_iv_2b/B01", "right"),
        ("bci_iv_2b/B09", "right"),
    }
    for row in rows:
        assert types_of(row) == {
            "C3": "eeg", "Cz": "eeg", "C4": "eeg", "EOG:ch01": "eog", "EOG:ch02": "eog", "EOG:ch03": "eog"
        }  # fmt: skip
        assert methodology_of(row)["reference"] == ("bipolar", "declared")
        training = row["official_split"] == "train"
        sides = ("left", "right") if training else ("right", "left")  # as the true labels say: 2, 1
        cues = [(onset, path) for onset, path in labels_of(row) if path.startswith("motor/")]
        assert cues == [(8.0 + 8 * i, f"motor/imagery/{side}_hand") for i, side in enumerate(sides)]
        assert "artifact/eye_movement/horizontal" in {path for _, path in labels_of(row)}
    protocols = {row["session"]: methodology_of(row)["protocol"][0] for row in rows}
    assert protocols["02T"].endswith("without feedback")
    assert protocols["03T"].endswith("with feedback")
