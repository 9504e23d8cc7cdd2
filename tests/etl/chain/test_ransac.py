"""Channels that their surroundings do not predict, beside PREP's own implementation in Python."""

import re

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from eegfm_etl.chain import ransac
from eegfm_lake.electrodes import position, positions

CAP = re.findall(
    r"\S+",
    "Fp1 Fpz Fp2 AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 T7 C5 C3 C1 Cz C2 "
    "C4 C6 T8 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2 Iz",
)
RATE_HZ, SECONDS = 200, 60


def scalp(seed: int = 0, reach_m: float = 0.06) -> np.ndarray:
    """Give 60 s of potentials in µV that change little from one electrode to the next."""
    rng = np.random.default_rng(seed)
    n = RATE_HZ * SECONDS
    freqs = np.fft.rfftfreq(n, 1 / RATE_HZ)
    shape = np.where((freqs > 1) & (freqs < 45), 1 / np.sqrt(np.maximum(freqs, 1)), 0)
    sources = np.fft.irfft(np.fft.rfft(rng.standard_normal((len(CAP), n)), axis=1) * shape, n, axis=1)
    xyz = positions(CAP)
    mixing = np.exp(-(np.linalg.norm(xyz[:, None] - xyz[None], axis=2) ** 2) / (2 * reach_m**2))
    data = mixing @ sources
    return 20 * data / data.std() + rng.standard_normal(data.shape)


def shares(data_uv: np.ndarray, usable: np.ndarray | None = None) -> np.ndarray:
    halved = ((data_uv[:, ::2] + data_uv[:, 1::2]) / 2).astype(np.float32)
    covariances = ransac.Covariances(RATE_HZ / 2, halved.shape[1])
    for start in range(0, halved.shape[1], 1000):
        covariances.add(halved[:, start : start + 1000])
    return ransac.unpredicted_share(
        covariances.matrices, positions(CAP), np.ones(len(CAP), bool) if usable is None else usable
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_same_channels_are_unpredicted_as_in_pyprep(seed):
    find_bad_by_ransac = pytest.importorskip("pyprep.ransac").find_bad_by_ransac
    rng = np.random.default_rng([seed, 7])
    data = scalp(seed)
    wrong = rng.choice(len(CAP), 4, replace=False)
    data[wrong] = rng.permutation(
        scalp(seed + 100)[wrong]
    )  # EEG of another head: no other criterion finds it
    ours = {CAP[row] for row in np.flatnonzero(shares(data) > ransac.BAD_SHARE)}
    halved = data[:, ::2] + data[:, 1::2]
    halved = halved - uniform_filter1d(halved, RATE_HZ // 2, axis=1)
    halved -= halved.mean(axis=0)
    xyz = positions(CAP) - [0.0, 0.008, 0.040]
    theirs, _ = find_bad_by_ransac(halved, RATE_HZ / 2, CAP, xyz, exclude=[], random_state=seed)
    assert {CAP[row] for row in wrong} <= ours & set(theirs)
    assert len(ours ^ set(theirs)) <= 1  # a channel between two wrong ones may fall to either side


def test_the_judgement_does_not_depend_on_the_run_the_reference_or_the_scale():
    data = scalp(3)
    data[5] = np.random.default_rng(1).normal(0, 20, data.shape[1])
    found = shares(data)
    assert np.array_equal(found, shares(data))
    assert shares(3 * (data - data[20])) == pytest.approx(found, abs=0.1)
    assert found[5] > 0.9
    assert np.delete(found, 5).max() < ransac.BAD_SHARE


def test_a_long_recording_is_judged_on_windows_spread_over_it_in_bounded_memory():
    covariances = ransac.Covariances(RATE_HZ / 2, 24 * 3600 * RATE_HZ // 2)
    block = np.random.default_rng(0).normal(0, 1, (40, 1000)).astype(np.float32)
    for _ in range(24 * 360):
        covariances.add(block)
    assert ransac.MOST_WINDOWS // 2 < len(covariances.matrices) <= ransac.MOST_WINDOWS


def test_few_channels_or_unknown_positions_are_not_judged():
    assert np.isnan(
        ransac.unpredicted_share([np.eye(16)], np.tile(position("Cz"), (16, 1)), np.ones(16, bool))
    ).all()
    unknown = np.full((len(CAP), 3), np.nan)
    assert np.isnan(ransac.unpredicted_share([np.eye(len(CAP))], unknown, np.ones(len(CAP), bool))).all()
