"""FACED's raw recordings in their true layout: data.bdf, evt.bdf beside it, Recording_info.csv above."""

from pathlib import Path

import edfio
import pytest

from eegfm_etl.recipes.faced import EMOTIONS, RECIPE, clips_of

from .miniatures import eeg_uv, ingested, labels_of, types_of

CHANNELS = (
    "Fp1",
    "Fp2",
    "Fz",
    "F3",
    "F4",
    "F7",
    "F8",
    "FC1",
    "FC2",
    "C3",
    "Cz",
    "C4",
    "Pz",
    "O1",
    "Oz",
    "O2",
)


def write_person(folder: Path, rate_hz: int, events: list[tuple[float, str]], seed: int) -> None:
    folder.mkdir(parents=True)
    signals = [
        edfio.BdfSignal(one, rate_hz, label=name, physical_dimension="uV", physical_range=(-5000, 5000))
        for name, one in zip(CHANNELS, eeg_uv(16, 30 * rate_hz, seed), strict=True)
    ]
    edfio.Bdf(signals).write(folder / "data.bdf")
    annotations = [edfio.EdfAnnotation(onset, 0, text) for onset, text in events]
    edfio.Bdf([], annotations=annotations).write(folder / "evt.bdf")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "FACED"
    write_person(root / "Data" / "sub000", 1000, [(0.5, "100"), (1, "2"), (2, "101"), (9, "102")], 1)
    events = [
        (1, "101"),
        (2, "28"),
        (3, "101"),
        (8, "102"),
        (10, "14"),
        (11, "101"),
        (20, "102"),
        (25, "201"),
    ]
    write_person(root / "Data" / "sub122", 250, events, 2)
    (root / "Recording_info.csv").write_text(
        "sub,Gender,Age,Sample_rate,Unit\nsub000,F,21,1000,uV\nsub122,M,38,250,uV\n", encoding="utf-8"
    )
    return root


def test_clips_are_paired_with_their_emotion(source: Path, tmp_path: Path):
    report, rows = ingested(tmp_path, "faced", source)
    assert (report.done, report.failed) == (2, 0), report.failures
    assert [(row["person"], row["sex"], row["age"]) for row in rows] == [
        ("faced/sub000", "F", 21.0),
        ("faced/sub122", "M", 38.0),
    ]
    assert labels_of(rows[0]) == [(2.0, "emotion/anger")]
    assert rows[0]["events"][0]["duration_s"] == pytest.approx(7)
    # the first 101 has no clip's number before it
    assert labels_of(rows[1]) == [(3.0, "emotion/tenderness"), (11.0, "emotion/neutral")]
    assert [event["value"] for event in rows[1]["events"]] == ["28", "14"]
    for row, rate_hz in zip(rows, (1000.0, 250.0), strict=True):
        assert types_of(row) == dict.fromkeys(CHANNELS, "eeg")
        assert {one["source_rate"] for one in row["channels"] if one["status"] != "dropped"} == {rate_hz}
        assert row["source"]["parts"] == [f"Data/{row['recording_id'].removeprefix('faced/')}/evt.bdf"]
    assert RECIPE.access == "agreement"


def test_without_its_events_a_recording_is_refused(source: Path, tmp_path: Path):
    (source / "Data" / "sub000" / "evt.bdf").unlink()
    report, rows = ingested(tmp_path, "faced", source)
    assert [row["recording_id"] for row in rows] == ["faced/sub122"]
    assert report.failures[0][1].startswith("Data/sub000/evt.bdf is missing or damaged")


def test_damaged_events_are_refused_with_what_is_wrong_with_them(source: Path, tmp_path: Path):
    path = source / "Data" / "sub000" / "evt.bdf"
    path.write_bytes(path.read_bytes()[:100])
    report, rows = ingested(tmp_path, "faced", source)
    assert [row["recording_id"] for row in rows] == ["faced/sub122"]
    assert report.failures[0][1].startswith("Data/sub000/evt.bdf is missing or damaged")
    assert "100 of 256 bytes" in report.failures[0][1]


def test_a_start_without_a_number_and_an_end_without_a_start_are_no_clips():
    assert len(EMOTIONS) == 28
    assert (
        clips_of([(0, "101"), (1, "102"), (2, "7"), (3, "102"), (4, "101"), (5, "102")])[0].label
        == "emotion/fear"
    )
    assert clips_of([(0, "102"), (1, "101"), (2, "Start Impedance")]) == ()
    assert clips_of([(0, "7"), (1, "101"), (2, "8"), (3, "102")]) == ()
