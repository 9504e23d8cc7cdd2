"""The same signal under two names is found, cropped, rescaled and reordered; different signals are not."""

from pathlib import Path

import edfio
import numpy as np
import pytest

from eegfm_etl.chain.fingerprint import KEPT, Landmarks
from eegfm_etl.process import harmonise_file
from eegfm_lake.duplicates import find_duplicates
from eegfm_lake.query import run_sql
from eegfm_lake.signals import store_signal
from eegfm_lake.table import Lake
from tests.etl.chain import NAMES, noise

RATE_HZ = 160


def bursting(seconds: float, seed: int) -> np.ndarray:
    """Noise whose fast activity comes and goes, as every recording's does."""
    data = noise(16, seconds, RATE_HZ, seed)
    data -= data.mean(axis=1, keepdims=True)
    n = data.shape[1]
    rng = np.random.default_rng([seed, 1])
    knots = np.arange(0, n + 80, 80)
    slow = np.interp(np.arange(n), knots, rng.lognormal(0, 0.8, len(knots)))
    return data + 6 * slow * np.sin(2 * np.pi * 10 * np.arange(n) / RATE_HZ + rng.normal(0, 0.1, (16, 1)))


def write(path: Path, data_uv: np.ndarray, names=NAMES) -> Path:
    edfio.Edf(
        [
            edfio.EdfSignal(row, RATE_HZ, label=name, physical_dimension="uV", physical_range=(-8192, 8192))
            for name, row in zip(names, data_uv, strict=True)
        ]
    ).write(path)
    return path


def put(lake: Lake, path: Path, out: Path, recording_id: str) -> None:
    out.mkdir()
    row, file = harmonise_file(path, out)
    dataset, person, _ = recording_id.split("/")
    row["signal"]["file"] = store_signal(lake.storage, dataset, file)
    lake.commit_recordings(
        [row | {"recording_id": recording_id, "dataset": dataset, "person": f"{dataset}/{person}"}]
    )


def test_a_cropped_rescaled_reordered_copy_is_found_and_others_are_not(tmp_path):
    lake = Lake.open(tmp_path / "lake", create=True)
    recordings = {f"a/P{i}/R1": bursting(100, seed=i) for i in range(4)}
    order = np.random.default_rng(0).permutation(16)
    first = 31 * RATE_HZ + 7
    stop = first + 60 * RATE_HZ
    recordings["b/X/R1"] = -0.4 * recordings["a/P2/R1"][order, first:stop]
    recordings["a/P3/R2"] = recordings["a/P3/R1"][:, : 80 * RATE_HZ]  # a person's own
    for i, (recording_id, data) in enumerate(recordings.items()):
        names = [NAMES[row] for row in order] if recording_id == "b/X/R1" else NAMES
        put(lake, write(tmp_path / f"{i}.edf", data, names), tmp_path / f"out{i}", recording_id)
    (found,) = find_duplicates(lake)
    assert (found.recording_id, found.other_id) == ("a/P2/R1", "b/X/R1")
    assert found.correlation > 0.99
    assert found.offset_s == pytest.approx(first / RATE_HZ, abs=0.02)
    (seen,) = run_sql(lake, "SELECT recording_id, other_id, landmarks FROM duplicates").to_pylist()
    assert seen["landmarks"] == found.landmarks >= 10


def test_landmarks_do_not_depend_on_scale_or_the_channels_order_and_their_number_is_bounded():
    data = bursting(2000, seed=9).astype(np.float32)
    scale = data.std(axis=1)
    marks = []
    for samples, size in ((data, scale), (0.01 * data[::-1], 0.01 * scale[::-1])):
        landmarks = Landmarks(size, 200.0)
        landmarks.begin_segment(0.0)
        for start in range(0, samples.shape[1], 2000):
            landmarks.add(samples[:, start : start + 2000])
        marks.append(landmarks.marks())
    assert len(marks[0]) == KEPT
    assert len(set(marks[0]) & set(marks[1])) > 0.9 * KEPT
    assert all(0 <= mark < 2**63 for mark in marks[0])


def test_landmarks_do_not_depend_on_how_much_is_looked_at_together(monkeypatch):
    data = bursting(400, seed=3).astype(np.float32)
    found = []
    for together in (10**9, 2000):
        monkeypatch.setattr("eegfm_etl.chain.fingerprint._BUFFER", together)
        landmarks = Landmarks(data.std(axis=1), 200.0)
        for place, half in enumerate(np.array_split(data, 2, axis=1)):
            landmarks.begin_segment(place * half.shape[1] / 200.0)
            for start in range(0, half.shape[1], 2000):
                landmarks.add(half[:, start : start + 2000])
        found.append(landmarks.marks())
    assert len(found[0]) > 20
    assert found[0] == found[1]


def test_a_recording_without_activity_has_no_landmarks():
    landmarks = Landmarks(np.zeros(4), 200.0)
    landmarks.begin_segment(0.0)
    landmarks.add(np.zeros((4, 2000), np.float32))
    assert landmarks.marks() == []


@pytest.mark.shared
@pytest.mark.slow
def test_no_two_of_39_people_are_taken_for_one_and_a_copy_of_each_kind_is_found(tmp_path, eegmmidb_dir):
    import mne

    lake = Lake.open(tmp_path / "lake", create=True)
    files = sorted(eegmmidb_dir.rglob("*R04.edf"))
    for file in files:
        put(lake, file, tmp_path / file.stem, f"eegmmidb/{file.stem[:4]}/R04")
    assert len(files) == 39
    assert find_duplicates(lake) == []
    assert run_sql(lake, "SELECT * FROM duplicates").num_rows == 0
    raw = mne.io.read_raw_edf(files[4], verbose="error")
    data = 1e6 * raw.get_data()
    for i, (first, last, gain) in enumerate([(0, 1, 1.0), (0.25, 0.75, 0.5), (0.4, 1, -3.0)]):
        start, stop = (int(share * data.shape[1]) // 160 * 160 for share in (first, last))
        piece = gain * data[:, start + 3 : stop - 157]
        path = write(tmp_path / f"copy{i}.edf", piece, raw.ch_names)
        put(lake, path, tmp_path / f"copy{i}", f"copies/C{i}/R1")
    found = {(one.recording_id, one.other_id) for one in find_duplicates(lake)}
    original = f"eegmmidb/{files[4].stem[:4]}/R04"
    assert {(f"copies/C{i}/R1", original) for i in range(3)} <= found
    assert all(any(name.startswith("copies") for name in pair) for pair in found)
