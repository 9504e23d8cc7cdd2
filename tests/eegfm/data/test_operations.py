import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.config import ReaderConfig
from eegfm.data import read_array
from eegfm_lake.errors import EegfmError
from tests.eegfm.locks import CAP, brown_noise, position

NAMES = CAP[:7]


def rows(names=NAMES, bad=(), types=None, cathodes=None, **more):
    return [
        {
            "name": name,
            "type": types[i] if types else "eeg",
            **dict(zip("xyz", position(i), strict=True)),
            "status": "bad" if name in bad else "good",
            "cathode": cathodes[i] if cathodes else None,
            "scale_uv": 10.0 + i,
            **more,
        }
        for i, name in enumerate(names)
    ]


@pytest.fixture(scope="module")
def samples_uv():
    return brown_noise(len(NAMES), 1200, seed=3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
def test_referencing_comes_before_picking(samples_uv, picked):
    whole = read_array(samples_uv, rows(), ReaderConfig())
    some = read_array(samples_uv, rows(), ReaderConfig(channels=picked))
    assert some.names == tuple(picked)
    order = [whole.names.index(name) for name in picked]
    np.testing.assert_array_equal(some.x_CT, whole.x_CT[order])
    np.testing.assert_array_equal(some.positions_C3, whole.positions_C3[order])


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 800), length=st.integers(1, 400))
def test_without_a_band_cropping_commutes_with_everything(samples_uv, start, length):
    whole = read_array(samples_uv, rows(), ReaderConfig())
    part = read_array(samples_uv, rows(), ReaderConfig(), start=start, stop=start + length)
    np.testing.assert_allclose(part.x_CT, whole.x_CT[:, start : start + length], atol=1e-4)


def test_a_band_sees_the_margin_and_not_the_crop(samples_uv):
    config = ReaderConfig(band_hz=(8.0, 30.0))
    whole = read_array(samples_uv, rows(), config)
    part = read_array(samples_uv, rows(), config, start=500, stop=700)
    np.testing.assert_allclose(part.x_CT, whole.x_CT[:, 500:700], atol=1e-3)
    blind = read_array(
        samples_uv, rows(), ReaderConfig(band_hz=(8.0, 30.0), margin_s=0.0), start=500, stop=700
    )
    assert np.abs(blind.x_CT - part.x_CT)[:, 80:120].max() < np.abs(blind.x_CT - part.x_CT).max()


@pytest.mark.parametrize("offset_uv", [-500.0, 0.1, 3000.0])
def test_an_average_reference_forgets_what_all_channels_share(samples_uv, offset_uv):
    plain = read_array(samples_uv, rows(), ReaderConfig())
    shifted = read_array(samples_uv + offset_uv, rows(), ReaderConfig())
    np.testing.assert_allclose(shifted.x_CT, plain.x_CT, atol=2e-3)
    assert np.abs(plain.x_CT.mean(axis=0)).max() < 1e-3


def test_bad_channels_never_enter_the_average(samples_uv):
    spoilt = samples_uv.copy()
    spoilt[2] = 5000.0
    config = ReaderConfig(bad="keep")
    clean = read_array(samples_uv, rows(bad=[NAMES[2]]), config)
    other = read_array(spoilt, rows(bad=[NAMES[2]]), config)
    good = [i for i in range(len(NAMES)) if i != 2]
    np.testing.assert_array_equal(clean.x_CT[good], other.x_CT[good])
    assert np.abs(other.x_CT[2]).min() > 4000
    dropped = read_array(spoilt, rows(bad=[NAMES[2]]), ReaderConfig(bad="drop"))
    assert NAMES[2] not in dropped.names
    np.testing.assert_array_equal(dropped.x_CT, other.x_CT[good])
    zeroed = read_array(spoilt, rows(bad=[NAMES[2]]), ReaderConfig(bad="zero", band_hz=(8.0, 30.0)))
    assert not zeroed.x_CT[2].any()


