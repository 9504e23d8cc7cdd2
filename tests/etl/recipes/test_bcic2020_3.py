"""Track 3 of the 2020 competition: MATLAB structs, the test's of version 7.3, its labels in a spreadsheet."""

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from eegfm_etl.recipes.bcic2020_3 import RECIPE, read_answers

from .miniatures import eeg_uv, ingested, labels_of, splits, types_of

CLAB = ("Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "C3", "Cz", "C4", "P3", "Pz", "P4", "O1", "Oz", "O2")
PHRASES = {1: "hello", 2: "help_me", 3: "stop", 4: "thank_you", 5: "yes"}


def epochs(trials: int, seed: int) -> np.ndarray:
    """Time × channel × trial, 795 samples of 256 Hz."""
    return np.stack([eeg_uv(len(CLAB), 795, seed + i).T for i in range(trials)], axis=2)


def one_hot(labels: list[int]) -> np.ndarray:
    matrix = np.zeros((5, len(labels)))
    matrix[np.array(labels) - 1, range(len(labels))] = 1
    return matrix


def write_struct(path: Path, name: str, labels: list[int], seed: int) -> None:
    clab = np.empty((1, len(CLAB)), dtype=object)
    clab[0, :] = CLAB
    savemat(
        path,
        {
            name: {"x": epochs(len(labels), seed), "y": one_hot(labels), "fs": 256.0, "clab": clab},
            "mnt": {"clab": clab},
        },
    )


def write_hdf5(path: Path, trials: int, seed: int) -> None:
    """As MATLAB writes version 7.3: axes turned round, cells as references."""
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("epo_test")
        group["x"] = epochs(trials, seed).transpose()
        group["fs"] = np.array([[256.0]])
        references = np.empty((len(CLAB), 1), dtype=h5py.ref_dtype)
        for place, name in enumerate(CLAB):
            cell = file.create_dataset(
                f"#refs#/c{place}", data=np.array([[ord(one)] for one in name], dtype="u2")
            )
            cell.attrs["MATLAB_class"] = np.bytes_("char")
            references[place, 0] = cell.ref
        clab = group.create_dataset("clab", data=references, dtype=h5py.ref_dtype)
        clab.attrs["MATLAB_class"] = np.bytes_("cell")
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(124) + b"\x00\x02IM")


def write_answers(path: Path, answers: dict[int, list[int]]) -> None:
    """A spreadsheet with three rows of headings, then trial and class of each person in turn."""
    rows = ['<row r="1"><c r="B1" t="s"><v>0</v></c></row>']
    for trial in range(max(map(len, answers.values()))):
        cells = ""
        for person, labels in answers.items():
            columns = [_letters(2 * person), _letters(2 * person + 1)]
            cells += f'<c r="{columns[0]}{trial + 4}"><v>{trial + 1}</v></c>'
            cells += f'<c r="{columns[1]}{trial + 4}"><v>{labels[trial]}</v></c>'
        rows.append(f'<row r="{trial + 4}">{cells}</row>')
    sheet = (
        '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<sheetData>{''.join(rows)}</sheetData></worksheet>"
    )
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("xl/worksheets/sheet1.xml", sheet)


def _letters(column: int) -> str:
    return chr(64 + column) if column <= 26 else "A" + chr(64 + column - 26)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "Track#3 Imagined speech classification"
    for folder in ("Training set", "Validation set", "Test set"):
        (root / folder).mkdir(parents=True)
    for person in (1, 15):
        name = f"Data_Sample{person:02d}.mat"
        write_struct(root / "Training set" / name, "epo_train", [1, 2, 3, 4, 5], 10 * person)
        write_struct(root / "Validation set" / name, "epo_validation", [5, 1], 10 * person + 5)
        write_hdf5(root / "Test set" / name, 3, 10 * person + 7)
    write_answers(root / "Test set" / "Track3_Answer Sheet_Test.xlsx", {1: [2, 2, 5], 15: [4, 1, 3]})
    return root


def test_the_three_sets_are_the_official_split(source: Path, tmp_path: Path):
    report, rows = ingested(tmp_path, "bcic2020_3", source)
    assert (report.done, report.failed) == (6, 0), report.failures
    assert splits(tmp_path) == {"test": 2, "train": 2, "valid": 2}
    assert RECIPE.within_person
    labels = {
        row["recording_id"]: [path.removeprefix("speech/imagined/") for _, path in labels_of(row)]
        for row in rows
    }
    assert labels["bcic2020_3/01/train"] == list(PHRASES.values())
    assert labels["bcic2020_3/15/valid"] == ["yes", "hello"]
    assert labels["bcic2020_3/01/test"] == ["help_me", "help_me", "yes"]
    assert labels["bcic2020_3/15/test"] == ["thank_you", "hello", "stop"]
    for row in rows:
        assert types_of(row) == dict.fromkeys(CLAB, "eeg")
        assert {one["source_rate"] for one in row["channels"]} == {256.0}
        assert [round(one["start_s"] * 256) for one in row["segments"]] == [
            795 * i for i in range(len(row["segments"]))
        ]
        assert row["source"]["reader"].startswith("h5py" if row["run"] == "test" else "scipy")
    tests = [row for row in rows if row["run"] == "test"]
    assert {part for row in tests for part in row["source"]["parts"]} == {
        "Test set/Track3_Answer Sheet_Test.xlsx"
    }


def test_a_damaged_answer_sheet_is_refused_and_without_one_the_trials_have_no_label(
    source: Path, tmp_path: Path
):
    sheet = source / "Test set" / "Track3_Answer Sheet_Test.xlsx"
    sheet.write_bytes(sheet.read_bytes()[:300])
    report, _ = ingested(tmp_path, "bcic2020_3", source, only=["Test*"])
    assert [reason.partition(":")[0] for _, reason in report.failures] == [
        f"Test set/{sheet.name} has no labels of person {person}" for person in ("01", "15")
    ]
    sheet.unlink()
    _, rows = ingested(tmp_path, "bcic2020_3", source, only=["Test*"], retry_failed=True)
    assert [labels_of(row) for row in rows] == [[], []]
    assert {event["source_label"] for row in rows for event in row["events"]} == {"trial"}


def test_an_answer_sheet_of_fifteen_people_is_read_by_column(tmp_path: Path):
    answers = {person: [person % 5 + 1, 5 - person % 5] for person in range(1, 16)}
    write_answers(tmp_path / "sheet.xlsx", answers)
    read = read_answers(tmp_path / "sheet.xlsx")
    assert read == {person: tuple(map(str, labels)) for person, labels in answers.items()}
