import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from eegfm_etl import progress
from eegfm_etl.downloads import fetching
from eegfm_etl.progress import IngestProgress, counted, lasting
from eegfm_etl.recipe import Recipe
from eegfm_etl.run_log import RunLog, logs_of, read_log
from eegfm_lake.errors import UsageError
from eegfm_lake.storage import Storage


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_numbers_and_durations_are_said_as_people_say_them():
    assert [counted(n, "file") for n in (0, 1, 2, 12_345)] == ["0 files", "1 file", "2 files", "12,345 files"]
    found = [lasting(seconds) for seconds in (0.4, 99, 100, 3_000, 12_000, 200_000)]
    assert found == ["0 s", "99 s", "2 min", "50 min", "3 h 20 min", "2 d 7 h"]


def test_the_time_left_is_estimated_by_bytes_for_files_differ(clock: list[float]):
    said = io.StringIO()
    with IngestProgress(Console(file=said, width=200), "x", total=4, total_bytes=1000) as bar:
        assert bar.left_s() is None
        clock[0] = 30.0
        bar.workers(3)
        bar.advance(hours=0.6, failed=False, n_bytes=100)
        assert bar.left_s() == pytest.approx(270)
        clock[0] = 60.0
        bar.advance(hours=1.2, failed=True, n_bytes=500)
        assert bar.left_s() == pytest.approx(40)
    lines = said.getvalue().splitlines()
    assert lines[0] == "x: 1/4 files, 0.60 h of EEG, 0.02 h/s, 3 workers, 4 min left"
    assert lines[1] == "x: 2/4 files, 1.80 h of EEG, 0.03 h/s, 1 failed, 3 workers, 40 s left"


def test_having_no_worker_is_said_once_and_again_when_the_last_one_has_gone(clock: list[float]):
    said = io.StringIO()
    with IngestProgress(Console(file=said, width=200), "x", total=4) as bar:
        for n in (0, 0, 2, 0):
            bar.workers(n)
    assert said.getvalue().count("no worker is there; waiting for one") == 2


def test_a_log_is_there_as_far_as_it_came_and_a_line_cut_short_is_left_out(tmp_path: Path):
    storage = Storage(tmp_path)
    log = RunLog(storage, "20260101T000000-abc")
    log.write("start", recipe="x")
    assert read_log(storage, "20260101T000000-abc")[0]["recipe"] == "x"  # nobody has closed it
    with Path(log.path).open("ab") as file:
        file.write(b'{"time": "2026')
    with RunLog(storage, "20250101T000000-abc") as other:
        other.write("start", recipe="y")
    assert [json.loads(line)["what"] for line in Path(other.path).read_text().splitlines()] == ["start"]
    assert list(logs_of(storage, "x")) == ["20260101T000000-abc"]
    assert len(logs_of(storage, "x")["20260101T000000-abc"]) == 1


def recipe(**facts) -> Recipe:
    common = {"people": 1, "hours": 1.0, "task": "rest", "licence": "own", "citation": "x", "verified": False}
    names = {
        "id": "x",
        "version": "1",
        "title": "X",
        "namespace": "x",
        "layout_source": "https://example.org/layout",
    }
    return Recipe(**common, **names, plan=lambda root: [], **facts)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"access": "agreement", "apply_at": "https://example.org/apply", "layout": "edf/*/*.edf"},
            "x is given to those who sign its agreement: apply at https://example.org/apply, then name the folder with "
            "--source DIR; layout expected: edf/*/*.edf",
        ),
        (
            {"access": "open"},
            "x is not downloaded by eegfm: fetch it from https://example.org/layout and name its folder with --source "
            "DIR; layout expected: as https://example.org/layout documents it",
        ),
    ],
)
def test_a_data_set_that_is_not_downloaded_says_where_to_get_it_and_its_layout(facts: dict, words: str):
    with pytest.raises(UsageError) as caught:
        fetching.source_root(recipe(**facts), None, (), False, Console(quiet=True), {})
    assert str(caught.value) == words
