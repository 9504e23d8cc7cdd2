"""Ingests on Dask: a cluster of this machine, and a scheduler and workers that are processes of their own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from eegfm_etl.cluster import connect, parse_workers
from eegfm_etl.ingest import ingest
from eegfm_etl.recipe import Job, Person
from eegfm_etl.row import Stamp
from eegfm_etl.runners import outcomes
from eegfm_lake.errors import EegfmError, UsageError
from eegfm_lake.table import Lake

from .ingest_miniatures import write_brainvision_folder, write_corpus
from .lakes import assert_whole, signals_of, start, wait_until

_QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@contextmanager
def ended(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """A process that ends with the context, and with it what it started: it leads a session of its own."""
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Cluster:
    """A `dask scheduler` and `dask worker`s, each a process, that talk over TCP."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self.scheduler = self._start(
            "scheduler", "--port", "0", "--host", "127.0.0.1", "--dashboard-address", ":0"
        )
        file = folder / "scheduler.json"
        wait_until(lambda: file.exists() and file.read_text().endswith("}"), self.scheduler)
        self.address = json.loads(file.read_text())["address"]

    def add_worker(self) -> None:
        self._start("worker", "--nthreads", "1", "--no-dashboard", "--local-directory", str(self._folder))

    def wait(self, n: int) -> None:
        with Client(self.address) as client:
            client.wait_for_workers(n, timeout=60)

    def busy(self) -> list[int]:
        """Process numbers of the workers that work on something now."""
        with Client(self.address) as client:
            working = [worker for worker, tasks in client.processing().items() if tasks]
            return list(client.run(os.getpid, workers=working).values()) if working else []

    def _start(self, *words: str) -> subprocess.Popen:
        where = ["--scheduler-file", str(self._folder / "scheduler.json")]
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words, *where], start_new_session=True, **_QUIET
        )
        return self._stack.enter_context(ended(process))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path, stack)


@pytest.fixture
def lake_uri(tmp_path: Path) -> str:
    return str(tmp_path / "lake")


