"""Figures of learning: loss curves of pre-training and fine-tuning, masked reconstructions in µV."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eegfm.report.heads import ON_MAP, draw_scalp_map
from eegfm.report.projection import project
from eegfm.report.style import GUESS, HIDDEN, SERIES, TRUTH, bare, ground, ink, muted

CHANNELS_SHOWN = 8


def pretraining_figure(log: Sequence[dict[str, Any]]) -> Figure | None:
    """Loss of training and validation people over steps, and the speed; None for a log without losses."""
    records = [record for record in log if record.get("loss") is not None and record.get("step") is not None]
    if not records:
        return None
    speed = [(r["step"], r["windows_s"]) for r in records if r.get("windows_s")]
    figure = Figure(figsize=(10.2, 3.0))
    panels = figure.subplots(1, 2 if speed else 1, width_ratios=[2.2, 1] if speed else None, squeeze=False)[0]
    draw_loss(panels[0], records)
    if speed:
        panels[1].plot(*zip(*speed, strict=True), color=SERIES[2])
        panels[1].set(title="Speed", xlabel="step", ylabel="windows a second", ylim=(0, None))
    return figure


def draw_loss(axes: Axes, records: Sequence[dict[str, Any]]) -> None:
    """Draw loss over steps, one line a split."""
    splits = {"train": ("training people", SERIES[0]), "valid": ("people held out", SERIES[1])}
    for split, (label, colour) in splits.items():
        points = sorted((r["step"], r["loss"]) for r in records if r.get("split", "train") == split)
        if points:
            marker = "o" if len(points) < 30 else None
            axes.plot(*zip(*points, strict=True), color=colour, label=label, marker=marker, markersize=3)
    axes.set(title="Loss on hidden patches", xlabel="step", ylabel="loss")
    axes.legend()


def finetuning_figure(log: Sequence[dict[str, Any]]) -> Figure | None:
    """Loss and balanced accuracy over epochs, one line a model; None where no model was trained by epochs."""
    curves: dict[tuple[str, str, str], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in log:
        for measure in ("loss", "balanced_accuracy"):
            if record.get("epoch") is not None and record.get(measure) is not None and record.get("model"):
                split = record.get("split", "train")
                curves[record["model"], split, measure][record["epoch"]].append(record[measure])
    models = list(dict.fromkeys(model for model, _, _ in curves))
    if not models:
        return None
    figure = Figure(figsize=(10.2, 3.1))
    panels = figure.subplots(1, 2)
    for (model, split, measure), by_epoch in curves.items():
        axes = panels[0] if measure == "loss" else panels[1]
        _draw_curve(axes, by_epoch, SERIES[models.index(model) % len(SERIES)], model, split)
    panels[0].set(title="Loss", xlabel="epoch", ylabel="mean over folds and seeds")
    panels[1].set(title="Balanced accuracy", xlabel="epoch")
    handles, labels = panels[0].get_legend_handles_labels()
    if not handles:
        handles, labels = panels[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def reconstructions_figure(arrays: dict[str, np.ndarray]) -> Figure:
    """Draw the first windows: truth, prediction where hidden, and one instant on the scalp."""
    count = min(2, len(arrays["true_uv"]))
    figure = Figure(figsize=(10.2, 4.4 * count))
    rows = figure.subfigures(count, 1, squeeze=False)[:, 0]
    for window, row in enumerate(rows):
        traces, maps = row.subfigures(1, 2, width_ratios=[3.1, 1])
        axes = traces.subplots()
        draw_reconstruction(axes, arrays, window)
        axes.set_title(f"Hidden patches, reconstructed (r = {correlation(arrays, window):.2f})")
        truth, guess = maps.subplots(2, 1)
        draw_instant(truth, guess, arrays, window)
    return figure


def draw_reconstruction(axes: Axes, arrays: dict[str, np.ndarray], window: int = 0) -> None:
    """Draw channels under each other: truth, hidden stretches shaded, the prediction there."""
    true_CT, guess_CT = arrays["true_uv"][window], arrays["predicted_uv"][window]
    hidden_CT = hidden_samples(arrays, window)
    chosen = _spread(hidden_CT, arrays["positions"])
    time_s = np.arange(true_CT.shape[1]) / float(arrays["rate_hz"])
    step_uv = float(np.ceil(np.percentile(np.abs(true_CT[chosen]), 98) * 2 / 10) * 10) or 10.0
    for row, channel in enumerate(chosen):
        base = -row * step_uv
        shaded = hidden_CT[channel]
        axes.fill_between(
            time_s,
            base - 0.45 * step_uv,
            base + 0.45 * step_uv,
            where=shaded,
            color=HIDDEN,
            alpha=0.16,
            linewidth=0,
        )
        axes.plot(
            time_s, base + true_CT[channel], color=TRUTH, linewidth=1.0, label="truth" if row == 0 else None
        )
        guess_T = np.where(shaded, guess_CT[channel], np.nan)
        axes.plot(
            time_s, base + guess_T, color=GUESS, linewidth=1.3, label="reconstructed" if row == 0 else None
        )
    _finish_traces(axes, [str(arrays["names"][c]) for c in chosen], step_uv, time_s)


def draw_instant(truth: Axes, guess: Axes, arrays: dict[str, np.ndarray], window: int = 0) -> None:
    """Draw the scalp when the field of hidden electrodes was strongest, and its reconstruction."""
    true_CT, hidden_CT = arrays["true_uv"][window], hidden_samples(arrays, window)
    instant = int(np.argmax(hidden_CT.mean(axis=0) * true_CT.std(axis=0)))
    hidden_C = hidden_CT[:, instant]
    guess_C = np.where(hidden_C, arrays["predicted_uv"][window][:, instant], true_CT[:, instant])
    limit = float(np.abs(true_CT[:, instant]).max()) or 1.0
    seconds = instant / float(arrays["rate_hz"])
    for axes, values_C, title in (
        (truth, true_CT[:, instant], f"Truth at {seconds:.2f} s"),
        (guess, guess_C, "Reconstructed"),
    ):
        image = draw_scalp_map(axes, values_C, arrays["positions"], limit)
        axes.set_title(title, loc="center")
        bar = axes.figure.colorbar(image, ax=axes, shrink=0.6, aspect=14, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_label("µV", rotation=0)
    places = project(arrays["positions"])[hidden_C]
    guess.scatter(
        places[:, 0], places[:, 1], s=26, facecolors="none", edgecolors=ON_MAP, linewidths=0.9, zorder=5
    )
    guess.text(
        0.5,
        -0.04,
        "rings: hidden electrodes",
        transform=guess.transAxes,
        ha="center",
        color=muted(),
        fontsize=8,
    )


def hidden_samples(arrays: dict[str, np.ndarray], window: int) -> np.ndarray:
    """Find the samples that no visible patch covers, shape (C, T)."""
    hidden_CP = arrays["hidden"][window]
    size, stride = int(arrays["patch_samples"]), int(arrays["stride_samples"])
    seen_CT = np.zeros(arrays["true_uv"][window].shape, dtype=bool)
    covered_T = np.zeros(seen_CT.shape[1], dtype=bool)
    for patch in range(hidden_CP.shape[1]):
        stretch = slice(patch * stride, patch * stride + size)
        covered_T[stretch] = True
        seen_CT[~hidden_CP[:, patch], stretch] = True
    return ~seen_CT & covered_T


def correlation(arrays: dict[str, np.ndarray], window: int | None = None) -> float:
    """Correlation of truth and reconstruction over hidden samples, of one window or of all."""
    windows = range(len(arrays["true_uv"])) if window is None else [window]
    masks = [hidden_samples(arrays, w) for w in windows]
    true = np.concatenate([arrays["true_uv"][w][m] for w, m in zip(windows, masks, strict=True)])
    guess = np.concatenate([arrays["predicted_uv"][w][m] for w, m in zip(windows, masks, strict=True)])
    if true.size < 2 or true.std() == 0 or guess.std() == 0:
        return float("nan")
    return float(np.corrcoef(true, guess)[0, 1])


def _spread(hidden_CT: np.ndarray, positions_C3: np.ndarray) -> np.ndarray:
    """Channels from front to back, evenly, among those that were hidden at some time."""
    candidates = np.flatnonzero(hidden_CT.any(axis=1))
    if candidates.size == 0:
        candidates = np.arange(len(hidden_CT))
    front_first = candidates[np.argsort(-np.nan_to_num(positions_C3[candidates, 1]), kind="stable")]
    places = np.linspace(0, len(front_first) - 1, min(CHANNELS_SHOWN, len(front_first)))
    return front_first[places.round().astype(int)]


def _finish_traces(axes: Axes, names: list[str], step_uv: float, time_s: np.ndarray) -> None:
    bare(axes, keep="bottom")
    axes.grid(axis="y", visible=False)
    axes.set_yticks([-row * step_uv for row in range(len(names))], names)
    axes.tick_params(axis="y", labelcolor=ink())
    axes.set(xlabel="s", xlim=(time_s[0], time_s[-1]), ylim=(-(len(names) - 0.35) * step_uv, 0.75 * step_uv))
    bar_uv = max(10.0, round(step_uv / 2, -1))
    end = time_s[-1] * 1.012
    axes.plot([end, end], [-bar_uv / 2, bar_uv / 2], color=ink(), linewidth=2, clip_on=False)
    axes.text(end * 1.008, 0, f"{bar_uv:.0f} µV", va="center", color=ink(), fontsize=8.5)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1.0), ncols=2, borderaxespad=0.2, facecolor=ground())


def _draw_curve(axes: Axes, by_epoch: dict[float, list[float]], colour: str, model: str, split: str) -> None:
    epochs = sorted(by_epoch)
    middle = [float(np.mean(by_epoch[epoch])) for epoch in epochs]
    style = "-" if split == "valid" else ":"
    axes.plot(
        epochs, middle, style, color=colour, label=f"{model} ({'validation' if split == 'valid' else split})"
    )
