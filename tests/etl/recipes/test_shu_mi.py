"""SHU's MATLAB files in their true layout: trials × channels × samples, and a label a trial."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from eegfm_etl.recipes.shu_mi import CHANNELS, RECIPE

from .miniatures import eeg_uv, ingested, labels_of, methodology_of, types_of


def write_session(root: Path, person: int, session: int, labels: list[int]) -> None:
    trials = np.stack([eeg_uv(32, 1000, seed=100 * person + 10 * session + i) for i in range(len(labels))])
    savemat(
        root / f"sub-{person:03d}_ses-{session:02d}_task_motorimagery_eeg.mat",
        {"data": trials, "labels": np.array([labels], dtype=np.uint8)},
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "shu" / "mat"
    root.mkdir(parents=True)
    for person in (1, 25):
        for session in (1, 5):
            write_session(root, person, session, [1, 2, 2, 1][: 3 + person % 2])
    (root.parent / "participants.tsv").write_text(
        "participant_id\tsex\tage\nsub-001\tmale\t24\nsub-025\tfemale\t240\n", encoding="utf-8"
    )
    return root.parent


def test_every_trial_is_a_segment_with_its_label(source: Path, tmp_path: Path):
    report, rows = ingested(tmp_path, "shu_mi", source)
    assert (report.done, report.failed) == (4, 0), report.failures
    assert [row["recording_id"] for row in rows] == [
        f"shu_mi/{person}/ses-{session}" for person in ("001", "025") for session in ("01", "05")
    ]
    assert {row["person"]: (row["age"], row["sex"]) for row in rows} == {
        "shu_mi/001": (24.0, "M"),
        "shu_mi/025": (None, "F"),  # nobody is 240
    }
    for row in rows:
        sides = ["left", "right", "right", "left"]
        assert labels_of(row) == [
            (4.0 * i, f"motor/imagery/{side}_hand") for i, side in enumerate(sides[: len(row["segments"])])
        ]
        assert [one["samples"] for one in row["segments"]] == [800] * len(row["segments"])
        assert types_of(row) == dict.fromkeys(
            ("T7" if n == "T3" else "T8" if n == "T4" else "P7" if n == "T5" else "P8" if n == "T6" else n
             for n in CHANNELS), "eeg"
        )  # fmt: skip
        assert methodology_of(row)["reference"] == ("M1", "declared")
        assert max(one["band_high"] for one in row["channels"]) == 40.0  # filtered before it was published
        assert row["official_split"] is None
    assert [len(row["segments"]) for row in rows] == [4, 4, 4, 4]
    assert not RECIPE.within_person


def test_labels_that_do_not_fit_the_trials_are_refused(source: Path, tmp_path: Path):
    data = np.stack([eeg_uv(32, 1000)] * 3)
    savemat(
        source / "mat" / "sub-001_ses-01_task_motorimagery_eeg.mat",
        {"data": data, "labels": np.array([[1, 2]])},
    )
    report, _ = ingested(tmp_path, "shu_mi", source, only=["*sub-001_ses-01*"])
    assert report.failed == 1
    assert "holds 2 labels in labels for 3 trials" in report.failures[0][1]
