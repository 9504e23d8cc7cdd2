"""Models raced in turn with the matrix products that are their floor."""

import gc
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from model_speed.cases import RATE_HZ, Case, build, prepare
from model_speed.floors import matrix_size, matrix_step, race, say
from model_speed.memory import peaks
from model_speed.options import Options

TRAINING_FORWARDS = 3


@dataclass(frozen=True)
class Timed:
    """One row of a race.

    Attributes
    ----------
    case : Case
        What ran.
    seconds : list of float
        A step's wall time in every round.
    gflop : float
        Multiplications and additions of one window's forward.
    shares : list of float
        Of the matrix rate of the same round, with three forwards a training step.
    ratios : list of float
        Seconds of the race's reference over these, round by round: above 1 this one is faster.
    """

    case: Case
    seconds: list[float]
    gflop: float
    shares: list[float]
    ratios: list[float]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return asdict(self) | {"windows_s": self.case.batch / statistics.median(self.seconds)}


def raced(cases: Sequence[Case], options: Options, memory: bool = False) -> list[dict[str, Any]]:
    """Race cases against the first, and measure the peak memory of each in a process of its own."""
    found = [row.to_dict() for row in race_cases(cases, options)]
    for row in found:
        say(f"    {Case.from_dict(row['case']).label}: {row['windows_s']:.3g} windows/s")
    if memory:
        # A process each; together where only the way is tried.
        groups = [cases] if options.quick else [[case] for case in cases]
        measured = [peak for group in groups for peak in peaks(group, options.threads)]
        for row, peak in zip(found, measured, strict=True):
            row["peak_mib"] = peak
        say("    peak memory: " + ", ".join(f"{row['peak_mib'] or float('nan'):.0f} MiB" for row in found))
    return found


def race_cases(cases: Sequence[Case], options: Options) -> list[Timed]:
    """Race models and the matrix products that are their floor; ratios are to the first."""
    say(
        f"  {cases[0].windows}, {'training' if cases[0].training else 'inference'}: {[c.label for c in cases]}"
    )
    device = cases[0].device
    size = matrix_size(device, options.quick)
    if any(case.compiled for case in cases):
        torch.compiler.reset()
    models = [prepare(case) for case in cases]
    steps = {str(number): step for number, (_, step) in enumerate(models)}
    for bf16 in sorted({case.bf16 for case in cases}):
        steps[f"matrix {bf16}"] = matrix_step(device, bf16, size)
    seconds = race(steps, options.rounds)
    against = seconds["0"]
    rows = []
    for number, case in enumerate(cases):
        took, gflop = seconds[str(number)], gflop_of(case)
        forwards = case.batch * (TRAINING_FORWARDS if case.training else 1)
        floor = [forwards * gflop * one / (2 * size**3 / 1e9) for one in seconds[f"matrix {case.bf16}"]]
        shares = [least / one for least, one in zip(floor, took, strict=True)]
        ratios = [
            (theirs / cases[0].batch) / (own / case.batch) for own, theirs in zip(took, against, strict=True)
        ]
        rows.append(Timed(case, took, gflop, shares, ratios))
    del models, steps
    gc.collect()
    return rows


def gflop_of(case: Case) -> float:
    """Count one window's forward (multiply-add = 2); scores inside the CPU's fused attention are not seen."""
    plain = replace(case, compiled=False, checkpointing=False, training=False)
    model = build(plain).to(case.device).eval()
    x_BCT = torch.zeros(1, case.channels, RATE_HZ * case.seconds, device=case.device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x_BCT)
    return counter.get_total_flops() / 1e9
