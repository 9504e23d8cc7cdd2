import json
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm_lake import schema
from eegfm_lake.cohort import freeze, library
from eegfm_lake.errors import EegfmError, UsageError
from eegfm_lake.lock import Lock, find_lock, read_lock, verify
from eegfm_lake.signals import open_signal
from eegfm_lake.table import Lake
from eegfm_lake.windows import check_distance, place_windows, typed_answer
from tests.lake.tiny import CHANNELS, write_tiny_lake, write_tiny_recording

IMAGERY = (
    "SELECT recording_id, start, seconds, label, CAST(right(person, 1) AS INTEGER) % 2 AS fold "
    "FROM trials('motor/imagery/*', 0, 4)"
)
TENS = "SELECT recording_id, start, seconds FROM windows(10, 10)"


def test_a_lock_holds_the_windows_that_were_asked_for(lake):
    frozen = freeze(lake, f"{IMAGERY} WHERE dataset = 'tiny'", name="imagery")
    lock = read_lock(frozen.path)
    verify(lock)
    assert (lock.name, lock.hash, frozen.existed) == ("imagery", frozen.hash, False)
    assert Path(frozen.path).name == f"imagery@{frozen.hash[:12]}"
    for table, columns in (
        (lock.windows, schema.LOCK_WINDOWS),
        (lock.recordings, schema.LOCK_RECORDINGS),
        (lock.channels, schema.LOCK_CHANNELS),
    ):
        assert table.schema.equals(columns)
    rows = {row["recording_id"]: row for row in lake.recordings().to_pylist()}
    for window in lock.windows.to_pylist():
        recording = lock.recordings.slice(window["recording"], 1).to_pylist()[0]
        row = rows[recording["recording_id"]]
        assert recording["signal_file"] == row["signal"]["file"]
        event = next(event for event in row["events"] if event["onset_s"] == window["start_s"])
        assert (window["label"], window["split"]) == (event["label"], "all")
        assert (window["first_sample"], window["samples"]) == (round(event["onset_s"] * 200), 800)
        assert window["fold"] == int(row["person"][-1]) % 2
        open_signal(lock.signals, recording["signal_file"]).read(window["first_sample"], window["samples"])
    assert lock.windows.num_rows == 8 * 8
    assert lock.windows.column("window").to_pylist() == list(range(64))
    first = lock.channels.filter(pa.compute.equal(lock.channels["recording"], 0))
    assert first.column("name").to_pylist() == list(CHANNELS)
    assert first.column("step_uv").to_pylist() == [0.1] * len(CHANNELS)


def test_counts_and_attrition_add_up(lake):
    split = "CASE WHEN person = 'tiny/P01' THEN 'test' ELSE 'train' END AS split"
    frozen = freeze(lake, f"SELECT *, FROM (SELECT recording_id, start, seconds, label, {split} FROM "
                    "trials('motor/imagery/*', 0, 4) WHERE dataset = 'tiny')")  # fmt: skip
    by_split = {(row["split"], row["label"].rsplit("/")[-1]): row for row in frozen.counts}
    assert set(by_split) == {(s, f"{fist}_fist") for s in ("test", "train") for fist in ("left", "right")}
    assert by_split["train", "left_fist"]["people"] == 3
    assert by_split["train", "left_fist"]["recordings"] == 6
    assert by_split["train", "left_fist"]["windows"] == 6 * 4
    assert by_split["train", "left_fist"]["hours"] == pytest.approx(6 * 4 * 4 / 3600)
    lost = frozen.attrition
    held = lake.recordings(["recording_id", "person"])
    assert held.num_rows - sum(row["recordings"] for row in lost) == 8
    assert len(held.column("person").unique()) - sum(row["people"] for row in lost) == 4


