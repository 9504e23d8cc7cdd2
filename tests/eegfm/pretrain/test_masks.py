import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.pretrain.masks import disc_mask, scattered_mask
from tests.eegfm.locks import position

caps = st.integers(1, 40).map(lambda n: np.array([position(i % 20) for i in range(n)], dtype=np.float32))
ratios = st.floats(0.05, 0.95)


def discs(positions_C3, n_patches=15, ratio=0.5, radius_m=0.06, span=(3, 6), key=(0, 0, 0)):
    return disc_mask(positions_C3, n_patches, ratio=ratio, radius_m=radius_m, span=span, key=key)


@settings(max_examples=60, deadline=None)
@given(
    positions_C3=caps, n_patches=st.integers(1, 40), ratio=ratios, key=st.tuples(*[st.integers(0, 2**31)] * 3)
)
def test_the_hidden_share_is_the_ratio_and_something_stays_visible(positions_C3, n_patches, ratio, key):
    n_tokens = len(positions_C3) * n_patches
    for mask in (
        discs(positions_C3, n_patches, ratio, key=key),
        scattered_mask(len(positions_C3), n_patches, ratio=ratio, key=key),
    ):
        assert mask.shape == (len(positions_C3), n_patches)
        assert abs(mask.sum() - ratio * n_tokens) <= 1
        assert mask.any()
        assert n_tokens == 1 or not mask.all()


@settings(max_examples=20, deadline=None)
@given(positions_C3=caps, key=st.tuples(*[st.integers(0, 2**31)] * 3))
def test_a_mask_is_a_function_of_its_key(positions_C3, key):
    np.testing.assert_array_equal(discs(positions_C3, key=key), discs(positions_C3, key=key))


def test_epoch_window_and_seed_each_change_the_mask():
    cap = np.array([position(i) for i in range(20)])
    masks = [discs(cap, key=key) for key in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0))]
    assert len({mask.tobytes() for mask in masks}) == 4


def test_discs_hide_neighbours_together_and_last():
    cap = np.array([position(i) for i in range(20)])
    apart = np.linalg.norm(cap[:, None] - cap[None], axis=-1)
    near = (apart < 0.05) & (apart > 0)
    assert near.any()

    def togetherness(mask):
        return np.mean([mask[other, p] for c, p in np.argwhere(mask) for other in np.flatnonzero(near[c])])

    def persistence(mask):
        return (mask[:, 1:] & mask[:, :-1]).sum() / mask[:, :-1].sum()

    disc = [discs(cap, radius_m=0.1, key=(0, 0, w)) for w in range(30)]
    scattered = [scattered_mask(20, 15, ratio=0.5, key=(0, 0, w)) for w in range(30)]
    assert np.mean([togetherness(m) for m in disc]) > np.mean([togetherness(m) for m in scattered]) + 0.1
    assert np.mean([persistence(m) for m in disc]) > np.mean([persistence(m) for m in scattered]) + 0.15


def test_every_patch_is_hidden_about_as_often_as_any_other():
    cap = np.array([position(i) for i in range(20)])
    share = np.mean([discs(cap, key=(0, 0, w)) for w in range(400)], axis=0)
    assert abs(share.mean(axis=0) - 0.5).max() < 0.06
    assert abs(share.mean(axis=1) - 0.5).max() < 0.12


def test_electrodes_without_position_are_hidden_too():
    cap = np.full((6, 3), np.nan)
    mask = np.mean([discs(cap, key=(0, 0, w)) for w in range(50)], axis=0)
    assert (mask.mean(axis=1) > 0.3).all()
