import numpy as np
import pytest

from eegfm_lake import schema
from eegfm_lake.errors import EegfmError, UsageError
from eegfm_lake.query import EXAMPLES, MACROS, VIEWS, connect, run_sql, view_help
from eegfm_lake.signals import open_signal
from eegfm_lake.table import Lake
from tests.lake.tiny import write_tiny_recording


@pytest.fixture(scope="module")
def spoilt_lake(tmp_path_factory):
    """Recordings with and without a pause, some of whose blocks are bad."""
    lake = Lake.open(tmp_path_factory.mktemp("lake"), create=True)
    lake.commit_recordings(
        [
            write_tiny_recording(lake, "bad/P01/R1", trials=10, bad_blocks=[0, 3], seed=1),
            write_tiny_recording(lake, "bad/P02/R1", trials=10, bad_blocks=[2, 5], gap=True, seed=2),
            write_tiny_recording(lake, "bad/P03/R1", trials=10, seed=3),
        ]
    )
    return lake


def test_every_view_and_example_answers_in_an_empty_lake_and_a_full_one(shared_lake, tmp_path):
    empty = Lake.open(tmp_path / "empty", create=True)
    for statement in [*(f"SELECT * FROM {view}" for view in VIEWS), *(sql for _, sql in EXAMPLES)]:
        assert run_sql(empty, statement).num_rows == 0
        run_sql(shared_lake, statement)
    for macro in ("windows(4, 2)", "trials('motor', 0, 4)", "signal('tiny/P01/R1', 'C3', 0, 1)"):
        assert run_sql(empty, f"SELECT * FROM {macro}").num_rows == 0
    assert run_sql(shared_lake, "SELECT * FROM failures").num_rows == 0


def test_the_views_do_not_depend_on_the_order_of_the_commits(tmp_path):
    rows = [
        {"recording_id": f"d/P/{run}", "profile": "eeg200", "dataset": "d", "person": "d/P", **more}
        for run, more in enumerate(
            [{"duration_s": 0.1, "age": 30.0}, {"duration_s": 0.2}, {"duration_s": 0.3, "age": 31.0}]
        )
    ]
    found = []
    for order in (rows, rows[::-1]):
        lake = Lake.open(tmp_path / str(len(found)), create=True)
        for row in order:
            lake.commit_recordings([row])
        found.append(
            [
                run_sql(lake, f"SELECT * FROM {view} ORDER BY ALL").to_pylist()
                for view in ("people", "datasets")
            ]
        )
    assert found[0] == found[1]
    assert (found[0][0][0]["age"], found[0][1][0]["hours"]) == (30.0, 0.6 / 3600)


def test_every_view_can_be_looked_up(shared_lake):
    shown = dict(view_help(shared_lake))
    assert tuple(shown) == VIEWS
    assert ("person", "VARCHAR") in shown["recordings"]
    assert {name for name, _ in shown["recordings"]} >= set(schema.COMMON_COVARIATES)
    assert {name.split("(")[0] for name, _ in MACROS} == {"windows", "trials", "clean", "signal"}


def test_views_show_what_was_committed(shared_lake):
    rows = shared_lake.recordings().to_pylist()
    count = "SELECT count(*) AS n FROM "
    for view, items in (
        ("channels", sum(len(row["channels"]) for row in rows)),
        ("events", sum(len(row["events"]) for row in rows)),
        ("blocks", sum(len(row["blocks"]) for row in rows)),
        ("methodology", sum(len(row["methodology"]) for row in rows)),
        ("recordings", len(rows)),
        ("people", len({row["person"] for row in rows})),
        ("datasets", 2),
    ):
        assert run_sql(shared_lake, count + view).to_pylist() == [{"n": items}], view
    shown = run_sql(shared_lake, "SELECT * FROM recordings WHERE recording_id = 'tiny/P02/R1'").to_pylist()
    assert shown[0]["reference"] == "Cz"
    assert (shown[0]["line_freq"], shown[0]["simulated"], shown[0]["site"]) == (50.0, True, None)
    assert (shown[0]["eeg_channels"], shown[0]["segments"], shown[0]["good_share"]) == (19, 1, 1.0)


