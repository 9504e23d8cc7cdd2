import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.config import ReaderConfig
from eegfm.data import WindowReader, read_array, read_windows
from eegfm_lake.errors import EegfmError
from tests.eegfm.locks import CAP, Made, brown_noise, write_lock


@pytest.fixture(scope="module")
def samples():
    return [brown_noise(13, 6000, seed=1), brown_noise(9, 6000, seed=2), brown_noise(13, 6000, seed=3)]


@pytest.fixture(scope="module")
def lock(tmp_path_factory, samples):
    return write_lock(
        tmp_path_factory.mktemp("lake"),
        [
            Made(samples_uv=samples[0], reference="Oz", bad=["Pz"]),
            Made(person="made/P2", samples_uv=samples[1], names=CAP[:9], reference="Cz"),
            Made(person="made/P3", samples_uv=samples[2], segments=(2500, 3500)),
        ],
    )


configs = st.builds(
    ReaderConfig,
    bad=st.sampled_from(["drop", "keep", "zero"]),
    reference=st.sampled_from(["none", "average", "Cz", "C3+C4"]),
    band_hz=st.sampled_from([None, (8.0, 30.0), (None, 40.0)]),
    margin_s=st.none() | st.floats(0, 2),
    channels=st.sampled_from(["all", "common", ["C4", "C3"]]),
    scale=st.sampled_from(["uv100", "robust"]),
)


@settings(max_examples=60, deadline=None)
@given(config=configs, window=st.integers(0, 20))
def test_a_window_of_the_lock_equals_the_same_operations_on_the_array(lock, samples, config, window):
    reader = WindowReader(lock, config)
    window = min(window, len(reader) - 1)
    found = reader.read(window)
    row = lock.windows.slice(window, 1).to_pylist()[0]
    recording = row["recording"]
    low, high = [(0, 6000), (0, 6000), (0, 2500) if row["first_sample"] < 2500 else (2500, 6000)][recording]
    channels = [r for r in lock.channels.to_pylist() if r["recording"] == recording]
    expected = read_array(
        samples[recording][:, low:high],
        channels,
        reader.config,
        start=row["first_sample"] - low,
        stop=row["first_sample"] - low + row["samples"],
        reference=["Oz", "Cz", None][recording],
    )
    assert found.names == expected.names
    np.testing.assert_allclose(found.x_CT, expected.x_CT, atol=2e-3)
    np.testing.assert_allclose(found.scaled(), expected.scaled(), atol=1e-4)
    assert reader.shapes([window]).tolist() == [list(found.x_CT.shape)]


def test_margin_never_crosses_a_gap(tmp_path, samples):
    window = (2000, 400)  # ends 100 samples before the gap
    config = ReaderConfig(band_hz=(8.0, 30.0))
    spoilt = samples[2].copy()
    spoilt[:, 2500:] = 3000.0
    found = [
        WindowReader(
            write_lock(tmp_path / str(i), [Made(samples_uv=x, segments=(2500, 3500), windows=[window])]),
            config,
        ).read(0)
        for i, x in enumerate([samples[2], spoilt])
    ]
    np.testing.assert_array_equal(found[0].x_CT, found[1].x_CT)


def test_common_channels_are_those_that_every_recording_has(lock):
    dropped = WindowReader(lock, ReaderConfig(channels="common"))
    assert dropped.config.channels == list(CAP[:9])
    kept = WindowReader(lock, ReaderConfig(channels="common", bad="keep"))
    assert kept.config.channels == list(CAP[:9])


def test_windows_come_as_one_array_a_montage_with_their_rows(lock):
    reader = WindowReader(lock, ReaderConfig(bad="keep"))
    groups = read_windows(reader)
    assert [g.x_NCT.shape[1] for g in groups] == [13, 9]
    assert sorted(np.concatenate([g.windows_N for g in groups])) == list(range(len(reader)))
    for group in groups:
        for place in (0, -1):
            single = reader.read(int(group.windows_N[place]))
            np.testing.assert_array_equal(group.x_NCT[place], single.x_CT)
            assert group.names == single.names
    scaled = read_windows(reader, [3, 1], scaled=True)[0]
    assert scaled.windows_N.tolist() == [3, 1]
    np.testing.assert_array_equal(scaled.x_NCT[0], reader.read(3).scaled())


def test_a_lock_whose_signals_are_gone_says_so(tmp_path):
    lock = write_lock(tmp_path, [Made()])
    for file in (tmp_path / "signals").rglob("*.parquet"):
        file.unlink()
    with pytest.raises(EegfmError, match="signals are gone"):
        WindowReader(lock, ReaderConfig()).read(0)


def test_recordings_of_different_rates_and_without_common_channels_are_refused(tmp_path):
    mixed = write_lock(tmp_path / "a", [Made(), Made(rate=100.0)])
    with pytest.raises(EegfmError, match=r"mixes sampling rates \[100.0, 200.0\]"):
        WindowReader(mixed, ReaderConfig())
    apart = write_lock(tmp_path / "b", [Made(names=CAP[:3]), Made(names=CAP[3:6])])
    with pytest.raises(EegfmError, match="no channel in common"):
        WindowReader(apart, ReaderConfig(channels="common"))


def test_a_missing_channel_names_the_recording(lock):
    with pytest.raises(EegfmError, match=r"recording made/1 lacks 1 of 2 channels \(O1\)"):
        WindowReader(lock, ReaderConfig(channels=["C3", "O1"])).read(8)
