"""An ingest whose processes are killed again and again leaves what an undisturbed one leaves."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from eegfm_etl.ingest import ingest
from eegfm_lake.gc import collect
from eegfm_lake.query import run_sql, view_help
from eegfm_lake.table import Lake

from .ingest_miniatures import write_corpus
from .lakes import assert_whole, signals_of, start, wait_until

# What a process of each kind has in its command line; the driver is the process that was started.
# EDF is read in the worker; what becomes of other formats' readers is in test_cluster.py.
_WORDS = {"worker": "multiprocessing.spawn"}
_OF_THIS_INGEST = {"ingest_id", "ingest_time"}


@dataclass
class Hunt:
    """Kills over one ingest, the same command given again whenever its driver has gone.

    A kill falls due when the ingest has stored a random number of signal files, and happens a moment later: so they are
    spread over the whole of it, however fast the machine.
    """

    lake: Path
    source: Path
    only: tuple[str, ...]
    workers: str
    random: random.Random
    killed: Counter[str] = field(default_factory=Counter)
    drivers: int = 0
    seen: set[psutil.Process] = field(default_factory=set)

    def run(self, kinds: list[str], recordings: int, limit_s: float) -> None:
        """Kill one process of each of these kinds in turn, then let the ingest end."""
        due = sorted(self.random.randrange(recordings * 3 // 4) for _ in kinds)
        driver = self._start()
        try:
            for kind, stored in zip(kinds, due, strict=True):
                driver = self._kill(kind, stored, driver, limit_s)
            while (status := driver.wait(timeout=limit_s)) != 0:
                assert status == -signal.SIGKILL, self.said.read_text()
                driver = self._start()
        finally:
            driver.kill()

    def _kill(self, kind: str, stored: int, driver: subprocess.Popen, limit_s: float) -> subprocess.Popen:
        wait_until(lambda: len(signals_of(self.lake)) >= stored or driver.poll() is not None, limit_s=limit_s)
        time.sleep(0.3 * self.random.random())  # not to wait for anything: the moment must be random
        victims: list[psutil.Process] = []
        while not victims:
            if driver.poll() is not None:
                assert driver.returncode == -signal.SIGKILL, (
                    "the ingest ended too early: " + self.said.read_text()
                )
                driver = self._start()
            victims = self._of_kind(kind, driver)
        try:
            self.random.choice(victims).kill()
        except psutil.NoSuchProcess:  # it ended by itself in this very moment
            return self._kill(kind, stored, driver, limit_s)
        self.killed[kind] += 1
        if kind == "driver":
            driver.wait()
            return self._start()
        return driver

    def _of_kind(self, kind: str, driver: subprocess.Popen) -> list[psutil.Process]:
        process = psutil.Process(driver.pid)
        if kind == "driver":
            self.seen.update(process.children(recursive=True))
            return [process]
        found = []
        for one in process.children(recursive=True):
            try:
                if _WORDS[kind] in " ".join(one.cmdline()):
                    found.append(one)
            except psutil.Error:  # gone since it was listed
                continue
        return found

    def _start(self) -> subprocess.Popen:
        self.drivers += 1
        with self.said.open("ab") as said:
            return start(self.lake, self.source, self.workers, *self.only, stdout=said, stderr=said)

    @property
    def said(self) -> Path:
        """What all drivers said."""
        return self.lake.with_suffix(".txt")


def views_of(lake_uri: Path) -> dict[str, list[str]]:
    """Every view's rows as text, in order, without what names the ingest."""
    lake = Lake.open(lake_uri)
    found = {}
    for view, columns in view_help(lake):
        kept = ", ".join(f'"{name}"' for name, _ in columns if name not in _OF_THIS_INGEST)
        found[view] = sorted(map(repr, run_sql(lake, f'SELECT {kept} FROM "{view}"').to_pylist()))
    return found


def assert_the_same(disturbed: Path, undisturbed: Path) -> None:
    """The views agree row for row, the signal folders name for name and byte for byte."""
    there, here = views_of(undisturbed), views_of(disturbed)
    assert {view: len(rows) for view, rows in here.items()} == {
        view: len(rows) for view, rows in there.items()
    }
    for view, rows in there.items():
        assert here[view] == rows, view
    files = [
        {
            str(one.relative_to(lake)): one.read_bytes()
            for one in (lake / "signals").rglob("*")
            if one.is_file()
        }
        for lake in (disturbed, undisturbed)
    ]
    assert files[0] == files[1]


def assert_nothing_lives(hunt: Hunt) -> None:
    """Workers and readers of a killed driver end by themselves."""
    _, alive = psutil.wait_procs(hunt.seen, timeout=60)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def hunted(
    tmp_path: Path, source: Path, only: tuple[str, ...], kinds: list[str], recordings: int, **hunt
) -> Hunt:
    """Ingest undisturbed and hunted, collect garbage, compare."""
    ingest(tmp_path / "undisturbed", "eegmmidb", source=source, only=only, workers=0, progress=False)
    chase = Hunt(tmp_path / "hunted", source, only, **hunt)
    chase.run(kinds, recordings, limit_s=600)
    assert_nothing_lives(chase)
    collect(Lake.open(chase.lake), min_age_s=0)
    assert_whole(chase.lake, recordings)
    assert_the_same(chase.lake, tmp_path / "undisturbed")
    assert chase.killed == Counter(kinds)
    return chase


def test_an_ingest_that_is_killed_five_times_leaves_what_an_undisturbed_one_leaves(tmp_path: Path):
    write_corpus(tmp_path / "source", people=6, runs=tuple(range(1, 15)), seconds=60)
    kinds = ["worker", "driver", "worker", "driver", "worker"]
    hunted(tmp_path, tmp_path / "source", (), kinds, 84, workers="1", random=random.Random(5))


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.timeout(3600)
def test_fifty_kills_over_111_real_recordings_leave_what_an_undisturbed_ingest_leaves(
    tmp_path: Path, eegmmidb_dir: Path, record_property
):
    chance = random.Random(int(os.environ.get("EEGFM_KILLS_SEED", "20")))
    kinds = [chance.choice(("worker", "driver")) for _ in range(50)]
    started = time.monotonic()
    chase = hunted(tmp_path, eegmmidb_dir, ("*R04", "*R08", "*R12"), kinds, 111, workers="2", random=chance)
    record_property("kills", dict(chase.killed))
    record_property("drivers", chase.drivers)
    record_property("seconds", round(time.monotonic() - started))
