"""Names, template positions and regions of electrodes."""

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm_lake import electrodes
from eegfm_lake.electrodes import REGIONS, canonical, position, positions, region, regions

ROW_LOBES = {
    **dict.fromkeys(("FP", "AF", "F"), "frontal"),
    **dict.fromkeys(("FC", "C", "CP"), "sensorimotor"),
    **dict.fromkeys(("FT", "T", "TP"), "temporal"),
    "P": "parietal",
    **dict.fromkeys(("PO", "O", "I"), "occipital"),
}
SIDE_SWAP = {"left": "right", "right": "left", "midline": "midline"}
coordinate = st.floats(-0.2, 0.2)


def mirrored(name: str) -> str:
    if name == "unknown":
        return name
    lobe, side = name.split("_")
    return f"{lobe}_{SIDE_SWAP[side]}"


def template_names() -> list[str]:
    return sorted(electrodes._template())


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("EEG FP1-REF", "Fp1"),
        ("Fc5.", "FC5"),
        ("T10.", "T10"),
        ("Iz..", "Iz"),
        ("Afz.", "AFz"),
        ("EEG T5-LE", "P7"),
        ("T3", "T7"),
        ("t4", "T8"),
        ("POL T6", "P8"),
        ("C3-A2", "C3"),
        ("C3:M2", "C3"),
        ("EEG F3-A1A2", "F3"),
        ("C4-(A1+A2)/2", "C4"),
        ("Fp1 - REF", "Fp1"),
        ("EEG_Fz", "Fz"),
        ("Cz-0", "Cz"),
        ("AFF5H", "AFF5h"),
        ("FPZ", "Fpz"),
        ("A1", "A1"),
        ("m2", "M2"),
        ("EEG A2-REF", "A2"),
        ("Nz", "Nz"),
    ],
)
def test_a_header_label_becomes_its_canonical_name(label, name):
    assert canonical(label) == name


@pytest.mark.parametrize(
    "label",
    ["EEG A2-A1", "EEG Fpz-Cz", "FP1-F7", "T8-P8-0", "Status", "X1", "EEG 001", "E1", "Cz1", "A12", "ECG",
     "EOG", "STI 014", "EMG-C3", "Event Marker", "", ".", "-", "EEG", "T1", "01"],
)  # fmt: skip
def test_a_label_that_is_no_single_electrode_has_no_name(label):
    assert canonical(label) is None


@given(
    st.sampled_from(template_names()),
    st.sampled_from(["", "EEG ", "eeg ", "POL ", "EEG_", " "]),
    st.sampled_from(["", "-REF", "-Ref", "-LE", "-AVG", "..", " ", ".", "_REF", "-0"]),
    st.sampled_from([str.upper, str.lower, str]),
)
@settings(deadline=None)
def test_every_template_name_survives_prefix_suffix_and_case(name, prefix, suffix, case):
    assert canonical(prefix + case(name) + suffix) == name


@given(st.text(max_size=20))
@settings(deadline=None)
def test_any_text_gives_a_known_electrode_or_none(label):
    name = canonical(label)
    assert name is None or position(name) is not None


def test_positions_are_nan_for_names_that_are_unknown():
    found = positions(["C3", "nowhere", "C4"])
    assert found.shape == (3, 3)
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[[0, 2]]).all()
    assert positions([]).shape == (0, 3)
    assert position("nowhere") is None


def test_the_shipped_template_is_what_mne_gives():
    template = pytest.importorskip("eegfm_etl.electrode_template").template_positions()
    assert template.keys() == electrodes._template().keys()
    for name, xyz in template.items():
        assert position(name) == pytest.approx(xyz, abs=6e-6)


def test_every_10_10_electrode_of_the_template_lies_in_the_lobe_of_its_row():
    for name in template_names():
        row = re.fullmatch(r"([A-Za-z]+?)(z|\d+)", name)
        if row and row[1].upper() in ROW_LOBES and name not in ("A1", "A2", "M1", "M2"):
            side = "midline" if row[2] == "z" else ("left" if int(row[2]) % 2 else "right")
            assert region(*position(name)) == f"{ROW_LOBES[row[1].upper()]}_{side}", name


