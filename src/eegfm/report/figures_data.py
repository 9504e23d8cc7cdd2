"""Figures of the data: montages on heads, spectra before and after harmonisation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from eegfm.report.heads import LOBE_COLOURS, LOBES, draw_montage, lobe_of, reach_of
from eegfm.report.material import Group, Montage
from eegfm.report.style import SERIES, muted

MONTAGES_SHOWN = 8
_COLUMNS = 4


def montages_figure(montages: Sequence[Montage]) -> Figure:
    """Draw one head a montage, the most common first, electrodes coloured by lobe."""
    shown = montages[:MONTAGES_SHOWN]
    columns = min(_COLUMNS, max(len(shown), 3))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(10.2, 10.2 / columns * 1.1 * rows + 0.35))
    reach = max((reach_of(montage.positions_C3) for montage in shown), default=1.0)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, montage in zip(grid, shown, strict=False):
        draw_montage(axes, montage.names, montage.positions_C3, montage.regions, reach=reach)
        axes.set_title(f"{montage.group}", loc="center", pad=14)
        placed = f", {montage.from_file} placed by file" if montage.from_file else ""
        axes.text(
            0.5,
            1.02,
            f"{len(montage.names)} electrodes{placed}, {montage.people} people",
            transform=axes.transAxes,
            ha="center",
            fontsize=8,
            color=muted(),
        )
    for axes in grid[len(shown) :]:
        axes.axis("off")
    figure.legend(handles=_lobe_handles(shown), loc="outside lower center", ncols=6, handletextpad=0.1)
    return figure


def spectra_figure(groups: Sequence[Group]) -> Figure:
    """Median spectra of every group: as recorded, and as stored in the lake."""
    figure = Figure(figsize=(10.2, 3.5))
    before, after = figure.subplots(1, 2, sharey=True)
    for group, colour in zip(groups, _colours(len(groups)), strict=True):
        draw_spectra(before, group, "before_uv2_hz", colour)
        draw_spectra(after, group, "after_uv2_hz", colour)
    before.set(title="As recorded", ylabel="µV²/Hz, median over good channels", xlabel="Hz")
    after.set(title="In the lake", xlabel="Hz")
    for axes in (before, after):
        axes.set_xlim(0, 100)
        axes.set_yscale("log")
    _bound_spectra(before, after)
    if len(groups) <= len(SERIES):
        figure.legend(*after.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def draw_spectra(axes: Axes, group: Group, which: str, colour: str) -> None:
    """Draw a group's median spectrum and, behind it, the middle half of its recordings."""
    spectra = [r["spectrum"] for r in group.recordings if r["spectrum"] and r["spectrum"][which]]
    if not spectra:
        return
    freqs = _longest([spectrum["freqs_hz"] for spectrum in spectra])
    power = np.array([_on(freqs, spectrum["freqs_hz"], spectrum[which]) for spectrum in spectra])
    known = np.isfinite(power).any(axis=0)
    low, middle, high = np.nanpercentile(power[:, known], [25, 50, 75], axis=0)
    axes.fill_between(freqs[known], low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(freqs[known], middle, color=colour, linewidth=1.3, label=group.name)


def _on(freqs: np.ndarray, own: list[float], power: list[float | None]) -> np.ndarray:
    values = np.array([np.nan if value is None or value <= 0 else value for value in power], dtype=float)
    return np.interp(freqs, np.array(own, dtype=float), values, left=np.nan, right=np.nan)


def _longest(grids: list[list[float]]) -> np.ndarray:
    return np.array(max(grids, key=lambda grid: grid[-1]), dtype=float)


def _bound_spectra(*panels: Axes) -> None:
    """Leave out what the filters removed: below a thousandth of a percent of the median it is rounding."""
    values = np.concatenate([line.get_ydata() for axes in panels for line in axes.lines] or [np.ones(1)])
    values = values[np.isfinite(values) & (values > 0)]
    panels[0].set_ylim(max(values.min(), np.median(values) * 1e-4) / 2, values.max() * 3)


def _colours(n: int) -> list[str]:
    return [SERIES[i % len(SERIES)] for i in range(n)]


def _lobe_handles(montages: Sequence[Montage]) -> list[Any]:
    present = {lobe_of(region) for montage in montages for region in montage.regions}
    return [
        Line2D([], [], marker="o", linestyle="", color=LOBE_COLOURS[lobe], label=lobe, markersize=6)
        for lobe in LOBES
        if lobe in present
    ]