def ingest_elsewhere(lake_uri: str, source: Path, address: str) -> subprocess.Popen:
    words = (
        "import sys; from eegfm_etl.ingest import ingest; "
        "ingest(sys.argv[1], 'eegmmidb', source=sys.argv[2], scheduler=sys.argv[3])"
    )
    return subprocess.Popen(
        [sys.executable, "-c", words, lake_uri, str(source), address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_numbers_of_workers_are_read_from_words():
    assert parse_workers("4") == 4
    assert parse_workers("1:8") == (1, 8)
    with pytest.raises(UsageError, match=r"neither a number of processes \(4\) nor the fewest and the most"):
        parse_workers("many")


def test_a_scheduler_is_also_found_by_its_file(tmp_path: Path):
    file = tmp_path / "scheduler.json"
    with pytest.raises(UsageError, match="is no scheduler's file"), connect(0, str(file)):
        pass
    with LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        file.write_text(json.dumps({"address": cluster.scheduler_address}))
        with connect(0, str(file)) as crew:
            assert crew.threads() == 0


@pytest.mark.slow
def test_a_worker_that_is_killed_in_the_middle_of_a_file_costs_no_recording(
    cluster: Cluster, lake_uri: str, tmp_path: Path
):
    write_corpus(tmp_path / "source", people=12, seconds=60)
    for _ in range(2):
        cluster.add_worker()
    cluster.wait(2)
    with ended(ingest_elsewhere(lake_uri, tmp_path / "source", cluster.address)) as driver:
        wait_until(lambda: bool(signals_of(lake_uri)), driver)
        wait_until(lambda: bool(cluster.busy()), driver)
        os.kill(cluster.busy()[0], signal.SIGKILL)
        assert driver.wait(timeout=300) == 0
    assert_whole(lake_uri, 24)
    assert Lake.open(lake_uri).failures().num_rows == 0


@pytest.mark.slow
def test_work_waits_for_workers_and_goes_on_with_the_same_command_when_the_scheduler_is_lost(
    cluster: Cluster, lake_uri: str, tmp_path: Path
):
    write_corpus(tmp_path / "source", people=20, seconds=60)
    with ended(ingest_elsewhere(lake_uri, tmp_path / "source", cluster.address)) as driver:
        assert "to read" in driver.stdout.readline()
        assert "no worker is there; waiting for one" in driver.stdout.readline()
        cluster.add_worker()
        wait_until(lambda: len(signals_of(lake_uri)) >= 3, driver)
        os.kill(cluster.scheduler.pid, signal.SIGKILL)
        said = driver.communicate(timeout=120)[1]
    assert driver.returncode == 1
    assert f"EegfmError: the connection to the scheduler {cluster.address} was lost: " in said
    assert "the same command goes on with the rest" in said
    kept = Lake.open(lake_uri).recordings().num_rows
    assert kept >= 1
    report = ingest(lake_uri, "eegmmidb", source=tmp_path / "source", progress=False)
    assert report.done == 40 - kept
    assert_whole(lake_uri, 40)


@pytest.mark.slow
def test_workers_that_do_not_see_the_source_end_the_ingest_in_words_and_leave_no_failures(
    cluster: Cluster, lake_uri: str, tmp_path: Path
):
    write_corpus(tmp_path / "source", people=1, seconds=20)
    cluster.add_worker()
    cluster.wait(1)
    jobs = [Job(tmp_path / "elsewhere" / "S001R04.edf", "S001R04.edf", "eegmmidb/S001/R04", Person("S001"))]
    Lake.open(lake_uri, create=True)
    with pytest.raises(EegfmError, match=r"does not see the source .*elsewhere: all workers must reach"):
        list(outcomes(jobs, Stamp("eegmmidb"), lake_uri, "eeg200", scheduler=cluster.address))
    jobs = [
        Job(tmp_path / "source" / "S001" / "S001R04.edf", "S001R04.edf", "eegmmidb/S001/R04", Person("S001"))
    ]
    with pytest.raises(EegfmError, match="does not see the lake"):
        list(outcomes(jobs, Stamp("eegmmidb"), lake_uri + "-too", "eeg200", scheduler=cluster.address))


@pytest.mark.slow
def test_as_many_processes_work_as_the_work_needs(lake_uri: str, tmp_path: Path):
    write_corpus(tmp_path / "source", people=30, seconds=60)
    paths = sorted((tmp_path / "source").rglob("*.edf"))
    jobs = [Job(path, path.name, f"eegmmidb/{path.stem}", Person("x")) for path in paths]
    Lake.open(lake_uri, create=True)
    seen: list[int] = []
    work = outcomes(jobs, Stamp("eegmmidb"), lake_uri, "eeg200", workers=(1, 2), on_workers=seen.append)
    found = [one for one in work if one is not None]
    assert sorted(one.job.rel for one in found) == sorted(path.name for path in paths)
    assert all(one.row for one in found)
    assert (min(seen), max(seen)) == (1, 2)
    assert len({one.effort.worker for one in found}) >= 2


@pytest.mark.slow
def test_a_worker_that_dies_is_an_explained_failure(lake_uri: str, tmp_path: Path):
    write_corpus(tmp_path / "source", people=1, seconds=20)

    class Deadly:  # a local class travels by value
        def items(self):
            import os

            os.kill(os.getpid(), 9)

    Lake.open(lake_uri, create=True)
    paths = sorted((tmp_path / "source").rglob("*.edf"))
    jobs = [Job(path, path.name, f"eegmmidb/{path.stem}", Person("x")) for path in paths]
    jobs[0] = Job(paths[0], paths[0].name, "eegmmidb/deadly", Person("x"), labels=Deadly())
    found = list(filter(None, outcomes(jobs, Stamp("eegmmidb"), lake_uri, "eeg200", workers=1)))
    by_id = {one.job.recording_id: one for one in found}
    assert "the worker process died" in by_id["eegmmidb/deadly"].failure["reason"]
    assert by_id[jobs[1].recording_id].row is not None


def test_a_reader_that_is_killed_from_outside_is_started_again_and_costs_nothing(
    lake_uri: str, tmp_path: Path
):
    write_brainvision_folder(tmp_path / "source", 12, seconds=60)
    with ended(start(lake_uri, tmp_path / "source", recipe="folder", **_QUIET)) as driver:
        for kills in range(1, 4):
            wait_until(lambda: len(signals_of(lake_uri)) >= 2 * kills, driver)  # noqa: B023
            for reader in children_of(driver.pid, "eegfm_etl.reader_child"):
                os.kill(reader, signal.SIGKILL)
        assert driver.wait(timeout=120) == 0
    assert_whole(lake_uri, 12)
    assert Lake.open(lake_uri).failures().num_rows == 0


class KillsTheReader(dict):
    """Positions of a job that kill its worker's reader when they are looked at, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def items(self):
        if self.left:
            self.left -= 1
            for reader in children_of(os.getpid(), "eegfm_etl.reader_child"):
                os.kill(reader, signal.SIGKILL)
        return super().items()


def test_a_file_whose_reader_is_killed_again_and_again_is_read_when_nothing_else_runs(
    lake_uri: str, tmp_path: Path
):
    paths = write_brainvision_folder(tmp_path / "source", 3)
    Lake.open(lake_uri, create=True)
    kills = [KillsTheReader(3), KillsTheReader(100), {}]
    jobs = [
        Job(path, path.name, f"eegmmidb/{path.stem}", Person("x"), positions=positions)
        for path, positions in zip(paths, kills, strict=True)
    ]
    found = list(outcomes(jobs, Stamp("eegmmidb"), lake_uri, "eeg200"))
    assert [(one.job.rel, one.row is not None) for one in found] == [
        ("p02.vhdr", True),
        ("p00.vhdr", True),
        ("p01.vhdr", False),
    ]
    assert (kills[0].left, kills[1].left) == (0, 96)
    assert found[2].failure["step"] == "worker"
    assert "had its reader killed from outside (SIGKILL)" in found[2].failure["reason"]


def children_of(process: int, words: str) -> list[int]:
    import psutil

    below = psutil.Process(process).children(recursive=True)
    return [one.pid for one in below if words in " ".join(one.cmdline())]
