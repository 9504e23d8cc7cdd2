"""Any BIDS data set: what its sidecars say reaches the lake, and what they cannot mean does not."""

import json
import shutil
from pathlib import Path

import pytest

from eegfm_etl.bids import read_people
from eegfm_etl.bids_tables import table
from eegfm_etl.ingest import ingest
from eegfm_etl.recipes.bids import describe, plan
from eegfm_lake.errors import UsageError
from eegfm_lake.query import run_sql
from eegfm_lake.table import Lake

from ..ingest_miniatures import CHANNELS, write_edf

ELECTRODES_M = {
    "Fc5": (-0.070, 0.030, 0.040), "C3": (-0.065, 0.0, 0.075), "Cz": (0.0, 0.0, 0.105), "C4": (0.065, 0.0, 0.075),
    "Fp1": (-0.030, 0.095, 0.030), "O1": (-0.030, -0.085, 0.030),
}  # fmt: skip


def write_tsv(path: Path, columns: str, *rows: str, bom: bool = False) -> None:
    lines = [columns, *rows]
    text = "".join("\t".join(line.split(" ")) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8-sig" if bom else "utf-8")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two people, one with sessions; task sidecars at the root, the rest beside the signals."""
    root = tmp_path / "ds000001"
    for where, seed in (
        ("sub-001/eeg/sub-001_task-fists_run-1", 1),
        ("sub-002/ses-b/eeg/sub-002_ses-b_task-fists", 2),
    ):
        write_edf(root / f"{where}_eeg.edf", seed=seed)
        folder = (root / where).parent
        name = Path(where).name
        write_tsv(
            folder / f"{name}_channels.tsv",
            "name type units status status_description",
            *(f"{label.strip('.')} n/a n/a good n/a" for label in CHANNELS[:3]),
            "C4 EEG µV bad loose",
            "Fp1 EOG µV good n/a",
            "O1 n/a n/a good n/a",
            bom=True,
        )
        write_tsv(
            folder / f"{name}_events.tsv",
            "onset duration trial_type value",
            "0.5 4.0 left 1",
            "6.0 n/a right 2",
            "n/a n/a left 1",
            "9.0 0 button 3",
        )
        stem = name.split("_task")[0]
        write_tsv(
            folder / f"{stem}_electrodes.tsv",
            "name x y z",
            *(f"{label} {x} {y} {z}" for label, (x, y, z) in ELECTRODES_M.items()),
        )
        (folder / f"{stem}_coordsystem.json").write_text(
            '{"EEGCoordinateUnits": "m", "EEGCoordinateSystem": "CapTrak"}', encoding="utf-8"
        )
    (root / "task-fists_eeg.json").write_text(
        '{"EEGReference": "linked mastoids", "PowerLineFrequency": 50, "Manufacturer": "Brain Products",'
        ' "ManufacturersModelName": "n/a", "EEGGround": "n/a", "InstitutionName": "Somewhere"}',
        encoding="utf-8",
    )
    (root / "task-fists_events.json").write_text(
        '{"trial_type": {"HED": {"left": "Agent-action, Left", "right": "Agent-action, Right"}}}',
        encoding="utf-8",
    )
    (root / "dataset_description.json").write_text(
        '{"Name": "Fists", "License": "CC0", "Authors": ["A. One", "B. Two"], "BIDSVersion": "1.8.0"}',
        encoding="utf-8",
    )
    write_tsv(root / "participants.tsv", "participant_id Age Gender hand group MMSE", "sub-001 M f R control 30",
              "sub-002 34 male n/a patient n/a")  # fmt: skip
    return root


@pytest.fixture
def lake(dataset: Path, tmp_path: Path) -> Lake:
    labels = tmp_path / "labels.tsv"
    write_tsv(
        labels, "event label", "left motor/imagery/left_fist", "right motor/imagery/right_fist", "button "
    )
    report = ingest(tmp_path / "lake", "bids", source=dataset, params={"labels": str(labels)}, progress=False)
    assert (report.done, report.failures) == (2, ())
    return Lake.open(tmp_path / "lake")


def rows(lake: Lake, sql: str) -> list[dict]:
    return run_sql(lake, sql).to_pylist()


def test_names_and_people_are_those_of_the_data_set(lake: Lake):
    found = rows(lake, "SELECT recording_id, dataset, person, session, task, run FROM recordings ORDER BY 1")
    assert [tuple(row.values()) for row in found] == [
        ("ds000001/sub-001/task-fists_run-1", "ds000001", "ds000001/001", None, "fists", "1"),
        ("ds000001/sub-002/ses-b/task-fists", "ds000001", "ds000001/002", "b", "fists", None),
    ]


def test_an_age_that_no_person_has_is_null_and_kept_as_given(dataset: Path, lake: Lake):
    found = rows(lake, "SELECT age, sex, handedness, diagnosis FROM recordings ORDER BY recording_id")
    assert [tuple(row.values()) for row in found] == [
        (None, "F", "right", "control"),
        (34.0, "M", None, "patient"),
    ]
    assert read_people(dataset)["001"].phenotype == {"mmse": "30", "age as given": "M"}


def test_types_bad_channels_and_positions_meet_the_files_own_names(lake: Lake):
    found = rows(
        lake,
        "SELECT source_name, name, type, status, reasons, position_origin FROM channels "
        "WHERE recording_id = 'ds000001/sub-001/task-fists_run-1'",
    )
    by_name = {row["source_name"]: row for row in found}
    assert by_name["Fp1."]["type"] == "eog"
    assert by_name["Fc5."]["type"] == "eeg"  # type n/a and a name of 10-05
    assert (by_name["C4.."]["status"], by_name["C4.."]["reasons"]) == ("bad", ["loose"])
    assert {by_name[name]["position_origin"] for name in ("C3..", "Cz..", "O1..")} == {"file"}


def test_events_replace_annotations_and_carry_their_tags(lake: Lake):
    found = rows(
        lake,
        "SELECT onset_s, duration_s, label, value, source_label, hed FROM events "
        "WHERE recording_id LIKE '%sub-001%' ORDER BY onset_s",
    )
    assert [tuple(row.values()) for row in found] == [
        (0.5, 4.0, "motor/imagery/left_fist", "1", "left", "Agent-action, Left"),
        (6.0, None, "motor/imagery/right_fist", "2", "right", "Agent-action, Right"),
    ]


def test_methodology_is_inherited_from_the_root(lake: Lake):
    found = rows(lake, "SELECT covariate, value, origin FROM methodology WHERE recording_id LIKE '%sub-002%'")
    said = {row["covariate"]: (row["value"], row["origin"]) for row in found}
    assert said["reference"] == ("linked mastoids", "declared")
    assert said["amplifier"] == ("Brain Products", "declared")
    assert said["line_freq"] == ("50", "declared")
    assert said["site"] == ("Somewhere", "declared")
    assert "ground" not in said


def test_licence_and_citation_are_the_data_sets_own(dataset: Path, lake: Lake):
    assert describe(dataset) == {"licence": "CC0", "citation": "A. One, B. Two; Fists"}
    assert rows(lake, "SELECT DISTINCT licence FROM recordings") == [{"licence": "CC0"}]


def test_sidecars_are_named_as_parts(lake: Lake):
    parts = lake.recordings(["source"]).to_pylist()[0]["source"]["parts"]
    assert "task-fists_eeg.json" in parts
    assert any(part.endswith("_events.tsv") for part in parts)


@pytest.mark.parametrize(
    ("scale", "system", "kept"),
    [(1.0, "m", True), (1000.0, "mm", True), (10.0, "mm", False), (1.0, "mm", False), (1.0, "n/a", False)],
)
def test_positions_of_no_head_are_no_positions(dataset: Path, scale: float, system: str, kept: bool):
    folder = dataset / "sub-001" / "eeg"
    write_tsv(
        folder / "sub-001_electrodes.tsv",
        "name x y z",
        *(f"{label} {scale * x} {scale * y} {scale * z}" for label, (x, y, z) in ELECTRODES_M.items()),
    )
    (folder / "sub-001_coordsystem.json").write_text(
        json.dumps({"EEGCoordinateUnits": system, "EEGCoordinateSystem": "CapTrak"}), encoding="utf-8"
    )
    found = plan(dataset, "x")[0].positions
    assert bool(found) == kept
    if kept:
        assert found["C4"] == pytest.approx(ELECTRODES_M["C4"])


def test_axes_that_lead_to_the_nose_first_are_turned(dataset: Path):
    folder = dataset / "sub-001" / "eeg"
    write_tsv(
        folder / "sub-001_electrodes.tsv",
        "name x y z",
        *(f"{label} {y} {-x} {z}" for label, (x, y, z) in ELECTRODES_M.items()),
    )
    (folder / "sub-001_coordsystem.json").write_text(
        '{"EEGCoordinateUnits": "m", "EEGCoordinateSystem": "CTF"}', encoding="utf-8"
    )
    assert plan(dataset, "x")[0].positions["C4"] == pytest.approx(ELECTRODES_M["C4"])


def test_labels_that_are_no_file_are_refused_in_words(dataset: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="is no file"):
        plan(dataset, "x", labels=str(tmp_path / "absent.tsv"))
    wrong = tmp_path / "wrong.tsv"
    write_tsv(wrong, "a b", "1 2")
    with pytest.raises(UsageError, match="columns event and label"):
        plan(dataset, "x", labels=str(wrong))


@pytest.mark.shared
def test_real_sidecars_with_their_real_signals(ds004362_dir: Path, eegmmidb_dir: Path, tmp_path: Path):
    root = tmp_path / "ds004362"
    runs = {("001", "4"): "S001R04", ("002", "8"): "S002R08", ("100", "4"): "S100R04"}
    for (person, run), original in runs.items():
        shutil.copytree(ds004362_dir / f"sub-{person}", root / f"sub-{person}", dirs_exist_ok=True)
        source = next(eegmmidb_dir.rglob(f"{original}.edf"))
        shutil.copy(source, root / f"sub-{person}/eeg/sub-{person}_task-motion_run-{run}_eeg.edf")
    for name in ("participants.tsv", "dataset_description.json"):
        shutil.copy(ds004362_dir / name, root / name)
    report = ingest(tmp_path / "lake", "bids", source=root, params={"namespace": "eegmmidb"}, progress=False)
    assert (report.done, report.failures) == (3, ())
    lake = Lake.open(tmp_path / "lake")
    events = rows(lake, "SELECT recording_id, count(*) AS n FROM events GROUP BY 1 ORDER BY 1")
    for row in events:  # as many as the sidecar has rows
        stem = row["recording_id"].split("/")[1:]
        events_file = next(root.rglob(f"{stem[0]}_{stem[1]}_events.tsv"))
        assert row["n"] == len(table(events_file))
    channels = rows(lake, "SELECT DISTINCT type, position_origin FROM channels")
    assert channels == [{"type": "eeg", "position_origin": "template"}]  # a unit sphere in mm is no head
    assert rows(
        lake, "SELECT count(DISTINCT person) AS n FROM recordings WHERE person LIKE 'eegmmidb/%'"
    ) == [{"n": 3}]


@pytest.mark.shared
def test_every_sidecar_of_a_real_data_set_is_understood(ds004362_dir: Path, tmp_path: Path):
    people = read_people(ds004362_dir)
    assert len(people) == 109
    unknown = sorted(label for label, person in people.items() if person.age is None)
    assert len(unknown) == 14
    assert {"044", "048", *(str(number) for number in range(104, 110))} <= set(unknown)
    assert people["044"].phenotype == {"age as given": "M"}
