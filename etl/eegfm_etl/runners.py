"""Run jobs in a plain loop, on this machine's cores, or on a Dask cluster that runs already."""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from eegfm_etl.process import Outcome, Stamp, failure_row, work
from eegfm_etl.recipe import Job
from eegfm_lake.errors import EegfmError, UsageError

_IN_FLIGHT_A_WORKER = 2
_TICK_S = 5.0
_CONNECT_S = 20


def outcomes(
    jobs: Sequence[Job],
    stamp: Stamp,
    lake_uri: str,
    profile: str,
    *,
    workers: int = 0,
    scheduler: str | None = None,
) -> Iterator[Outcome | None]:
    """Yield what becomes of every job, in no order, and None whenever some seconds pass without news.

    Parameters
    ----------
    workers
        0 works in this process; N starts N processes of one thread each.
    scheduler
        Address of a running Dask scheduler, ``tcp://host:8786``; its workers must reach the source and the
        lake under the same paths.

    Raises
    ------
    UsageError
        Where the scheduler cannot be reached.
    EegfmError
        Where the lake cannot be written.
    """
    if scheduler is None and workers == 0:
        for job in jobs:
            yield work(job, stamp, lake_uri, profile)
        return
    with _client(workers, scheduler) as client:
        suspects: list[Job] = []
        yield from _futures(client, deque(jobs), suspects, stamp, lake_uri, profile)
        # A dying worker takes the files that wait for it along: alone, only the guilty one dies again.
        for job in suspects:
            killed: list[Job] = []
            yield from _futures(client, deque([job]), killed, stamp, lake_uri, profile)
            if killed:
                yield Outcome(
                    job, failure=failure_row(job, stamp, profile, "worker", _death_of_a_worker(job))
                )


def _futures(
    client, waiting: deque[Job], killed: list[Job], stamp: Stamp, lake_uri: str, profile: str
) -> Iterator[Outcome | None]:
    """Yield outcomes; jobs whose worker died are added to `killed` instead."""
    from distributed import KilledWorker, wait

    running = {}
    while waiting or running:
        room = _IN_FLIGHT_A_WORKER * max(sum(client.nthreads().values()), 1) - len(running)
        for _ in range(min(max(room, 0), len(waiting))):
            job = waiting.popleft()
            running[client.submit(work, job, stamp, lake_uri, profile, pure=False)] = job
        try:
            done = wait(list(running), timeout=_TICK_S, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            yield None
            continue
        for future in done:
            job = running.pop(future)
            if isinstance(future.exception(), KilledWorker):
                killed.append(job)
            else:
                yield future.result()


def _death_of_a_worker(job: Job) -> str:
    return (
        f"{job.path.name}: the worker process died each time it worked on this file; "
        "most often the machine ran out of memory: give it fewer --workers"
    )


@contextmanager
def _client(workers: int, scheduler: str | None):
    import dask
    from distributed import Client, LocalCluster

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=_CONNECT_S)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"--scheduler {scheduler} cannot be reached; start one with `dask scheduler` and name it as tcp://host:8786"
            ) from error
        with client:
            if not client.nthreads():
                raise EegfmError(
                    f"the scheduler {scheduler} has no workers; start some with `dask worker {scheduler}`"
                )
            yield client
        return
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
