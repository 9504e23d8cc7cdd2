"""SEED's preprocessed MATLAB files: an array a clip, named after the person's initials."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from eegfm_etl.recipes.seed import CHANNELS, CLIPS, RECIPE

from .miniatures import eeg_uv, ingested, labels_of, types_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "SEED"
    for folder in ("Preprocessed_EEG", "ExtractedFeatures"):
        (root / folder).mkdir(parents=True)
    for name, initials, clips in (
        ("1_20131027", "djc", 15), ("1_20131030", "djc", 15), ("15_20130709", "zjy", 14)
    ):  # fmt: skip
        arrays = {
            f"{initials}_eeg{clip}": eeg_uv(62, 400 + 20 * clip, seed=clip) for clip in range(1, clips + 1)
        }
        savemat(root / "Preprocessed_EEG" / f"{name}.mat", arrays)
        savemat(root / "ExtractedFeatures" / f"{name}.mat", {"de_movingAve1": np.zeros((62, 3, 5))})
    savemat(root / "Preprocessed_EEG" / "label.mat", {"label": np.array([[int(one) for one in CLIPS]])})
    return root


def test_the_clips_are_segments_in_the_order_of_their_numbers(source: Path, tmp_path: Path):
    report, rows = ingested(tmp_path, "seed", source)
    assert report.done == 2
    for row, session in zip(rows, ("1", "2"), strict=True):
        assert (row["person"], row["session"]) == ("seed/01", session)
        assert [one["samples"] for one in row["segments"]] == [400 + 20 * clip for clip in range(1, 16)]
        names = {"1": "positive", "0": "neutral", "-1": "negative"}
        assert [path for _, path in labels_of(row)] == [f"emotion/{names[one]}" for one in CLIPS]
        assert len(types_of(row)) == len(CHANNELS)
        assert set(types_of(row).values()) == {"eeg"}
        assert row["licence"].startswith("agreement")
    # fourteen clips: which one is missing nobody can tell
    assert report.failed == 1
    assert "14 events 'trial', but 15 true labels" in report.failures[0][1]
    assert RECIPE.access == "agreement"
