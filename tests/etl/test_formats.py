"""Miniatures of the formats: what was written comes back in µV, with its events and gaps, or is refused in words."""

import mne
import numpy as np
import pybv
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm_etl.formats import open_source
from eegfm_etl.inventory import take_inventory
from eegfm_etl.source import ArrayLayout, Ask, SourceError, TableLayout

from .format_miniatures import (
    NAMES,
    RATE_HZ,
    smooth_uv,
    write_bci2000,
    write_gdf,
    write_neuralynx,
    write_neuroscan,
    write_xdf,
)
from .ingest_miniatures import write_edf


@pytest.fixture
def data_uv() -> np.ndarray:
    return smooth_uv(3)


def everything(source) -> np.ndarray:
    return source.read(0, source.n_samples)


def write_brainvision(folder, data_uv, **more):
    pybv.write_brainvision(
        data=data_uv * 1e-6, sfreq=RATE_HZ, ch_names=list(NAMES), fname_base="rec", folder_out=folder,
        events=[{"onset": 500, "duration": 1, "description": 7, "type": "Stimulus", "channels": "all"}], **more,
    )  # fmt: skip
    return folder / "rec.vhdr"


def raw_of(data_uv, types="eeg"):
    return mne.io.RawArray(data_uv * 1e-6, mne.create_info(list(NAMES), RATE_HZ, types), verbose="error")


# --- BrainVision


@pytest.mark.parametrize("unit", ["nV", "µV", "mV", "V"])
def test_a_brainvision_channel_has_the_unit_of_its_header(tmp_path, data_uv, unit):
    path = write_brainvision(tmp_path, data_uv, unit=unit)
    source = open_source(path)
    np.testing.assert_allclose(everything(source), data_uv, atol=0.2)
    assert [(round(onset, 3), text) for onset, _, text in source.header.annotations] == [
        (2.0, "Stimulus/S  7")
    ]


def test_a_brainvision_channel_that_is_no_voltage_says_so(tmp_path, data_uv):
    path = write_brainvision(tmp_path, data_uv)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("Ch4=Oz,,0.1,µV", "Ch4=Oz,,0.1,µS"), encoding="utf-8")
    header = open_source(path).header
    assert header.units == ("µV", "µV", "µV", "µS")
    assert header.types == ("eeg", "eeg", "eeg", "misc")


def test_a_latin1_header_is_read(tmp_path, data_uv):
    path = write_brainvision(tmp_path, data_uv)
    text = path.read_text(encoding="utf-8").replace("Codepage=UTF-8", "; Müller")
    path.write_bytes(text.encode("latin-1"))
    np.testing.assert_allclose(everything(open_source(path)), data_uv, atol=0.2)


def test_missing_markers_and_a_cut_end_are_noted(tmp_path, data_uv):
    path = write_brainvision(tmp_path, data_uv)
    eeg = path.with_suffix(".eeg")
    eeg.write_bytes(eeg.read_bytes()[:4001])
    assert any("1 markers lie beyond" in note for note in open_source(path).header.notes)
    path.with_suffix(".vmrk").unlink()
    header = open_source(path).header
    assert header.annotations == ()
    assert any("markers (rec.vmrk) are missing" in note for note in header.notes)
    assert any("within a sample" in note for note in header.notes)


def test_a_header_over_foreign_data_is_refused(tmp_path, data_uv):
    path = write_brainvision(tmp_path, data_uv, fmt="binary_int16", resolution=0.1)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("BinaryFormat=INT_16", "BinaryFormat=IEEE_FLOAT_32"), encoding="utf-8")
    with pytest.raises(SourceError, match="does not fit its data"):
        open_source(path)


@pytest.mark.parametrize("name", ["../../secret.eeg", "/etc/passwd", "C:\\data\\x.eeg"])
@pytest.mark.parametrize("key", ["DataFile", "MarkerFile"])
def test_a_brainvision_header_names_nothing_outside_its_folder(tmp_path, data_uv, name, key):
    path = write_brainvision(tmp_path, data_uv)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text(
        "\n".join(f"{key}={name}" if line.startswith(key) else line for line in lines), encoding="utf-8"
    )
    with pytest.raises(SourceError, match="leads out of the header's folder"):
        open_source(path)


