"""Regions of scalp, lobe × side from coordinates alone, drawn for caps of many kinds."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image

from eegfm.report.heads import LOBE_COLOURS, draw_head
from eegfm.report.projection import project
from eegfm.report.style import ground, ink, muted, printed, save_png
from eegfm_lake import electrodes
from eegfm_lake.electrodes import LOBES, REGIONS, SIDES, UNKNOWN

CAP_19 = "Fp1 Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 O2"
CAP_22 = "Fz FC3 FC1 FCz FC2 FC4 C5 C3 C1 Cz C2 C4 C6 CP3 CP1 CPz CP2 CP4 P1 Pz P2 POz"
CAP_64 = (
    "Fp1 Fpz Fp2 AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 T9 T7 C5 C3 C1 Cz"
    " C2 C4 C6 T8 T10 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2 Iz"
)
_LEFT_CHAINS = "Fp1-F7 F7-T7 T7-P7 P7-O1 Fp1-F3 F3-C3 C3-P3 P3-O1"
_RIGHT_CHAINS = "Fp2-F4 F4-C4 C4-P4 P4-O2 Fp2-F8 F8-T8 T8-P8 P8-O2"
DOUBLE_BANANA = f"{_LEFT_CHAINS} Fz-Cz Cz-Pz {_RIGHT_CHAINS}"
MUSE = "TP9 AF7 AF8 TP10"

COLUMNS = 3

REACH, KNEE = 1.44, 1.33
"""Half the width of a head's axes, and from where on electrodes are drawn in; 1 is the head's outline."""

_SIZES = ((32, 290, 7.0), (64, 170, 5.4), (128, 88, 4.0), (np.inf, 42, None))
"""Electrodes at most, area of a mark, size of its name in points; None: too dense for names."""

NEIGHBOURS = 4
"""Lines drawn from an electrode: to the neighbours that the widest spatial kernel of the tokenizer reads."""


@dataclass(frozen=True)
class Cap:
    """Electrodes (or derivations at their midpoints) and where they lie.

    Attributes
    ----------
    names : tuple of str, length C
    positions_C3 : ndarray (C, 3)
        Metres in MNE's head frame, NaN where unknown.
    """

    names: tuple[str, ...]
    positions_C3: np.ndarray


def named_cap(names: str) -> Cap:
    """Return a cap of canonical names, or of derivations such as ``F3-C3``, at the template's positions."""
    words = tuple(names.split())
    ends = [electrodes.positions(word.split("-")) for word in words]
    return Cap(words, np.array([end_23.mean(axis=0) for end_23 in ends]))


def mne_cap(montage: str) -> Cap:
    """Return a montage that MNE ships, in its head frame."""
    from mne.channels import make_standard_montage
    from mne.channels.montage import transform_to_head

    places = transform_to_head(make_standard_montage(montage)).get_positions()["ch_pos"]
    return Cap(tuple(places), np.array(list(places.values())))


def usual_caps() -> dict[str, Cap]:
    """Return eight caps from four electrodes to 256, by what they are called."""
    return {
        "10-20 · 19": named_cap(CAP_19),
        "BCI IV 2a · 22": named_cap(CAP_22),
        "BioSemi · 32": mne_cap("biosemi32"),
        "10-10, eegmmidb · 64": named_cap(CAP_64),
        "BioSemi · 128": mne_cap("biosemi128"),
        "EGI HydroCel · 256": mne_cap("GSN-HydroCel-256"),
        "Bipolar, double banana · 18": named_cap(DOUBLE_BANANA),
        "Muse · 4": named_cap(MUSE),
    }


def draw_regions(caps: Mapping[str, Cap]) -> Figure:
    """Draw every electrode of some caps in the colour of its region, joined to its neighbours in that region.

    The lobe is the hue, the side the shade: left light, midline dark, right full. Heads are seen from above; what lies
    far below their outline is drawn nearer to it, and what has no position stands in a row beneath.

    Parameters
    ----------
    caps : mapping of str to Cap
        Title to cap.

    Returns
    -------
    Figure
        One head a cap, and a key.
    """
    rows = len(caps) // COLUMNS + 1  # one place more than caps, for the key
    with printed():
        figure = Figure(figsize=(4.5 * COLUMNS, 4.6 * rows))
        for place, (title, cap) in enumerate(caps.items(), 1):
            axes = figure.add_subplot(rows, COLUMNS, place)
            _draw_cap(axes, cap)
            axes.set_title(title, loc="center", y=0.96, fontsize=12)
        _draw_key(figure.add_subplot(rows, COLUMNS, len(caps) + 1))
    return figure


def write_regions_png(out: str | Path, caps: Mapping[str, Cap] | None = None) -> Path:
    """Write the picture of these caps, or of `usual_caps`, as PNG; returns `out`."""
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    png = io.BytesIO()
    with printed():
        save_png(draw_regions(usual_caps() if caps is None else caps), png, dpi=120)
    # Few colours in all: a palette holds them in a fifth of the bytes.
    Image.open(png).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        out, format="PNG", optimize=True
    )
    return out


