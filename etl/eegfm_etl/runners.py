"""Run jobs in a plain loop, on this machine's cores, or on a Dask cluster that runs already."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING

from eegfm_etl.cluster import Crew, Workers, connect, explain_loss
from eegfm_etl.process import Outcome, work
from eegfm_etl.recipe import Job
from eegfm_etl.row import Stamp, failure_row

if TYPE_CHECKING:
    from distributed import Future

_IN_FLIGHT_A_WORKER = 4
_IN_FLIGHT = 100  # an adaptive cluster grows with the work that it sees waiting
_CHANCES_ALONE = 2
_TICK_S = 5.0


def outcomes(
    jobs: Sequence[Job],
    stamp: Stamp,
    lake_uri: str,
    profile: str,
    *,
    workers: Workers = 0,
    scheduler: str | None = None,
    on_workers: Callable[[int], None] = lambda n: None,
) -> Generator[Outcome | None]:
    """Yield what becomes of every job, in no order, and None whenever some seconds pass without news.

    Parameters
    ----------
    workers
        0 works in this process; N starts N processes of one thread each; (least, most) as many as the work
        needs.
    scheduler
        Address of a running Dask scheduler, ``tcp://host:8786``; its workers must reach the source and the
        lake under the same paths.
    on_workers
        Told how many threads work, now and then.

    Raises
    ------
    UsageError
        Where the scheduler cannot be reached.
    SchedulerLostError
        Where it is lost.
    EegfmError
        Where the lake cannot be written.
    """
    given = (stamp, lake_uri, profile)
    suspects: list[tuple[Job, Outcome | None]] = []
    if scheduler is None and workers == 0:
        for job in jobs:
            outcome = work(job, *given)
            if _is_of_the_machine(outcome):
                suspects.append((job, outcome))
            else:
                yield outcome
        for job, _ in suspects:
            yield work(job, *given)
        return
    with connect(workers, scheduler) as crew, explain_loss(scheduler):
        yield from _futures(crew, deque(jobs), suspects, given, on_workers)
        # A dying worker takes the files that wait for it along: alone, only the guilty one dies again. And again:
        # once more may be the machine's doing.
        for job, _ in suspects:
            killed: list[tuple[Job, Outcome | None]] = []
            for _ in range(_CHANCES_ALONE):
                killed.clear()
                yield from _futures(crew, deque([job]), killed, given, on_workers)
                if not killed:
                    break
            for _, last in killed:
                reason = _death_of_a_worker(job)
                yield last or Outcome(job, failure=failure_row(job, stamp, profile, "worker", reason))


def _futures(
    crew: Crew,
    waiting: deque[Job],
    killed: list[tuple[Job, Outcome | None]],
    given: tuple[Stamp, str, str],
    on_workers: Callable[[int], None],
) -> Iterator[Outcome | None]:
    """Yield outcomes; jobs whose worker or reader was killed are added to `killed` instead."""
    from distributed import KilledWorker, wait

    running: dict[Future[Outcome], Job] = {}
    while waiting or running:
        threads = crew.threads()
        on_workers(threads)
        room = max(_IN_FLIGHT_A_WORKER * threads, _IN_FLIGHT) - len(running)
        for _ in range(min(max(room, 0), len(waiting))):
            job = waiting.popleft()
            running[crew.client.submit(work, job, *given, pure=False)] = job
        try:
            done = wait(list(running), timeout=_TICK_S, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            yield None
            continue
        for future in done:
            job = running.pop(future)
            if isinstance(future.exception(), KilledWorker):
                killed.append((job, None))
            elif _is_of_the_machine(outcome := future.result()):
                killed.append((job, outcome))
            else:
                yield outcome


def _is_of_the_machine(outcome: Outcome) -> bool:
    """Whether its reader was killed from outside: it deserves another try when nothing else runs."""
    return outcome.failure is not None and outcome.failure["step"] == "worker"


def _death_of_a_worker(job: Job) -> str:
    return (
        f"{job.path.name}: the worker process died each time it worked on this file; "
        "most often the machine ran out of memory: give it fewer --workers"
    )
