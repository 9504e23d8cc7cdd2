"""UCI's text: a trial a file; real ones where they are there, and miniatures of its three versions."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from eegfm_etl.formats import open_source
from eegfm_etl.recipes.uci_eeg import plan
from eegfm_lake.signals import open_signal
from eegfm_lake.storage import Storage

from .miniatures import eeg_uv, ingested, labels_of, splits, types_of

CHANNELS = ("FP1", "FP2", "F7", "F8", "FZ", "CZ", "C3", "C4", "PZ", "O1", "O2", "X", "nd", "Y")


def write_trial(
    folder: Path, person: str, trial: int, condition: str = "S1 obj ", samples: int = 256
) -> Path:
    """One trial as UCI has it: a header, then for each channel a line a sample."""
    data = eeg_uv(len(CHANNELS), 256, seed=trial)[:, :samples]
    lines = [
        f"# {person}.rd",
        "# 120 trials, 64 chans, 416 samples 368 post_stim samples",
        "# 3.906000 msecs uV",
        f"# {condition}, trial {trial}",
    ]
    for index, channel in enumerate(CHANNELS):
        lines.append(f"# {channel} chan {index}")
        lines += [f"{trial} {channel} {i} {value:.3f}" for i, value in enumerate(data[index])]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{person}.rd.{trial:03d}.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def test_the_large_version_has_its_split_people_and_conditions(tmp_path: Path):
    root = tmp_path / "uci"
    for part in ("SMNI_CMI_TRAIN", "SMNI_CMI_TEST"):
        for person in ("co2a0000364", "co2c0000337"):
            for trial, condition in enumerate(("S1 obj ", "S2 match ", "S2 nomatch", "S2 nomatch err")):
                write_trial(root / part / person, person, trial, condition)
    report, rows = ingested(tmp_path, "uci_eeg", root)
    assert (report.done, report.failed) == (4, 0), report.failures
    assert splits(tmp_path) == {"test": 2, "train": 2}
    assert {row["person"]: row["diagnosis"] for row in rows} == {
        "uci_eeg/co2a0000364": "alcoholism",
        "uci_eeg/co2c0000337": "control",
    }
    for row in rows:
        assert [(one["start_s"], one["samples"]) for one in row["segments"]] == [(i, 200) for i in range(4)]
        assert labels_of(row) == [
            (0, "visual/object/s1"),
            (1, "visual/object/s2_match"),
            (2, "visual/object/s2_nomatch"),
            (3, "visual/object/s2_nomatch/error"),
        ]
        kinds = types_of(row)
        assert {kinds["X"], kinds["Y"]} == {"eog"}
        assert "nd" not in kinds
        assert set(kinds.values()) == {"eeg", "eog"}


def test_the_full_version_is_a_folder_a_person_and_skips_what_is_no_trial(tmp_path: Path):
    folder = tmp_path / "full" / "co3c0000402"
    for trial in range(3):
        write_trial(folder, "co3c0000402", trial)
    (folder / "co3c0000402.rd.003.gz").write_bytes(
        gzip.compress(b"# co3c0000402.rd\n# 120 trials, 64 chans\n")
    )
    write_trial(folder, "co3c0000402", 4, samples=200)  # shorter, and whole
    cut = write_trial(folder, "co3c0000402", 5)
    cut.write_bytes(cut.read_bytes()[:900])
    flipped = bytearray(write_trial(folder, "co3c0000402", 6).read_bytes())
    flipped[len(flipped) // 2] ^= 0xFF
    (folder / "co3c0000402.rd.006.gz").write_bytes(flipped)
    with gzip.open(folder / "co3c0000402.rd.007.gz", "wb", compresslevel=1) as endless:
        endless.write(bytes(17 * 2**20))
    report, (row,) = ingested(tmp_path, "uci_eeg", tmp_path / "full")
    assert report.failed == 0
    assert (row["run"], row["official_split"]) == ("all", None)
    assert [one["start_s"] for one in row["segments"]] == [0, 1, 2]  # 200 samples are less than a second
    assert [note.split()[0] for note in row["source"]["notes"]] == [
        "co3c0000402.rd.003.gz",
        "co3c0000402.rd.005.gz",
        "co3c0000402.rd.006.gz",
        "co3c0000402.rd.007.gz",
    ]


def test_a_second_ingest_knows_the_folders(tmp_path: Path):
    write_trial(tmp_path / "full" / "co3c0000402", "co3c0000402", 0)
    ingested(tmp_path, "uci_eeg", tmp_path / "full")
    again, _ = ingested(tmp_path, "uci_eeg", tmp_path / "full")
    assert (again.done, again.skipped) == (0, {"already in the lake": 1})
    write_trial(tmp_path / "full" / "co3c0000402", "co3c0000402", 1)  # the folder has grown
    grown, (row,) = ingested(tmp_path, "uci_eeg", tmp_path / "full")
    assert grown.done == 1
    assert len(row["segments"]) == 2


def test_trials_of_several_people_in_one_folder_stay_apart(tmp_path: Path):
    for person, trial in (("co2a0000364", 0), ("co2c0000337", 1)):
        write_trial(tmp_path, person, trial)
    assert [(job.rel, job.recording_id) for job in plan(tmp_path)] == [
        ("co2a0000364.rd.000.gz", "uci_eeg/co2a0000364/trial_000"),
        ("co2c0000337.rd.001.gz", "uci_eeg/co2c0000337/trial_001"),
    ]


@pytest.mark.shared
def test_the_real_small_version_is_read_sample_for_sample(uci_eeg_dir: Path, tmp_path: Path):
    report, rows = ingested(tmp_path, "uci_eeg", uci_eeg_dir)
    assert (report.done, report.failed) == (6, 0), report.failures
    assert {row["recording_id"] for row in rows} == {
        f"uci_eeg/{person}/{run}"
        for person in ("co2a0000364", "co2c0000337")
        for run in ("s1", "s2_match", "s2_nomatch")
    }
    for row in rows:
        assert len(row["segments"]) == 10
        assert {path for _, path in labels_of(row)} == {f"visual/object/{row['run']}"}
        kinds = list(types_of(row).values())
        assert (kinds.count("eeg"), kinds.count("eog")) == (61, 2)
        stored = open_signal(Storage(str(tmp_path / "lake")), row["signal"]["file"])
        assert stored.n_samples == 2000
    folder = uci_eeg_dir / "smni_eeg_data" / "a_1_co2a0000364"
    first = sorted(folder.iterdir())[0]
    lines = [line.split() for line in gzip.decompress(first.read_bytes()).decode().splitlines()]
    f7 = [float(one[3]) for one in lines if one[0] != "#" and one[1] == "F7"]
    read = open_source(folder).read(0, 256, [2])
    np.testing.assert_array_equal(read[0], f7)
