"""Where a worker works: it must see what the driver sees, and leaves nothing behind."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from eegfm_lake.allocator import keep_freed_memory
from eegfm_lake.errors import EegfmError
from eegfm_lake.storage import Storage


def _prefix() -> str:
    return f"eegfm-{socket.gethostname()}-"  # process numbers mean something on their own machine only


def source_root(path: Path, rel: str) -> Path:
    """Return the folder below which `path` is called `rel`."""
    return path.parents[rel.count("/")]


@lru_cache(maxsize=16)
def settle_in(root: str, lake_uri: str) -> None:
    """See that this worker reaches the source and the lake, and have it keep its memory; once a process and place.

    Raises
    ------
    EegfmError
        Where it does not. Without this every file would be a failure, or its signals lie on the worker's own disk.
    """
    if not os.path.isdir(root):
        _refuse(f"the source {root}")
    if not Storage(lake_uri).exists("lake.json"):
        _refuse(f"the lake {lake_uri}")
    keep_freed_memory()


def _refuse(what: str) -> None:
    raise EegfmError(
        f"the worker on {socket.gethostname()} does not see {what}: all workers must reach the source and the lake "
        "under the same paths as this command (a shared file system, or a lake that is s3://…)"
    )


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder for one file's work that goes when it is done, or when `sweep` finds its process dead."""
    with tempfile.TemporaryDirectory(prefix=f"{_prefix()}{os.getpid()}-") as folder:
        yield Path(folder)


def sweep() -> int:
    """Remove the scratch folders of this machine's dead processes; return how many there were."""
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{_prefix()}*-*"):
        process = folder.name.removeprefix(_prefix()).partition("-")[0]
        try:
            dead = process.isdigit() and folder.stat().st_uid == os.getuid() and not _is_running(int(process))
        except FileNotFoundError:  # its process, or another sweep, was faster
            continue
        if dead:
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