def test_stored_channels_are_numbered_as_in_the_signal_file(lake):
    row = write_tiny_recording(lake, "tiny/P50/R1", trials=2, channels=CHANNELS[:3])
    dropped = {**row["channels"][0], "name": "STATUS", "status": "dropped", "reasons": ["trigger"]}
    row["channels"].insert(1, dropped)
    lake.commit_recordings([row])
    lock = read_lock(freeze(lake, f"{TENS} WHERE person = 'tiny/P50'").path)
    assert lock.channels.column("name").to_pylist() == list(CHANNELS[:3])
    assert lock.channels.column("channel").to_pylist() == [0, 1, 2]
    signal = open_signal(lock.signals, lock.recordings.column("signal_file")[0].as_py())
    assert list(signal.channels) == lock.channels.column("name").to_pylist()


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_window_lies_in_one_segment_or_is_left_out(data):
    lengths = data.draw(st.lists(st.integers(1, 300), min_size=1, max_size=4))
    gaps_s = data.draw(st.lists(st.floats(0.1, 5), min_size=len(lengths), max_size=len(lengths)))
    rate = data.draw(st.sampled_from([100.0, 200.0]))
    segments, first, start_s = [], 0, data.draw(st.floats(0, 3))
    for length, gap_s in zip(lengths, gaps_s, strict=True):
        segments.append({"start_s": start_s, "first_sample": first, "samples": length, "first_block": 0})
        first, start_s = first + length, start_s + length / rate + gap_s
    start = data.draw(st.floats(-1, start_s + 1))
    n = data.draw(st.integers(1, 200))
    answer = typed_answer(pa.table({"recording_id": ["x"], "start": [start], "seconds": [n / rate]}))
    recording = {"recording_id": "x", "signal": {"rate": rate}, "segments": segments}
    windows, kept = place_windows(answer, [recording])

    expected = [
        s["first_sample"] + offset
        for s in segments
        if 0 <= (offset := int(np.rint((start - s["start_s"]) * rate))) <= s["samples"] - n
    ]
    assert windows.column("first_sample").to_pylist() == expected
    assert kept.tolist() == [bool(expected)]
    assert windows.column("samples").to_pylist() == [n] * len(expected)


def test_windows_across_a_gap_and_doubles_are_counted(lake):
    starts = "unnest([0.0, 0.0, 22.0, 25.0, 49.0, 500.0]) AS start"
    everywhere = f"SELECT recording_id, {starts}, 4.0 AS seconds FROM recordings"
    frozen = freeze(lake, f"{everywhere} WHERE dataset = 'gappy'")
    starts = sorted(set(read_lock(frozen.path).windows.column("start_s").to_pylist()))
    assert starts == [0.0, 49.0]
    assert frozen.attrition[1:] == [
        {
            "reason": "window reaches into a gap or past the recording's end",
            "windows": 6,
            "recordings": 0,
            "people": 0,
        },
        {"reason": "window asked for twice", "windows": 2, "recordings": 0, "people": 0},
    ]


def test_what_clean_takes_is_told_apart(lake):
    lake.commit_recordings(
        [
            write_tiny_recording(lake, "tiny/P01/R1", trials=8, bad_blocks=range(9)),
            write_tiny_recording(lake, "tiny/P02/R1", trials=8, bad_blocks=[1]),
        ]
    )
    frozen = freeze(lake, f"{TENS} WHERE dataset = 'tiny' AND clean(recording_id, start, seconds)")
    assert frozen.attrition == [
        {"reason": "the query asks for none of its windows", "windows": None, "recordings": 2, "people": 2},
        {"reason": "blocks are not clean", "windows": 6, "recordings": 1, "people": 0},
    ]


def test_people_of_another_lock_are_left_out_under_any_name(lake):
    lake.commit_recordings(
        [
            write_tiny_recording(lake, "alias/P01/R1", trials=4, same_as=["tiny/P01"]),
            write_tiny_recording(lake, "alias/P02/R1", trials=4, person=None),
        ]
    )
    seen = freeze(lake, f"{TENS} WHERE person = 'tiny/P01'", name="seen")
    frozen = freeze(lake, TENS, name="fresh", against=["seen"])
    people = read_lock(frozen.path).people
    assert people == {"tiny/P02", "tiny/P03", "tiny/P04", "gappy/P01", "gappy/P02"}
    ref = f"seen@{seen.hash[:12]}"
    assert [(row["reason"], row["people"]) for row in frozen.attrition] == [
        (f"person is in {ref}", 2),
        (f"person unknown, may be in {ref}", 1),
    ]
    assert read_lock(frozen.path).meta["against"] == [{"name": "seen", "hash": seen.hash}]
    with pytest.raises(EegfmError, match="no window is left"):
        freeze(lake, f"{TENS} WHERE person = 'alias/P01'", against=[seen.path])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            TENS.replace("seconds", "seconds, start < 20 AS fold, 'x' AS lable"),
            "column lable; did you mean label",
        ),
        ("SELECT recording_id, start FROM windows(4, 4)", "yields no seconds; a cohort needs recording_id"),
        (
            "SELECT 'x' AS recording_id, start, seconds FROM windows(4, 4)",
            "recording_id x, which the lake does not",
        ),
        ("SELECT recording_id, NULL AS start, seconds FROM windows(4, 4)", "start is NULL in"),
        ("SELECT recording_id, 'a' AS start, seconds FROM windows(4, 4)", "start is string; expected double"),
        ("SELECT recording_id, start, 0.001 AS seconds FROM windows(4, 4)", "shorter than one stored sample"),
        ("SELECT recording_id, 1e400 AS start, seconds FROM windows(4, 4)", "not finite"),
        (
            TENS.replace("seconds", "seconds, 'dev' AS split"),
            "split is 'dev' in some rows; expected one of train",
        ),
        (
            TENS.replace("seconds", "seconds, CASE WHEN start < 9 THEN 'test' END AS split"),
            "split is NULL in",
        ),
        (
            TENS.replace("seconds", "seconds, CASE WHEN start < 9 THEN 'test' ELSE 'train' END AS split"),
            r"gappy/P01 and 5 more: in more than one split \(test, train\)",
        ),
        (TENS.replace("seconds", "seconds, CAST(start AS INTEGER) AS fold"), "in more than one fold"),
        ("COPY recordings TO 'x'", "only one SELECT"),
    ],
)
def test_a_wrong_cohort_is_explained(shared_lake, query, said):
    with pytest.raises(UsageError, match=said) as caught:
        freeze(shared_lake, query)
    assert "\n" not in str(caught.value)
    assert shared_lake.storage.list("cohorts") == []


