"""What figures are made of: places on the head, hidden samples, SVG that fits into a page."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from eegfm.report.figures_learning import correlation, hidden_samples
from eegfm.report.projection import project
from eegfm.report.style import inline_svg, themed
from eegfm.show import draw_text_head
from eegfm_lake import electrodes

RING = ("Fpz", "T7", "Oz", "T8")


def test_the_equator_of_the_cap_is_the_outline_of_the_head():
    places = project(electrodes.positions(RING))
    assert np.linalg.norm(places, axis=1) == pytest.approx(1, abs=0.07)
    assert places[0, 1] > 0.9  # the nose is up
    assert places[3, 0] > 0.9  # the right ear is right


@pytest.mark.parametrize(("left", "right"), [("C3", "C4"), ("Fp1", "Fp2"), ("PO7", "PO8"), ("TP9", "TP10")])
def test_mirrored_electrodes_are_drawn_mirrored(left, right):
    (x, y), (u, v) = project(electrodes.positions([left, right]))
    assert x < 0 < u
    assert (x, y) == pytest.approx((-u, v), abs=0.05)


def test_an_electrode_without_a_position_stays_without_a_place():
    assert np.isnan(project(np.array([[np.nan] * 3]))).all()


def test_a_text_head_names_every_electrode_of_a_19_channel_cap_once():
    upper = ["Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8"]
    names = [*upper, "P7", "P3", "Pz", "P4", "P8", "O1", "O2"]
    rows = []
    for name, place in zip(names, electrodes.positions(names), strict=True):
        status = "bad" if name == "Cz" else "good"
        rows.append({"name": name, "type": "eeg", "status": status, **dict(zip("xyz", place, strict=True))})
    text = "\n".join(draw_text_head(rows))
    words = re.findall(r"[A-Z][a-z]?[a-z\d]*!?", text)
    assert sorted(words) == sorted("Cz!" if name == "Cz" else name for name in names)


def test_a_sample_is_hidden_only_where_no_visible_patch_covers_it():
    hidden = np.array([[[True, True, False, False]]])
    arrays = {
        "true_uv": np.zeros((1, 1, 250)),
        "hidden": hidden,
        "patch_samples": np.array(100),
        "stride_samples": np.array(50),
    }
    found = hidden_samples(arrays, 0)[0]
    assert found[:100].all()  # the second patch's second half is seen through the third
    assert not found[100:].any()


def test_a_perfect_reconstruction_correlates_perfectly():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(2, 3, 200))
    arrays = {
        "true_uv": true,
        "predicted_uv": 0.5 * true,
        "hidden": rng.random((2, 3, 2)) < 0.7,
        "patch_samples": np.array(100),
        "stride_samples": np.array(100),
    }
    assert correlation(arrays) == pytest.approx(1)


def test_figures_take_the_colours_of_the_page_and_share_no_ids():
    with themed():
        svgs = []
        for name in ("one", "two"):
            figure = Figure()
            axes = figure.subplots()
            axes.plot([0, 1], [0, 1], label="line")
            axes.legend()
            svgs.append(inline_svg(figure, name, 'a "line"'))
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in svgs]
    assert not ids[0] & ids[1]
    for svg, own in zip(svgs, ids, strict=True):
        assert "var(--ink)" in svg
        assert not re.search(r"#0(10203|40506|70809|a0b0c)", svg)
        assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg)) <= own
        assert 'aria-label="a &quot;line&quot;"' in svg
