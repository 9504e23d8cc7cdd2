"""Names, types, positions and pairs of source channels; none disappears."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm_etl.channels import plan_channels
from eegfm_lake import electrodes, schema

CAP = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "Fz", "Cz", "Pz")


def plan(names, types=None, positions=None, overrides=None):
    return plan_channels(names, types or ["eeg"] * len(names), positions, [160.0] * len(names), overrides)


def template(names=CAP) -> dict[str, tuple[float, float, float]]:
    return {name: electrodes.position(name) for name in names}


@given(
    st.lists(
        st.one_of(
            st.text(max_size=12),
            st.sampled_from(["C3", "EEG C3-REF", "Fp1-F7", "A1", "A3", "Status", "ECG", "E1", "Cz."]),
        ),
        max_size=12,
    ),
    st.sampled_from(["eeg", "misc", "stim", "eog", "seeg"]),
)
@settings(deadline=None)
def test_no_channel_disappears_and_names_are_unique(names, kind):
    plans = plan(names, [kind] * len(names))
    assert [one.source_name for one in plans] == names
    assert [one.source_index for one in plans] == list(range(len(names)))
    assert len({one.name for one in plans}) == len(plans)
    for one in plans:
        assert one.type in schema.CHANNEL_TYPES
        assert one.status in schema.CHANNEL_STATUS
        assert one.position_origin in schema.POSITION_ORIGINS
        assert one.region in electrodes.REGIONS
        assert (one.status == "dropped") == (one.type == "other")
        assert one.status == "good" or one.reasons


def test_labels_become_canonical_names_with_template_positions_and_regions():
    fc5, t3 = plan(["Fc5.", "T3.."])
    assert (fc5.name, fc5.region, fc5.position_origin) == ("FC5", "sensorimotor_left", "template")
    assert fc5.position == electrodes.position("FC5")
    assert (t3.name, t3.source_name, t3.source_rate) == ("T7", "T3..", 160.0)


def test_what_edf_calls_eeg_is_told_apart_by_its_label():
    names = [
        "EEG Cz",
        "EOG horizontal",
        "ECG ECG",
        "EMG chin",
        "Resp oro-nasal",
        "SaO2",
        "Status",
        "$A1",
        "X1",
    ]
    kinds = [(one.type, one.status) for one in plan(names)]
    stored = ["eeg", "eog", "ecg", "emg", "resp"]
    assert kinds == [(kind, "good") for kind in stored] + [("other", "dropped")] * 4


def test_the_readers_type_and_the_recipes_go_before_the_label():
    one, two = plan(["C3", "C4"], ["misc", "eeg"], overrides={"C4": "eog"})
    assert (one.type, one.status) == ("other", "dropped")
    assert (two.type, two.position) == ("eog", None)


def test_numbered_caps_are_eeg_and_strangers_among_electrodes_are_not():
    assert {one.status for one in plan([f"E{i}" for i in range(1, 33)])} == {"good"}
    strangers = plan([*CAP, "E", "foo"])[-2:]
    assert {one.status for one in strangers} == {"dropped"}


def test_biosemi_sockets_are_neither_earlobes_nor_10_20_electrodes():
    plans = plan([f"{row}{i}" for row in "ABCD" for i in range(1, 33)])
    assert {one.position for one in plans} == {None}
    assert [one.name for one in plans][:2] == ["A1", "A2"]
    assert plan(["A1", "A2", "C3"])[0].position is not None


def test_bipolar_channels_keep_anode_cathode_and_their_midpoint():
    one, two, ears = plan(["EEG Fpz-Cz", "EEG Pz-Oz", "EEG A2-A1"])
    assert (two.name, two.anode, two.cathode, two.position_origin) == ("Pz-Oz", "Pz", "Oz", "midpoint")
    expected = electrodes.positions(["Pz", "Oz"]).mean(axis=0)
    assert two.position == pytest.approx(expected)
    assert one.name == "Fpz-Cz"
    assert (ears.name, ears.anode, ears.cathode, ears.position) == ("A2-A1", "A2", "A1", None)


def test_one_reference_for_all_is_no_bipolar_recording_and_two_are():
    assert {one.anode for one in plan(["Fp1-Cz", "C3-Cz", "C4-Cz"])} == {None}
    left, right = plan(["C3-A2", "C4-A1"])
    assert (left.name, left.anode, left.cathode) == ("C3", "C3", "A2")
    assert (right.name, right.anode, right.cathode) == ("C4", "C4", "A1")


def test_a_repeated_label_keeps_its_row_under_another_name():
    one, two = plan(["EEG F1-Ref-0", "EEG F1-Ref-1"])
    assert (one.name, two.name) == ("F1", "F1#2")
    assert two.reasons == ("repeats F1",)


def test_measured_positions_are_taken_where_they_can_be_true():
    measured = {name: tuple(np.array(xyz) * 1.05) for name, xyz in template().items()}
    plans = plan(CAP, positions=measured)
    assert {one.position_origin for one in plans} == {"file"}
    assert plans[4].position == pytest.approx(measured["C3"])


def test_one_position_far_from_its_template_is_refused_and_the_others_stay():
    measured = template() | {"O2": electrodes.position("C4")}
    plans = plan(CAP, positions=measured)
    assert [one.name for one in plans if one.position_origin == "template"] == ["O2"]
    refused = next(one for one in plans if one.name == "O2")
    assert refused.position == electrodes.position("O2")
    assert "from the template" in refused.reasons[0]


def test_rotated_axes_are_refused_as_a_whole():
    rotated = {name: (y, -x, z) for name, (x, y, z) in template().items()}
    plans = plan([*CAP, "EEG 99"], positions=rotated | {"EEG 99": (0.0, 0.05, 0.1)})
    assert {one.position_origin for one in plans[:-1]} == {"template"}
    assert (plans[-1].position, plans[-1].region) == (None, "unknown")
    assert all("rotated" in one.reasons[0] for one in plans)


def test_positions_around_a_spheres_centre_are_moved_to_the_head_frame():
    sphere = {name: (x, y - 0.01, z - 0.04) for name, (x, y, z) in template().items()}
    plans = plan(CAP, positions=sphere)
    assert {one.position_origin for one in plans} == {"file"}
    assert [one.region for one in plans] == [electrodes.region(*electrodes.position(name)) for name in CAP]


@pytest.mark.parametrize("scale", [1000.0, 11.0, 0.001])
def test_positions_that_are_no_metres_are_refused(scale):
    plans = plan(CAP, positions={name: tuple(scale * np.array(xyz)) for name, xyz in template().items()})
    assert {one.position_origin for one in plans} == {"template"}
    assert "no metres" in plans[0].reasons[0]


@pytest.mark.shared
def test_all_labels_of_real_recordings_become_electrodes(eegmmidb_dir, eegmat_dir):
    import mne

    raw = mne.io.read_raw_edf(next(eegmmidb_dir.rglob("S001R04.edf")), verbose="error")
    plans = plan(raw.ch_names)
    assert len(plans) == 64
    assert all(one.position_origin == "template" and one.status == "good" for one in plans)
    raw = mne.io.read_raw_edf(next(eegmat_dir.rglob("*_1.edf")), verbose="error")
    plans = {one.name: one for one in plan(raw.ch_names)}
    assert [name for name, one in plans.items() if one.position is None] == ["A2-A1", "ECG"]
    assert plans["P7"].source_name == "EEG T5"
    assert plans["ECG"].type == "ecg"
