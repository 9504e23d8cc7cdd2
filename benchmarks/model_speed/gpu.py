"""The lines that need a GPU: ours in bf16 with compiled blocks, `large` with checkpointing."""

import gc
from dataclasses import replace
from typing import Any

import torch

from model_speed.cases import Case, prepare
from model_speed.floors import say
from model_speed.options import Options
from model_speed.racing import raced

MICRO = (16, 8, 4, 2, 1)
BATCH = 64


def gpu(options: Options) -> dict[str, Any]:
    """Race `base` against the released network in float32, and measure `large` in micro-batches."""
    on_gpu = torch.device(options.device).type == "cuda"
    if not on_gpu and not options.quick:
        return {}
    compiled = on_gpu or options.compiled
    channels, seconds, batch = (19, 5, 2) if options.quick else (19, 30, BATCH)
    rows = []
    for training in (True, False):
        plain = Case("ours", channels, seconds, batch, training, size=options.size, device=options.device)
        ours = replace(plain, bf16=True, compiled=compiled)
        rows += raced([replace(plain, model="official"), plain, replace(plain, bf16=True), ours], options)
    size, channels, seconds, batch = ("tiny", 64, 5, 2) if options.quick else ("large", 64, 30, BATCH)
    large = Case("ours", channels, seconds, batch, size=size, device=options.device, bf16=True)
    large = largest_micro(replace(large, checkpointing=True, compiled=compiled))
    rows += raced([large], options)
    for row in rows:
        row["peak_mib"] = peak_mib(Case.from_dict(row["case"]))
    return {"rows": rows}


def largest_micro(case: Case) -> Case:
    """Return the case with the most windows at a time that fit into the device's memory."""
    for micro in (micro for micro in MICRO if micro <= case.batch):
        candidate = replace(case, micro=micro)
        try:
            _, step = prepare(candidate)
            step()
        except torch.OutOfMemoryError:
            say(f"    {micro} windows at a time do not fit")
            step = None
            continue
        finally:
            gc.collect()
            if torch.device(case.device).type == "cuda":
                torch.cuda.empty_cache()
        return candidate
    raise RuntimeError(f"not one window of {case.windows} fits into the memory of {case.device}")


def peak_mib(case: Case) -> float | None:
    """Return the most that a step allocates above the loaded model, in MiB; None without a GPU."""
    if torch.device(case.device).type != "cuda":
        return None
    _, step = prepare(case)
    step()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    return (torch.cuda.max_memory_allocated() - before) / (1 << 20)
