"""The chain against the truth: sines, stop bands and impulses, written to EDF at six rates, read by MNE."""

import mne
import numpy as np
import pytest
from edfio import Edf, EdfAnnotation, EdfSignal

from eegfm_etl.chain.samples import ArraySource
from tests.etl.chain import run

RATES_HZ = (100, 128, 160, 250, 512, 5000)
SECONDS = 60
EDGE_S = 12.0
LINE_HZ = 50.0
STORED_HZ = 200.0


def through_edf(data_uv: np.ndarray, rate_hz: int, path, annotations=()) -> tuple[ArraySource, list]:
    """Write 16-bit EDF+ and read it back, as a laboratory's file would come."""
    limit = float(np.ceil(1.05 * np.abs(data_uv).max()))
    signals = [
        EdfSignal(row, rate_hz, label=f"EEG {i:03d}", physical_dimension="uV", physical_range=(-limit, limit))
        for i, row in enumerate(data_uv)
    ]
    Edf(signals, annotations=[EdfAnnotation(onset, None, text) for onset, text in annotations]).write(path)
    raw = mne.io.read_raw_edf(path, preload=True, verbose="error")
    return ArraySource(raw.get_data() * 1e6, float(rate_hz)), list(raw.annotations)


def sines(frequencies_hz: np.ndarray, rate_hz: int, seconds: float = SECONDS) -> np.ndarray:
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    phases = np.arange(len(frequencies_hz))[:, None]
    return 100 * np.sin(2 * np.pi * frequencies_hz[:, None] * times_s + phases)


def fitted(stored_CN: np.ndarray, frequencies_hz: np.ndarray) -> np.ndarray:
    """Complex amplitude of each row at its frequency, away from the edges; 1 is the sine that went in."""
    edge = round(EDGE_S * STORED_HZ)
    times_s = (np.arange(stored_CN.shape[1]) / STORED_HZ)[edge:-edge]
    found = []
    for row, (frequency, samples) in enumerate(zip(frequencies_hz, stored_CN[:, edge:-edge], strict=True)):
        angle = 2 * np.pi * frequency * times_s + row
        (sine, cosine), *_ = np.linalg.lstsq(np.stack([np.sin(angle), np.cos(angle)], 1), samples, rcond=None)
        found.append(complex(sine, cosine) / 100)
    return np.array(found)


def passband(rate_hz: int) -> np.ndarray:
    top = min(70.0, 0.84 * rate_hz / 2)
    frequencies = np.append(np.arange(1.0, top, 1.5 if rate_hz < 1000 else 6.0), top)
    return frequencies[np.abs(frequencies - LINE_HZ) >= 1.0]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_sines_keep_amplitude_and_phase_in_the_band_that_is_truly_there(rate_hz, tmp_path):
    frequencies = passband(rate_hz)
    source, _ = through_edf(sines(frequencies, rate_hz), rate_hz, tmp_path / "sines.edf")
    _, stored_CN = run(
        source, rate_hz, tmp_path / "stored.parquet", names=names(frequencies), line_freq_hz=LINE_HZ
    )
    found = fitted(stored_CN, frequencies)
    assert np.abs(np.abs(found) - 1).max() <= 0.01
    assert np.abs(np.degrees(np.angle(found))).max() <= 1.0


@pytest.mark.parametrize("rate_hz", [rate for rate in RATES_HZ if rate >= 250])
def test_sines_above_the_stored_band_do_not_come_back_as_others(rate_hz, tmp_path):
    top = min(0.95 * rate_hz / 2, 1000.0)
    frequencies = np.concatenate([np.arange(105.25, 116, 1.5), np.arange(116.25, top, max(1.5, top / 30))])
    source, _ = through_edf(sines(frequencies, rate_hz), rate_hz, tmp_path / "sines.edf")
    _, stored_CN = run(
        source, rate_hz, tmp_path / "stored.parquet", names=names(frequencies), line_freq_hz=None
    )
    edge = round(EDGE_S * STORED_HZ)
    level_db = 20 * np.log10(stored_CN[:, edge:-edge].std(axis=1) / (100 / np.sqrt(2)) + 1e-9)
    assert level_db[frequencies < 116].max() <= -42
    assert level_db[frequencies > 116].max() <= -50


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_an_impulse_stays_under_its_event(rate_hz, tmp_path):
    onsets_s = np.array([20.25, 31.5, 47.0])
    data_uv = np.zeros((2, SECONDS * rate_hz))
    data_uv[:, np.rint(onsets_s * rate_hz).astype(int)] = 500.0
    data_uv[:, -1] = 1.0  # so that the end is no padding
    source, annotations = through_edf(
        data_uv, rate_hz, tmp_path / "impulse.edf", [(onset, "flash") for onset in onsets_s]
    )
    _, stored_CN = run(source, rate_hz, tmp_path / "stored.parquet", names=("C3", "C4"))
    for annotation in annotations:
        at = round(annotation["onset"] * STORED_HZ)
        around = np.abs(stored_CN[:, at - 100 : at + 100])
        assert (np.abs(around.argmax(axis=1) - 100) <= 1).all()


def names(frequencies_hz: np.ndarray) -> tuple[str, ...]:
    return tuple(f"EEG {i:03d}" for i in range(len(frequencies_hz)))
