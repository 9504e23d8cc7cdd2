"""Clocks: what the machine's units reach, and steps timed in turn."""

import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from model_speed.cases import synchronise

MATRIX = {"cpu": 2048, "cuda": 8192}
QUICK_MATRIX = 256
COPY_MIB = {"cpu": 256, "cuda": 2048}
Step = Callable[[], None]


def say(text: str) -> None:
    """Report progress."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def timed(step: Step) -> float:
    """Return the wall time of a step in seconds."""
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def has_bf16_unit(device: str) -> bool:
    """Whether products of bfloat16 have a unit of their own: AVX512-BF16 or AMX, or a GPU that supports it."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8").split() if cpuinfo.is_file() else []
    return "avx512_bf16" in flags or "amx_bf16" in flags


def matrix_step(device: str, bf16: bool, size: int) -> Step:
    """Return a product of two square matrices: 2 size³ operations."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16 if bf16 else None) for _ in range(2))
    out = torch.empty_like(a)

    def step() -> None:
        torch.mm(a, b, out=out)
        synchronise(device)

    return step


def matrix_size(device: str, quick: bool) -> int:
    """Return the side of the matrices that measure the rate."""
    return QUICK_MATRIX if quick else MATRIX[torch.device(device).type]


def copy_step(device: str, mib: int) -> Step:
    """Return a copy of ``mib`` MiB, each byte read once and written once."""
    a = torch.zeros(mib << 18, device=device)
    b = torch.empty_like(a)

    def step() -> None:
        b.copy_(a)
        synchronise(device)

    return step


def floors(device: str, quick: bool, rounds: int) -> dict[str, float]:
    """Measure the machine, its units in turn: GFLOP/s of float32 and bf16 products, GB/s of a copy."""
    kind = torch.device(device).type
    size, mib = matrix_size(device, quick), 4 if quick else COPY_MIB[kind]
    steps = {"float32_gflops": matrix_step(device, False, size), "copy_gbps": copy_step(device, mib)}
    if has_bf16_unit(device):
        steps["bf16_gflops"] = matrix_step(device, True, size)
    work = {"copy_gbps": 2 * (mib << 20) / 1e9}
    seconds = race(steps, rounds)
    return {
        name: work.get(name, 2 * size**3 / 1e9) / statistics.median(took) for name, took in seconds.items()
    }


def race(steps: Mapping[str, Step], rounds: int) -> dict[str, list[float]]:
    """Time steps in turn, after one of each that does not count; every other round backwards."""
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds):
        for name in list(steps)[:: -1 if number % 2 else 1]:
            seconds[name].append(timed(steps[name]))
    return seconds


def machine(device: str) -> str:
    """Name the machine in a line."""
    unit = torch.backends.cpu.get_cpu_capability()
    text = f"{platform.machine()}, {unit}, {torch.get_num_threads()} threads, torch {version('torch')}"
    if torch.device(device).type == "cuda":
        text = f"{torch.cuda.get_device_name(device)}, {text}"
    return text
