"""ERP CORE in its BIDS layout: EEGLAB files whose eye channels say EEG, codes that mean another thing in each task."""

from pathlib import Path

import eeglabio
import pytest

from eegfm_etl.recipes.erp_core import label

from .miniatures import eeg_uv, ingested, labels_of, methodology_of, types_of

EEG = (
    "FP1", "F3", "F7", "FC3", "C3", "C5", "P3", "P7", "P9", "PO7", "PO3", "O1", "Oz", "Pz", "CPz",
    "FP2", "Fz", "F4", "F8", "FC4", "FCz", "Cz", "C4", "C6", "P4", "P8", "P10", "PO8", "PO4", "O2",
)  # fmt: skip
EOG = ("HEOG_left", "HEOG_right", "VEOG_lower")
HEAD = "onset\tduration\tsample\ttrial_type\tvalue\n"
FACES = (
    HEAD
    + "0.5\tn/a\t512\tSTATUS\t255\n1\t0.3\t1024\tstimulus\t7\n"
    + "1.6\tn/a\t1638\tresponse\t201\n2.5\t0.3\t2560\tstimulus\t150\n"
)
TONES = HEAD + "1\tn/a\t1024\tstimulus\t180\n2\tn/a\t2048\tstimulus\t80\n3\tn/a\t3072\tstimulus\t70\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "ERP_CORE_BIDS_Raw_Files"
    for person, task, events in (("001", "N170", FACES), ("001", "MMN", TONES), ("040", "N170", FACES)):
        folder = root / f"sub-{person}" / "eeg"
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"sub-{person}_task-{task}"
        data = eeg_uv(33, 5 * 1024, int(person)) * 1e-6
        eeglabio.raw.export_set(str(folder / f"{stem}_eeg.set"), data, 1024, [*EEG, *EOG])
        (folder / f"{stem}_events.tsv").write_text(events, encoding="utf-8")
    (root / "participants.tsv").write_text(
        "participant_id\tage\tsex\thandedness\nsub-001\t25\tF\tR\nsub-040\tn/a\tM\tL\n", encoding="utf-8"
    )
    return root


def test_tasks_have_their_own_codes_and_the_monitor_its_delay(source: Path, tmp_path: Path):
    report, rows = ingested(tmp_path, "erp_core", source)
    assert (report.done, report.failed) == (3, 0), report.failures
    assert [row["recording_id"] for row in rows] == [
        "erp_core/001/MMN", "erp_core/001/N170", "erp_core/040/N170"
    ]  # fmt: skip
    tones, faces, other = rows
    assert (faces["age"], faces["sex"], faces["handedness"]) == (25.0, "F", "right")
    assert (other["age"], other["sex"], other["handedness"]) == (None, "M", "left")
    assert labels_of(tones) == [
        (1.0, "erp/mmn/first_standard"), (2.0, "erp/mmn/standard"), (3.0, "erp/mmn/deviant")
    ]  # fmt: skip
    # what was shown came 26 ms after its code, an answer did not
    assert labels_of(faces) == [
        (1.026, "erp/n170/face"), (1.6, "response/correct"), (2.526, "erp/n170/scrambled_car")
    ]  # fmt: skip
    assert [event["value"] for event in faces["events"]] == ["7", "201", "150"]
    for row in rows:
        kinds = types_of(row)
        assert [kinds[name] for name in EOG] == ["eog"] * 3
        assert list(kinds.values()).count("eeg") == 30
        assert methodology_of(row)["amplifier"] == ("BioSemi ActiveTwo", "declared")
    assert methodology_of(tones)["cue_modality"][0] == "auditory"


@pytest.mark.parametrize(
    ("task", "code", "path"),
    [
        ("N170", 40, "erp/n170/face"), ("N170", 41, "erp/n170/car"), ("N170", 140, "erp/n170/scrambled_face"),
        ("N170", 100, None), ("N2pc", 112, "erp/n2pc/left_target"), ("N2pc", 221, "erp/n2pc/right_target"),
        ("N400", 112, "erp/n400/prime/related"), ("N400", 221, "erp/n400/target/unrelated"),
        ("P3", 33, "erp/p3/target"), ("P3", 35, "erp/p3/nontarget"), ("P3", 60, None), ("P3", 202, "response/error"),
        ("flankers", 12, "erp/flankers/compatible"), ("ERN", 21, "erp/flankers/incompatible"),
        ("LRP", 111, "response/left/correct"), ("LRP", 121, "response/left/correct"),
        ("ERN", 112, "response/left/error"), ("ERN", 212, "response/right/correct"),
        ("ERN", 221, "response/right/error"), ("ERN", 201, None),
    ],
)  # fmt: skip
def test_codes_mean_what_the_authors_list(task: str, code: int, path: str | None):
    assert label(task, code) == path
