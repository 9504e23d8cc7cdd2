"""The tables of results/corrections.md; the words around them are written by hand, and stay."""

import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

from corrections.variants import VARIANTS
from eegfm.pretrain.objective import BANDS_HZ

TOLD = Path(__file__).parents[1] / "results" / "corrections.md"


def write(name: str, locks: list, heads: list[str], rows: list[list[str]]) -> None:
    """Put a table between its marks."""
    lines = ["| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows]]
    made = (
        f"`python {' '.join(sys.argv)}` · locks {', '.join(f'`{Path(lock.path).name}`' for lock in locks)} ·"
        f" {os.cpu_count()} cores, {platform.machine()}, one thread, torch {version('torch')}."
    )
    opening, closing = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, after = (TOLD.read_text("utf-8") if TOLD.exists() else "").partition(opening)
    after = after.partition(closing)[2] or "\n"
    TOLD.write_text(before + "\n".join([opening, made, "", *lines, closing]) + after, encoding="utf-8")


def write_variants(runs: Path, steps: int, locks: list) -> None:
    """Write the table of the variants that have been run."""
    zeros = json.loads((runs / "zeros.json").read_text())
    rows = [
        ["zeros", "", *(shown([zeros[band]]) for band in ("all", *BANDS_HZ)), "0.500", "0.500", *5 * [""]]
    ]
    for variant in VARIANTS:
        files = sorted(runs.glob(f"{variant.name}_{steps}_[0-9].json"))
        found = [json.loads(file.read_text()) for file in files]
        if not found:
            continue
        hidden = [each["hidden"] for each in found if each["hidden"]]
        bands = [
            shown([each[band] for each in hidden]) if hidden else "" for band in ("all", *list(BANDS_HZ))
        ]
        cost = found[0]
        rows.append(
            [
                variant.name,
                variant.undone,
                *bands,
                shown([each["probe"] for each in found]),
                shown([each["probe_valid"] for each in found]),
                str(len(found)),
                str(cost["parameters"]),
                str(cost["mflop"]),
                str(cost["steps"]),
                f"{np.mean([each['cpu_s'] for each in found]):.0f}",
            ]
        )
    heads = ["variant", "undone", "hidden error", *BANDS_HZ, "left/right, unseen", "left/right, validation"]
    heads += ["seeds", "parameters", "MFLOP a window", "steps", "CPU s"]
    write(f"{steps} steps", locks, heads, rows)


def shown(values: list[float]) -> str:
    """Return a mean, in brackets the standard deviation over seeds."""
    sd = f" ({np.std(values, ddof=1):.3f})" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{sd}"
