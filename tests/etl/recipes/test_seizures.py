"""The two archives of seizures: CHB-MIT and Siena."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eegfm_etl import recipes
from eegfm_etl.seizures import seizure_events
from eegfm_lake.cohort import freeze
from eegfm_lake.errors import EegfmError
from eegfm_lake.lock import read_lock
from eegfm_lake.table import Lake

from .clinical_miniatures import (
    TEN_TWENTY,
    dropped,
    ingest_into_lake,
    ingested,
    methodology,
    spans,
    stored,
    write_edf,
)

CHB_LABELS = (
    *(
        "FP1-F7",
        "F7-T7",
        "T7-P7",
        "P7-O1",
        "FP1-F3",
        "F3-C3",
        "C3-P3",
        "P3-O1",
        "-",
        "FP2-F4",
        "F4-C4",
        "C4-P4",
    ),
    *(
        "P4-O2",
        "FP2-F8",
        "F8-T8",
        "T8-P8",
        "P8-O2",
        "FZ-CZ",
        "CZ-PZ",
        "P7-T7",
        "T7-FT9",
        "FT9-FT10",
        "FT10-T8",
    ),
    *("T8-P8", "-", "ECG", "VNS", "LOC-ROC"),
)
SUMMARY = """Data Sampling Rate: 256 Hz
*************************

Channels in EDF Files:
**********************
Channel 1: FP1-F7
Channel 2: F7-T7

File Name: chb01_03.edf
File Start Time: 13:43:04
File End Time: 14:43:04
Number of Seizures in File: 1
Seizure Start Time: 6 seconds
Seizure End Time: 9 seconds

File Name: chb01_04.edf
File Start Time: 14:43:12
File End Time: 15:43:12
Number of Seizures in File: 2
Seizure 1 Start Time: 2 seconds
Seizure 1 End Time: 4 seconds
Seizure 2 Start Time: 10 seconds
Seizure 2 End Time: 12 seconds