def test_failures_are_seen_as_python_sees_them(lake):
    lake.commit_failures(
        [
            {
                "path": "P01/R1.edf",
                "sha256": "x",
                "dataset": "tiny",
                "profile": "eeg200",
                "ingest": {"time": "2025"},
            },
            {
                "path": "P01/R1.edf",
                "sha256": "y",
                "dataset": "tiny",
                "profile": "eeg200",
                "ingest": {"time": "2027"},
            },
            {"path": "new.edf", "sha256": None, "dataset": "fresh", "profile": "eeg200", "reason": "short"},
        ]
    )
    shown = run_sql(lake, "SELECT path, sha256 FROM failures ORDER BY path").to_pylist()
    assert shown == [{"path": "P01/R1.edf", "sha256": "y"}, {"path": "new.edf", "sha256": ""}]
    assert shown == lake.failures().select(["path", "sha256"]).sort_by("path").to_pylist()
    counts = run_sql(lake, "SELECT dataset, failures FROM datasets ORDER BY dataset").to_pylist()
    assert counts == [
        {"dataset": "fresh", "failures": 1},
        {"dataset": "gappy", "failures": 0},
        {"dataset": "tiny", "failures": 1},
    ]


@pytest.mark.parametrize(("seconds", "stride"), [(4, 4), (10, 3), (2.5, 0.5), (30, 7), (27, 27), (500, 1)])
def test_windows_are_those_that_fit_into_a_segment(shared_lake, seconds, stride):
    expected = []
    for row in shared_lake.recordings().to_pylist():
        for segment in row["segments"]:
            length_s = segment["samples"] / row["signal"]["rate"]
            n = int(np.floor((length_s - seconds) / stride + 1e-9)) + 1
            expected += [(row["recording_id"], segment["start_s"] + k * stride) for k in range(max(n, 0))]
    found = run_sql(
        shared_lake, "SELECT recording_id, start, seconds FROM windows($seconds, $stride)",
        {"seconds": seconds, "stride": stride},
    ).to_pylist()  # fmt: skip
    shown = sorted((row["recording_id"], row["start"]) for row in found)
    assert [name for name, _ in shown] == [name for name, _ in sorted(expected)]
    np.testing.assert_allclose([start for _, start in shown], [start for _, start in sorted(expected)])
    assert {row["seconds"] for row in found} <= {seconds}


@pytest.mark.parametrize(
    ("pattern", "before", "after"),
    [
        ("motor/imagery/*", 0, 4),
        ("motor", 1, 4),
        ("*left*", -0.5, 3.5),
        ("rest/between_trials", 0, 2),
        ("mot", 0, 1),
    ],
)
def test_trials_are_the_events_that_fit_and_do_not_cross_a_gap(shared_lake, pattern, before, after):
    import fnmatch

    expected = []
    for row in shared_lake.recordings().to_pylist():
        for event in row["events"]:
            label, start = event["label"], event["onset_s"] - before
            inside = any(
                s["start_s"] - 1e-6 <= start
                and start + before + after <= s["start_s"] + s["samples"] / 200 + 1e-6
                for s in row["segments"]
            )
            if inside and (fnmatch.fnmatchcase(label, pattern) or label.startswith(pattern + "/")):
                expected.append((row["recording_id"], start, label))
    found = run_sql(
        shared_lake, "SELECT recording_id, start, label, seconds FROM trials($p, $b, $a)",
        {"p": pattern, "b": before, "a": after},
    ).to_pylist()  # fmt: skip
    assert sorted((row["recording_id"], row["start"], row["label"]) for row in found) == sorted(expected)
    assert all(row["seconds"] == before + after for row in found)