def region_colour(region: str) -> str:
    """Return a region's colour: its lobe's hue, lighter on the left and darker on the midline."""
    if region == UNKNOWN:
        return LOBE_COLOURS[UNKNOWN]
    lobe, side = region.split("_")
    towards, share = {"left": (1.0, 0.31), "midline": (0.0, 0.5), "right": (0.0, 0.1)}[side]
    red, green, blue = ((1 - share) * part + share * towards for part in to_rgb(LOBE_COLOURS[lobe]))
    return to_hex((red, green, blue))


def _draw_cap(axes: Axes, cap: Cap) -> None:
    codes_C = electrodes.regions(cap.positions_C3)
    places_C2 = _drawn_in(project(cap.positions_C3))
    unplaced = np.flatnonzero(codes_C == REGIONS.index(UNKNOWN))
    places_C2[unplaced] = np.stack(
        [0.2 * (np.arange(len(unplaced)) % 14) - 1.3, np.full(len(unplaced), -1.34)], 1
    )
    draw_head(axes, reach=REACH)
    colours = [region_colour(REGIONS[code]) for code in codes_C]
    axes.add_collection(_neighbour_lines(cap, places_C2, colours))
    size, font = next((size, font) for most, size, font in _SIZES if len(cap.names) <= most)
    axes.scatter(
        places_C2[:, 0], places_C2[:, 1], s=size, c=colours, edgecolors=ground(), linewidths=0.5, zorder=3
    )
    if font is not None:
        for name, place_2, code in zip(cap.names, places_C2, codes_C, strict=True):
            _write_name(axes, name, place_2, REGIONS[code], size, font)


def _write_name(axes: Axes, name: str, place_2: np.ndarray, region: str, size: float, font: float) -> None:
    """Write a name on its mark; a derivation's, which is wider, beside it: outwards at the rim, inwards next to it."""
    style: dict[str, Any] = {"xytext": (0, 0), "ha": "center", "va": "center_baseline"}
    if "-" not in name:
        style |= {"color": ink() if region.endswith("_left") else ground()}
        font *= min(1.0, 3.6 / len(name))
    else:
        side = np.sign(place_2[0]) * (1 if np.linalg.norm(place_2) > 0.85 else -1)
        beside = 0.5 * size**0.5 + 2
        if abs(place_2[1]) > 0.6 or np.linalg.norm(place_2) > 0.85:
            style |= {"xytext": (side * beside, 0), "ha": "left" if side > 0 else "right", "va": "center"}
        else:
            style |= {"xytext": (0, -beside), "va": "top"}
        style |= {"path_effects": [withStroke(linewidth=2.5, foreground=ground())]}
    axes.annotate(
        name, (place_2[0], place_2[1]), textcoords="offset points", fontsize=font, zorder=4, **style
    )


def _drawn_in(places_C2: np.ndarray) -> np.ndarray:
    """Bring faces and necks, far below the head's outline, nearer to it."""
    radius_C1 = np.maximum(np.linalg.norm(places_C2, axis=1, keepdims=True), KNEE)
    return places_C2 * (KNEE + 0.3 * (radius_C1 - KNEE)) / radius_C1


def _neighbour_lines(cap: Cap, places_C2: np.ndarray, colours: Sequence[str]) -> LineCollection:
    from eegfm.model.layout import montage

    found = montage(cap.positions_C3, np.ones(len(cap.names), bool), 1 + NEIGHBOURS)
    near_CN = found["near_MCN"] & (found["region_MC"][found["neighbours_MCN"]] == found["region_MC"][:, None])
    near = [row[is_near] for row, is_near in zip(found["neighbours_MCN"], near_CN, strict=True)]
    lines = [(places_C2[[c, other]], colours[c]) for c, row in enumerate(near) for other in row[1:]]
    return LineCollection(
        [line for line, _ in lines], colors=[c for _, c in lines], linewidths=1.0, alpha=0.5, zorder=2
    )


def _draw_key(axes: Axes) -> None:
    """Name the lobes down and the sides across."""
    axes.axis("off")
    axes.set(xlim=(-2.2, 4.2), ylim=(-6.2, 2.2))
    for column, side in enumerate(SIDES):
        axes.text(column, 0.7, side, ha="center", va="center", color=muted())
        for row, lobe in enumerate(LOBES):
            axes.scatter(column, -row, s=210, color=region_colour(f"{lobe}_{side}"))
    for row, lobe in enumerate((*LOBES, UNKNOWN)):
        axes.text(-0.55, -row, lobe, ha="right", va="center", color=ink(), fontsize=11)
    axes.scatter(1, -len(LOBES), s=210, color=region_colour(UNKNOWN))