def test_the_electrode_that_everything_was_measured_against_counts_as_a_zero(samples_uv):
    known = read_array(samples_uv, rows(), ReaderConfig(), reference="Oz")
    expected = samples_uv - samples_uv.sum(axis=0) / (len(NAMES) + 1)
    np.testing.assert_allclose(known.x_CT, expected, atol=1e-3)
    # A reference that is no single electrode, or that is stored as a channel, adds nothing.
    for reference in ("linked mastoids", NAMES[1], None):
        found = read_array(samples_uv, rows(), ReaderConfig(), reference=reference)
        np.testing.assert_allclose(found.x_CT, samples_uv - samples_uv.mean(axis=0), atol=1e-3)


def test_named_references_are_subtracted_and_the_recordings_own_is_zero(samples_uv):
    named = read_array(samples_uv, rows(), ReaderConfig(reference="F3+F4"))
    np.testing.assert_allclose(named.x_CT, samples_uv - (samples_uv[2] + samples_uv[4]) / 2, atol=1e-3)
    own = read_array(samples_uv, rows(), ReaderConfig(reference="Oz"), reference="Oz")
    np.testing.assert_allclose(own.x_CT, samples_uv, atol=1e-3)
    with pytest.raises(EegfmError, match="this file has no channel Oz to refer to; use reference: average"):
        read_array(samples_uv, rows(), ReaderConfig(reference="Oz"), source="this file")
    with pytest.raises(EegfmError, match="the reference F3 is marked bad"):
        read_array(samples_uv, rows(bad=["F3"]), ReaderConfig(reference="F3"))


def test_bipolar_recordings_are_refused_a_reference_and_read_without(samples_uv):
    pairs = rows(cathodes=["F3", "F4", "C3", "C4", "P3", "P4", "O1"])
    with pytest.raises(EegfmError, match="is bipolar: it cannot be re-referenced; use reference: none"):
        read_array(samples_uv, pairs, ReaderConfig())
    found = read_array(samples_uv, pairs, ReaderConfig(reference="none"))
    np.testing.assert_allclose(found.x_CT, samples_uv, atol=1e-4)
    one_reference = read_array(samples_uv, rows(cathodes=["Cz"] * 7), ReaderConfig())
    assert np.abs(one_reference.x_CT.mean(axis=0)).max() < 1e-3


def test_only_eeg_is_read_and_referenced_by_default(samples_uv):
    types = ["eeg"] * 5 + ["eog", "ecg"]
    found = read_array(samples_uv, rows(types=types), ReaderConfig())
    assert found.names == NAMES[:5]
    np.testing.assert_allclose(found.x_CT, samples_uv[:5] - samples_uv[:5].mean(axis=0), atol=1e-3)
    with_eog = read_array(samples_uv, rows(types=types), ReaderConfig(types=["eeg", "eog"]))
    np.testing.assert_allclose(with_eog.x_CT[5], samples_uv[5], atol=1e-4)


def test_absent_channels_and_empty_picks_are_errors_that_name_them(samples_uv):
    with pytest.raises(EegfmError, match=r"lacks 2 of 3 channels \(AF7, T8\)"):
        read_array(samples_uv, rows(), ReaderConfig(channels=["Cz", "AF7", "T8"]))
    with pytest.raises(EegfmError, match="no usable channel of type emg"):
        read_array(samples_uv, rows(), ReaderConfig(types=["emg"]))
    with pytest.raises(EegfmError, match="has 7 rows, but 6 channels are described"):
        read_array(samples_uv, rows()[:6], ReaderConfig())


def test_scaling_is_by_100_uv_or_by_the_recordings_amplitude_and_clips_last(samples_uv):
    plain = read_array(samples_uv, rows(), ReaderConfig(clip=0.1))
    np.testing.assert_allclose(plain.scaled(), np.clip(plain.x_CT / 100, -0.1, 0.1), rtol=1e-6)
    twice = [row | {"scale_uv": 2 * row["scale_uv"]} for row in rows()]
    robust = ReaderConfig(scale="robust", clip=None)
    np.testing.assert_allclose(
        read_array(2 * samples_uv, twice, robust).scaled(),
        read_array(samples_uv, rows(), robust).scaled(),
        rtol=1e-4,
        atol=1e-5,
    )
    with pytest.raises(EegfmError, match="no scale_uv for any good EEG channel; use scale: uv100"):
        read_array(samples_uv, rows(scale_uv=None), robust)
