"""The picture of growth: a training step's time and memory against electrodes and seconds, on logarithmic axes."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from eegfm.report.style import SERIES, muted, printed, save_png
from model_speed.growth import UPPER, exponent

TITLES = {"electrodes": "electrodes, 4 s", "seconds": "seconds, 19 electrodes"}
VALUES = {"seconds": ("time", "ms", 1000.0), "peak_mib": ("memory", "MiB", 1.0)}


def write_growth_png(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the figure of `growth`'s rows."""
    axes_names = list(dict.fromkeys(row["axis"] for row in rows))
    with printed():
        figure = Figure(figsize=(9.0, 6.4), layout="constrained")
        axes = figure.subplots(len(VALUES), len(axes_names), squeeze=False)
        for line, value in zip(axes, VALUES, strict=True):
            for ax, axis in zip(line, axes_names, strict=True):
                draw(ax, [row for row in rows if row["axis"] == axis], value)
                ax.set_xlabel(TITLES[axis] if value == "peak_mib" else "")
        figure.suptitle("A training step of one window: slope over the last three sizes", fontsize=10)
        data = io.BytesIO()
        path.parent.mkdir(parents=True, exist_ok=True)
        save_png(figure, data)
        path.write_bytes(data.getvalue())


def draw(ax: Axes, rows: Sequence[dict[str, Any]], value: str) -> None:
    """Draw one value against size, a line for each attention."""
    name, unit, scale = VALUES[value]
    for colour, row in zip(SERIES, rows, strict=False):
        shown = [(size, scale * one) for size, one in zip(row["sizes"], row[value], strict=True) if one]
        slope = exponent(row["sizes"], row[value], UPPER)
        label = f"{row['attention'].replace('_', '-')}, {slope:.2f}"
        ax.plot(*zip(*shown, strict=True), marker="o", markersize=4, color=colour, label=label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(rows[0]["sizes"])
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for one in (ax.xaxis, ax.yaxis):
        one.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
        one.set_minor_locator(NullLocator())
    ax.set_ylabel(f"{name}, {unit}", color=muted())
    ax.grid(visible=True, which="major")
    ax.legend(frameon=False, fontsize=8)