def test_a_person_under_two_names_stands_on_one_side(lake):
    for name, alias in (("P01", "other/X"), ("P02", "other/X")):
        row = write_tiny_recording(lake, f"tiny/{name}/R1", trials=4, same_as=[alias])
        lake.commit_recordings([row])
    split = "CASE WHEN person = 'tiny/P01' THEN 'test' ELSE 'train' END AS split"
    with pytest.raises(UsageError, match=r"tiny/P01 = tiny/P02: in more than one split \(test, train\)"):
        freeze(lake, TENS.replace("seconds", f"seconds, {split}"))


@pytest.mark.parametrize(("distance_s", "refused"), [(17.9, True), (18.0, False), (-1.0, True)])
def test_splits_of_one_recording_keep_their_distance(lake, distance_s, refused):
    lake.commit_recordings([write_tiny_recording(lake, "tiny/P60/R1", trials=16, person=None)])
    query = (
        "SELECT 'tiny/P60/R1' AS recording_id, unnest([0.0, 5.0, $gap + 10.0]) AS start, 5.0 AS seconds, "
        "unnest(['train', 'train', 'valid']) AS split"
    )
    params = {"gap": str(distance_s)}
    if refused:
        with pytest.raises(
            UsageError, match=r"of different splits lie .* apart in one recording.* leave 18 s"
        ):
            freeze(lake, query, params=params)
    else:
        assert freeze(lake, query, params=params).counts[0]["windows"] == 2


