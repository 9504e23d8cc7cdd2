"""Figures of decoding: a dot per person against chance, confusion matrices."""

from collections.abc import Sequence
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from eegfm.report.models import Row, Table, binomial_bound
from eegfm.report.style import SERIES, bare, ground, ink, muted, rule


def people_figure(tables: Sequence[Table], classes: int, chance: float) -> Figure:
    """Draw a panel for every use of the test person's data, a row a model, a dot a person."""
    heights = [len(table.rows) + 1.2 for table in tables]
    figure = Figure(figsize=(10.2, 0.42 * sum(heights) + 0.8))
    panels = figure.subplots(len(tables), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for axes, table in zip(panels, tables, strict=True):
        draw_people(axes, table.rows, classes, chance)
        axes.set_title(table.title)
    panels[-1].set_xlim(left=min(chance, *(_lowest(table.rows) for table in tables)) - 0.04)
    panels[-1].set_xlabel("balanced accuracy of a person never seen in training")
    return figure


def draw_people(axes: Axes, rows: Sequence[Row], classes: int, chance: float) -> None:
    """Draw a dot per person and row; full above the person's own binomial 95 % line, hollow below.

    Parameters
    ----------
    axes : Axes
    rows : sequence of Row
        Best first; drawn from the top.
    classes : int
        Number of classes, for the binomial line.
    chance : float
        Mean over permuted labels.
    """
    for place, row in enumerate(rows):
        values = np.array([person.balanced_accuracy for person in row.people])
        above = np.array([person.above_chance for person in row.people])
        colour = SERIES[1] if row.model.lower().startswith("csbrain") else SERIES[0]
        places = place + _swarm(values)
        axes.scatter(
            values[above], places[above], s=26, color=colour, edgecolors=ground(), linewidths=0.5, zorder=3
        )
        axes.scatter(
            values[~above], places[~above], s=22, facecolors="none", edgecolors=colour, linewidths=1, zorder=3
        )
        axes.plot([values.mean()] * 2, [place - 0.36, place + 0.36], color=ink(), linewidth=2.2, zorder=4)
        axes.text(
            1.015,
            place,
            f"{row.measures['balanced_accuracy']:.3f}",
            transform=axes.get_yaxis_transform(),
            va="center",
            color=ink(),
        )
    trials = median(person.trials for row in rows for person in row.people)
    bound = binomial_bound(int(trials), classes)
    axes.axvspan(0, bound, color=rule(), alpha=0.45, linewidth=0, zorder=0)
    axes.axvline(bound, color=muted(), linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    axes.axvline(chance, color=muted(), linewidth=1, linestyle=(0, (1, 2)), zorder=1)
    bare(axes, keep="bottom")
    axes.grid(axis="y", visible=False)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.tick_params(axis="y", labelcolor=ink())
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(min(_lowest(rows), chance) - 0.04, 1.01))


def confusion_figure(predictions: pa.Table, rows: Sequence[Row], classes: Sequence[str]) -> Figure:
    """One matrix a model: the mean over people of each person's share of decisions."""
    figure = Figure(figsize=(2.55 * max(len(rows), 2), 2.9 if len(classes) <= 4 else 3.6))
    panels = figure.subplots(1, max(len(rows), 2), squeeze=False)[0]
    for axes in panels[len(rows) :]:
        axes.axis("off")
    for i, (axes, row) in enumerate(zip(panels, rows, strict=False)):
        draw_confusion(
            axes,
            confusion(predictions, row, classes),
            [name.split("/")[-1] for name in classes],
            first=i == 0,
        )
        aligned = "" if row.label == row.title else f"\n{row.alignment}"
        axes.set_title(f"{row.title}{aligned}", loc="center", fontsize=9, fontweight="normal")
    return figure


def confusion(predictions: pa.Table, row: Row, classes: Sequence[str]) -> np.ndarray:
    """Share of each true class decided as each class, averaged over test people, shape (true, decided)."""
    wanted = (
        (pc.field("split") == "test")
        & (pc.field("model") == row.model)
        & (pc.field("target_data") == row.target_data)
        & (pc.field("target_labels") == row.target_labels)
    )
    own = [p for p in predictions.filter(wanted).to_pylist() if (p["alignment"] or "") == row.alignment]
    index = {name: i for i, name in enumerate(classes)}
    counts: dict[str, np.ndarray] = {}
    for prediction in own:
        matrix = counts.setdefault(prediction["person"], np.zeros((len(classes), len(classes))))
        matrix[index[prediction["label"]], index[prediction["predicted"]]] += 1
    with np.errstate(invalid="ignore"):
        shares = [matrix / matrix.sum(axis=1, keepdims=True) for matrix in counts.values()]
    return np.nanmean(shares, axis=0) if shares else np.full((len(classes),) * 2, np.nan)


def draw_confusion(axes: Axes, matrix: np.ndarray, names: Sequence[str], *, first: bool = True) -> None:
    """Draw one confusion matrix with its shares written in."""
    for i, j in np.ndindex(matrix.shape):
        axes.add_patch(_cell(j, i, SERIES[0], float(np.nan_to_num(matrix[i, j]))))
        axes.text(j, i, f"{matrix[i, j]:.2f}", ha="center", va="center", color=ink(), fontsize=9)
    places, words = range(len(names)), [name.replace("_", " ") for name in names]
    bare(axes)
    axes.grid(visible=False)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect="equal", xlabel="decided")
    axes.set_xticks(places, words, rotation=0 if len(names) <= 3 else 45)
    axes.set_yticks(places, words if first else [""] * len(words))
    if first:
        axes.set_ylabel("true")


def _lowest(rows: Sequence[Row]) -> float:
    return min(person.balanced_accuracy for row in rows for person in row.people)


def _cell(x: int, y: int, colour: str, share: float) -> Rectangle:
    return Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, color=colour, alpha=0.06 + 0.7 * share, linewidth=0)


def _swarm(values: np.ndarray, width: float = 0.018) -> np.ndarray:
    """Offsets that keep dots of nearly equal value apart, smallest first, the same every time."""
    offsets = np.zeros(len(values))
    order = np.argsort(values, kind="stable")
    for rank, i in enumerate(order):
        near = [j for j in order[:rank] if abs(values[j] - values[i]) < width]
        taken = {round(float(offsets[j]), 2) for j in near}
        steps = (0.0, -0.13, 0.13, -0.26, 0.26)
        offsets[i] = next((step for step in steps if step not in taken), 0.0)
    return offsets
