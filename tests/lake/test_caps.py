"""Caps whose electrodes have numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm_lake import caps
from eegfm_lake.electrodes import canonical, position, positions, region, without_decoration


def test_the_shipped_caps_are_what_mne_gives():
    shipped = pytest.importorskip("eegfm_etl.electrode_template").cap_electrodes()
    assert {cap for cap, *_ in shipped} == set(caps.caps())
    for cap, label, name, place in shipped:
        electrode = caps.cap(cap)[label.upper()]
        assert electrode.name == (name or None)
        assert place is None or electrode.position == pytest.approx(place, abs=6e-6)


def test_every_electrode_of_every_cap_has_one_place():
    for cap in caps.caps():
        for label, electrode in caps.cap(cap).items():
            assert (electrode.name is None) != (electrode.position is None), (cap, label)
            assert electrode.name is None or canonical(electrode.name) == electrode.name
            assert region(*(electrode.position or position(electrode.name))) != "unknown"


@pytest.mark.parametrize(
    "cap", ["biosemi128", "biosemi256", "GSN-HydroCel-128", "GSN-HydroCel-256", "easycap-M10"]
)
def test_numbered_caps_lie_on_the_head_of_the_template_and_are_as_broad_on_both_sides(cap):
    xyz = np.array([electrode.position for electrode in caps.cap(cap).values() if electrode.position])
    named = positions(["C3", "C4", "Fz", "Oz", "Cz", "T7", "T8", "P3", "F4"]) - [0.0, 0.008, 0.040]
    radius = np.linalg.norm(xyz - [0.0, 0.008, 0.040], axis=1)
    assert (
        0.9 * np.linalg.norm(named, axis=1).min()
        < np.median(radius)
        < 1.15 * np.linalg.norm(named, axis=1).max()
    )
    assert xyz[:, 0].max() == pytest.approx(-xyz[:, 0].min(), abs=0.01)


@given(
    st.sampled_from([cap for cap in caps.caps() if not cap.startswith("easycap") and cap != "biosemi16"]),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_a_cap_is_recognised_in_any_order_and_with_three_electrodes_gone(cap, gone, random):
    labels = list(caps.cap(cap))
    kept = [label for label in labels if label not in random.sample(labels[:-1], gone)]
    random.shuffle(kept)
    assert caps.recognised([*kept, "STATUS", "EXG1"]) == cap


@pytest.mark.parametrize(
    "labels",
    [["A1", "A2", "C3", "C4"], ["E1", "E2"], [f"A{i}" for i in range(1, 17)], [str(i) for i in range(1, 62)],
     [f"H{i}" for i in range(1, 33)], [], ["C3", "Cz", "C4"]],
)  # fmt: skip
def test_labels_that_several_caps_or_none_have_are_not_recognised(labels):
    assert caps.recognised(labels) is None


@given(st.text(max_size=15))
@settings(deadline=None)
def test_what_is_taken_off_a_label_is_taken_off_once(label):
    once = without_decoration(label)
    assert without_decoration(once) == once