def test_brainvision_averages_are_no_recording(tmp_path, data_uv):
    path = write_brainvision(tmp_path, data_uv)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("NumberOfChannels", "Averaged=YES\nNumberOfChannels", 1), encoding="utf-8")
    with pytest.raises(SourceError) as refused:
        open_source(path)
    assert refused.value.step == "average"


# --- EEGLAB, FIF


def test_eeglab_epochs_are_segments_with_their_events(tmp_path, data_uv):
    events = np.array([[200, 0, 1], [800, 0, 2], [1400, 0, 1]])
    epochs = mne.Epochs(
        raw_of(data_uv), events, {"left": 1, "right": 2}, tmin=0, tmax=2 - 1 / RATE_HZ, baseline=None, preload=True,
        verbose="error",
    )  # fmt: skip
    mne.export.export_epochs(tmp_path / "cut.set", epochs, verbose="error")
    source = open_source(tmp_path / "cut.set")
    assert source.header.segments == ((0.0, 0, 500), (2.0, 500, 1000), (4.0, 1000, 1500))
    np.testing.assert_allclose(source.read(500, 1000), data_uv[:, 800:1300], atol=1e-3)
    assert [text for _, _, text in source.header.annotations] == ["left", "right", "left"]
    assert any("3 epochs" in note for note in source.header.notes)


def test_an_eeglab_file_under_the_name_mat_is_read(tmp_path, data_uv):
    mne.export.export_raw(tmp_path / "rec.set", raw_of(data_uv), verbose="error")
    (tmp_path / "rec.set").rename(tmp_path / "rec.mat")
    np.testing.assert_allclose(everything(open_source(tmp_path / "rec.mat")), data_uv, atol=1e-3)


def test_a_cut_fdt_is_refused(tmp_path, data_uv):
    n = data_uv.shape[1]
    struct_ = {
        "nbchan": 4.0, "pnts": float(n), "trials": 1.0, "srate": RATE_HZ, "xmin": 0.0, "xmax": n / RATE_HZ,
        "data": "rec.fdt", "event": [], "chanlocs": [], "epoch": [], "icawinv": [], "icaweights": [], "icasphere": [],
    }  # fmt: skip
    scipy.io.savemat(tmp_path / "rec.set", {"EEG": struct_}, appendmat=False)
    data_uv.T.astype("<f4").tofile(tmp_path / "rec.fdt")
    np.testing.assert_allclose(everything(open_source(tmp_path / "rec.set")), data_uv, atol=1e-3)
    data_uv.T.astype("<f4")[:100].tofile(tmp_path / "rec.fdt")
    with pytest.raises(SourceError, match=r"rec.fdt.* are cut off"):
        open_source(tmp_path / "rec.set")
    (tmp_path / "rec.fdt").unlink()
    with pytest.raises(SourceError, match=r"rec.fdt.* are missing"):
        open_source(tmp_path / "rec.set")


def test_events_of_a_fif_count_from_its_first_sample(tmp_path, data_uv):
    raw = raw_of(data_uv)
    raw.set_meas_date(0)
    raw.set_annotations(mne.Annotations([5.0], [0.0], ["cue"], orig_time=raw.info["meas_date"]))
    raw.crop(tmin=3.0).save(tmp_path / "late_raw.fif", verbose="error")
    header = open_source(tmp_path / "late_raw.fif").header
    assert header.annotations == ((pytest.approx(2.0), 0.0, "cue"),)


def test_a_fif_of_averages_or_of_meg_is_no_eeg(tmp_path, data_uv):
    evoked = mne.EvokedArray(data_uv * 1e-6, mne.create_info(list(NAMES), RATE_HZ, "eeg"), verbose="error")
    evoked.save(tmp_path / "x-ave.fif", verbose="error")
    with pytest.raises(SourceError) as refused:
        open_source(tmp_path / "x-ave.fif")
    assert refused.value.step == "average"
    raw_of(data_uv, "mag").save(tmp_path / "meg_raw.fif", verbose="error")
    with pytest.raises(SourceError, match="4 mag") as refused:
        open_source(tmp_path / "meg_raw.fif")
    assert refused.value.step == "channels"


