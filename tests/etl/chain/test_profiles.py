"""The profiles: what each lets pass, how far it looks, and what a short segment gets."""

import numpy as np
import pytest

from eegfm_etl.chain.filters import kernel_for, shortest_high_passed_s
from eegfm_etl.chain.harmonise import ArraySource, Segment, harmonise
from eegfm_etl.channels import plan_channels
from eegfm_etl.ingest import ingest
from eegfm_lake.cohort import freeze
from eegfm_lake.errors import UsageError
from eegfm_lake.lock import read_lock
from eegfm_lake.schema import PROFILES
from eegfm_lake.signals import SignalReader
from eegfm_lake.storage import Storage
from eegfm_lake.table import Lake
from tests.etl.chain import noise
from tests.etl.ingest_miniatures import write_corpus


def gain_db(kind: str, profile: str, hz: float) -> float:
    kernel = kernel_for(kind, PROFILES[profile], line_freq_hz=50.0, source_nyquist_hz=250.0)
    at = np.arange(len(kernel.taps)) - kernel.half
    return float(20 * np.log10(abs(np.sum(kernel.taps * np.exp(-2j * np.pi * hz * at / 200.0)))))


def test_slow_potentials_pass_erp200_and_not_eeg200():
    assert gain_db("eeg", "eeg200", 0.1) < -12
    assert gain_db("eeg", "erp200", 0.1) > -1
    assert gain_db("eeg", "erp200", 0.2) > -0.1
    assert gain_db("eeg", "erp200", 0.01) < -20


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_filters_go_by_the_channels_type_in_every_profile(profile):
    assert gain_db("emg", profile, 2.0) < -20 < -1 < gain_db("eeg", profile, 2.0)
    assert gain_db("resp", profile, 0.05) == pytest.approx(0, abs=0.1)
    assert gain_db("resp", profile, 30.0) < -20 < -1 < gain_db("ecg", profile, 30.0)
    assert gain_db("eeg", profile, 50.0) < -20


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("line_hz", [None, 50.0, 60.0])
def test_no_kernel_looks_further_than_its_profile_says(profile, line_hz):
    for kind in ("eeg", "eog", "ecg", "emg", "resp"):
        kernel = kernel_for(kind, PROFILES[profile], line_freq_hz=line_hz, source_nyquist_hz=250.0)
        assert kernel.half / PROFILES[profile].rate_hz <= PROFILES[profile].reach_s


@pytest.mark.parametrize(("profile", "shortest_s"), [("eeg200", 33.0), ("erp200", 99.0)])
def test_a_segment_shorter_than_three_high_pass_kernels_is_detrended_and_marked(
    tmp_path, profile, shortest_s
):
    assert shortest_high_passed_s(PROFILES[profile]) == pytest.approx(shortest_s)
    lengths = [4.0, shortest_s - 1, shortest_s]
    data = noise(4, sum(lengths), 200)
    stops = np.cumsum([round(200 * length) for length in lengths])
    segments = [Segment(float(10 * i), int(stop - 200 * length), int(stop))
                for i, (length, stop) in enumerate(zip(lengths, stops, strict=True))]  # fmt: skip
    done = harmonise(
        ArraySource(data, 200.0),
        plan_channels(["Fp1", "C3", "C4", "O1"], ["eeg"] * 4, None, [200.0] * 4),
        profile=PROFILES[profile],
        segments=segments,
        line_freq_hz=50.0,
        line_freq_origin="declared",
        hardware_band=None,
        out=tmp_path / "s.parquet",
    )
    assert [one["high_passed"] for one in done.segments] == [False, False, True]
    assert [one["notched"] for one in done.segments] == [False, True, True]
    edges = [one["edge_s"] for one in done.segments]
    assert edges[0] < 0.5 < edges[1] < edges[2] <= PROFILES[profile].reach_s
    reader = SignalReader(Storage(tmp_path), "s.parquet")
    trial = reader.read_uv(0, 800)
    assert np.abs(np.polyfit(np.arange(800) / 200, trial.T, 1)[0]).max() < 0.5


def test_samples_further_from_an_end_than_its_edge_do_not_depend_on_what_lies_beyond(tmp_path):
    whole = noise(4, 120, 200)
    cut_s = 40.0
    stored, edge_s = [], 0.0
    for name, first in (("whole", 0), ("part", round(200 * cut_s))):
        done = harmonise(
            ArraySource(whole[:, first:], 200.0),
            plan_channels(["Fp1", "C3", "C4", "O1"], ["eeg"] * 4, None, [200.0] * 4),
            profile=PROFILES["eeg200"],
            segments=[Segment(0.0, 0, whole.shape[1] - first)],
            line_freq_hz=50.0,
            line_freq_origin="declared",
            hardware_band=None,
            out=tmp_path / f"{name}.parquet",
        )
        edge_s = done.segments[0]["edge_s"]
        reader = SignalReader(Storage(tmp_path), f"{name}.parquet")
        stored.append(reader.read_uv(0, reader.n_samples)[:, round(200 * cut_s) - first :])
    inner = round(200 * edge_s)
    difference = np.abs(stored[0] - stored[1])
    assert difference[:, inner:].max() <= 0.2 + 1e-3  # two roundings
    assert difference[:, :inner].max() > 1


def test_both_profiles_of_a_recording_stand_in_one_lake_and_a_cohort_takes_one(tmp_path):
    write_corpus(tmp_path / "source", people=1, runs=(4,))
    for profile in ("eeg200", "erp200"):
        report = ingest(
            tmp_path / "lake", "eegmmidb", source=tmp_path / "source", progress=False, profile=profile
        )
        assert (report.done, report.failed) == (1, 0)
    lake = Lake.open(tmp_path / "lake")
    rows = lake.recordings(["recording_id", "profile", "chain"]).to_pylist()
    assert {row["profile"] for row in rows} == {"eeg200", "erp200"}
    assert len({row["recording_id"] for row in rows}) == 1
    assert all(row["chain"]["version"].startswith(row["profile"]) for row in rows)
    everything = "SELECT recording_id, start, seconds FROM windows(4, 4)"
    with pytest.raises(UsageError, match="never mixes two"):
        freeze(lake, everything)
    for profile in ("eeg200", "erp200"):
        one = "SELECT recording_id, start, seconds, profile FROM windows(4, 4) WHERE profile = $profile"
        frozen = freeze(lake, one, params={"profile": profile})
        assert read_lock(frozen.path).meta["profile"] == profile
