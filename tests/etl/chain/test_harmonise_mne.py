"""Stored samples of real recordings against MNE's own chain on the same segment."""

import mne
import numpy as np
import pytest

from eegfm_etl.chain.samples import ArraySource
from tests.etl.chain import run

EDGE = 12 * 200
FAST = ("S005R04", "S034R12", "S088R04")  # strong hum, quiet electrodes, 128 Hz


def by_mne(data_uv: np.ndarray, rate_hz: float, line_hz: float) -> np.ndarray:
    info = mne.create_info(len(data_uv), rate_hz, "eeg")
    raw = mne.io.RawArray(data_uv * 1e-6, info, verbose="error")
    raw.resample(200, method="polyphase", verbose="error")
    raw.filter(0.3, 75 if rate_hz / 2 > 75 else None, verbose="error")
    raw.notch_filter(line_hz, verbose="error")
    return raw.get_data() * 1e6


def in_band(data_CN: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    return mne.filter.filter_data(data_CN, 200, low_hz, high_hz, verbose="error")[:, EDGE:-EDGE]


def compare(path, tmp_path) -> dict[str, float]:
    raw = mne.io.read_raw_edf(path, preload=True, verbose="error")
    rate_hz = raw.info["sfreq"]
    data_uv = raw.get_data() * 1e6
    # A whole number of seconds without padding: else MNE's resampling stretches to a rounded length
    length = data_uv.shape[1] - np.argmax((data_uv[:, ::-1] != 0).any(axis=0))
    data_uv = data_uv[:, : int(length // rate_hz * rate_hz)]
    source, out, names = ArraySource(data_uv, rate_hz), tmp_path / "stored.parquet", tuple(raw.ch_names)
    _, ours_CN = run(source, rate_hz, out, names=names, line_freq_hz=60.0)
    theirs_CN = by_mne(data_uv, rate_hz, 60.0)
    assert ours_CN.shape == theirs_CN.shape
    live = data_uv.std(axis=1) > 0.1
    ours_CN, theirs_CN = ours_CN[live].astype(np.float64), theirs_CN[live]
    figures = {}
    for band in [(1.0, 45.0), (45.0, 75.0)]:
        ours, theirs = in_band(ours_CN, *band), in_band(theirs_CN, *band)
        difference = np.sqrt(((ours - theirs) ** 2).mean(axis=1) / (theirs**2).mean(axis=1))
        slope = (ours * theirs).sum(axis=1) / (theirs**2).sum(axis=1)
        figures[f"difference_{band[0]:g}_{band[1]:g}"] = float(difference.max())
        figures[f"slope_{band[0]:g}_{band[1]:g}"] = float(np.abs(slope - 1).max())
    return figures


def assert_equal_to_mne(figures: dict[str, float]) -> None:
    assert figures["difference_1_45"] <= 0.01
    assert figures["slope_1_45"] <= 0.001


@pytest.mark.shared
@pytest.mark.parametrize("recording", FAST)
def test_stored_samples_are_those_of_mne_up_to_45_hz(eegmmidb_dir, recording, tmp_path):
    assert_equal_to_mne(compare(next(eegmmidb_dir.rglob(f"{recording}.edf")), tmp_path))


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_stored_samples_of_every_recording_are_those_of_mne(eegmmidb_dir, tmp_path):
    paths = sorted(eegmmidb_dir.rglob("*.edf"))
    assert len(paths) == 126
    for path in paths:
        assert_equal_to_mne(compare(path, tmp_path))