@pytest.mark.parametrize("suffix", ["fif", "fif.gz"])
def test_a_fif_in_several_files_is_one_recording_and_without_its_second_not_read(tmp_path, suffix):
    data_uv = smooth_uv(1, 700.0)
    raw_of(data_uv).save(tmp_path / f"x_raw.{suffix}", split_size="2MB", buffer_size_sec=1, verbose="error")
    (entry,) = take_inventory(tmp_path).entries
    files = sorted(one.name for one in tmp_path.iterdir())
    assert len(files) == 3
    assert sorted([entry.rel, *entry.parts]) == files
    assert open_source(tmp_path / entry.rel).n_samples == data_uv.shape[1]
    (tmp_path / entry.parts[0]).unlink()
    with pytest.raises(SourceError, match="copy all parts") as refused:
        open_source(tmp_path / entry.rel)
    assert refused.value.step == "read"


# --- Neuroscan


@pytest.mark.parametrize("bits", [16, 32])
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000))
def test_the_width_of_neuroscan_samples_is_found(tmp_path_factory, bits, seed):
    data_uv = smooth_uv(seed)
    path = write_neuroscan(tmp_path_factory.mktemp("cnt") / "rec.cnt", data_uv, bits)
    source = open_source(path)
    np.testing.assert_allclose(everything(source), data_uv, atol=1e-6)
    assert source.header.annotations == ((2.0, 0.0, "7"),)
    assert f"taken for {bits} bits" in source.header.notes[0]
    assert source.header.personal == ("patient",)


def test_a_neuroscan_file_that_shows_no_width_is_refused(tmp_path):
    noise = np.random.default_rng(1).integers(-30_000, 30_000, (4, 2000)).astype(float) * 100
    path = write_neuroscan(tmp_path / "rec.cnt", noise % 3276, 16, events=(), samples=0)
    with pytest.raises(SourceError, match="does not say if its samples have 16 or 32 bits"):
        open_source(path)


# --- BCI2000, GDF


def test_bci2000_gains_offsets_and_states_are_applied(tmp_path, data_uv):
    codes = np.zeros(data_uv.shape[1], dtype=int)
    codes[500:750] = 7
    counts = np.rint(data_uv * 10) + 5
    source = open_source(write_bci2000(tmp_path / "rec.dat", counts, "0.1", 5, codes))
    np.testing.assert_allclose(everything(source), data_uv, atol=1e-9)
    assert source.header.names == NAMES
    assert source.header.annotations == ((2.0, 1.0, "StimulusCode 7"),)
    assert source.header.personal == ("SubjectName",)
    millivolts = open_source(write_bci2000(tmp_path / "mv.dat", counts, "0.0001mV", 5, codes))
    np.testing.assert_allclose(everything(millivolts), data_uv, atol=1e-9)


def test_a_bci2000_offset_that_is_no_number_is_named(tmp_path, data_uv):
    path = write_bci2000(tmp_path / "rec.dat", data_uv, "0.1", float("nan"), np.zeros(data_uv.shape[1]))
    with pytest.raises(SourceError, match="SourceChOffset holds 'nan'"):
        open_source(path)


def test_a_bci2000_file_without_gains_is_refused(tmp_path, data_uv):
    path = write_bci2000(tmp_path / "rec.dat", data_uv, "none", 0, np.zeros(data_uv.shape[1]))
    with pytest.raises(SourceError, match="SourceChGain") as refused:
        open_source(path)
    assert refused.value.step == "units"


@pytest.mark.parametrize(("unit", "factor"), [("uV", 1.0), ("mV", 1e3), ("nV", 1e-3)])
def test_gdf_units_are_what_the_header_says(tmp_path, data_uv, unit, factor):
    source = open_source(write_gdf(tmp_path / "rec.gdf", data_uv, unit))
    np.testing.assert_allclose(everything(source), data_uv * factor, rtol=1e-6, atol=1e-6 * factor)
    assert [(round(onset, 3), text) for onset, _, text in source.header.annotations] == [(2.0, "769")]


def test_a_new_run_in_a_gdf_ends_a_segment_and_its_missing_values_are_a_gap(tmp_path, data_uv):
    data_uv = data_uv.copy()
    data_uv[:, 1000:1100] = -32768
    source = open_source(
        write_gdf(tmp_path / "runs.gdf", data_uv, "uV", events=((1, 32766, 0), (1001, 32766, 0)))
    )
    assert [(first, stop) for _, first, stop in source.header.segments] == [(0, 1000), (1100, 2000)]


# --- XDF, Neuralynx


