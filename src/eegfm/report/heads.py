"""Heads seen from above: montages by lobe, and scalp maps of values."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Circle, Polygon

from eegfm.report.projection import project
from eegfm.report.style import SERIES, ground, ink, muted

ON_MAP = "#1c2228"
"""What is drawn on a scalp map: its colours are light in the middle, whatever the page's."""

LOBES = ("frontal", "sensorimotor", "temporal", "parietal", "occipital", "unknown")
LOBE_COLOURS = dict(
    zip(LOBES, (SERIES[0], SERIES[1], SERIES[2], SERIES[4], SERIES[3], SERIES[6]), strict=True)
)


def draw_head(axes: Axes, reach: float = 1.0) -> None:
    """Draw scalp, nose and ears on empty axes; 1 is the circle through Fpz, T7, Oz and T8."""
    line = {"linewidth": 1.1, "edgecolor": muted(), "facecolor": ground(), "zorder": 1}
    axes.add_patch(Polygon([(-0.13, 0.985), (0, 1.13), (0.13, 0.985)], closed=False, **line))
    for side in (-1, 1):
        ear = [(1.0, 0.17), (1.07, 0.16), (1.09, 0.05), (1.07, -0.1), (1.05, -0.18), (0.985, -0.19)]
        axes.add_patch(Polygon([(side * x, y) for x, y in ear], closed=False, **line))
    axes.add_patch(Circle((0, 0), 1.0, **line))
    reach = max(reach, 1.16)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.axis("off")


def draw_montage(
    axes: Axes,
    names: Sequence[str],
    positions_C3: np.ndarray,
    regions: Sequence[str],
    *,
    label: bool = True,
    reach: float | None = None,
) -> None:
    """Draw electrodes on a head, coloured by lobe.

    Parameters
    ----------
    axes : Axes
    names : sequence of str
        C electrode names.
    positions_C3 : np.ndarray
        Metres in MNE's head frame, shape (C, 3); electrodes without a position are not drawn.
    regions : sequence of str
        C regions; their first word is the lobe.
    label : bool
        Write the names beside the electrodes.
    reach : float, optional
        Half the width of the axes, to draw several heads at one scale.
    """
    places_C2 = project(positions_C3)
    known_C = np.isfinite(places_C2).all(axis=1)
    draw_head(axes, reach=reach or reach_of(positions_C3))
    colours = [LOBE_COLOURS[lobe_of(region)] for region in regions]
    size = 62 if len(names) <= 40 else 30
    axes.scatter(
        places_C2[known_C, 0],
        places_C2[known_C, 1],
        s=size,
        c=[c for c, known in zip(colours, known_C, strict=True) if known],
        edgecolors=ground(),
        linewidths=0.9,
        zorder=3,
    )
    if label:
        for name, (x, y) in zip(np.asarray(names)[known_C], places_C2[known_C], strict=True):
            offset = -0.055 if len(names) > 40 else -0.075
            axes.text(
                x,
                y + offset,
                name,
                ha="center",
                va="top",
                fontsize=5 if len(names) > 40 else 6.5,
                color=ink(),
                zorder=4,
            )


def draw_scalp_map(axes: Axes, values_C: np.ndarray, positions_C3: np.ndarray, limit: float) -> AxesImage:
    """Interpolate values over the scalp with MNE; returns the image for a colour bar.

    Parameters
    ----------
    axes : Axes
    values_C : np.ndarray
        One value an electrode.
    positions_C3 : np.ndarray
        Metres in MNE's head frame.
    limit : float
        The colour scale runs from minus to plus this value.
    """
    from mne.viz import plot_topomap

    places_C2 = project(positions_C3)
    known_C = np.isfinite(places_C2).all(axis=1)
    image, _ = plot_topomap(
        values_C[known_C],
        places_C2[known_C],
        axes=axes,
        show=False,
        vlim=(-limit, limit),
        cmap="RdBu_r",
        contours=4,
        sphere=1.0,
        outlines=None,
        sensors=False,
        extrapolate="head",
        size=3,
    )
    draw_head(axes)
    scalp = axes.patches[-1]
    scalp.set_facecolor("none")
    for layer in (image, *axes.collections):  # MNE draws a square here: its own outlines were left out
        layer.set_clip_path(scalp)
    axes.scatter(places_C2[known_C, 0], places_C2[known_C, 1], s=3, color=ON_MAP, zorder=4)
    return image


def reach_of(positions_C3: np.ndarray) -> float:
    """Half the width of axes that show every electrode; 1 is the circle through Fpz, T7, Oz and T8."""
    places_C2 = project(positions_C3)
    return 1.08 * float(np.abs(places_C2[np.isfinite(places_C2)]).max(initial=1.0))


def lobe_of(region: str) -> str:
    """First word of a region: ``sensorimotor/left`` and ``sensorimotor left`` are both sensorimotor."""
    return next((lobe for lobe in LOBES if str(region).startswith(lobe)), "unknown")