@settings(max_examples=60, deadline=None)
@given(
    windows=st.lists(
        st.tuples(st.integers(0, 400), st.integers(1, 60), st.sampled_from(["train", "valid", "test"])),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_the_distance_between_splits_is_the_smallest_of_all_pairs(windows):
    table = pa.table(
        {
            "recording": pa.array([0] * len(windows), pa.int32()),
            "first_sample": [first for first, _, _ in windows],
            "samples": pa.array([n for _, n, _ in windows], pa.int32()),
            "split": [split for _, _, split in windows],
        }
    )
    gaps = [
        max(a, b) - min(a + n, b + m)
        for a, n, split in windows
        for b, m, other in windows
        if split != other
    ]  # fmt: skip
    closest = min(gaps, default=None)
    if closest is not None and closest < 100:
        with pytest.raises(UsageError, match="different splits"):
            check_distance(table, 0.25, np.array([200.0]))
    else:
        check_distance(table, 0.25, np.array([200.0]))


def test_profiles_are_never_mixed(lake):
    profile = "other"
    lake.commit_recordings([write_tiny_recording(lake, "tiny/P01/R1", trials=8, profile=profile)])
    with pytest.raises(UsageError, match="stored in the profiles eeg200, other; a cohort never mixes two"):
        freeze(lake, TENS)
    one = "SELECT recording_id, start, seconds, profile FROM windows(10, 10) WHERE profile = 'eeg200'"
    assert read_lock(freeze(lake, one).path).meta["profile"] == "eeg200"


def test_a_cohort_without_windows_says_what_took_them(lake, tmp_path):
    with pytest.raises(
        EegfmError, match=r"no window is left.*tiny \(8 recordings\).*no event fits 'sleep'"
    ) as caught:
        freeze(lake, "SELECT recording_id, start, seconds FROM trials('sleep', 0, 30)", name="asleep")
    assert "\n" not in str(caught.value)
    with pytest.raises(
        EegfmError, match=r"reaches into a gap or past the recording's end: \d+ windows, 10 rec"
    ):
        freeze(lake, "SELECT recording_id, 0 AS start, 1000 AS seconds FROM recordings")
    lake.commit_recordings([write_tiny_recording(lake, "tiny/P01/R1", trials=8, bad_blocks=range(9))])
    with pytest.raises(EegfmError, match=r"blocks are not clean: \d+ windows, 1 recordings, 0 people"):
        freeze(lake, "pretrain_30s", params={"dataset": "tiny*"} | {"stride_s": "500"}, against=[
            freeze(lake, f"{TENS} WHERE dataset = 'tiny'", name="all").path])  # fmt: skip
    with pytest.raises(EegfmError, match="The lake is empty: run eegfm ingest first"):
        freeze(Lake.open(tmp_path / "empty", create=True), "pretrain_30s")


def test_the_library_is_listed_and_every_cohort_of_it_freezes(tmp_path):
    lake = Lake.open(tmp_path, create=True)
    for dataset, people in (("simulated", ("A01", "B01", "C01")), ("eegmmidb", ("S001", "S002", "S088"))):
        for i, person in enumerate(people):
            name = f"sim/{person}" if dataset == "simulated" else f"eegmmidb/{person}"
            recording_id = f"{dataset}/P0{i}/R04"
            row = write_tiny_recording(lake, recording_id, trials=8, seed=i, person=name)
            lake.commit_recordings([{**row, "recording_id": f"{dataset}/{person}/R04"}])
    lake.commit_recordings(_clinical_rows(lake))
    assert set(library()) >= {
        "pretrain_30s", "pretrain_4s", "eegmmidb_left_right", "eegmmidb_pretrain", "reference_known",
        "simulated_left_right", "eegmat_arithmetic", "official_split", "seizures", "sleep_stages",
    }  # fmt: skip
    assert all(library().values())
    locks = {name: read_lock(freeze(lake, name).path) for name in library()}
    assert locks["eegmmidb_left_right"].people == {"eegmmidb/S001", "eegmmidb/S002"}
    folds = locks["eegmmidb_left_right"].windows
    assert sorted(set(folds.column("fold").to_pylist())) == [0, 1]
    assert set(folds.column("samples").to_pylist()) == {800}
    assert set(locks["pretrain_30s"].windows.column("samples").to_pylist()) == {6000}
    assert locks["eegmmidb_pretrain"].people == {"eegmmidb/S001", "eegmmidb/S002"}
    assert locks["simulated_left_right"].people == {"sim/A01", "sim/B01", "sim/C01"}
    without = freeze(lake, "simulated_left_right", params={"without": "sim/A01"})
    assert read_lock(without.path).people == {"sim/B01", "sim/C01"}
    assert _asked(locks["eegmat_arithmetic"], "split", "label") == {
        ("train", "rest/eyes_closed"): 10, ("valid", "rest/eyes_closed"): 10, ("test", "rest/eyes_closed"): 10
    }  # fmt: skip
    assert _asked(locks["official_split"], "split", "label") == {
        ("train", "clinical/normal"): 5, ("test", "clinical/abnormal"): 5
    }  # fmt: skip
    assert _asked(locks["seizures"], "start_s", "label") == {
        (0.0, "background"): 1, (10.0, "seizure"): 1, (20.0, "seizure"): 1
    }  # fmt: skip
    assert _asked(locks["sleep_stages"], "start_s", "label") == {(12.0, "sleep/n2"): 1}
    whole = freeze(lake, "sleep_stages", params={"whole": "1"})
    assert _asked(read_lock(whole.path), "label") == {("sleep/wake",): 1, ("sleep/n2",): 1}


def _clinical_rows(lake: Lake) -> list[dict]:
    """Recordings of 53 s with the labels, splits and events that clinical recipes give."""

    def row(dataset: str, run: str, **fields: object) -> dict:
        return write_tiny_recording(lake, f"{dataset}/P01/{run}", trials=8, seed=7, **fields)

    def events(*marks: tuple[float, float, str]) -> list[dict]:
        nothing = {"value": None, "source_label": "x", "channel": None}
        return [{"onset_s": at, "duration_s": s, "label": label, **nothing} for at, s, label in marks]

    rest = {"label": "rest/eyes_closed", "events": []}
    sleep = events((2, 30, "protocol/sleep_period"), (0, 30, "sleep/wake"), (12, 30, "sleep/n2"))
    sleep[0]["duration_s"] = 40.0
    return [
        *(row("eegmat", f"Subject{n}", person=f"eegmat/Subject{n}", **rest) for n in ("27", "28", "32")),
        row("tuab", "a", person="tuh/a", label="clinical/normal", official_split="train", events=[]),
        row("tuab", "b", person="tuh/b", label="clinical/abnormal", official_split="test", events=[]),
        row(
            "siena", "PN00", events=events((0, 12, "background"), (12, 9, "seizure"), (21, 9.5, "background"))
        ),
        row("sleep_edf", "SC400", events=sleep),
    ]


def _asked(lock: Lock, *columns: str) -> Counter:
    """How often each combination of values occurs among a lock's windows."""
    return Counter(tuple(window[column] for column in columns) for window in lock.windows.to_pylist())


@pytest.mark.parametrize(
    ("query", "params", "said"),
    [
        ("pretrain", {}, r"no such cohort; did you mean pretrain_4s\?"),
        ("nowhere.sql", {}, "nowhere.sql: no such file"),
        ("pretrain_30s", {"stride": "3"}, "no such parameter; did you mean stride_s"),
        ("pretrain_30s", {"stride_s": "often"}, "stride_s=often: expected a number"),
        (f"{TENS} WHERE dataset = $which", {}, r"needs a value for \$which: give --param which="),
    ],
)
def test_a_query_that_cannot_be_resolved_says_what_there_is(shared_lake, query, params, said):
    with pytest.raises(UsageError, match=said):
        freeze(shared_lake, query, params=params)


def test_a_cohort_comes_from_a_file_with_its_parameters(lake, tmp_path):
    path = tmp_path / "mine.sql"
    path.write_text(
        "-- My windows; $unused is no parameter\n"
        "-- :param seconds=10 length\n"
        "-- :param who=tiny/P01 a person\n"
        "SELECT recording_id, start, seconds FROM windows($seconds, 10)\n"
        "WHERE person = $who AND person <> '$not'"
    )
    frozen = freeze(lake, str(path), params={"seconds": "5"})
    lock = read_lock(frozen.path)
    assert (lock.name, lock.meta["params"]) == ("mine", {"seconds": 5, "who": "tiny/P01"})
    assert lock.people == {"tiny/P01"}
    assert set(lock.windows.column("samples").to_pylist()) == {1000}
    assert json.loads((Path(frozen.path) / "lock.json").read_text())["sql"] == path.read_text()
    with pytest.raises(UsageError, match="letters, digits"):
        freeze(lake, str(path), name="a/b")


def test_the_same_cohort_after_an_unrelated_ingest_is_the_same_lock(lake, tmp_path):
    first = freeze(lake, f"{IMAGERY} WHERE dataset = 'tiny'", name="imagery")
    written = {path.name: path.stat().st_mtime_ns for path in Path(first.path).iterdir()}
    write_tiny_lake(lake.storage.uri, people=1, dataset="unrelated", runs=1, trials=2)
    lake.compact()
    again = freeze(lake, f"{IMAGERY} WHERE dataset = 'tiny' ORDER BY hash(start)", name="imagery")
    assert (again.hash, again.path, again.existed) == (first.hash, first.path, True)
    assert {path.name: path.stat().st_mtime_ns for path in Path(first.path).iterdir()} == written
    elsewhere = write_tiny_lake(tmp_path / "else", people=4, trials=8)
    assert freeze(elsewhere, f"{IMAGERY} WHERE dataset = 'tiny'", name="imagery").hash == first.hash


@pytest.mark.parametrize(
    "change",
    [
        {"person": "tiny/P99"},
        {"methodology": [{"covariate": "reference", "value": "A1", "origin": "declared"}]},
        {"same_as": ["other/1"]},
    ],
)
def test_another_person_or_methodology_is_another_lock(lake, change):
    query = "SELECT recording_id, start, seconds FROM windows(10, 10) WHERE recording_id = 'tiny/P01/R1'"
    first = freeze(lake, query)
    row = lake.recordings(recording_id="tiny/P01/R1").to_pylist()[0]
    lake.commit_recordings([{**row, "licence": "corrected", "ingest": {"time": "2027"}}])
    assert freeze(lake, query).hash == first.hash
    lake.commit_recordings([{**row, **change}])
    assert freeze(lake, query).hash != first.hash


def test_two_who_freeze_at_once_write_one_lock(lake):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(freeze(lake, TENS, name="both"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({result.path for result in results}) == 1
    assert len(results) == 3
    assert {entry.rel.split("/")[1] for entry in lake.storage.list("cohorts")} == {Path(results[0].path).name}
    verify(find_lock("both", lake.storage.uri))