def test_an_xdf_keeps_its_gap_and_puts_markers_where_they_were(tmp_path, data_uv):
    pieces = [(0.0, data_uv[:, :1000]), (60.0, data_uv[:, 1000:])]
    source = open_source(write_xdf(tmp_path / "rec.xdf", pieces, markers=((1.0, "go"), (61.0, "stop"))))
    np.testing.assert_allclose(everything(source), data_uv, atol=1e-4)
    assert [(round(start, 3), first, stop) for start, first, stop in source.header.segments] == [
        (0.0, 0, 1000),
        (60.0, 1000, 2000),
    ]
    assert [(round(onset, 3), text) for onset, _, text in source.header.annotations] == [
        (1.0, "go"),
        (61.0, "stop"),
    ]
    assert source.header.names == NAMES


def test_an_xdf_in_volts_or_cut_off_says_so(tmp_path, data_uv):
    path = write_xdf(tmp_path / "rec.xdf", [(0.0, data_uv * 1e-6)], unit="volts")
    np.testing.assert_allclose(everything(open_source(path)), data_uv, atol=1e-3)
    whole = write_xdf(tmp_path / "cut.xdf", [(0.0, data_uv[:, :1000]), (4.0, data_uv[:, 1000:])])
    whole.write_bytes(whole.read_bytes()[:-2000])
    assert any("cut off" in note for note in open_source(whole).header.notes)


def test_gaps_of_a_neuralynx_folder_are_kept(tmp_path):
    counts = smooth_uv(5, channels=2, rate_hz=2000.0)
    source = open_source(write_neuralynx(tmp_path / "rec", counts[:, : 512 * 20], {10: 1.5}))
    assert [(round(start, 3), first, stop) for start, first, stop in source.header.segments] == [
        (0.0, 0, 5120),
        (4.06, 5120, 10240),
    ]
    rows = [source.header.names.index(name) for name in NAMES[:2]]
    found = np.abs(source.read(0, 10240, rows))  # the system's inputs are inverted
    np.testing.assert_allclose(found, np.abs(counts[:, : 512 * 20]) * 0.1, atol=1e-6)
    np.testing.assert_array_equal(source.read(5000, 5200)[:, 120:], source.read(5120, 5200))


# --- FieldTrip, arrays, tables


def write_fieldtrip(path, trials, times, **more):
    cells = np.empty((1, len(trials)), dtype=object)
    axes = np.empty((1, len(trials)), dtype=object)
    cells[0, :], axes[0, :] = [*trials], [*times]
    label = np.array(NAMES, dtype=object)[:, None]
    scipy.io.savemat(
        path, {"data": {"label": label, "trial": cells, "time": axes, "fsample": RATE_HZ, **more}}
    )
    return path


@pytest.mark.parametrize(("factor", "unit"), [(1.0, "µV"), (1e-6, "V")])
def test_the_unit_of_fieldtrip_is_told_by_the_amplitude(tmp_path, data_uv, factor, unit):
    trials = [data_uv[:, :500] * factor, data_uv[:, 500:1000] * factor]
    times = [np.arange(500) / RATE_HZ - 0.5] * 2
    path = write_fieldtrip(
        tmp_path / "ft.mat", trials, times, sampleinfo=[[1, 500], [2001, 2500]], trialinfo=[[3], [4]]
    )
    source = open_source(path)
    np.testing.assert_allclose(everything(source), data_uv[:, :1000], atol=1e-6)
    assert source.header.segments == ((0.0, 0, 500), (8.0, 500, 1000))
    assert [(onset, text) for onset, _, text in source.header.annotations] == [(0.5, "3"), (8.5, "4")]
    assert f"that of EEG in {unit}" in source.header.notes[0]


def test_fieldtrip_trials_of_different_times_or_of_no_plausible_amplitude_are_refused(tmp_path, data_uv):
    times = [np.arange(500) / RATE_HZ, np.arange(500) / RATE_HZ + 1]
    trials = [data_uv[:, :500], data_uv[:, 500:1000]]
    with pytest.raises(SourceError, match="different time axes"):
        open_source(write_fieldtrip(tmp_path / "uneven.mat", trials, times))
    with pytest.raises(SourceError, match="neither in µV") as refused:
        open_source(write_fieldtrip(tmp_path / "mv.mat", [trials[0] * 1e-3] * 2, [times[0]] * 2))
    assert refused.value.step == "units"


