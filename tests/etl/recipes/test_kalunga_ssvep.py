"""Kalunga's FIF files in their true layout: eight channels and a trigger channel."""

from pathlib import Path

import mne
import numpy as np
import pytest

from .miniatures import eeg_uv, ingested, labels_of, methodology_of, types_of

CHANNELS = ("Oz", "O1", "O2", "POz", "PO3", "PO4", "PO7", "PO8")
RATE = 256


def write_run(path: Path, codes: list[int], seed: int) -> None:
    n = (len(codes) * 8 + 1) * RATE
    stim = np.zeros((1, n))
    for trial, code in enumerate(codes):
        start = (1 + 8 * trial) * RATE
        stim[0, start : start + RATE // 2] = code
    info = mne.create_info([*CHANNELS, "stim"], RATE, ["eeg"] * 8 + ["stim"])
    raw = mne.io.RawArray(np.concatenate([eeg_uv(8, n, seed) * 1e-6, stim]), info, verbose="error")
    path.parent.mkdir(parents=True, exist_ok=True)
    raw.save(path, verbose="error")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_run(tmp_path / "SSVEPEXO" / "subject01_run1_raw.fif", [1, 2, 3, 4], 1)
    write_run(tmp_path / "SSVEPEXO" / "subject01_run2_raw.fif", [4, 4], 2)
    write_run(tmp_path / "SSVEPEXO" / "subject12_run5_raw.fif", [2], 3)
    return tmp_path / "SSVEPEXO"


def test_trials_come_from_the_trigger_channel(source: Path, tmp_path: Path):
    report, rows = ingested(tmp_path, "kalunga_ssvep", source)
    assert (report.done, report.failed) == (3, 0), report.failures
    assert [row["recording_id"] for row in rows] == [
        "kalunga_ssvep/01/run1",
        "kalunga_ssvep/01/run2",
        "kalunga_ssvep/12/run5",
    ]
    assert labels_of(rows[0]) == [
        (1.0, "ssvep/rest"), (9.0, "ssvep/13hz"), (17.0, "ssvep/21hz"), (25.0, "ssvep/17hz")
    ]  # fmt: skip
    assert {event["duration_s"] for event in rows[0]["events"]} == {0.5}
    assert {row["person"] for row in rows} == {"kalunga_ssvep/01", "kalunga_ssvep/12"}
    for row in rows:
        assert types_of(row) == dict.fromkeys(CHANNELS, "eeg")
        (stim,) = [one for one in row["channels"] if one["source_name"] == "stim"]
        assert stim["status"] == "dropped"
        assert methodology_of(row)["reference"] == ("right mastoid", "declared")


def test_a_file_without_the_trigger_channel_is_refused(tmp_path: Path):
    raw = mne.io.RawArray(
        eeg_uv(8, 2560) * 1e-6, mne.create_info(list(CHANNELS), RATE, "eeg"), verbose="error"
    )
    (tmp_path / "source").mkdir()
    raw.save(tmp_path / "source" / "subject02_run1_raw.fif", verbose="error")
    report, _ = ingested(tmp_path, "kalunga_ssvep", tmp_path / "source")
    assert report.failed == 1
    assert "no channel 'stim'" in report.failures[0][1]
