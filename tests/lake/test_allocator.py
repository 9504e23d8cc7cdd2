"""What training frees stays with its process, where the C library is glibc and nobody has set it otherwise."""

import os
import subprocess
import sys

import pytest

from eegfm_lake.allocator import DASKS_SETTING, OWN_SETTINGS, keep_freed_memory

# 128 MiB in blocks of 16, freed and asked for again: what training does in every step.
FAULTS = """
import ctypes, resource, sys
from eegfm_lake.allocator import keep_freed_memory
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
told = keep_freed_memory() if sys.argv[1] == "keep" else None

def step():
    blocks = [libc.malloc(16 << 20) for _ in range(8)]
    for block in blocks:
        ctypes.memset(block, 1, 16 << 20)
    for block in blocks:
        libc.free(block)

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    step()
print(told, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _run(word: str, **environment: str) -> tuple[str, int]:
    inherited = {name: value for name, value in os.environ.items() if name not in OWN_SETTINGS}
    told, faults = subprocess.run(
        [sys.executable, "-c", FAULTS, word],
        check=True,
        capture_output=True,
        text=True,
        env=inherited | environment,
    ).stdout.split()
    return told, int(faults)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone has mallopt")
def test_memory_that_a_step_frees_costs_the_next_step_no_page_faults():
    told, kept = _run("keep")
    if told == "False":
        pytest.skip("the C library is not glibc")
    _, given_back = _run("leave")
    assert kept < given_back / 10


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone has mallopt")
def test_a_worker_of_dask_keeps_its_memory_too():
    told, kept = _run("keep", **dict([DASKS_SETTING]))
    if told == "False":
        pytest.skip("the C library is not glibc")
    _, given_back = _run("leave", **dict([DASKS_SETTING]))
    assert kept < given_back / 10


def test_an_allocator_set_up_by_the_user_is_left_alone(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert keep_freed_memory() is False


def test_a_c_library_other_than_glibc_is_left_alone(monkeypatch):
    for name in OWN_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.confstr_names", {})
    assert keep_freed_memory() is False