@pytest.mark.parametrize("suffix", [".mat", ".npz"])
def test_an_array_is_read_where_it_is_declared_and_refused_where_not(tmp_path, data_uv, suffix):
    path = tmp_path / f"x{suffix}"
    array = data_uv.reshape(4, 4, 500).transpose(1, 2, 0) * 1e-3  # trials of (time, channel), in mV
    (np.savez(path, eeg=array) if suffix == ".npz" else scipy.io.savemat(path, {"eeg": array}))
    with pytest.raises(SourceError, match=r"eeg 4×500×4.* declare"):
        open_source(path)
    layout = ArrayLayout("eeg", "trial time channel", NAMES, RATE_HZ, "mV")
    source = open_source(path, Ask(layout=layout))
    np.testing.assert_allclose(everything(source), data_uv, atol=1e-6)
    assert [(first, stop) for _, first, stop in source.header.segments] == [
        (500 * i, 500 * i + 500) for i in range(4)
    ]
    with pytest.raises(SourceError, match="4 channels; correct"):
        open_source(path, Ask(layout=ArrayLayout("eeg", "trial channel time", NAMES, RATE_HZ, "mV")))


def test_a_field_of_a_struct_is_reached_with_a_dot(tmp_path, data_uv):
    scipy.io.savemat(tmp_path / "x.mat", {"session": {"run": {"samples": data_uv}}})
    layout = ArrayLayout("session.run.samples", "channel time", NAMES, RATE_HZ, "uV")
    np.testing.assert_allclose(everything(open_source(tmp_path / "x.mat", Ask(layout=layout))), data_uv)


def test_a_table_is_read_with_a_declared_layout_only(tmp_path, data_uv):
    path = tmp_path / "rec.txt"
    np.savetxt(
        path, np.column_stack([np.arange(2000), data_uv.T * 1e-6]), fmt="%.9g", delimiter="\t", header="t\tx"
    )
    with pytest.raises(SourceError, match=r"neither its rate nor its unit.*declare"):
        open_source(path)
    layout = TableLayout(("", *NAMES), RATE_HZ, "V", separator="\t", comment="#")
    source = open_source(path, Ask(layout=layout))
    np.testing.assert_allclose(everything(source), data_uv, atol=1e-3)
    assert source.header.names == NAMES
    with pytest.raises(SourceError, match="rows have 5 columns, 4 are declared"):
        open_source(path, Ask(layout=TableLayout(NAMES, RATE_HZ, "V", separator="\t", comment="#")))


def test_samples_that_an_openbci_board_lost_are_gaps(tmp_path, data_uv):
    rows = [
        f"{i % 256}, " + ", ".join(f"{value:.2f}" for value in [*column, 0, 0, 0])
        for i, column in enumerate(data_uv.T)
    ]
    del rows[1000:1010]
    head = "%OpenBCI Raw EEG Data\n%Number of channels = 4\n%Sample Rate = 250.0 Hz\n"
    (tmp_path / "raw.txt").write_text(head + "\n".join(rows))
    source = open_source(tmp_path / "raw.txt")
    assert source.header.segments == ((0.0, 0, 1000), (1010 / 250, 1000, 1990))
    np.testing.assert_allclose(source.read(1000, 1990), data_uv[:, 1010:])


def test_prices_stages_and_eye_tracking_are_no_eeg(tmp_path):
    (tmp_path / "prices.csv").write_text("date,open,close\n2020-01-01,1.0,2.0\n2020-01-02,2.0,3.0\n")
    (tmp_path / "hypnogram.txt").write_text("# one stage per 30 s\n" + "0\n1\n2\n3\n" * 50)
    (tmp_path / "eye.asc").write_text("** CONVERTED FROM x.edf using edfapi\n** VERSION: EYELINK II 1\n")
    steps = {}
    for name in ("prices.csv", "hypnogram.txt", "eye.asc"):
        with pytest.raises(SourceError) as refused:
            open_source(tmp_path / name)
        steps[name] = refused.value.step
    assert steps == {"prices.csv": "channels", "hypnogram.txt": "annotations", "eye.asc": "channels"}


# --- sidecars


def test_annotations_of_another_file_join_the_recording(tmp_path):
    recording = write_edf(tmp_path / "night-PSG.edf", seconds=20, cues=())
    other = write_edf(tmp_path / "night-Hypnogram.edf", seconds=20, cues=((3.0, 2.0, "Sleep stage 2"),))
    header = open_source(recording, Ask(annotations=(str(other),))).header
    assert (3.0, 2.0, "Sleep stage 2") in header.annotations
    assert str(other) in header.parts
