"""Peak memory of a step above the loaded model, in a process of its own.

``python -m model_speed.memory '[{"model": "ours", …}, …]'`` writes MiB, a line a case. The process has its allocator
give every freed block of 256 KiB or more back at once (``MALLOC_MMAP_THRESHOLD_``), so that resident memory is what
is alive; it builds the model, runs one step on a single window (libraries load, threads start), resets the kernel's
high-water mark (``/proc/self/clear_refs``), and subtracts what is resident then from the mark after two steps.
"""

import ctypes
import gc
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from model_speed.cases import Case, prepare

THRESHOLD = 1 << 18


def peaks(cases: Sequence[Case], threads: int) -> list[float | None]:
    """Return the peak of each case in MiB, all in one fresh process, in the order given; None where it failed."""
    if not Path("/proc/self/clear_refs").exists():
        return [None] * len(cases)
    folder = str(Path(__file__).parents[1])
    paths = [folder, *(path for path in sys.path if path)]
    environment = {
        **os.environ,
        "MALLOC_MMAP_THRESHOLD_": str(THRESHOLD),
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, "-m", "model_speed.memory", json.dumps([asdict(case) for case in cases])],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    found = [float(line) for line in done.stdout.splitlines()]
    return found + [None] * (len(cases) - len(found))


def peak(case: Case) -> float:
    """Return the peak of this process in MiB."""
    prepare(replace(case, batch=1, micro=0))[1]()
    _, step = prepare(case)
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = status_mib("VmRSS")
    for _ in range(2):
        step()
    return status_mib("VmHWM") - before


def status_mib(name: str) -> float:
    """Read a line of the kernel's account of this process."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)[1]) / 1024


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    for settings in json.loads(sys.argv[1]):
        print(peak(Case.from_dict(settings)), flush=True)
