"""The same recording in any unit, and with headers that lie: the same stored EEG, or a refusal in words."""

from dataclasses import dataclass
from pathlib import Path

import edfio
import numpy as np
import pytest

from eegfm_etl.process import channel_report, harmonise_file
from eegfm_etl.source import SourceError
from eegfm_lake.signals import SignalReader
from eegfm_lake.storage import Storage
from tests.etl.chain import NAMES, noise

RATE_HZ = 200
RANGE_UV = 8192.0
DATA_UV = noise(16, 40, RATE_HZ, seed=4)
DATA_UV -= DATA_UV.mean(axis=1, keepdims=True)
OLD = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}


def write_edf(
    path: Path,
    signals: dict[str, np.ndarray],
    *,
    unit: str | list[str] = "uV",
    numbers_a_uv: float | list[float] = 1.0,
) -> Path:
    """Write an EDF in µV, then put other units and numbers into its header: the samples' bytes stay the same."""
    edfio.Edf(
        [
            edfio.EdfSignal(
                data, RATE_HZ, label=name, physical_dimension="uV", physical_range=(-RANGE_UV, RANGE_UV)
            )
            for name, data in signals.items()
        ]
    ).write(path)
    data, n = bytearray(path.read_bytes()), len(signals)
    units = unit if isinstance(unit, list) else [unit] * n
    factors = numbers_a_uv if isinstance(numbers_a_uv, list) else [numbers_a_uv] * n
    for i, (text, factor) in enumerate(zip(units, factors, strict=True)):
        for place, value in (
            (96, text.encode("latin-1")),
            (104, number(-RANGE_UV * factor)),
            (112, number(RANGE_UV * factor)),
        ):
            at = 256 + place * n + 8 * i
            data[at : at + 8] = value.ljust(8)
    path.write_bytes(data)
    return path


def number(value: float) -> bytes:
    """Eight characters that lose nothing of a power of two times a power of ten."""
    text = f"{value:.9f}".rstrip("0").rstrip(".").replace("0.", ".", 1)
    text = text if len(text) <= 8 else f"{value:.4g}".replace("e+0", "e").replace("e-0", "e-")
    assert len(text) <= 8
    assert float(text) == pytest.approx(value, rel=1e-3)
    return text.encode()


@dataclass(frozen=True)
class Stored:
    row: dict
    eeg: dict[str, np.ndarray]

    @property
    def said(self) -> str:
        return "\n".join([*channel_report(self.row), *self.row["source"]["notes"]])


def stored(path: Path, out: Path) -> Stored:
    out.mkdir()
    row, file = harmonise_file(path, out)
    reader = SignalReader(Storage(out), Path(file.path).name)
    kinds = [one["type"] for one in row["channels"] if one["status"] != "dropped"]
    samples = reader.read_uv(0, reader.n_samples)
    return Stored(row, {name: samples[i] for i, name in enumerate(reader.channels) if kinds[i] == "eeg"})


@pytest.fixture(scope="module")
def truth(tmp_path_factory) -> Stored:
    folder = tmp_path_factory.mktemp("truth")
    return stored(write_edf(folder / "truth.edf", dict(zip(NAMES, DATA_UV, strict=True))), folder / "out")


def assert_same(found: Stored, truth: Stored, without: tuple[str, ...] = ()) -> None:
    assert found.eeg.keys() == truth.eeg.keys() - set(without)
    for name, samples in found.eeg.items():
        steps = [one["step"] for one in truth.row["channels"]]
        assert np.abs(samples - truth.eeg[name]).max() <= max(steps) + 1e-3, name


@pytest.mark.parametrize(
    ("unit", "numbers_a_uv"),
    [("uV", 1.0), ("µV", 1.0), ("mV", 1e-3), ("V", 1e-6), ("nV", 1e3), ("", 1.0), ("n/a", 1.0), ("", 1e-3), ("", 1e-6),
     ("n/a", 1e3)],
)  # fmt: skip
def test_a_recording_is_stored_the_same_in_any_unit_that_its_header_states_or_leaves_out(
    tmp_path, truth, unit, numbers_a_uv
):
    signals = dict(zip(NAMES, DATA_UV, strict=True))
    path = write_edf(tmp_path / "r.edf", signals, unit=unit, numbers_a_uv=numbers_a_uv)
    found = stored(path, tmp_path / "out")
    assert_same(found, truth)
    if unit in ("", "n/a"):
        meant = {1.0: "µV", 1e-3: "mV", 1e-6: "V", 1e3: "nV"}[numbers_a_uv]
        assert f"read as {meant}" in found.said
        assert all(f"read as {meant}" in one["reasons"][0] for one in found.row["channels"])


def test_a_micro_sign_in_utf_8_is_read_or_refused_and_never_taken_for_volts(tmp_path, truth):
    signals = dict(zip(NAMES, DATA_UV, strict=True))
    path = write_edf(tmp_path / "r.edf", signals, unit="µV".encode().decode("latin-1"))
    try:
        assert_same(stored(path, tmp_path / "out"), truth)
    except SourceError as refused:
        assert refused.step == "units"  # noqa: PT017 - either is right


