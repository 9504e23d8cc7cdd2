"""The parts of a run on a CPU: floors, ours beside the released network, ours beside braindecode's models."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from eegfm.model.presets import SHORT_WINDOW_S
from model_speed.cases import RATE_HZ, Case, build
from model_speed.floors import floors, has_bf16_unit, say
from model_speed.gpu import gpu
from model_speed.growth import growth
from model_speed.options import Options
from model_speed.racing import raced

PEERS = ("CBraMod", "Labram", "EEGPT")
SLOW, SLOW_ROUNDS = "EEGPT", 3
EXPECTED_MIN = {"floors": 0.3, "base": 4, "peers": 4, "growth": 3, "gpu": 8}

Part = Callable[[Options], dict[str, Any]]


def only_floors(options: Options) -> dict[str, Any]:
    """Measure the machine alone; every part has its floors too."""
    return {}


def base(options: Options) -> dict[str, Any]:
    """Race ours and the released network: training and inference, float32 and bf16, and their peak memory."""
    rows = []
    for channels, seconds, batch in options.windows:
        for training in (True, False):
            ours = Case("ours", channels, seconds, batch, training, size=options.size)
            cases = [replace(ours, model="official"), ours]
            if seconds <= SHORT_WINDOW_S:
                cases.append(replace(ours, short=True))
            if training:
                cases.append(replace(ours, checkpointing=True))
            if options.compiled:
                cases.append(replace(ours, compiled=True))
            rows += raced(cases, options, memory=training)
            if has_bf16_unit("cpu"):  # against the released network in float32 too
                bf16 = [cases[0], *(replace(case, bf16=True) for case in cases)]
                rows += raced(bf16, options, memory=training)[1:]
    return {"rows": rows}


def peers(options: Options) -> dict[str, Any]:
    """Race ours and braindecode's models, each with its head for two classes; ratios are to ours."""
    rows, left_out = [], []
    slow = replace(options, rounds=min(options.rounds, SLOW_ROUNDS))
    for channels, seconds, batch in options.windows:
        ours = Case("ours", channels, seconds, batch, task="classify", size=options.size)
        theirs = [replace(ours, model=name) for name in PEERS[: 1 if options.quick else None]]
        refused = [why_not(case) for case in theirs]
        left_out += [why for why in refused if why]
        together = [ours, *([replace(ours, short=True)] if seconds <= SHORT_WINDOW_S else [])]
        together += [case for case, why in zip(theirs, refused, strict=True) if not why]
        alone = [replace(case, batch=1) for case in (ours, *together) if case.model in ("ours", SLOW)]
        alone = [case for case in dict.fromkeys(alone) if not case.short]
        together = [case for case in together if case.model != SLOW]
        for training in (True, False):
            rows += raced([replace(case, training=training) for case in together], options, memory=training)
            if len(alone) > 1:
                rows += raced([replace(case, training=training) for case in alone], slow, memory=training)
    return {"rows": rows, "left_out": left_out}


def why_not(case: Case) -> str:
    """Return what a model says where it cannot take such windows, else nothing."""
    try:
        with torch.no_grad():
            build(case).eval()(torch.zeros(1, case.channels, RATE_HZ * case.seconds))
    except (ValueError, RuntimeError) as error:
        return f"{case.model} at {case.windows}: {str(error).splitlines()[0]}"
    return ""


PARTS: dict[str, Part] = {"floors": only_floors, "base": base, "peers": peers, "growth": growth, "gpu": gpu}


def measure_part(name: str, options: Options) -> dict[str, Any]:
    """Run a part between two measurements of the floors."""
    device = options.device if name == "gpu" else "cpu"
    say(f"{name}: about {EXPECTED_MIN[name]} min" + " on two idle cores" * (device == "cpu"))
    before = floors(device, options.quick, options.rounds)
    found = PARTS[name](options)
    after = floors(device, options.quick, options.rounds) if found else before
    return found | {"floors": {"before": before, "after": after}}
