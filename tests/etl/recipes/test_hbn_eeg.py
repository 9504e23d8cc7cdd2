"""HBN-EEG in its BIDS layout: EEGLAB files of EGI's numbered caps, events with reaction times, CBCL factors."""

from pathlib import Path

import eeglabio
import pytest

from eegfm_etl.recipes.hbn_eeg import events_of, plan

from .miniatures import eeg_uv, ingested, labels_of, methodology_of, types_of

CHANNELS = (*(f"E{number}" for number in range(1, 20)), "Cz")
EVENTS = """onset	duration	sample	value	event_code	feedback
n/a	n/a	n/a	n/a	n/a	n/a
0.000	n/a	0	break cnt	break cnt	n/a
1.000	n/a	500	contrastChangeB1_start	94	n/a
2.000	n/a	1000	contrastTrial_start	5	n/a
4.800	n/a	2400	right_target	9	n/a
6.930	n/a	3465	right_buttonPress	13	smiley_face
8.000	n/a	4000	contrastTrial_start	5	n/a
10.800	n/a	5400	left_target	8	n/a
13.000	n/a	6500	contrastTrial_start	5	n/a
15.800	n/a	7900	left_target	8	n/a
17.000	n/a	8500	right_buttonPress	13	sad_face
"""
REST = """onset	duration	sample	value	event_code
1.288	n/a	644	resting_start	90
4.000	n/a	2000	instructed_toOpenEyes	20
9.000	n/a	4500	instructed_toCloseEyes	30
19.000	n/a	9500	instructed_toOpenEyes	20
"""
PARTICIPANTS = "\n".join(
    "\t".join(row.split())
    for row in (
        "participant_id release_number sex age ehq_total full_pheno p_factor attention internalizing externalizing",
        "sub-NDARAC904DMU R1 M 9.1443 -50 Yes 0.386 n/a -0.741 0.9",
        "sub-NDARZZ000AAA R1 F n/a n/a No n/a n/a n/a n/a",
    )
)


def write_recording(folder: Path, stem: str, events: str, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    eeglabio.raw.export_set(
        str(folder / f"{stem}_eeg.set"), eeg_uv(20, 20 * 500, seed) * 1e-6, 500, list(CHANNELS)
    )
    (folder / f"{stem}_events.tsv").write_text(events, encoding="utf-8")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "ds005505"
    eeg = root / "sub-NDARAC904DMU" / "eeg"
    write_recording(eeg, "sub-NDARAC904DMU_task-contrastChangeDetection_run-1", EVENTS, 1)
    write_recording(eeg, "sub-NDARAC904DMU_task-RestingState", REST, 2)
    write_recording(root / "sub-NDARZZ000AAA" / "eeg", "sub-NDARZZ000AAA_task-RestingState", REST, 3)
    (root / "participants.tsv").write_text(PARTICIPANTS, encoding="utf-8")
    return root


def test_people_have_their_factors_and_events_their_labels(source: Path, tmp_path: Path):
    report, rows = ingested(tmp_path, "hbn_eeg", source)
    assert (report.done, report.failed) == (3, 0), report.failures
    assert [row["recording_id"] for row in rows] == [
        "hbn_eeg/NDARAC904DMU/RestingState",
        "hbn_eeg/NDARAC904DMU/contrastChangeDetection/run-1",
        "hbn_eeg/NDARZZ000AAA/RestingState",
    ]
    rest, contrast, other = rows
    assert (rest["person"], rest["age"], rest["sex"]) == ("hbn/NDARAC904DMU", 9.1443, "M")
    assert dict(rest["phenotype"]) == {
        "p_factor": "0.386", "internalizing": "-0.741", "externalizing": "0.9", "ehq_total": "-50"
    }  # fmt: skip
    assert (other["age"], other["sex"], other["phenotype"]) == (None, "F", None)
    assert labels_of(rest) == [(4.0, "rest/eyes_open"), (9.0, "rest/eyes_closed"), (19.0, "rest/eyes_open")]
    assert [event["duration_s"] for event in rest["events"]] == [None, 5.0, 10.0, None]
    targets = [event for event in contrast["events"] if (event["label"] or "").startswith("decision/")]
    assert [(event["label"], event["value"]) for event in targets] == [
        ("decision/contrast/right", "2.130"),
        ("decision/contrast/left", None),  # never answered
        ("decision/contrast/left", "1.200"),  # answered wrong
    ]
    assert [event["duration_s"] for event in targets] == [pytest.approx(2.13), None, pytest.approx(1.2)]
    answers = [event for event in contrast["events"] if (event["label"] or "").startswith("response/")]
    assert [event["value"] for event in answers] == ["smiley_face", "sad_face"]
    for row in rows:
        kinds = list(types_of(row).values())
        assert len(kinds) == 20
        assert (
            kinds.count("eeg") + kinds.count("eog") == 20
        )  # some of the cap's electrodes lie beside the eyes
        assert types_of(row)["Cz"] == "eeg"
        assert methodology_of(row)["reference"] == ("Cz", "declared")
        assert row["source"]["parts"][0].endswith("_events.tsv")
        assert row["run"] == ("run-1" if row["task"] == "contrastChangeDetection" else None)


def test_bdf_releases_have_the_same_names(tmp_path: Path):
    folder = tmp_path / "sub-NDARAC904DMU" / "eeg"
    folder.mkdir(parents=True)
    for name in (
        "task-DespicableMe_eeg.bdf",
        "task-surroundSupp_run-2_eeg.bdf",
        "task-DespicableMe_eeg.json",
    ):
        (folder / f"sub-NDARAC904DMU_{name}").touch()
    assert [job.recording_id for job in plan(tmp_path)] == [
        "hbn_eeg/NDARAC904DMU/DespicableMe",
        "hbn_eeg/NDARAC904DMU/surroundSupp/run-2",
    ]


def test_a_row_without_a_time_is_no_event():
    assert (
        events_of([{"value": "left_target"}, {"onset": "nan", "value": "left_target"}, {"onset": "1"}]) == ()
    )
