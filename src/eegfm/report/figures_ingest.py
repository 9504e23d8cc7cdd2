"""Figures of an ingest: how good the recordings are, what is known about them, where the time went."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eegfm.report.style import SERIES, ink, muted, rule
from eegfm_lake.schema import ORIGINS

PHYSIOLOGICAL_UV = (1.0, 100.0)
"""Robust standard deviation of scalp EEG between 0.3 and 75 Hz; what lies outside deserves a look."""

ORIGIN_COLOURS = dict(zip(ORIGINS, (SERIES[0], SERIES[2], SERIES[5], SERIES[4]), strict=True))


def quality_figure(
    good_share: np.ndarray, bad_share: np.ndarray, amplitude_uv: np.ndarray, line_ratio: np.ndarray
) -> Figure:
    """Draw four distributions: good blocks, bad channels, amplitudes, line noise.

    Parameters
    ----------
    good_share, bad_share : np.ndarray
        Per recording: good blocks and bad EEG channels, as shares.
    amplitude_uv : np.ndarray
        Per stored EEG channel.
    line_ratio : np.ndarray
        Per recording: power at the mains frequency over that beside it, as it came.
    """
    figure = Figure(figsize=(10.2, 5.6))
    figure.set_layout_engine("constrained", h_pad=0.12, w_pad=0.12)
    shares = np.linspace(0, 1, 21)
    panels = figure.subplots(2, 2)
    _histogram(panels[0, 0], good_share, shares, "Good blocks", "share of a recording's blocks of 10 s")
    _histogram(panels[0, 1], bad_share, shares, "Bad channels", "share of a recording's EEG channels")
    _log_histogram(
        panels[1, 0], amplitude_uv, "Amplitude of EEG channels", "µV, robust standard deviation, stored"
    )
    panels[1, 0].axvspan(*PHYSIOLOGICAL_UV, color=SERIES[2], alpha=0.12, linewidth=0, zorder=0)
    _log_histogram(
        panels[1, 1], line_ratio, "Mains as recorded", "power at the mains frequency over its neighbours"
    )
    for axes, what in zip(
        panels.ravel(), ("recordings", "recordings", "channels", "recordings"), strict=True
    ):
        axes.set_ylabel(what)
        axes.grid(axis="x", visible=False)
        axes.yaxis.get_major_locator().set_params(integer=True)
    return figure


def coverage_figure(
    coverage: Mapping[str, Counter[str]], covariates: Sequence[str], recordings: int
) -> Figure:
    """Draw a bar a covariate: the share of recordings in which it is known, by how it is known."""
    figure = Figure(figsize=(10.2, 0.27 * len(covariates) + 0.8))
    axes = figure.subplots()
    places = np.arange(len(covariates))[::-1]
    left = np.zeros(len(covariates))
    axes.barh(places, 1.0, height=0.62, color=rule(), alpha=0.45)
    for origin in ORIGINS:
        share = np.array([coverage.get(name, Counter())[origin] / recordings for name in covariates])
        if share.any():
            axes.barh(places, share, left=left, height=0.62, color=ORIGIN_COLOURS[origin], label=origin)
        left += share
    for place, known in zip(places, left, strict=True):
        axes.text(
            1.01,
            place,
            f"{100 * known:.0f} %",
            va="center",
            color=muted() if known == 0 else ink(),
            fontsize=9,
        )
    axes.set_yticks(places, [name.replace("_", " ") for name in covariates])
    axes.tick_params(axis="y", labelcolor=ink())
    axes.set(xlim=(0, 1.06), ylim=(-0.6, len(covariates) - 0.4))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 % of recordings"])
    axes.grid(visible=False)
    if axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside upper right", ncols=4)
    return figure


def effort_figure(steps: Mapping[str, float]) -> Figure:
    """Draw one bar: the share of the workers' time that each step took."""
    figure = Figure(figsize=(10.2, 0.95))
    axes = figure.subplots()
    total, left = sum(steps.values()), 0.0
    for (name, seconds), colour in zip(steps.items(), SERIES, strict=False):
        share = seconds / total
        axes.barh(0, share, left=left, height=0.6, color=colour, label=f"{name} {100 * share:.0f} %")
        left += share
    axes.set(xlim=(0, 1), yticks=[], xticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.legend(loc="outside upper left", ncols=len(steps))
    return figure


def _histogram(axes: Axes, values: np.ndarray, edges: np.ndarray, title: str, label: str) -> None:
    axes.hist(values[np.isfinite(values)], bins=edges.tolist(), color=SERIES[0], rwidth=0.9)
    axes.set(title=title, xlabel=label, xlim=(edges[0], edges[-1]))


def _log_histogram(axes: Axes, values: np.ndarray, title: str, label: str) -> None:
    found = values[np.isfinite(values) & (values > 0)]
    low, high = (found.min(), found.max()) if found.size else (1.0, 10.0)
    low, high = min(low, high / 2), max(high, 2 * low)
    axes.hist(found, bins=np.geomspace(low, high, 41).tolist(), color=SERIES[0], rwidth=0.9)
    axes.set(title=title, xlabel=label, xscale="log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
