"""The picture of regions: every electrode of every cap, in the colour of its region, inside the picture."""

import itertools

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex, to_rgb

from eegfm.report.regions import Cap, draw_regions, named_cap, region_colour, usual_caps, write_regions_png
from eegfm_lake import electrodes
from eegfm_lake.electrodes import REGIONS


@pytest.fixture(scope="module")
def caps():
    return usual_caps()


@pytest.fixture(scope="module")
def heads(caps):
    return dict(zip(caps, draw_regions(caps).axes, strict=False))


def marks_of(axes):
    """Places and colours of a head's electrodes."""
    (marks,) = [found for found in axes.collections if isinstance(found, PathCollection)]
    return np.asarray(marks.get_offsets()), [to_hex(colour) for colour in marks.get_facecolors()]


def test_the_eight_caps_have_their_electrodes(caps):
    assert [len(cap.names) for cap in caps.values()] == [19, 22, 32, 64, 128, 256, 18, 4]
    assert all(np.isfinite(cap.positions_C3).all() for cap in caps.values())


def test_every_electrode_is_drawn_in_the_colour_of_its_region_and_inside_the_picture(caps, heads):
    for title, cap in caps.items():
        places, colours = marks_of(heads[title])
        assert colours == [region_colour(REGIONS[code]) for code in electrodes.regions(cap.positions_C3)]
        assert len(np.unique(places.round(4), axis=0)) == len(cap.names)
        (left, right), (low, high) = heads[title].get_xlim(), heads[title].get_ylim()
        assert (places > [left, low]).all()
        assert (places < [right, high]).all()


def test_every_electrode_is_named_where_names_are_legible(caps, heads):
    for title, cap in caps.items():
        written = sorted(text.get_text() for text in heads[title].texts)
        assert written == (sorted(cap.names) if len(cap.names) <= 128 else [])


def test_every_region_has_a_colour_of_its_own():
    colours = {region: np.array(to_rgb(region_colour(region))) for region in REGIONS}
    for one, other in itertools.combinations(REGIONS, 2):
        assert np.abs(colours[one] - colours[other]).sum() > 0.2, (one, other)


def test_an_electrode_without_a_position_is_drawn_beneath_the_head():
    places = np.array([[0.05, 0.0, 0.1], [np.nan] * 3, [np.nan] * 3])
    (axes, _) = draw_regions({"odd": Cap(("C4", "X1", "X2"), places)}).axes
    drawn, colours = marks_of(axes)
    assert np.isfinite(drawn).all()
    assert (drawn[1:, 1] < -1.2).all()
    assert colours[1:] == [region_colour("unknown")] * 2


def test_the_picture_is_the_same_every_time(tmp_path):
    caps = {"small": named_cap("C3 Cz C4 F3-C3")}
    one, other = (write_regions_png(tmp_path / name / "regions.png", caps).read_bytes() for name in "ab")
    assert one == other
    assert one.startswith(b"\x89PNG")
