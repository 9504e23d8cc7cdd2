"""Who does the work: processes of this machine, as many as the work needs, or a Dask cluster that runs already."""

import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError  # which is what Dask raises
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from eegfm_lake.errors import EegfmError, UsageError

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

Workers = int | tuple[int, int]
"""So many processes; or at least and at most so many, as the work needs. 0 is this process."""

_CONNECT_S = 20
_CLOSE_S = 5
_AWAY_S = 30
_LOST_S = 120
_STARTS = 3


class SchedulerLostError(EegfmError):
    """The connection to the Dask scheduler broke while it worked."""


def parse_workers(text: str) -> Workers:
    """Read ``4`` or ``1:8``.

    Raises
    ------
    UsageError
        Where it is neither.
    """
    least, colon, most = text.partition(":")
    try:
        return (int(least), int(most)) if colon else int(least)
    except ValueError:
        raise UsageError(
            f"--workers {text} is neither a number of processes (4) nor the fewest and the most (1:8)"
        ) from None


def check_workers(workers: Workers, scheduler: str | None) -> None:
    """Refuse numbers of workers that mean nothing.

    Raises
    ------
    UsageError
    """
    least, most = workers if isinstance(workers, tuple) else (workers, workers)
    if least < 0 or most < least or (isinstance(workers, tuple) and most < 1):
        said = f"{least}:{most}" if isinstance(workers, tuple) else str(workers)
        raise UsageError(
            f"--workers {said} must be 0 (this process), a number of processes, or the fewest and the most as 1:8"
        )
    if workers and scheduler:
        raise UsageError("give --workers or --scheduler, not both: a running scheduler has its own workers")


class Crew:
    """The workers behind a client.

    Attributes
    ----------
    client : distributed.Client
    """

    def __init__(self, client: "Client", cluster: "LocalCluster | None" = None, least: int = 0) -> None:
        self.client = client
        self._cluster, self._least = cluster, least
        self._full = time.monotonic()

    def threads(self) -> int:
        """Return how many threads work now. Workers of this machine that stay away are replaced.

        Dask's nannies restart a worker that dies while it works, not one that dies while it starts.
        """
        threads = sum(self.client.nthreads().values())
        now = time.monotonic()
        if self._cluster is None or threads >= self._least:
            self._full = now
        elif now - self._full > _AWAY_S:
            self._full = now
            self._cluster.scale(len(self._cluster.worker_spec) + self._least - threads)
        return threads


@contextmanager
def connect(workers: Workers, scheduler: str | None) -> "Iterator[Crew]":
    """Connect to a scheduler, or start a cluster on this machine for as long as the context lasts.

    Raises
    ------
    UsageError
        Where the scheduler cannot be reached.
    EegfmError
        Where no process could be started.
    """
    from distributed import Client

    if scheduler is None:
        least, most = workers if isinstance(workers, tuple) else (workers, workers)
        least = max(least, 1)
        with _local_cluster(least, most) as cluster, Client(cluster) as client:
            yield Crew(client, cluster, least)
        return
    try:
        client = Client(_address(scheduler), timeout=_CONNECT_S)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--scheduler {scheduler} cannot be reached; start one with `dask scheduler` and name it as tcp://host:8786"
        ) from error
    try:
        yield Crew(client)
    finally:
        with suppress(OSError, TimeoutError):  # a scheduler that is gone cannot say goodbye
            client.close(timeout=_CLOSE_S)


def _address(scheduler: str) -> str:
    """Return a scheduler's address, read from its file where that is named (``dask scheduler --scheduler-file``)."""
    if not scheduler.endswith(".json"):
        return scheduler
    try:
        return str(json.loads(Path(scheduler).read_text())["address"])
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"--scheduler {scheduler} is no scheduler's file; `dask scheduler --scheduler-file {scheduler}` writes it"
        ) from error


@contextmanager
def explain_loss(scheduler: str | None) -> Iterator[None]:
    """Turn what Dask says when its scheduler is gone into one line.

    Raises
    ------
    SchedulerLostError
    """
    from distributed.client import ClosedClientError

    try:
        yield
    except (CancelledError, ClosedClientError, OSError) as error:
        if isinstance(error, OSError) and not _is_about_the_connection(error):
            raise
        raise SchedulerLostError(
            f"the connection to the scheduler {scheduler or 'of this process'} was lost"
        ) from error


def _is_about_the_connection(error: OSError) -> bool:
    from distributed.comm.core import CommClosedError

    return isinstance(error, CommClosedError | ConnectionError | TimeoutError)


@contextmanager
def _local_cluster(least: int, most: int) -> "Iterator[LocalCluster]":
    import dask

    settings = {
        # A job is given back at the first death of its worker: it is then run alone, which tells who is guilty.
        "distributed.scheduler.allowed-failures": 0,
        # A look at every worker's stack, a hundred times a second, costs an eighth; the log says what took long.
        "distributed.worker.profile.enabled": False,
        # On a busy machine a worker takes longer to start again than Dask waits before it gives its nanny up.
        "distributed.deploy.lost-worker-timeout": f"{_LOST_S} s",
    }
    with dask.config.set(settings), _started(least) as cluster:
        if most > least:
            cluster.adapt(minimum=least, maximum=most)
        yield cluster


def _started(n: int) -> "LocalCluster":
    from distributed import LocalCluster

    for left in reversed(range(_STARTS)):
        try:
            return LocalCluster(
                n_workers=n,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
        except RuntimeError as error:  # a worker died while it started
            if not left:
                raise EegfmError(
                    f"{n} worker processes could not be started ({error}); most often the machine is out of memory: "
                    "give fewer --workers"
                ) from error
    raise AssertionError