def test_clean_windows_are_those_whose_blocks_are_all_good(spoilt_lake):
    blocks = run_sql(spoilt_lake, "SELECT recording_id, start_s, samples, good FROM blocks").to_pylist()
    windows = "SELECT recording_id, start, seconds{} FROM windows(7, 0.9)"
    everything = run_sql(spoilt_lake, windows.format("")).to_pylist()
    expected = []
    for window in everything:
        touched = [
            block["good"]
            for block in blocks
            if block["recording_id"] == window["recording_id"]
            and block["start_s"] < window["start"] + window["seconds"] - 1e-6
            and block["start_s"] + block["samples"] / 200 > window["start"] + 1e-6
        ]
        assert touched
        expected.append(all(touched))
    assert 0 < sum(expected) < len(expected)
    asked = run_sql(spoilt_lake, windows.format(", clean(recording_id, start, seconds) AS good"))
    assert asked.column("good").to_pylist() == expected
    kept = run_sql(
        spoilt_lake,
        "SELECT w.recording_id, w.start FROM windows(7, 0.9) AS w "
        "JOIN recordings AS r USING (recording_id, profile) "
        "WHERE r.reference = 'Cz' AND clean(w.recording_id, w.start, w.seconds)",
    ).to_pylist()
    assert sorted((row["recording_id"], row["start"]) for row in kept) == sorted(
        (window["recording_id"], window["start"])
        for window, good in zip(everything, expected, strict=True)
        if good
    )


def test_clean_refuses_windows_at_the_ends_of_segments_and_in_short_ones_where_asked(tmp_path):
    lake = Lake.open(tmp_path / "edges", create=True)
    row = write_tiny_recording(lake, "edge/P01/R1", trials=10)
    marks = {"edge_s": 9.0, "high_passed": True, "notched": True}
    trial = {"edge_s": 0.2, "high_passed": False, "notched": False}
    short = write_tiny_recording(lake, "edge/P02/R1", trials=10)
    old = write_tiny_recording(lake, "edge/P03/R1", trials=10)  # of before segments had marks
    for one, mark in ((row, marks), (short, trial)):
        one["segments"] = [segment | mark for segment in one["segments"]]
    lake.commit_recordings([row, short, old])
    windows = "SELECT recording_id, start, seconds FROM windows(4, 1)"
    everything = run_sql(lake, windows).to_pylist()
    asked = run_sql(lake, f"{windows} WHERE clean(recording_id, start, seconds, edges := false)").to_pylist()
    length = row["signal"]["samples"] / row["signal"]["rate"]
    assert asked == [
        one
        for one in everything
        if one["recording_id"] == "edge/P03/R1"
        or (one["recording_id"] == "edge/P01/R1" and 9 <= one["start"] <= length - 9 - 4)
    ]
    assert run_sql(lake, f"{windows} WHERE clean(recording_id, start, seconds)").num_rows == len(everything)


def test_a_window_across_a_gap_is_not_clean(spoilt_lake):
    starts = "(SELECT unnest([0.0, 28.0, 60.0, 500.0]) AS start)"
    asked = f"SELECT clean('bad/P02/R1', start, 10) AS good FROM {starts}"
    assert run_sql(spoilt_lake, asked).column(0).to_pylist() == [True, False, False, False]
    assert run_sql(spoilt_lake, "SELECT clean('nobody', 0, 1) AS good").column(0).to_pylist() == [None]


@pytest.mark.parametrize(("t0", "t1"), [(0.0, 1.0), (25.001, 40.0), (30.0, 34.9), (-5.0, 500.0)])
def test_signal_shows_the_stored_samples_of_a_time(shared_lake, t0, t1):
    (row,) = shared_lake.recordings(recording_id="gappy/P01/R1").to_pylist()
    samples_uv = open_signal(shared_lake.storage, row["signal"]["file"]).read_uv(0, row["signal"]["samples"])
    times_s = np.concatenate([s["start_s"] + np.arange(s["samples"]) / 200 for s in row["segments"]])
    inside = (times_s >= t0 - 1e-6) & (times_s < t1 - 1e-6)
    found = run_sql(shared_lake, "SELECT * FROM signal('gappy/P01/R1', 'C4', $t0, $t1)", {"t0": t0, "t1": t1})
    names = [channel["name"] for channel in row["channels"]]
    np.testing.assert_allclose(found.column("time_s").to_numpy(), times_s[inside])
    np.testing.assert_allclose(found.column("uv").to_numpy(), samples_uv[names.index("C4")][inside])


