import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.data.fir import design_band, filter_valid, pad_odd

RATE_HZ = 200.0


@pytest.mark.parametrize(
    "band", [(8.0, 30.0), (4.0, 38.0), (None, 40.0), (0.5, None), (1.0, 90.0), (0.5, 45.0)]
)
def test_the_filter_is_the_one_that_mne_designs(band):
    mne = pytest.importorskip("mne")
    x_CT = np.random.default_rng(0).normal(size=(3, 6000))
    kernel = design_band(*band, RATE_HZ)
    ours = filter_valid(x_CT, kernel)
    theirs = mne.filter.filter_data(x_CT, RATE_HZ, *band, verbose="error")
    reach = len(kernel) // 2
    assert (ours - theirs[:, reach:-reach]).std() < 0.01 * theirs.std()


@settings(max_examples=20, deadline=None)
@given(low=st.floats(1, 30), width=st.floats(4, 40), at=st.floats(0.2, 0.8))
def test_a_sine_inside_the_band_keeps_amplitude_and_phase_and_one_outside_disappears(low, width, at):
    high = low + width
    kernel = design_band(low, high, RATE_HZ)
    reach = len(kernel) // 2
    t = np.arange(4000) / RATE_HZ
    inside = np.sin(2 * np.pi * (low + at * width) * t)[None]
    outside = np.sin(2 * np.pi * (high + max(0.25 * high, 2.0) + 2) * t)[None]
    assert np.abs(filter_valid(inside, kernel) - inside[:, reach:-reach]).max() < 0.01
    assert np.abs(filter_valid(outside, kernel)).max() < 0.01


def test_edges_out_of_order_or_beyond_nyquist_are_refused():
    with pytest.raises(ValueError, match="not below its upper edge"):
        design_band(30.0, 8.0, RATE_HZ)
    with pytest.raises(ValueError, match="between 0 and 100 Hz"):
        design_band(8.0, 120.0, RATE_HZ)


def test_padding_continues_a_straight_line():
    line = np.arange(10.0)[None]
    np.testing.assert_allclose(pad_odd(line, 4, 5)[0], np.arange(-4.0, 15.0))
    assert pad_odd(line, 30, 0).shape == (1, 40)
