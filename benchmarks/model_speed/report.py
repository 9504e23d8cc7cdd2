"""The table: targets first, then the figures of each part that exists."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_speed.cases import Case
from model_speed.figure import write_growth_png
from model_speed.growth import UPPER, exponent

NO_UNIT = "not measured: no bf16 unit"
NO_GPU = "not measured: no GPU"
NOT_RUN = "not measured: part not run"
RELEASED_GFLOP, FLOP_LIMIT, SHARE_LIMIT = 12.18, 1.05, 0.45
ORDER = ("floors", "base", "peers", "growth", "gpu")
Row = dict[str, Any]
Target = tuple[str, str, float | str | None, str]

INTRODUCTION = """\
Ratios are medians over rounds in which models ran in turn, in brackets the lowest and highest; above 1 the model is
faster than the one it is compared with. *As released* is `OfficialEncoder`, the released network to the letter, held
to golden cases, in float32. A training step is forward, squared error of hidden patches (half of all) and backward,
without an optimiser. *Share* is what the model's multiplications would take at the matrix rate of the same round,
over what it took; a training step counts as three forwards, recomputation does not count, nor do products inside the
fused attention of the CPU, which the counter does not see. Memory is the peak of a step in a process of its own
above the loaded model; its allocator gives memory back at once (`benchmarks/model_speed/memory.py`)."""


def write(runs: Path, results: Path, images: Path) -> str:
    """Write model.md from the parts in ``runs``, and growth.png; return the text."""
    parts = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(runs.glob("*.json"))}
    quick = any(part["made_from"]["options"]["quick"] for part in parts.values())
    sections = [
        "# Speed, memory and growth of the encoder",
        *(["A quick run on small models: no figure means anything."] if quick else []),
        INTRODUCTION,
        table(("target", "wanted", "measured", "met"), [verdict(*target) for target in targets(parts)]),
        made(parts),
    ]
    if "base" in parts:
        sections += ["## Beside the released network", comparison(parts["base"]["rows"], "as released")]
    if "peers" in parts:
        sections += ["## Beside braindecode's models", PEERS, comparison(parts["peers"]["rows"], "ours")]
        sections += [f"Left out, by their own word: {one}" for one in parts["peers"]["left_out"]]
    if "growth" in parts:
        write_growth_png(parts["growth"]["rows"], images / "growth.png")
        sections += ["## Growth", *growth_text(parts["growth"]["rows"])]
    sections += [
        "## On a GPU",
        comparison(parts["gpu"]["rows"], "as released") if has(parts, "gpu") else NO_GPU,
    ]
    text = "\n\n".join(sections) + "\n"
    results.mkdir(parents=True, exist_ok=True)
    (results / "model.md").write_text(text, encoding="utf-8")
    return text


PEERS = """\
Classification into two (cross-entropy), each model with its own head, at equal windows. Ratios are to ours with patches
of 1 s: below 1 the model is slower. EEGPT runs one window at a time and is compared with ours at one window."""


def has(parts: dict[str, Any], name: str) -> bool:
    """Whether a part was run and could measure."""
    return bool(parts.get(name, {}).get("rows"))


def targets(parts: dict[str, Any]) -> list[Target]:
    """List what is aimed at: name, relation, value (or why there is none), bound as text."""
    rows = parts["base"]["rows"] if has(parts, "base") else []
    official = pick(rows, model="official", training=True)
    unit = "bf16_gflops" in next(iter(parts.values()))["floors"]["before"] if parts else False
    found: list[Target] = [
        (
            "as released does no needless work: GFLOP a window over 12.18, 19 × 30",
            "≤",
            official["gflop"] / RELEASED_GFLOP if official else NOT_RUN,
            f"{FLOP_LIMIT}",
        ),
        (
            "as released is no straw man: share of the matrix rate, training",
            "≥",
            share(official) if official else NOT_RUN,
            f"{SHARE_LIMIT}",
        ),
    ]
    for windows in dict.fromkeys(Case.from_dict(row["case"]).windows for row in rows):
        here = [row for row in rows if Case.from_dict(row["case"]).windows == windows]
        for name, bf16, bound in (("float32", False, "1.5"), ("bf16", True, "3")):
            ours = pick(here, model="ours", training=True, bf16=bf16, **PLAIN)
            value = ratio(ours) if ours else (NOT_RUN if unit or not bf16 else NO_UNIT)
            found.append((f"training {windows}, {name}, over as released", "≥", value, bound))
        theirs = pick(here, model="official", training=True, bf16=False)
        for name, checkpointing in (("", False), (", checkpointing", True)):
            changes = PLAIN | {"checkpointing": checkpointing}
            ours = pick(here, model="ours", training=True, bf16=False, **changes)
            memory = over(ours, theirs, "peak_mib")
            found.append(
                (f"memory of training {windows}{name}, over as released", "≤", memory or NOT_RUN, "0.6")
            )
    return found + gpu_targets(parts)


PLAIN = {"short": False, "checkpointing": False, "compiled": False}


def gpu_targets(parts: dict[str, Any]) -> list[Target]:
    """List the aims that need a GPU."""
    rows = parts["gpu"]["rows"] if has(parts, "gpu") else []
    ours = pick(rows, model="ours", training=True, bf16=True, micro=0, compiled=True)
    large = next((row for row in rows if row["case"]["micro"]), None)
    return [
        (
            "GPU: training base, bf16 and compiled, over as released",
            "≥",
            ratio(ours) if ours else NO_GPU,
            "8",
        ),
        ("GPU: windows/s of training base, 19 × 30", "≥", ours["windows_s"] if ours else NO_GPU, "600"),
        (
            "GPU: share of the bf16 matrix rate, large, 64 × 30",
            "≥",
            share(large) if large else NO_GPU,
            "0.35",
        ),
    ]


def verdict(name: str, relation: str, value: float | str | None, bound: str) -> list[str]:
    """Say whether a target is met."""
    if not isinstance(value, float):
        return [name, f"{relation} {bound}", str(value), ""]
    met = value >= float(bound) if relation == "≥" else value <= float(bound)
    return [name, f"{relation} {bound}", f"{value:.3g}", "yes" if met else "**no**"]


def made(parts: dict[str, Any]) -> str:
    """Tell how every part was made, and the floors of its machine."""
    columns = ("part", "command", "machine", "min", "float32 GFLOP/s", "bf16 GFLOP/s", "copy GB/s")
    rows = []
    for name, part in sorted(parts.items(), key=lambda item: ORDER.index(item[0])):
        before, after = part["floors"]["before"], part["floors"]["after"]
        both = [
            f"{before[unit]:.0f}, {after[unit]:.0f}" if unit in before else NO_UNIT
            for unit in ("float32_gflops", "bf16_gflops", "copy_gbps")
        ]
        rows.append([name, f"`{part['command']}`", part["machine"], f"{part['minutes']:.1f}", *both])
    same = len({part["made_from"]["code"] for part in parts.values()}) < 2
    alike = (
        "All parts are of the same code." if same else "**The parts are of different versions of the code.**"
    )
    return f"Floors of the machine before and after each part. {alike}\n\n" + table(columns, rows)


def comparison(rows: Sequence[Row], reference: str) -> str:
    """Tabulate races: windows/s, ratio to the first of each race, share of the floor, memory."""
    columns = ("windows", "step", "model", "batch", "windows/s", f"ratio to {reference}", "GFLOP a window")
    lines = []
    for row in rows:
        case = Case.from_dict(row["case"])
        first = next(one for one in rows if same_race(one["case"], row["case"]))
        memory = None if row is first else over(row, first, "peak_mib")
        ratios = "" if row is first else spread(row["ratios"])
        peak = f"{row['peak_mib']:.0f}" if row.get("peak_mib") else ""
        batch = f"{case.batch} ({case.micro} at a time)" if case.micro else str(case.batch)
        step = "training" if case.training else "inference"
        lines.append(
            [
                *(case.windows, step, case.label, batch, f"{row['windows_s']:.3g}", ratios),
                *(f"{row['gflop']:.4g}", f"{share(row):.2f}", peak, f"{memory:.2f}" if memory else ""),
            ]
        )
    return table((*columns, "share", "peak MiB", "memory ratio"), lines)


def same_race(one: Row, other: Row) -> bool:
    """Whether two cases are steps of one kind on windows of one kind."""
    return all(one[name] == other[name] for name in ("channels", "seconds", "batch", "training"))


def growth_text(rows: Sequence[Row]) -> list[str]:
    """Tabulate growth with its exponents."""
    lines = []
    for row in rows:
        sizes, seconds, memory = row["sizes"], row["seconds"], row["peak_mib"]
        slopes = [
            f"{exponent(sizes, values):.2f}, {exponent(sizes, values, UPPER):.2f}"
            for values in (seconds, memory)
        ]
        lines.append(
            [
                *(row["axis"], row["attention"], f"{sizes[0]}–{sizes[-1]}", f"{row['tokens'][-1]}"),
                *(f"{1000 * seconds[-1]:.0f}", f"{row['ratios'][-1]:.2f}", slopes[0]),
                *(
                    f"{memory[-1]:.0f}" if memory[-1] else "",
                    slopes[1],
                    f"{exponent(sizes, row['gflop']):.2f}",
                ),
            ]
        )
    columns = ("axis", "attention", "sizes", "tokens at the largest", "ms", "speed over structured")
    columns = (*columns, "exponent of time", "MiB", "exponent of memory", "exponent of multiplications")
    return [
        "A training step of one window of `small`. More electrodes at 4 s in 15 patches of 0.5 s; more seconds in "
        "patches of 1 s at 19 electrodes. An exponent is the slope of the logarithms, over all sizes and over the last "
        f"{UPPER}: small sizes cost what starting operations costs. Multiplications are those that the counter "
        "sees, without those inside the fused attention of `dense` and `criss_cross`.",
        table(columns, lines),
        "![Time and memory of a training step against electrodes and seconds](../../docs/images/growth.png)",
    ]


def pick(rows: Sequence[Row], **wanted: Any) -> Row | None:
    """Return the first row whose case has these settings."""
    return next((row for row in rows if all(row["case"][k] == v for k, v in wanted.items())), None)


def ratio(row: Row) -> float:
    """Return the median of the rounds' ratios."""
    return float(statistics.median(row["ratios"]))


def share(row: Row) -> float:
    """Return the median share of the matrix rate."""
    return float(statistics.median(row["shares"]))


def over(row: Row | None, reference: Row | None, name: str) -> float | None:
    """Return the ratio of two rows' figures, None where one is missing."""
    if not row or not reference or not row.get(name) or not reference.get(name):
        return None
    return float(row[name] / reference[name])


def spread(ratios: Sequence[float]) -> str:
    """Show the median, the lowest and the highest."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
