"""How figures look, and how they get into a page: SVG that follows the reader's light or dark theme."""

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

SERIES = ("#2f7ed8", "#e07b24", "#1fa187", "#c2459b", "#8a6fd1", "#b8901f", "#6b7785")
"""Colours that tell themselves apart, for the colour-blind too, on white and on black."""

TRUTH, GUESS, HIDDEN = "#6b7785", "#e0562f", "#e0a524"

# Stand-ins that become the page's own colours; no figure uses them for anything else.
_INK, _MUTED, _RULE, _GROUND = "#010203", "#040506", "#070809", "#0a0b0c"
_THEMED = {_INK: "var(--ink)", _MUTED: "var(--muted)", _RULE: "var(--rule)", _GROUND: "var(--ground)"}
_PRINTED = {"ink": "#1c2228", "muted": "#5b6670", "rule": "#dfe3e7", "ground": "#ffffff"}


@contextmanager
def printed() -> Iterator[None]:
    """Dark ink on white: for PNG files."""
    with mpl.rc_context(_parameters(**_PRINTED)):
        yield


@contextmanager
def themed() -> Iterator[None]:
    """Stand-in colours that `inline_svg` turns into the page's."""
    with mpl.rc_context(_parameters(_INK, _MUTED, _RULE, _GROUND)):
        yield


def ink() -> str:
    """Colour of text and strong lines in the style that is on."""
    return str(mpl.rcParams["text.color"])


def muted() -> str:
    """Colour of what stands back: labels, second lines."""
    return str(mpl.rcParams["axes.labelcolor"])


def rule() -> str:
    """Colour of grids and frames."""
    return str(mpl.rcParams["grid.color"])


def ground() -> str:
    """Colour behind everything."""
    return str(mpl.rcParams["axes.facecolor"])


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """Turn a figure drawn under `themed` into an `<svg>` element.

    Parameters
    ----------
    figure : Figure
    name : str
        Unique on the page: SVG ids are shared by all figures of a page.
    description : str
        What a reader who cannot see it should know.

    Returns
    -------
    str
        The element, with ids prefixed and colours as CSS variables.
    """
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, bbox_inches="tight", pad_inches=0.04)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    for stand_in, variable in _THEMED.items():
        svg = svg.replace(stand_in, variable)
    label = f'<svg role="img" aria-label="{html.escape(description, quote=True)}" '
    return svg.replace("<svg ", label, 1)


def save_png(figure: Figure, out: Path | io.BytesIO, dpi: int = 150) -> None:
    """Write a figure drawn under `printed`."""
    figure.savefig(
        out, format="png", dpi=dpi, facecolor=_PRINTED["ground"], bbox_inches="tight", pad_inches=0.15
    )


def bare(axes: mpl.axes.Axes, keep: str = "") -> None:
    """Remove the frame but for the sides named in `keep` (``"left bottom"``)."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in keep.split())


def _parameters(ink: str, muted: str, rule: str, ground: str) -> "dict[RcKeyType, Any]":
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "eegfm",
        "font.family": "sans-serif",
        "font.sans-serif": [
            "Inter",
            "Helvetica Neue",
            "Helvetica",
            "Arial",
            "Liberation Sans",
            "DejaVu Sans",
        ],
        "font.size": 9.5,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 9.5,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.facecolor": ground,
        "figure.facecolor": ground,
        "grid.linewidth": 0.7,
        "grid.color": rule,
        "axes.edgecolor": rule,
        "text.color": ink,
        "axes.titlecolor": ink,
        "axes.labelcolor": muted,
        "xtick.color": rule,
        "ytick.color": rule,
        "xtick.labelcolor": muted,
        "ytick.labelcolor": muted,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "legend.frameon": False,
        "legend.labelcolor": ink,
        "legend.fontsize": 9,
        "lines.linewidth": 1.6,
        "lines.solid_capstyle": "round",
        "axes.prop_cycle": cycler(color=list(SERIES)),
        "figure.constrained_layout.use": True,
    }
