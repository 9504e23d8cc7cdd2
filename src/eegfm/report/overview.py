"""One picture of a whole run: montages, a reconstruction, people never seen, the table of models."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from eegfm.report.figures_learning import draw_reconstruction
from eegfm.report.figures_people import draw_people
from eegfm.report.heads import draw_montage, reach_of
from eegfm.report.material import montages
from eegfm.report.models import Table, tables
from eegfm.report.run import Run, is_simulated
from eegfm.report.style import SERIES, ink, muted, printed, rule, save_png
from eegfm_lake.errors import EegfmError

_SHOWN_MODELS = 6


def draw_overview(run: Run, out: Path) -> None:
    """Draw and save the picture.

    Parameters
    ----------
    run : Run
        A fine-tuning run; without its pre-training run the reconstruction is left out.
    out : Path
        The PNG to write.

    Raises
    ------
    EegfmError
        The run has no scores, or its lock is gone.
    """
    found = tables(run)
    if not found or run.lock is None:
        raise EegfmError(
            f"{run.path} has no {'scores' if not found else 'lock'}: finish `eegfm finetune` first"
        )
    with printed():
        figure = Figure(figsize=(11.4, 7.0))
        simulated = "  ·  simulated data" if is_simulated(run.lock) else ""
        figure.suptitle(
            f"eegfm: from raw recordings to people never seen{simulated}", x=0.015, ha="left", fontsize=13
        )
        (upper,), (lower,) = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.08, 1], hspace=0.05)
        ((heads, traces),) = upper.subfigures(1, 2, squeeze=False, width_ratios=[1, 1.15], wspace=0.03)
        ((dots, table),) = lower.subfigures(1, 2, squeeze=False, width_ratios=[1.25, 1], wspace=0.03)
        _draw_heads(heads, run)
        _draw_traces(traces, run)
        fullest = max(found, key=lambda each: len(each.rows))
        _draw_dots(dots, run, fullest)
        _draw_table(table.subplots(), run, fullest)
        save_png(figure, out)


def _draw_heads(panel: SubFigure, run: Run) -> None:
    assert run.lock is not None
    panel.suptitle("1  Any montage", x=0.03, ha="left", fontsize=11, fontweight="bold")
    shown = montages(run.lock)[:3]
    reach = max((reach_of(montage.positions_C3) for montage in shown), default=1.0)
    for axes, montage in zip(panel.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        draw_montage(axes, montage.names, montage.positions_C3, montage.regions, label=False, reach=reach)
        axes.set_title(montage.group.split(" · ")[-1], loc="center", fontsize=9.5, pad=12)
        words = f"{len(montage.names)} electrodes\n{montage.people} people"
        axes.text(
            0.5, -0.04, words, transform=axes.transAxes, ha="center", va="top", fontsize=8.5, color=muted()
        )


def _draw_traces(panel: SubFigure, run: Run) -> None:
    source = run.pretraining
    panel.suptitle(
        "2  Pre-trained by reconstructing what was hidden", x=0.03, ha="left", fontsize=11, fontweight="bold"
    )
    axes = panel.subplots()
    if source is None or source.reconstructions is None:
        axes.text(
            0.5, 0.5, "the encoder was not pre-trained", ha="center", color=muted(), transform=axes.transAxes
        )
        axes.axis("off")
        return
    draw_reconstruction(axes, source.reconstructions)


def _draw_dots(panel: SubFigure, run: Run, table: Table) -> None:
    title = f"3  A dot per person never seen (target data: {table.target_data})"
    panel.suptitle(title, x=0.03, ha="left", fontsize=11, fontweight="bold")
    axes = panel.subplots()
    draw_people(axes, table.rows[:_SHOWN_MODELS], max(2, len(run.classes)), _chance(run))
    axes.set_xlabel("balanced accuracy (grey: guessing stays here in 95 of 100 people)")


def _draw_table(axes: Axes, run: Run, table: Table) -> None:
    axes.set_title("4  Beside what simple decoders reach", fontsize=11, pad=10)
    axes.axis("off")
    columns = ("model", "balanced acc.", "SD", "above chance")
    places = (0.0, 0.66, 0.79, 1.0)
    lines = [
        (
            row.label,
            f"{row.measures['balanced_accuracy']:.3f}",
            f"{row.sd_people:.3f}",
            f"{row.above_chance}/{len(row.people)}",
        )
        for row in table.rows[:_SHOWN_MODELS]
    ]
    lines.append(("chance (permuted labels)", f"{_chance(run):.3f}", "", ""))
    for number, line in enumerate([columns, *lines]):
        y = 0.96 - 0.115 * number
        head, last = number == 0, number == len(lines)
        csbrain = line[0].lower().startswith("csbrain")
        for place, word in zip(places, line, strict=True):
            axes.text(
                place,
                y,
                word,
                ha="left" if place == 0 else "right",
                va="center",
                transform=axes.transAxes,
                color=muted() if head or last else SERIES[1] if csbrain else ink(),
                fontweight="bold" if csbrain else "normal",
                fontsize=9.5,
            )
        axes.plot([0, 1], [y - 0.057] * 2, color=rule(), linewidth=0.8, transform=axes.transAxes)


def _chance(run: Run) -> float:
    return run.chance["mean"] if run.chance else 1 / max(2, len(run.classes))
