"""Data set 2a in its true layout, seconds long: GDF with true labels beside, and BNCI Horizon's MATLAB files."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from eegfm_etl.formats import open_source
from eegfm_etl.recipes import graz
from eegfm_etl.recipes.bci_iv_2a import MONTAGE, RECIPE, plan
from eegfm_lake.query import run_sql
from eegfm_lake.table import Lake

from .miniatures import eeg_uv, ingested, labels_of, methodology_of, splits, types_of, write_gdf

# As the files have them: five of the EEG channels are named.
GDF_LABELS = tuple(
    f"EEG-{name}" if name in ("Fz", "C3", "Cz", "C4", "Pz") else name if "EOG" in name else "EEG"
    for name in MONTAGE
)
RATE = 250
RUN = 12 * RATE  # two trials a run
MISSING = 100
CLASSES = {769: "left_hand", 770: "right_hand", 771: "both_feet", 772: "tongue"}


def write_session(path: Path, *, calibration: int, cues: list[int], seed: int) -> Path:
    """Calibration blocks of 5 s, then runs of two trials, 100 missing values between them."""
    events, blocks, at = [], [], 0
    for code in (276, 277, 1072)[3 - calibration :]:
        events += [(at, 32766, 0), (at, code, 5 * RATE)]
        blocks.append((at, at + 5 * RATE))
        at += 5 * RATE + MISSING
    for first, second in zip(cues[::2], cues[1::2], strict=True):
        events.append((at, 32766, 0))
        for trial, cue in enumerate((first, second)):
            start = at + trial * 6 * RATE
            events += [(start, 768, 1875), (start + 2 * RATE, cue, 313)]
        blocks.append((at, at + RUN))
        at += RUN + MISSING
    events.append((events[-2][0], 1023, 1875))  # the last trial was rejected
    total = -(-at // RATE) * RATE
    missing = [(stop, start) for (_, stop), (start, _) in zip(blocks, [*blocks[1:], (total, 0)], strict=True)]
    return write_gdf(path, GDF_LABELS, eeg_uv(25, total, seed), sorted(events), missing=missing)


def write_bnci(path: Path, labels: list[int], seed: int) -> None:
    """A cell a run: one of calibration without trials, one with them."""
    empty = np.zeros((0, 0))
    runs = [
        {"X": eeg_uv(25, 5 * RATE, seed).T, "trial": empty, "y": empty, "artifacts": empty, "fs": 250.0},
        {
            "X": eeg_uv(25, RUN, seed + 1).T,
            "trial": np.array([[1.0 + 6 * RATE * i] for i in range(len(labels))]),
            "y": np.array([[float(one)] for one in labels]),
            "artifacts": np.array([[0.0]] * (len(labels) - 1) + [[1.0]]),
            "fs": 250.0,
            "gender": "male",
            "age": 22.0,
        },
    ]
    cells = np.empty((1, len(runs)), dtype=object)
    cells[0, :] = runs
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"data": cells})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "BCICIV_2a_gdf"
    write_session(root / "A01T.gdf", calibration=3, cues=[769, 770, 771, 772], seed=1)
    write_session(root / "A01E.gdf", calibration=3, cues=[783] * 4, seed=2)
    write_session(root / "A04T.gdf", calibration=1, cues=[772, 769], seed=3)
    (root / "true_labels").mkdir()
    savemat(root / "true_labels" / "A01E.mat", {"classlabel": np.array([[4], [3], [2], [1]])})
    savemat(root / "true_labels" / "A01T.mat", {"classlabel": np.array([[1], [2], [3], [4]])})
    write_bnci(root / "mat" / "A02E.mat", [3, 1], seed=4)
    write_bnci(root / "mat" / "A04T.mat", [4, 1], seed=5)  # the GDF of the same session is taken instead
    return root


def test_sessions_are_ingested_with_their_labels_and_the_official_split(source: Path, tmp_path: Path):
    report, rows = ingested(tmp_path, "bci_iv_2a", source)
    assert (report.done, report.failed) == (4, 0), report.failures
    assert [row["recording_id"] for row in rows] == [
        "bci_iv_2a/A01/E", "bci_iv_2a/A01/T", "bci_iv_2a/A02/E", "bci_iv_2a/A04/T"
    ]  # fmt: skip
    assert {row["person"] for row in rows} == {"bci_iv_2a/A01", "bci_iv_2a/A02", "bci_iv_2a/A04"}
    assert splits(tmp_path) == {"test": 2, "train": 2}
    assert RECIPE.within_person  # each person is on both sides
    for row in rows:
        kinds = types_of(row)
        assert list(kinds) == list(MONTAGE)  # named by the documentation, the file's labels kept beside
        assert [kinds[name] for name in MONTAGE[-3:]] == ["eog"] * 3
        assert set(list(kinds.values())[:22]) == {"eeg"}
        assert all(one["region"] != "unknown" for one in row["channels"][:22])
        said = methodology_of(row)
        assert said["reference"] == ("left mastoid", "declared")
        assert said["line_freq"] == ("50", "declared")
        assert (said["hardware_highpass"], said["hardware_lowpass"]) == (
            ("0.5", "declared"),
            ("100", "declared"),
        )


def test_the_evaluations_cues_get_the_true_labels(source: Path, tmp_path: Path):
    _, (evaluation, training, bnci, _) = ingested(tmp_path, "bci_iv_2a", source)
    cues = [path for _, path in labels_of(training) if path.startswith("motor/")]
    assert cues == [f"motor/imagery/{CLASSES[code]}" for code in (769, 770, 771, 772)]
    assert [p for _, p in labels_of(evaluation) if p.startswith("motor/")] == cues[::-1]
    assert evaluation["source"]["parts"] == ["true_labels/A01E.mat"]
    assert training["source"]["parts"] == []
    # a trial's cue is 2 s after its start, in the MATLAB file as in the GDF
    starts = [onset for onset, path in labels_of(training) if path == "trial/start"]
    assert [o for o, p in labels_of(training) if p.startswith("motor/")] == [start + 2 for start in starts]
    assert labels_of(bnci) == [
        (7.0, "motor/imagery/both_feet"),
        (11.0, "artifact/rejected_trial"),
        (13.0, "motor/imagery/left_hand"),
    ]
    assert [event["duration_s"] for event in bnci["events"]] == [1.25, None, 1.25]


def test_missing_values_between_runs_are_gaps(source: Path, tmp_path: Path):
    _, (_, training, bnci, a04) = ingested(tmp_path, "bci_iv_2a", source)
    expected = [0.0, 5.4, 10.8, 16.2, 28.6]
    assert [one["start_s"] for one in training["segments"]] == pytest.approx(expected)
    assert [one["samples"] for one in training["segments"]] == [1000, 1000, 1000, 2400, 2400]
    assert "500 missing samples became 5 gaps" in training["source"]["notes"][0]
    assert (
        max(one["scale_uv"] for one in training["channels"]) < 40
    )  # no jump to -100 µV was filtered into it
    rests = [path for _, path in labels_of(training) if path.startswith("rest/")]
    assert rests == ["rest/eyes_open", "rest/eyes_closed"]
    # A04T has the eye movements alone
    assert len(a04["segments"]) == 2
    assert "rest/eyes_open" not in {path for _, path in labels_of(a04)}
    assert ("artifact/eye_movement", 0.0) in {(path, onset) for onset, path in labels_of(a04)}
    assert [one["start_s"] for one in bnci["segments"]] == [0.0, 5.0]


def test_too_few_true_labels_are_refused_and_none_leave_the_cues_unlabelled(source: Path, tmp_path: Path):
    savemat(source / "true_labels" / "A01E.mat", {"classlabel": np.array([[1], [2], [3]])})
    report, _ = ingested(tmp_path, "bci_iv_2a", source, only=["A01E*"])
    assert report.failed == 1
    assert "4 events '783', but 3 true labels" in report.failures[0][1]
    (source / "true_labels" / "A01E.mat").unlink()
    _, (row,) = ingested(tmp_path, "bci_iv_2a", source, only=["A01E*"], retry_failed=True)
    unknown = [event for event in row["events"] if event["source_label"] == "783"]
    assert [event["label"] for event in unknown] == [None] * 4


def test_damaged_true_labels_are_refused_too(source: Path, tmp_path: Path):
    path = source / "true_labels" / "A01E.mat"
    path.write_bytes(path.read_bytes()[:140])
    report, _ = ingested(tmp_path, "bci_iv_2a", source, only=["A01E*"])
    assert "4 events '783', but 0 true labels" in report.failures[0][1]


def test_labels_over_which_scipy_crashes_cost_their_session_and_not_the_plan(source: Path, tmp_path: Path):
    path = source / "true_labels" / "A01E.mat"
    data = bytearray(path.read_bytes())
    data[192] = 14  # the type of the numbers: a matrix within the matrix
    path.write_bytes(data)
    crashing = f"from scipy.io import loadmat; loadmat({str(path)!r})"
    assert subprocess.run([sys.executable, "-c", crashing], check=False).returncode == -signal.SIGSEGV
    report, _ = ingested(tmp_path, "bci_iv_2a", source)
    assert (report.done, report.failed) == (3, 1)
    assert "4 events '783', but 0 true labels" in report.failures[0][1]


def test_true_labels_may_be_a_row(tmp_path: Path):
    savemat(tmp_path / "row.mat", {"classlabel": np.array([[1, 2, 4]])})
    savemat(tmp_path / "other.mat", {"data": np.zeros((3, 3))})
    assert graz.true_labels(tmp_path, ["row.mat", "other.mat"]) == {"row.mat": ("1", "2", "4")}


def test_all_sessions_together_hold_5184_labelled_trials(tmp_path: Path):
    rng = np.random.default_rng(0)
    root = tmp_path / "BCICIV_2a_gdf"
    (root / "labels").mkdir(parents=True)
    spacing = 10  # samples from trial to trial: the number of trials is true, their length is not
    for person in range(1, 10):
        for session in "TE":
            classes = rng.permutation(np.repeat([1, 2, 3, 4], 72))
            codes = 768 + classes if session == "T" else np.full(288, 783)
            events = [(0, 32766, 0), *((spacing * i, int(code), 1) for i, code in enumerate(codes))]
            write_gdf(root / f"A0{person}{session}.gdf", GDF_LABELS, eeg_uv(25, 3000, person), events)
            savemat(root / "labels" / f"A0{person}{session}.mat", {"classlabel": classes[:, None]})
    report, _ = ingested(tmp_path, "bci_iv_2a", root)
    assert (report.done, report.failed) == (18, 0)
    found = run_sql(
        Lake.open(str(tmp_path / "lake")),
        "SELECT r.official_split, e.label, count(*) AS n, count(DISTINCT r.person) AS people FROM events e "
        "JOIN recordings r USING (recording_id, profile) WHERE e.label LIKE 'motor/imagery/%' GROUP BY ALL",
    ).to_pylist()
    assert sum(row["n"] for row in found) == 5184
    assert {(row["n"], row["people"]) for row in found} == {(648, 9)}
    assert len(found) == 8


def test_a_file_of_another_montage_is_refused(tmp_path: Path):
    write_gdf(tmp_path / "source" / "A03T.gdf", GDF_LABELS[:24], eeg_uv(24, 5 * RATE), [(0, 32766, 0)])
    report, _ = ingested(tmp_path, "bci_iv_2a", tmp_path / "source")
    assert report.failed == 1
    assert "has 24 channels" in report.failures[0][1]
    assert "lists 25" in report.failures[0][1]


def test_the_samples_are_those_of_the_file(source: Path):
    (job,) = [one for one in plan(source) if one.rel.endswith("A02E.mat")]
    opened = open_source(job.path, job.ask)
    assert opened.header.segments == ((0.0, 0, 1250), (5.0, 1250, 4250))
    np.testing.assert_array_equal(
        opened.read(1200, 1300, [3, 24])[:, :50], eeg_uv(25, 1250, 4)[[3, 24], 1200:]
    )
    np.testing.assert_array_equal(opened.read(1200, 1300, [3, 24])[:, 50:], eeg_uv(25, 3000, 5)[[3, 24], :50])


def test_files_of_other_names_are_left_alone(tmp_path: Path):
    for name in ("A10T.gdf", "A01X.gdf", "A00T.gdf", "A01T.gdf.txt"):
        (tmp_path / name).touch()
    assert plan(tmp_path) == []