File Name: chb01_05.edf
File Start Time: 15:43:19
File End Time: 16:43:19
Number of Seizures in File: 0
"""


@pytest.fixture
def chb(tmp_path: Path) -> Path:
    root = tmp_path / "chbmit"
    for name in ("chb01_03", "chb01_04", "chb01_05"):
        write_edf(root / "chb01" / f"{name}.edf", CHB_LABELS, rate_hz=256, seconds=12)
    for name in ("chb17a_03", "chb02_16+", "chb21_01"):
        write_edf(root / name[:5] / f"{name}.edf", CHB_LABELS[:8], rate_hz=256, seconds=3)
    (root / "chb01" / "chb01-summary.txt").write_text(SUMMARY)
    (root / "chb01" / "chb01_03.edf.seizures").write_bytes(b"\x00\x01")
    (root / "SUBJECT-INFO").write_text(
        "Case\tGender\tAge (years)\n\nchb01\tF\t11\nchb02\tM\t11\nchb17\tF\t12\nchb21\tF\t13\n"
    )
    return root


def test_seizures_and_the_background_between_them_come_from_the_summary(chb: Path):
    rows = ingested(chb, "chb_mit")
    assert set(rows) == {
        *(f"chb_mit/chb01/{run}" for run in ("03", "04", "05")),
        "chb_mit/chb02/16+",
        "chb_mit/chb17/a_03",
        "chb_mit/chb21/01",
    }
    assert spans(rows["chb_mit/chb01/03"], "seizure") == [(6, 9)]
    assert spans(rows["chb_mit/chb01/03"], "background") == [(0, 6), (9, 12)]
    assert spans(rows["chb_mit/chb01/04"], "seizure") == [(2, 4), (10, 12)]
    assert spans(rows["chb_mit/chb01/04"], "background") == [(0, 2), (4, 10)]
    assert spans(rows["chb_mit/chb01/05"], "background") == [(0, 12)]
    assert rows["chb_mit/chb02/16+"]["events"] == []  # no summary: nobody knows
    assert rows["chb_mit/chb01/03"]["source"]["parts"] == [
        "chb01/chb01-summary.txt",
        "SUBJECT-INFO",
        "chb01/chb01_03.edf.seizures",
    ]


def test_inputs_without_an_electrode_are_left_out_and_derivations_keep_both_ends(chb: Path):
    row = ingested(chb, "chb_mit")["chb_mit/chb01/05"]
    without = [one for one in row["channels"] if one["source_name"].startswith("-")]
    assert [one["status"] for one in without] == ["dropped", "dropped"]
    assert "VNS" in dropped(row)
    assert set(stored(row).values()) == {"eeg", "eog", "ecg"}
    first = row["channels"][0]
    assert (first["name"], first["anode"], first["cathode"]) == ("Fp1-F7", "Fp1", "F7")
    assert first["position_origin"] == "midpoint"
    assert methodology(row)["reference"] == "bipolar"
    assert (row["age"], row["sex"], row["diagnosis"]) == (11, "F", "epilepsy")


def test_chb21_is_chb01_and_no_cohort_puts_her_on_both_sides(chb: Path):
    rows = ingested(chb, "chb_mit")
    assert rows["chb_mit/chb21/01"]["same_as"] == ["chb_mit/chb01"]
    lake = Lake.open(str(chb.parent / "lake"))
    split = "CASE person WHEN 'chb_mit/chb21' THEN 'test' ELSE 'train' END AS split"
    with pytest.raises(EegfmError, match="chb_mit/chb01"):
        freeze(lake, f"SELECT recording_id, start, seconds, {split} FROM windows(2, 2)", name="leak")


def test_a_window_that_touches_a_seizure_is_seizure_and_the_others_are_background(chb: Path):
    ingested(chb, "chb_mit")
    lake = Lake.open(str(chb.parent / "lake"))
    lock = read_lock(freeze(lake, "seizures", params={"seconds": "2", "stride_s": "2"}).path)
    recordings = lock.recordings.column("recording_id").to_pylist()
    found: dict[str, list[str]] = {}
    for window in sorted(lock.windows.to_pylist(), key=lambda one: one["start_s"]):
        found.setdefault(recordings[window["recording"]], []).append(window["label"])
    free, seizure = "background", "seizure"
    assert found == {
        "chb_mit/chb01/03": [free, free, free, seizure, seizure, free],
        "chb_mit/chb01/04": [free, seizure, free, free, free, seizure],
        "chb_mit/chb01/05": [free] * 6,
    }  # nothing of the people without a summary


def test_a_summary_that_contradicts_itself_costs_its_recording(chb: Path):
    path = chb / "chb01" / "chb01-summary.txt"
    path.write_text(SUMMARY.replace("Seizure 2 End Time: 12 seconds\n", ""))
    report, _ = ingest_into_lake(chb, "chb_mit")
    ((failed, reason),) = report.failures
    assert failed == "chb01/chb01_04.edf"
    assert "counts 2 seizures and gives 2 starts and 1 ends" in reason


# PN00 to PN14 in the published lists' own words; the clock times are moved to fit recordings of seconds.
LISTS = {
    "PN00": """Data Sampling Rate: 512 Hz
Channels in EDF Files:
Channel 1: Fp1

Seizure n 1
File name: PN00-1.edf
Registration start time: 19.39.33
Registration end time:  20.22.58
Seizure start time: 19.39.40
Seizure end time: 19.39.45

Seizure n 2
File name: PN00-3.edf
Registration start time: 18.15.44
Registration end time: 18.57.13
Seizure start time: 18.15.50
Seizure end time: 19.15.52
""",
    "PN06": """Seizure n 1
File name: PNO6-1.edf
Registration start time: 23.59.50
Registration end time: 00.00.02
Start time: 23.59.55
End time: 00.00.01
""",
    "PN10": """Seizure n 3
File name: PN10-3.edf
Registration start time: 15.43.45
Seizure start time: 15.43.53 (CLINICAL ONSET); 15.43.50 (ELECTRIC ONSET)
Seizure end time: 15.43.56 opure 15.43.54
""",
    "PN11": """Seizure n 1
File name: PN11-.edf
Registration start time: 11.31.25
Seizure start time: 11.31:30
Seizure end time: 11.31.33
""",
    "PN14": """Seizure n 3