@pytest.mark.parametrize(
    ("unit", "numbers_a_uv"),
    [("V", 1.0), ("V", 1e-3), ("mV", 1.0), ("mV", 1e-6), ("uV", 1e-3), ("uV", 1e-6), ("nV", 1.0)],
)
def test_a_header_that_lies_about_its_unit_is_refused_with_both_readings(tmp_path, unit, numbers_a_uv):
    signals = dict(zip(NAMES, DATA_UV, strict=True))
    path = write_edf(tmp_path / "lie.edf", signals, unit=unit, numbers_a_uv=numbers_a_uv)
    with pytest.raises(SourceError, match=r"as the header says .*times that would be .* µV") as refused:
        harmonise_file(path, tmp_path)
    assert refused.value.step == "units"
    assert unit in refused.value.reason


def test_a_renamed_permuted_prefixed_recording_with_strangers_gives_the_same_eeg_and_says_every_change(
    tmp_path, truth
):
    rng = np.random.default_rng(7)
    dropped = ("Fp2", "C4", "P7")
    rows = [row for row in rng.permutation(16) if NAMES[row] not in dropped]
    signals = {f"EEG {OLD.get(NAMES[row], NAMES[row]).upper()}-REF": DATA_UV[row] for row in rows}
    beats = np.zeros(DATA_UV.shape[1])
    beats[::170] = 900
    signals |= {
        "EEG ECG": beats + rng.normal(0, 5, len(beats)),
        "EEG HandX": 300 * np.sin(np.arange(len(beats)) / 90),
    }
    path = write_edf(tmp_path / "changed.edf", signals, unit="mV", numbers_a_uv=1e-3)
    found = stored(path, tmp_path / "out")
    assert_same(found, truth, dropped)
    kinds = {one["source_name"]: (one["type"], one["status"]) for one in found.row["channels"]}
    assert kinds["EEG ECG"] == ("ecg", "good")
    assert kinds["EEG HandX"] == ("other", "dropped")
    for label in signals:
        assert f"(source: {label})" in found.said


def test_channels_in_other_units_than_the_rest_are_marked_and_say_so(tmp_path):
    signals = dict(zip(NAMES, DATA_UV, strict=True))
    units, factors = ["uV"] * 16, [1.0] * 16
    units[3] = "mV"
    path = write_edf(tmp_path / "one.edf", signals, unit=units, numbers_a_uv=factors)
    row, _ = harmonise_file(path, tmp_path)
    (bad,) = [one for one in row["channels"] if one["status"] == "bad"]
    assert bad["name"] == NAMES[3]
    assert "its unit (mV) is in doubt" in bad["reasons"][-1]


def test_units_of_no_voltage_leave_their_channels_out_and_a_recording_of_them_is_refused(tmp_path):
    signals = dict(zip(NAMES, DATA_UV, strict=True))
    path = write_edf(tmp_path / "some.edf", signals, unit=["degC", *["uV"] * 15])
    row, _ = harmonise_file(path, tmp_path)
    (left_out,) = [one for one in row["channels"] if one["status"] == "dropped"]
    assert left_out["reasons"] == ["its unit is 'degC', no voltage"]
    path = write_edf(tmp_path / "none.edf", signals, unit="%")
    with pytest.raises(SourceError, match="no EEG channel has a unit of voltage"):
        harmonise_file(path, tmp_path)


def test_a_missing_unit_that_no_reading_makes_eeg_is_refused_with_all_readings(tmp_path):
    signals = dict(zip(NAMES, np.clip(DATA_UV * 3e-3, -1, 1), strict=True))
    path = write_edf(tmp_path / "quiet.edf", signals, unit="")
    with pytest.raises(SourceError, match=r"as V .*as mV .*as µV .*as nV"):
        harmonise_file(path, tmp_path)


def test_zero_constant_railed_and_repeated_channels_are_marked_with_their_reason(tmp_path):
    data = DATA_UV.copy()
    data[0], data[1] = 0.0, 100.0
    data[2] = np.clip(data[2], *np.quantile(data[2], [0.2, 0.8]))
    data[5] = data[9]
    path = write_edf(tmp_path / "faults.edf", dict(zip(NAMES, data, strict=True)))
    row, _ = harmonise_file(path, tmp_path)
    bad = {one["name"]: one["reasons"] for one in row["channels"] if one["status"] == "bad"}
    constant = {"constant"}  # an EDF of an even range has no zero: its all-zero channel stands beside it
    assert set(bad[NAMES[0]]) in ({"all zero"}, constant)
    assert set(bad[NAMES[1]]) == constant
    assert "clipped" in bad[NAMES[2]]
    assert f"holds the samples of {NAMES[9]}" in bad[NAMES[5]]
    assert f"holds the samples of {NAMES[5]}" in bad[NAMES[9]]
    assert bad.keys() == {NAMES[row] for row in (0, 1, 2, 5, 9)}
