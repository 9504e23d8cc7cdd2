import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pybv
import pytest

from eegfm_etl.effort import warnings_of
from eegfm_etl.ingest import channel_report, harmonise_file, ingest
from eegfm_etl.readers import SourceError
from eegfm_lake.errors import UsageError
from eegfm_lake.table import Lake

from .ingest_miniatures import CHANNELS, samples_uv, write_corpus, write_edf
from .lakes import RUN, assert_whole, rows_of, start, wait_until


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "source", people=2, runs=(4, 6), seconds=20)
    return tmp_path / "source"


@pytest.fixture
def lake_uri(tmp_path: Path) -> str:
    return str(tmp_path / "lake")


def contents(folder: str) -> dict[str, tuple[int, int]]:
    """Every file of a folder with its size and time of change."""
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


def test_a_file_becomes_a_row_with_everything_about_it(corpus: Path, lake_uri: str):
    report = ingest(lake_uri, "eegmmidb", source=corpus, progress=False)
    assert (report.done, report.failed, report.skipped) == (4, 0, {})
    assert report.hours == pytest.approx(4 * 20 / 3600)
    row = rows_of(lake_uri)[0]
    assert row["recording_id"] == "eegmmidb/S001/R04"
    assert row["person"] == "eegmmidb/S001"
    assert (row["age"], row["sex"], row["diagnosis"]) == (None, None, None)
    assert row["signal"]["rate"] == 200
    assert row["signal"]["samples"] == 4000
    assert [one["name"] for one in row["channels"]] == ["FC5", "C3", "Cz", "C4", "Fp1", "O1"]
    assert [one["source_name"] for one in row["channels"]] == list(CHANNELS)
    assert [(one["source_label"], one["label"]) for one in row["events"]] == [
        ("T0", "rest/between_trials"),
        ("T1", "motor/imagery/left_fist"),
        ("T0", "rest/between_trials"),
        ("T2", "motor/imagery/right_fist"),
    ]
    assert {one["covariate"]: (one["value"], one["origin"]) for one in row["methodology"]}["line_freq"] == (
        "60",
        "declared",
    )
    assert row["source"]["path"] == "S001/S001R04.edf"
    assert row["source"]["start_time"] is None
    assert "2009-08-12" in row["source"]["start_time_note"]
    assert row["ingest"]["id"] == report.ingest_id
    lines = [json.loads(line) for line in Path(report.log).read_text().splitlines()]
    assert [line["what"] for line in lines] == ["start", *["recording"] * 4, "end"]
    assert set(lines[1]["steps"]) == {"open", "harmonise", "describe", "store"}
    assert 0 < sum(lines[1]["steps"].values()) <= lines[1]["seconds"] + 0.01
    assert lines[1]["worker"] == f"{socket.gethostname()}:{os.getpid()}"
    assert lines[1]["warnings"] == warnings_of(row)


def test_a_second_run_says_what_it_skipped_and_writes_nothing(corpus: Path, lake_uri: str, capsys):
    ingest(lake_uri, "eegmmidb", source=corpus, progress=False)
    before = contents(lake_uri)
    report = ingest(lake_uri, "eegmmidb", source=corpus)
    assert contents(lake_uri) == before
    assert report.skipped == {"already in the lake": 4}
    assert (report.done, report.failed, report.log) == (0, 0, None)
    said = capsys.readouterr().out
    assert "0 to read, 4 skipped: already in the lake" in said
    assert "nothing to do; the lake was not touched" in said


def test_a_recording_whose_signals_are_gone_is_read_again(corpus: Path, lake_uri: str):
    ingest(lake_uri, "eegmmidb", source=corpus, progress=False)
    before = rows_of(lake_uri)
    gone = Path(lake_uri, before[1]["signal"]["file"])
    gone.unlink()
    report = ingest(lake_uri, "eegmmidb", source=corpus, progress=False)
    assert (report.done, report.skipped) == (1, {"already in the lake": 3})
    assert gone.exists()  # the same bytes under the same name, so that locks find them
    assert len(rows_of(lake_uri)) == len(before)


