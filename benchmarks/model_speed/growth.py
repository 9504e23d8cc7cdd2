"""How a training step's time and memory grow with electrodes and seconds, for each kind of attention."""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eegfm.model.presets import ATTENTIONS
from model_speed.cases import Case, patches
from model_speed.floors import say
from model_speed.memory import peaks
from model_speed.options import Options
from model_speed.racing import race_cases

AXES = {
    "electrodes": [(channels, 4) for channels in (16, 32, 64, 128, 256)],
    "seconds": [(19, seconds) for seconds in (4, 8, 15, 30, 60, 120)],
}
QUICK_AXES = {"electrodes": [(8, 4), (16, 4)], "seconds": [(19, 5), (19, 10)]}
UPPER = 3


def growth(options: Options) -> dict[str, Any]:
    """Time and measure `small` on single windows; more electrodes at 4 s (15 patches), more patches of 1 s at 19."""
    rows = []
    for axis, sizes in (QUICK_AXES if options.quick else AXES).items():
        found = {attention: [] for attention in ATTENTIONS}
        for channels, seconds in sizes:
            case = Case("ours", channels, seconds, 1, size="tiny" if options.quick else "small")
            case = replace(case, short=axis == "electrodes")
            for timed in race_cases([replace(case, attention=kind) for kind in ATTENTIONS], options):
                found[timed.case.attention].append(timed)
        for attention, timed in found.items():
            say(f"  memory, {attention}, {axis}")
            rows.append(
                {
                    "axis": axis,
                    "attention": attention,
                    "sizes": [size[0 if axis == "electrodes" else 1] for size in sizes],
                    "tokens": [one.case.channels * patches(one.case) for one in timed],
                    "seconds": [statistics.median(one.seconds) for one in timed],
                    "ratios": [statistics.median(one.ratios) for one in timed],
                    "gflop": [one.gflop for one in timed],
                    "peak_mib": peaks([one.case for one in timed], options.threads),
                }
            )
    return {"rows": rows}


def exponent(sizes: Sequence[float], values: Sequence[float | None], upper: int = 0) -> float:
    """Fit values ~ sizes**exponent by least squares of the logarithms, over the ``upper`` last sizes, 0 for all."""
    pairs = [(size, value) for size, value in zip(sizes, values, strict=True) if value and value > 0][-upper:]
    if len(pairs) < 2:
        return float("nan")
    size, value = np.log(np.array(pairs, dtype=float)).T
    return float(np.polyfit(size, value, 1)[0])
