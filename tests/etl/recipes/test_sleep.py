"""Sleep-EDF, HMC and ISRUC."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eegfm_etl.hypnogram import EDF_STAGES, EPOCH_S, SLEEP_PERIOD, epochs, sleep_period
from eegfm_lake.cohort import freeze
from eegfm_lake.lock import read_lock
from eegfm_lake.table import Lake

from .clinical_miniatures import (
    dropped,
    ingest_into_lake,
    ingested,
    methodology,
    spans,
    stored,
    write_edf,
)

CASSETTE = (
    *("EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal", "Resp oro-nasal", "EMG submental", "Temp rectal"),
    "Event marker",
)
SLOW = dict.fromkeys(("Resp oro-nasal", "EMG submental", "Temp rectal", "Event marker"), 1.0)
UNITS = {"Resp oro-nasal": "", "Temp rectal": "DegC", "Event marker": ""}
NIGHT = (
    *(
        (0, 90, "Sleep stage W"),
        (90, 30, "Sleep stage 1"),
        (120, 60, "Sleep stage 2"),
        (180, 30, "Sleep stage 3"),
    ),
    *((210, 30, "Sleep stage 4"), (240, 30, "Movement time"), (270, 30, "Sleep stage R")),
    (300, 600, "Sleep stage ?"),  # hypnograms go on beyond the signals
)


@pytest.fixture
def sleep_edf(tmp_path: Path) -> Path:
    root = tmp_path / "sleep-edfx"
    for name, scorer, labels, slow in (
        ("sleep-cassette/SC4001", "EC", CASSETTE, SLOW),
        ("sleep-telemetry/ST7012", "JP", (*CASSETTE[:3], "EMG submental", "Marker"), {"Marker": 10.0}),
    ):
        study = "E0" if "SC4" in name else "J0"
        start = "1989-04-24 16:13:00"
        write_edf(
            root / f"{name}{study}-PSG.edf",
            labels,
            rate_hz=100,
            seconds=360,
            rates=slow,
            units=UNITS,
            start=start,
            record_s=30,
        )
        write_edf(
            root / f"{name}{scorer}-Hypnogram.edf",
            [],
            rate_hz=1,
            seconds=0,
            annotations=NIGHT,
            start=start,
        )
    return root


def test_stages_become_epochs_and_movement_and_question_marks_have_no_path(sleep_edf: Path):
    row = ingested(sleep_edf, "sleep_edf")["sleep_edf/SC400/night1"]
    assert spans(row, "sleep/wake") == [(0, 30), (30, 60), (60, 90)]
    assert spans(row, "sleep/n1") == [(90, 120)]
    assert spans(row, "sleep/n2") == [(120, 150), (150, 180)]
    assert spans(row, "sleep/n3") == [(180, 210), (210, 240)]
    assert spans(row, "sleep/rem") == [(270, 300)]
    unscored = [one for one in row["events"] if one["label"] is None]
    assert [(one["source_label"], one["onset_s"], one["duration_s"]) for one in unscored] == [
        ("Movement time", 240, 30),
        ("Sleep stage ?", 300, 60),  # ends with the signals
    ]
    assert row["source"]["parts"] == ["sleep-cassette/SC4001EC-Hypnogram.edf"]


def test_people_nights_and_medication_of_sleep_edf(sleep_edf: Path):
    rows = ingested(sleep_edf, "sleep_edf")
    first, second = rows["sleep_edf/SC400/night1"], rows["sleep_edf/ST701/night2"]
    assert (first["person"], first["age"], first["sex"]) == ("sleep_edf/SC400", 33, "F")
    assert (second["person"], second["age"], second["sex"]) == ("sleep_edf/ST701", 60, "M")
    assert "medication" not in methodology(first)
    assert methodology(second)["medication"] == "temazepam"
    assert "sleep_period" in methodology(first)["protocol"]


def test_the_envelope_of_the_cassettes_emg_is_no_emg(sleep_edf: Path):
    rows = ingested(sleep_edf, "sleep_edf")
    first, second = rows["sleep_edf/SC400/night1"], rows["sleep_edf/ST701/night2"]
    assert sorted(stored(first).values()) == ["eeg", "eeg", "eog"]
    assert set(CASSETTE[3:]) <= dropped(first)
    assert "emg" in stored(second).values()
    assert {one["anode"] for one in first["channels"] if one["type"] == "eeg"} == {"Fpz", "Pz"}


def test_what_published_results_keep_of_a_day_can_be_asked_for(sleep_edf: Path):
    """Three hours of wake before sleep: the half hour before it lies in the period, the rest is still there."""
    day = [(0.0, 10_800.0, "Sleep stage W"), (10_800.0, 60.0, "Sleep stage 2")]
    period = sleep_period(epochs(day, EDF_STAGES))
    assert period is not None
    assert (period.onset_s, period.duration_s) == (9000, 1800 + 60 + 1800)
    ingested(sleep_edf, "sleep_edf")
    lake = Lake.open(str(sleep_edf.parent / "lake"))
    lock = read_lock(freeze(lake, "sleep_stages", params={"dataset": "sleep_edf"}).path)
    assert Counter(lock.windows.column("label").to_pylist()) == {
        f"sleep/{stage}": 2 * count
        for stage, count in {"wake": 3, "n1": 1, "n2": 2, "n3": 2, "rem": 1}.items()
    }
    assert sleep_period(epochs([(0.0, 600.0, "Sleep stage W")], EDF_STAGES)) is None


@pytest.mark.parametrize("damage", ["no EDF", "cut off"])
def test_a_damaged_hypnogram_costs_its_night_and_says_so(sleep_edf: Path, damage: str):
    path = sleep_edf / "sleep-cassette" / "SC4001EC-Hypnogram.edf"
    path.write_bytes(path.read_bytes()[:-40] if damage == "cut off" else b"<html>" + b"404 " * 200)
    report, _ = ingest_into_lake(sleep_edf, "sleep_edf")
    ((failed, reason),) = report.failures
    assert failed == "sleep-cassette/SC4001E0-PSG.edf"
    assert (
        f"SC4001EC-Hypnogram.edf, the scoring of SC4001E0-PSG.edf, cannot be read (it is {damage})" in reason
    )
    assert report.done == 1


def test_a_night_whose_hypnogram_was_not_fetched_has_signals_and_no_stages(sleep_edf: Path):
    (sleep_edf / "sleep-cassette" / "SC4001EC-Hypnogram.edf").unlink()
    row = ingested(sleep_edf, "sleep_edf")["sleep_edf/SC400/night1"]
    assert (row["events"], row["source"]["parts"]) == ([], [])


HMC_LABELS = (
    *("EEG F4-M1", "EEG C4-M1", "EEG O2-M1", "EEG C3-M2", "EMG chin", "EOG E1-M2", "EOG E2-M2"),
    "ECG",
)


def write_hmc(root: Path, scored_from: str) -> Path:
    stages = [
        (0, 0, "Lights off@@EEG F4-A1"),
        (0, 30, "Sleep stage W"),
        (30, 30, "Sleep stage N1"),
        (60, 30, "Sleep stage N2"),
        (90, 30, "Sleep stage N3"),
    ]
    folder, start = root / "recordings", "2018-01-01 22:10:00"
    write_edf(folder / "SN001.edf", HMC_LABELS, rate_hz=256, seconds=150, start=start)
    write_edf(
        folder / "SN001_sleepscoring.edf",
        [],
        rate_hz=1,
        seconds=0,
        annotations=stages,
        start=scored_from,
    )
    return root


def test_hmc_stages_come_from_the_scoring_beside_the_recording(tmp_path: Path):
    (row,) = ingested(write_hmc(tmp_path / "hmc", "2018-01-01 22:10:00"), "hmc").values()
    assert (row["recording_id"], row["person"]) == ("hmc/SN001/night", "hmc/SN001")
    assert [spans(row, f"sleep/{stage}") for stage in ("wake", "n1", "n2", "n3")] == [
        [(0, 30)],
        [(30, 60)],
        [(60, 90)],
        [(90, 120)],
    ]
    assert [one["source_label"] for one in row["events"] if one["label"] is None] == ["Lights off@@EEG F4-A1"]
    assert sorted(stored(row).values()) == ["ecg", "eeg", "eeg", "eeg", "eeg", "emg", "eog", "eog"]
    assert methodology(row)["reference"] == "contralateral mastoid"


def test_a_scoring_that_starts_later_is_moved(tmp_path: Path):
    (row,) = ingested(write_hmc(tmp_path / "hmc", "2018-01-01 22:10:20"), "hmc").values()
    assert spans(row, "sleep/wake") == [(20, 50)]


def test_a_scoring_of_another_day_is_refused(tmp_path: Path):
    report, _ = ingest_into_lake(write_hmc(tmp_path / "hmc", "2018-02-01 22:10:00"), "hmc")
    assert "belongs to another recording" in report.failures[0][1]


ISRUC_LABELS = (
    *("LOC-A2", "ROC-A1", "F3-A2", "C3-A2", "O1-A2", "F4-A1", "C4-A1", "O2-A1", "X1", "X2", "X3", "DC3"),
    *("SaO2", "DC8"),
)


def write_isruc(root: Path, suffix: str = "rec") -> Path:
    for place in ("subgroupI/7", "subgroupII/3/2", "subgroupIII/10"):
        run = place.split("/")[-1]
        edf = write_edf(root / place / f"{run}.edf", ISRUC_LABELS, rate_hz=200, seconds=150)
        edf.rename(edf.with_suffix(f".{suffix}"))
        (root / place / f"{run}_1.txt").write_text("0\n1\n2\n3\n5\n\n")
        (root / place / f"{run}_2.txt").write_text("0\n0\n2\n3\n5\n")
    return root


def test_isruc_has_two_experts_who_are_told_apart(tmp_path: Path):
    rows = ingested(write_isruc(tmp_path / "isruc", "edf"), "isruc")
    assert {name: (row["person"], row["diagnosis"]) for name, row in rows.items()} == {
        "isruc/I_7/night1": ("isruc/I_7", "sleep disorder"),
        "isruc/II_3/night2": ("isruc/II_3", "sleep disorder"),
        "isruc/III_10/night1": ("isruc/III_10", "healthy"),
    }
    row = rows["isruc/II_3/night2"]
    stages = ("wake", "n1", "n2", "n3", "rem")
    assert [spans(row, f"sleep/{stage}") for stage in stages] == [[(30 * i, 30 * i + 30)] for i in range(5)]
    assert spans(row, "second_scorer/sleep/wake") == [(0, 30), (30, 60)]
    assert spans(row, "second_scorer/sleep/n1") == []
    assert sorted(set(stored(row).values())) == ["eeg", "eog"]
    assert {"X1", "X2", "X3", "DC3", "DC8", "SaO2"} <= dropped(row)


def test_isruc_files_are_found_under_their_own_suffix_too(tmp_path: Path):
    from eegfm_etl import recipes

    jobs = recipes.find("isruc").plan(write_isruc(tmp_path / "isruc"))
    assert [job.rel for job in jobs] == ["subgroupI/7/7.rec", "subgroupII/3/2/2.rec", "subgroupIII/10/10.rec"]


def test_a_line_that_is_no_stage_costs_its_night(tmp_path: Path):
    root = write_isruc(tmp_path / "isruc", "edf")
    (root / "subgroupI/7/7_2.txt").write_text("0\n4\n")
    report, _ = ingest_into_lake(root, "isruc")
    ((failed, reason),) = report.failures
    assert failed == "subgroupI/7/7.edf"
    assert "7_2.txt: line '4' where a stage was expected (0 1 2 3 5)" in reason


@given(
    st.lists(st.tuples(st.integers(1, 40), st.sampled_from([*EDF_STAGES, "Sleep stage ?"])), max_size=20),
    st.integers(0, 2000),
)
def test_epochs_tile_what_was_scored_and_end_with_the_recording(bouts, duration_s):
    annotations, onset = [], 0.0
    for count, text in bouts:
        annotations.append((onset, count * EPOCH_S, text))
        onset += count * EPOCH_S
    events = epochs(annotations, EDF_STAGES, duration_s=float(duration_s))
    scored = [event for event in events if event.label]
    assert all(event.duration_s == EPOCH_S for event in scored)
    assert all(event.onset_s + event.duration_s <= duration_s for event in events)
    expected = {
        (start + i * EPOCH_S, EDF_STAGES[text])
        for start, length, text in annotations
        if text in EDF_STAGES
        for i in range(int(length / EPOCH_S))
        if start + (i + 1) * EPOCH_S <= duration_s
    }
    assert {(event.onset_s, event.label) for event in scored} == expected
    assert SLEEP_PERIOD not in {event.label for event in events}