def test_a_connection_is_one_snapshot(lake):
    connection = connect(lake)
    count = "SELECT count(*) FROM recordings"
    (before,) = connection.execute(count).fetchone()
    lake.commit_recordings([write_tiny_recording(lake, "tiny/P77/R1", trials=2)])
    lake.compact()
    assert connection.execute(count).fetchone() == (before,)
    connection.close()
    assert run_sql(lake, count).column(0).to_pylist() == [before + 1]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "SELECT recording FROM recordings",
            r'Referenced column "recording" not found.*did you mean "recording_id"',
        ),
        ("SELECT *\nFROM recording", r"SQL line 2: .*did you mean recordings\? The views are datasets"),
        ("SELECT *\nFRM recordings", r"SQL line 2: syntax error.*in: FRM recordings"),
        ("SELECT * FROM windows(4)", r"it is called as windows\(seconds, stride\)"),
        ("SELECT avrg(age) FROM people", r"avrg may not be called here; did you mean avg\?"),
        ("SELECT random()", r"order by hash\(recording_id, start\)"),
        (
            "SELECT * FROM signal('tiny/P01/R1', 'XX', 0, 1)",
            "no stored channel XX; this recording has Fp1, Fp2",
        ),
        ("SELECT $who", "parameters: who"),
        ("", "the statement is empty"),
    ],
)
def test_a_wrong_statement_is_explained_in_one_line(shared_lake, statement, said):
    with pytest.raises(UsageError, match=said) as caught:
        run_sql(shared_lake, statement)
    assert "\n" not in str(caught.value)


def test_old_rows_answer_in_a_new_contract(tmp_path):
    import deltalake
    import pyarrow as pa

    lake = Lake.open(tmp_path, create=True)
    names = ("recording_id", "profile", "dataset", "person", "segments", "blocks", "events", "duration_s")
    old = pa.schema([schema.RECORDINGS.field(name) for name in names]).append(
        pa.field("signal", pa.struct([("file", pa.string()), ("rate", pa.float64())]))
    )
    row = {
        "recording_id": "d/1/1", "profile": "eeg200", "dataset": "d", "person": "d/1", "duration_s": 9.0,
        "signal": {"file": "f", "rate": 200.0}, "blocks": [{"start_s": 0.0, "good": True}],
        "segments": [{"start_s": 0.0, "first_sample": 0, "samples": 1800, "first_block": 0}],
        "events": [{"onset_s": 1.0, "label": "motor/imagery/left_fist"}],
    }  # fmt: skip
    deltalake.write_deltalake(
        str(tmp_path / "recordings"),
        pa.Table.from_pylist([row], schema=old),
        mode="overwrite",
        schema_mode="overwrite",
    )
    for view in VIEWS:
        run_sql(lake, f"SELECT * FROM {view}")
    assert run_sql(lake, "SELECT * FROM trials('motor', 0, 4)").num_rows == 1
    clean = "SELECT * FROM windows(4, 4) WHERE clean(recording_id, start, seconds)"
    assert run_sql(lake, clean).num_rows == 2


def test_limits_stop_a_query(shared_lake):
    bomb = "SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b WHERE hash(a.range, b.range) = 3"
    with pytest.raises(EegfmError, match="longer than 1 s and was stopped"):
        run_sql(shared_lake, bomb, time_limit_s=1)
    pairs = "SELECT DISTINCT a.range * 100000 + b.range FROM range(100000) AS a, range(1000) AS b"
    greedy = f"SELECT count(*) FROM ({pairs})"
    with pytest.raises(EegfmError, match="more than 64MB of memory"):
        run_sql(shared_lake, greedy, memory_limit="64MB")