def test_listing_reads_and_writes_nothing(corpus: Path, lake_uri: str, capsys):
    report = ingest(lake_uri, "eegmmidb", source=corpus, only=["*R06"], list_only=True)
    assert report.listed == ("S001/S001R06.edf", "S002/S002R06.edf")
    assert "S001/S001R06.edf → eegmmidb/S001/R06" in capsys.readouterr().out
    assert not Path(lake_uri).exists()


def test_processes_give_the_same_bytes_as_the_plain_loop(corpus: Path, tmp_path: Path):
    ingest(tmp_path / "plain", "eegmmidb", source=corpus, progress=False)
    report = ingest(tmp_path / "many", "eegmmidb", source=corpus, workers=2, progress=False)
    assert (report.done, report.failed) == (4, 0)
    plain, many = rows_of(str(tmp_path / "plain")), rows_of(str(tmp_path / "many"))
    for one, other in zip(plain, many, strict=True):
        assert {**one, "ingest": None} == {**other, "ingest": None}


@pytest.mark.parametrize("workers", [0, 1])
def test_hostile_files_become_failures_with_reasons_and_the_rest_recordings(
    corpus: Path, lake_uri: str, workers: int
):
    good = corpus / "S001" / "S001R04.edf"
    whole = good.read_bytes()
    hostile = {
        "S003R04.edf": (whole[: len(whole) // 3], "cut off"),
        "S004R04.edf": (b"<html>404 Not Found</html>", "web page"),
        "S005R04.edf": (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"),
        "S006R04.edf": (b"", "empty"),
        "S007R04.edf": (whole.replace(b"\n", b"\r\n"), "transfer as text"),
    }
    for name, (content, _) in hostile.items():
        (corpus / name).write_bytes(content)
    report = ingest(lake_uri, "eegmmidb", source=corpus, workers=workers, progress=False)
    assert (report.done, report.failed) == (4, 5)
    found = {row["path"]: row for row in Lake.open(lake_uri).failures().to_pylist()}
    assert set(found) == set(hostile)
    for name, (content, words) in hostile.items():
        assert words in found[name]["reason"]
        assert found[name]["bytes"] == len(content)
    again = ingest(lake_uri, "eegmmidb", source=corpus, progress=False)
    assert again.skipped == {"already in the lake": 4, "failed before (--retry-failed tries again)": 5}
    (corpus / "S006R04.edf").write_bytes(whole)  # fetched again, and whole this time
    repaired = ingest(lake_uri, "eegmmidb", source=corpus, progress=False)
    assert (repaired.done, repaired.failed) == (1, 0)
    assert Lake.open(lake_uri).failures().num_rows == 4
    assert ingest(lake_uri, "eegmmidb", source=corpus, retry_failed=True, progress=False).failed == 4


def test_a_copy_that_is_cut_off_does_not_replace_the_whole_recording(
    corpus: Path, lake_uri: str, tmp_path: Path
):
    ingest(lake_uri, "eegmmidb", source=corpus, progress=False)
    source = tmp_path / "again"
    data = (corpus / "S001" / "S001R04.edf").read_bytes()
    (source / "S001").mkdir(parents=True)
    (source / "S001" / "S001R04.edf").write_bytes(data[: len(data) * 4 // 5])
    report = ingest(lake_uri, "eegmmidb", source=source, progress=False)
    assert report.done == 0
    assert "cut off" in report.failures[0][1]
    assert "which stays" in report.failures[0][1]
    fresh = ingest(tmp_path / "other", "eegmmidb", source=source, progress=False)
    assert (fresh.done, fresh.failed) == (1, 0)  # alone it is better than nothing, and says so
    notes = Lake.open(tmp_path / "other").recordings(["source"]).to_pylist()[0]["source"]["notes"]
    assert any(note.startswith("cut off") for note in notes)


def test_a_damaged_copy_harms_no_recording_of_the_same_name(corpus: Path, lake_uri: str, tmp_path: Path):
    ingest(lake_uri, "eegmmidb", source=corpus, progress=False)
    before = rows_of(lake_uri)
    damaged = tmp_path / "copy" / "S001" / "S001R04.edf"  # the same path below its root, too
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes((corpus / "S001" / "S001R04.edf").read_bytes().replace(b"\n", b"\r\n"))
    report = ingest(lake_uri, "eegmmidb", source=tmp_path / "copy", progress=False)
    assert (report.done, report.failed) == (0, 1)
    assert rows_of(lake_uri) == before
    (failure,) = Lake.open(lake_uri).failures().to_pylist()
    assert failure["recording_id"] == "eegmmidb/S001/R04"


def test_two_files_that_claim_one_recording_are_named(corpus: Path, lake_uri: str):
    write_edf(corpus / "z" / "other" / "S001R04.edf", seed=77)
    report = ingest(lake_uri, "eegmmidb", source=corpus, progress=False)
    assert (report.done, report.failed) == (4, 1)
    ((path, reason),) = report.failures
    assert path == "z/other/S001R04.edf"
    assert "both claim to be eegmmidb/S001/R04" in reason
    again = ingest(lake_uri, "eegmmidb", source=corpus, progress=False)
    assert (again.done, again.failed) == (0, 0)


def test_an_ingest_that_was_killed_goes_on_with_the_same_command(lake_uri: str, tmp_path: Path):
    source = tmp_path / "source"
    write_corpus(source, people=12, runs=(4, 8), seconds=20)
    process = start(lake_uri, source, stdout=subprocess.DEVNULL)
    wait_until(lambda: len(list(Path(lake_uri).glob("signals/*/*.parquet"))) >= 3, process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    report = ingest(lake_uri, "eegmmidb", source=source, progress=False)
    assert report.done + sum(report.skipped.values()) == 24
    assert report.done > 0
    assert_whole(lake_uri, 24)


def test_two_ingests_of_one_source_at_once_leave_everything_there_once(lake_uri: str, tmp_path: Path):
    source = tmp_path / "source"
    write_corpus(source, people=6, runs=(4, 8), seconds=20)
    both = [start(lake_uri, source, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    assert_whole(lake_uri, 12)


def test_an_interrupted_ingest_keeps_what_was_done(lake_uri: str, tmp_path: Path):
    source = tmp_path / "source"
    write_corpus(source, people=20, runs=(4, 8, 12), seconds=20)
    process = start(lake_uri, source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(list(Path(lake_uri).glob("signals/*/*.parquet"))) >= 3, process)
    process.send_signal(signal.SIGINT)
    assert "EegfmError: interrupted: " in process.communicate(timeout=120)[1]
    kept = len(rows_of(lake_uri))
    assert 0 < kept < 60
    assert_whole(lake_uri, kept)
    assert Lake.open(lake_uri).failures().num_rows == 0


def _can_mount() -> bool:
    unshare = shutil.which("unshare")
    mounted = (
        unshare and subprocess.run([unshare, "-rm", "true"], capture_output=True, check=False).returncode == 0
    )
    return bool(mounted)


@pytest.mark.skipif(not _can_mount(), reason="needs the right to mount a small file system (unshare -rm)")
def test_a_full_disk_ends_the_ingest_in_words_and_keeps_what_was_done(tmp_path: Path):
    source, small = tmp_path / "source", tmp_path / "small"
    write_corpus(source, people=12, runs=(4, 8), seconds=20)
    small.mkdir()
    script = f'mount -t tmpfs -o size=400k tmpfs {small} && {sys.executable} -c "$0" {small}/lake {source} 0 eegmmidb'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, RUN], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    words = [line for line in done.stderr.splitlines() if line.startswith("eegfm_lake.errors.EegfmError: ")][
        -1
    ]
    assert "disk full" in words
    assert "the same command goes on with the rest" in words


def test_any_file_is_harmonised_without_a_recipe_and_every_channel_reported(tmp_path: Path):
    names = ["FP1", "Cz", "T3", "VEOG", "foo"]
    data = samples_uv(4, 500, 12, channels=5)
    pybv.write_brainvision(data=data * 1e-6, sfreq=500, ch_names=names, fname_base="rec", folder_out=tmp_path)
    row, signal_file = harmonise_file(tmp_path / "rec.vhdr", tmp_path)
    assert signal_file.path.exists()
    assert row["signal"]["samples"] == signal_file.samples == 2400
    assert row["source"]["bytes"] == sum(
        (tmp_path / f"rec.{end}").stat().st_size for end in ("vhdr", "eeg", "vmrk")
    )
    report = channel_report(row)
    assert len(report) == 5
    assert report[0].startswith("Fp1 (source: FP1) eeg")
    assert report[2].startswith("T7 (source: T3) eeg")


def test_an_edf_without_a_unit_is_never_a_million_times_too_large(tmp_path: Path):
    path = write_edf(tmp_path / "x.edf")
    stated, _ = harmonise_file(path, tmp_path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"uV      ", b"        "))
    found, _ = harmonise_file(path, tmp_path)
    assert [one["scale_uv"] for one in found["channels"]] == [one["scale_uv"] for one in stated["channels"]]
    path.write_bytes(data.replace(b"uV      ", b"%       "))
    with pytest.raises(SourceError, match="no EEG channel has a unit of voltage"):
        harmonise_file(path, tmp_path)


def test_wrong_use_is_told_in_one_line(corpus: Path, lake_uri: str, tmp_path: Path):
    for wrong, words in [
        ({"recipe_id": "eegmidb"}, "did you mean eegmmidb"),
        ({"source": tmp_path / "nowhere"}, "is not a folder"),
        ({"profile": "eeg1000"}, "unknown profile"),
        ({"workers": -1}, "--workers -1 must be"),
        ({"workers": (4, 2)}, "--workers 4:2 must be"),
        ({"only": ["S999*"]}, "none of the 4 files matches"),
    ]:
        with pytest.raises(UsageError, match=words) as caught:
            ingest(
                **{
                    "lake_uri": lake_uri,
                    "recipe_id": "eegmmidb",
                    "source": corpus,
                    "progress": False,
                    **wrong,
                }
            )
        assert "\n" not in str(caught.value)
    assert not Path(lake_uri).exists()


@pytest.mark.shared
def test_real_recordings_of_both_rates_become_200_hz(eegmmidb_dir: Path, zoo_dir: Path, lake_uri: str):
    report = ingest(
        lake_uri, "eegmmidb", source=eegmmidb_dir, only=["S001/S001R0[14]", "S088/*"], progress=False
    )
    assert (report.done, report.failed) == (3, 0)
    rows = {row["recording_id"]: row for row in rows_of(lake_uri)}
    assert {row["signal"]["rate"] for row in rows.values()} == {200.0}
    assert {one["source_rate"] for one in rows["eegmmidb/S088/R04"]["channels"]} == {128.0}
    assert len(rows["eegmmidb/S001/R04"]["channels"]) == 64
    (baseline,) = rows["eegmmidb/S001/R01"]["events"]
    assert (baseline["onset_s"], baseline["label"]) == (0.0, "rest/eyes_open")
    before = rows_of(lake_uri)
    damaged = ingest(
        lake_uri, "eegmmidb", source=zoo_dir / "odd" / "as_found" / "eegmmidb_crlf", progress=False
    )
    assert (damaged.done, damaged.failed) == (0, 3)
    assert rows_of(lake_uri) == before
    assert all("transfer as text" in reason for _, reason in damaged.failures)


def test_segments_and_blocks_cover_every_stored_sample(corpus: Path, lake_uri: str):
    ingest(lake_uri, "eegmmidb", source=corpus, only=["S001/*"], progress=False)
    for row in rows_of(lake_uri):
        assert sum(one["samples"] for one in row["segments"]) == row["signal"]["samples"]
        assert sum(one["samples"] for one in row["blocks"]) == row["signal"]["samples"]