File name: PN14-3.edf
Registration start time: 16.17.45
Seizure start time: 19.17.50
Seizure end time: 19.17.53
""",
}
STARTS = {
    "PN00-1": "19:39:33",
    "PN00-3": "18:15:44",
    "PN06-1": "23:59:50",
    "PN10-3": "15:43:45",
    "PN11-1": "11:31:25",
    "PN14-3": "19:17:45",  # the header's, three hours after the list's
}


@pytest.fixture
def siena(tmp_path: Path) -> Path:
    root = tmp_path / "siena"
    labels = (*(f"EEG {name}" for name in TEN_TWENTY), "EKG EKG", "SPO2", "HR", "1", "2", "MK")
    for name, clock in STARTS.items():
        path = root / name[:4] / f"{name}.edf"
        write_edf(path, labels, rate_hz=512, seconds=13, start=f"2016-01-01 {clock}")
    for person, text in LISTS.items():
        (root / person / f"Seizures-list-{person}.txt").write_text(text)
    (root / "subject_info.csv").write_text(
        "patient_id, age_years, gender, seizure, localization, lateralization, eeg_channel\n"
        "PN00,55,Male,IAS,T,R,29\nPN06,36,Male,IAS,T,L,29\n"
    )
    return root


def test_clock_times_count_from_the_headers_start_and_slips_of_the_lists_are_told(siena: Path):
    rows = ingested(siena, "siena")
    assert {name: spans(row, "seizure") for name, row in rows.items()} == {
        "siena/PN00/1": [(7, 12)],
        "siena/PN00/3": [(6, 8)],  # an hour too late in the list
        "siena/PN06/1": [(5, 11)],  # over midnight, letter O for zero
        "siena/PN10/3": [(5, 11)],  # the EEG's onset, the first end
        "siena/PN11/1": [(5, 8)],  # a name without a number, a colon for a dot
        "siena/PN14/3": [(5, 8)],
    }
    said = {name: row["events"][1]["source_label"] for name, row in rows.items()}
    assert said["siena/PN00/1"] == "seizure"
    assert said["siena/PN00/3"] == "seizure, listed as 18.15.50 to 19.15.52"
    assert "ELECTRIC ONSET" in said["siena/PN10/3"]
    assert spans(rows["siena/PN00/1"], "background") == [(0, 7), (12, 13)]


def test_people_and_channels_of_siena(siena: Path):
    row = ingested(siena, "siena")["siena/PN00/1"]
    assert (row["person"], row["age"], row["sex"]) == ("siena/PN00", 55, "M")
    assert dict(row["phenotype"]) == {"seizure": "IAS", "localization": "T", "lateralization": "R"}
    assert sorted(set(stored(row).values())) == ["ecg", "eeg"]
    assert {"SPO2", "HR", "1", "2", "MK"} <= dropped(row)
    assert (methodology(row)["country"], methodology(row)["line_freq"]) == ("IT", "50")
    assert "reference" not in methodology(row)  # no public source names it


def test_a_seizure_outside_its_recording_is_refused(siena: Path):
    path = siena / "PN11" / "Seizures-list-PN11.txt"
    path.write_text(LISTS["PN11"].replace("11.31.33", "11.30.33"))
    report, _ = ingest_into_lake(siena, "siena")
    ((failed, reason),) = report.failures
    assert failed == "PN11/PN11-1.edf"
    assert "11.31:30 to 11.30.33 does not lie in PN11-1.edf" in reason


def test_a_name_without_a_number_means_a_persons_only_recording(siena: Path):
    write_edf(siena / "PN11" / "PN11-2.edf", ["EEG Fp1"], rate_hz=512, seconds=13)
    jobs = {job.recording_id: job for job in recipes.find("siena").plan(siena)}
    assert jobs["siena/PN11/1"].more_events == jobs["siena/PN11/2"].more_events == ()


@given(
    st.lists(st.tuples(st.floats(0, 99), st.floats(0.5, 30)), max_size=6),
    st.floats(100, 200),
)
def test_seizures_and_background_cover_a_recording_once(pieces, duration_s):
    listed = [(start, min(start + length, duration_s), "x") for start, length in pieces]
    events = seizure_events(listed, duration_s)
    background = [event for event in events if event.label == "background"]
    assert all(event.duration_s > 0 for event in background)
    for event in background:
        middle = event.onset_s + event.duration_s / 2
        assert not any(start < middle < stop for start, stop, _ in listed)
    covered = sorted(
        [*[(s, e) for s, e, _ in listed], *[(b.onset_s, b.onset_s + b.duration_s) for b in background]]
    )
    reached = 0.0
    for start, stop in covered:
        assert start <= reached + 1e-9
        reached = max(reached, stop)
    assert reached == pytest.approx(duration_s)
