import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.model import layout_of, preset
from eegfm.model.layout import OPERATORS, montage
from eegfm.model.mix import SpatialMix
from eegfm.model.tokenizer import SpatialTokenizer, TemporalTokenizer
from eegfm_lake.electrodes import REGIONS
from tests.eegfm.model.caps import CAP_19, CAP_64, positions

torch.set_num_threads(1)


def cap(names: list[str]) -> dict[str, np.ndarray]:
    return montage(positions(names).numpy(), np.ones(len(names), bool), 5)


def test_mirrored_electrodes_have_mirrored_regions():
    region = dict(zip(CAP_64, cap(CAP_64)["region_MC"], strict=True))
    for name in CAP_64:
        digits = "".join(filter(str.isdigit, name))
        if digits:
            number = int(digits)
            twin = name.replace(digits, str(number + 1 if number % 2 else number - 1))
            here, there = REGIONS[region[name]], REGIONS[region[twin]]
            assert here.rsplit("_", 1)[0] == there.rsplit("_", 1)[0]
            assert {here.rsplit("_", 1)[1], there.rsplit("_", 1)[1]} == {"left", "right"}


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_layout_does_not_depend_on_the_order_of_electrodes(seed: int):
    order = np.random.default_rng(seed).permutation(64)
    one, other = cap(CAP_64), cap([CAP_64[i] for i in order])
    names = np.array(CAP_64)
    assert (names[one["neighbours_MCN"]][order] == names[order][other["neighbours_MCN"]]).all()
    assert np.allclose(one["operators_MJCC"][:, order][:, :, order], other["operators_MJCC"], atol=1e-6)


@pytest.mark.parametrize("names", [CAP_64, CAP_19])
def test_neighbours_are_oneself_then_the_nearest_of_the_region_then_the_nearest_beyond(names: list[str]):
    layout, xyz = cap(names), positions(names).numpy()
    region, index = layout["region_MC"], layout["neighbours_MCN"]
    assert layout["near_MCN"].all()
    assert (index[:, 0] == np.arange(len(names))).all()
    for c, row in enumerate(index[:, 1:]):
        inside = region[row] == region[c]
        assert inside.sum() == min(4, (region == region[c]).sum() - 1)
        assert (np.diff(inside.astype(int)) <= 0).all()
        for part, candidates in ((row[inside], region == region[c]), (row[~inside], region != region[c])):
            apart = np.round(np.linalg.norm(xyz - xyz[c], axis=1), 4)
            apart[c] = np.inf
            assert np.allclose(apart[part], np.sort(apart[candidates])[: len(part)])


def test_spatial_operators_are_averages_and_gradients():
    operators = dict(zip(OPERATORS, cap(CAP_64)["operators_MJCC"], strict=True))
    xyz = positions(CAP_64).numpy()
    assert np.allclose(operators["self"], np.eye(64))
    for name, operator in operators.items():
        total = operator.sum(1)
        assert np.allclose(total, 0 if name.startswith("gradient") else 1, atol=1e-5), name
    assert (operators["gradient_x"] @ xyz[:, 0])[CAP_64.index("Cz")] > 0
    assert abs((operators["gradient_x"] @ xyz[:, 1])[CAP_64.index("Cz")]) < 0.002


def test_sparse_and_dense_caps_cover_the_same_area():
    areas = [cap(names)["area_MC"] for names in (CAP_64, CAP_19)]
    assert abs(areas[0].sum() / areas[1].sum() - 1) < 0.15
    three = montage(positions(["C3", "none", "neither"]).numpy(), np.array([True, True, True]), 5)
    assert np.allclose(three["area_MC"], [1, 0.5, 0.5])


def test_a_batch_names_each_montage_once():
    where = torch.stack([positions(CAP_19), positions(CAP_19), positions(CAP_64[:19])])
    layout = layout_of(where)
    assert layout.montage_B.tolist() == [0, 0, 1]
    assert layout.positions_MC3.shape == (2, 19, 3)


def test_the_spatial_mix_is_linear():
    torch.manual_seed(0)
    mix, layout = SpatialMix(3), layout_of(positions(CAP_19)[None])
    a, b = torch.randn(2, 1, 19, 4, 6)
    assert torch.allclose(mix(2 * a - 3 * b, layout), 2 * mix(a, layout) - 3 * mix(b, layout), atol=1e-4)


def test_the_spatial_tokenizer_stays_within_regions_that_fill_its_kernels():
    torch.manual_seed(0)
    tokenizer = SpatialTokenizer(preset("tiny", 4)).eval()
    layout = layout_of(positions(CAP_64)[None])
    h = torch.randn(1, 64, 1, 32)
    other = h.clone()
    other[:, CAP_64.index("C3")] += torch.randn(32)
    moved = (tokenizer(h, layout) - tokenizer(other, layout)).abs().amax((0, 2, 3)) > 1e-6
    region = layout.region_MC[0]
    assert moved[CAP_64.index("C1")] or moved[CAP_64.index("C5")]
    large = torch.bincount(region)[region] >= 5
    assert (region[moved & large] == region[CAP_64.index("C3")]).all()


@pytest.mark.parametrize("shift", [1, 4])
def test_the_temporal_tokenizer_runs_along_time(shift: int):
    torch.manual_seed(0)
    tokenizer = TemporalTokenizer(preset("tiny", 4)).eval()
    h = torch.randn(1, 2, 20, 32)
    moved = tokenizer(h.roll(shift, 2))[:, :, shift + 2 : 18]
    assert torch.allclose(moved, tokenizer(h)[:, :, 2 : 18 - shift], atol=1e-5)