@given(coordinate, coordinate, coordinate)
@settings(deadline=None)
def test_a_mirrored_position_has_the_mirrored_region(x, y, z):
    assert region(-x, y, z) == mirrored(region(x, y, z))


@given(st.floats(-0.0079, 0.0079), coordinate, coordinate)
@settings(deadline=None)
def test_a_band_around_the_midline_is_midline(x, y, z):
    assert region(x, y, z).endswith("_midline")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_position_that_is_not_finite_is_unknown(bad):
    for xyz in [(bad, 0.0, 0.1), (0.0, bad, 0.1), (0.0, 0.0, bad)]:
        assert region(*xyz) == "unknown"
    assert regions(np.full((2, 4, 3), bad)).tolist() == [[len(REGIONS) - 1] * 4] * 2


def montage_positions(name: str) -> tuple[list[str], np.ndarray]:
    mne = pytest.importorskip("mne")
    from mne.channels.montage import transform_to_head

    found = transform_to_head(mne.channels.make_standard_montage(name)).get_positions()["ch_pos"]
    return list(found), np.array(list(found.values()))


def every_montage() -> list[str]:
    mne = pytest.importorskip("mne")
    return [name for name in mne.channels.get_builtin_montages() if not name.startswith("standard")]


def test_mirrored_electrodes_have_mirrored_regions_in_every_montage_of_mne():
    pairs = 0
    for montage in every_montage():
        names, xyz = montage_positions(montage)
        found = [REGIONS[code] for code in regions(xyz)]
        distance = np.linalg.norm((xyz * [-1, 1, 1])[:, None] - xyz[None], axis=2)
        partner = distance.argmin(axis=1)
        for i, j in enumerate(partner):
            if partner[j] == i and distance[i, j] < 0.015:
                pairs += 1
                assert found[j] == mirrored(found[i]), (montage, names[i], names[j])
    assert pairs > 3000


TEN_TWENTY = "Fp1 Fpz Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 Oz O2 A1 A2"


def other_side(name: str) -> str:
    number = re.search(r"\d+$", name)
    return name if number is None else name[: number.start()] + str((int(number[0]) - 1 ^ 1) + 1)


def test_mirrored_derivations_have_mirrored_regions_at_their_midpoints():
    pairs = list(itertools.combinations(TEN_TWENTY.split(), 2))
    near = [pair for pair in pairs if np.linalg.norm(np.subtract(*positions(pair))) < 0.12]
    assert len(near) > 80
    for pair in near:
        here, there = (region(*positions(names).mean(axis=0)) for names in (pair, map(other_side, pair)))
        assert there == mirrored(here), pair


@given(st.permutations(range(30)), st.integers(1, 30))
@settings(deadline=None)
def test_an_electrodes_region_depends_on_no_other_and_on_no_order(order, count):
    xyz = positions([*template_names()[::12][:29], "nowhere"])
    alone = [region(*xyz[row]) for row in order[:count]]
    assert [REGIONS[code] for code in regions(xyz[list(order[:count])])] == alone
    assert alone == [REGIONS[code] for code in regions(xyz)[list(order[:count])]]


@pytest.mark.parametrize(
    "montage", ["colin27_1005", "fsaverage_1005", "easycap-M1", "brainproducts-RNP-BA-128", "biosemi64"]
)
def test_rows_of_named_caps_lie_in_their_lobe_whatever_the_head_model(montage):
    names, xyz = montage_positions(montage)
    for name, code in zip(names, regions(xyz), strict=True):
        row = re.fullmatch(r"([A-Za-z]+?)(?:z|\d+)", name)
        if row and row[1].upper() in ROW_LOBES and name not in ("T3", "T4", "T5", "T6"):
            assert REGIONS[code].startswith(ROW_LOBES[row[1].upper()]), (montage, name)
