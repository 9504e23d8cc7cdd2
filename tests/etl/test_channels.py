"""Names, types, positions and pairs of source channels; none disappears."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm_etl.channels import plan_channels
from eegfm_lake import caps, electrodes, schema

CAP = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "Fz", "Cz", "Pz")
BIOSEMI_128 = [f"{row}{i}" for row in "ABCD" for i in range(1, 33)]

NOT_EEG = (
    "Status", "STI 014", "STI101", "Trigger", "TRIG", "Marker", "Event", "event_code", "EDF Annotations", "target",
    "Target X", "cursor_target", "label", "Label_0", "true_label", "class", "Class label", "cue", "stimulus", "DIN1",
    "Button", "TTL", "Photodiode", "HandX", "hand_y", "Left Hand Z", "RHand", "finger1", "Wrist angle", "kin_x",
    "KIN1", "kinematics", "pos_x", "PosX", "position", "vel_y", "velocity", "ACC X", "AccX", "acc", "accel_z",
    "Gyro_X", "gyr", "quat_w", "elbow angle", "roll", "pitch", "force", "joystick", "mouse_x", "cursor x",
    "timestamp", "Time", "sample", "counter", "CQ_AF3", "ECG", "EKG1", "EOG left", "VEOG", "EMG chin", "trial",
)  # fmt: skip
decorations = st.tuples(
    st.sampled_from(["", "EEG ", "eeg ", "EEG_", "POL ", "POL EEG ", "CH_", " "]),
    st.sampled_from(
        ["", "-Ref", "-REF", "-LE", "-AVG", "-A1", "-M2", ".", "..", " ", "-0", "_REF", " [uV]", " (µV)"]
    ),
    st.sampled_from([str, str.upper, str.lower, str.title]),
)


def decorated(name: str, decoration) -> str:
    prefix, suffix, case = decoration
    return prefix + case(name) + suffix


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


@given(st.sampled_from(NOT_EEG), decorations, st.booleans(), st.sampled_from(["cap", "numbers", "alone"]))
@settings(deadline=None, max_examples=300)
def test_a_trigger_a_target_a_label_or_a_movement_is_never_eeg_whoever_says_so(
    name, decoration, declared, among
):
    label = decorated(name, decoration)
    others = {"cap": list(CAP), "numbers": [str(i) for i in range(1, 33)], "alone": []}[among]
    planned = plan([label, *others], overrides={label: "eeg"} if declared else None)[0]
    assert planned.type != "eeg", planned
    assert not declared or planned.reasons
    measured = plan([label, *others], positions={label: (0.0, 0.05, 0.1)})[0]
    assert measured.type != "eeg"


@given(st.sampled_from(sorted(electrodes._template())), decorations)
@settings(deadline=None, max_examples=300)
def test_any_decoration_of_a_known_name_maps_to_it_and_again(name, decoration):
    (planned,) = plan([decorated(name, decoration)])
    ears = ("A1", "A2", "M1", "M2")
    if name in ears and decoration[1] in ("-A1", "-M2"):  # an ear against an ear is a derivation
        return
    assert (planned.name, planned.type) == (name, "eeg")
    assert planned.position == electrodes.position(name)
    assert plan([planned.name])[0].name == planned.name


any_label = st.one_of(
    st.sampled_from([*CAP, "T3", "T7", "EEG T7-LE", "C3-A2", "Fpz-Cz", "A1", "A2", *NOT_EEG, *BIOSEMI_128[:40], "E1",
                     "E2", "E36", "EEG 001", "7", "foo", "C3#2", "A1@biosemi64"]),
    st.text(max_size=8),
)  # fmt: skip


@given(st.lists(any_label, max_size=40, unique=True), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_permuting_channels_permutes_the_plan(names, random):
    order = list(range(len(names)))
    random.shuffle(order)
    one = plan(names, positions={"foo": (0.0, 0.1, 0.03)})
    other = plan([names[i] for i in order], positions={"foo": (0.0, 0.1, 0.03)})
    for place, index in enumerate(order):
        assert replace(other[place], source_index=index) == one[index]


@given(st.lists(any_label, max_size=30, unique=True))
@settings(deadline=None)
def test_names_given_once_are_kept_when_given_again(names):
    once = [one.name for one in plan(names)]
    assert [one.name for one in plan(once)] == once


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
    one, two, three = plan(["C3", "C4", "Cz"], ["seeg", "eeg", "eeg"], overrides={"C4": "eog", "Cz": "misc"})
    assert (one.type, one.status) == ("other", "dropped")
    assert (two.type, two.position) == ("eog", None)
    assert (three.type, three.status) == ("other", "dropped")


def test_an_electrodes_name_decides_where_the_reader_does_not_know():
    assert [one.type for one in plan(["C3", "Fz", "foo"], ["misc", "n/a", "misc"])] == ["eeg", "eeg", "other"]


def test_numbered_caps_are_eeg_and_strangers_among_electrodes_are_not():
    assert {one.status for one in plan([str(i) for i in range(1, 33)])} == {"good"}
    assert {one.status for one in plan(["Lm", *(f"LE{i}" for i in range(1, 33))])} == {"good"}
    strangers = plan([*CAP, "E", "foo"])[-2:]
    assert {one.status for one in strangers} == {"dropped"}


def test_biosemi_sockets_are_neither_earlobes_nor_10_20_electrodes():
    plans = plan([*BIOSEMI_128, "EXG1", "Status"])
    assert [one.name for one in plans][:2] == ["A1@biosemi128", "A2@biosemi128"]
    assert [electrodes.canonical(one.name) for one in plans][:2] == [None, None]
    assert {one.position_origin for one in plans[:128]} == {"template"}
    assert plans[0].region == "sensorimotor_midline"  # A1 of 128 is the vertex
    assert [one.status for one in plans[128:]] == ["dropped", "dropped"]
    ears = plan(["A1", "A2", "C3"])
    assert [one.name for one in ears] == ["A1", "A2", "C3"]


@pytest.mark.parametrize("cap", ["biosemi16", "biosemi32", "biosemi64"])
def test_biosemis_sockets_of_small_caps_are_the_electrodes_that_the_maker_put_there(cap):
    import mne

    expected = mne.channels.make_standard_montage(cap).ch_names
    sockets = list(caps.cap(cap))
    without_three = [*sockets[:2], *sockets[5:]]
    declared = plan_channels(
        without_three, ["eeg"] * len(without_three), None, [160.0] * len(without_three), cap=cap
    )
    assert [one.name for one in declared] == [*expected[:2], *expected[5:]]
    if cap == "biosemi16":  # the first sockets of every larger cap are called the same
        assert {one.position for one in plan(sockets)} == {None}
    else:
        assert [one.name for one in plan(sockets)] == expected
        assert plan(without_three) == declared


def test_half_a_cap_that_fits_none_keeps_its_sockets_without_positions():
    sockets = [f"{row}{i}" for row in "AH" for i in range(1, 33)]
    plans = plan(sockets)
    assert {one.position for one in plans} == {None}
    assert plans[0].name == "A1@socket"
    assert {one.type for one in plans} == {"eeg"}


@pytest.mark.parametrize("size", [32, 64, 65, 128, 129, 256, 257])
def test_electrodes_of_a_net_lie_where_the_makers_equivalents_are(size):
    plans = {one.name: one for one in plan([f"E{i}" for i in range(1, size + 1)])}
    assert {one.position_origin for one in plans.values()} == {"template"}
    assert {one.type for one in plans.values()} == {"eeg"}
    assert ("Cz" in plans) == (size in (65, 129, 257))
    if size in (128, 129):
        known = {"E36": "sensorimotor_left", "E104": "sensorimotor_right", "E62": "parietal_midline"}
        known |= {"E70": "occipital_left", "E45": "temporal_left", "E24": "frontal_left"}
        assert {label: plans[label].region for label in known} == known


def test_two_eyes_of_a_sleep_recording_are_no_net():
    plans = plan(["C3-M2", "C4-M1", "E1-M2", "E2-M2", "chin"])
    assert [one.type for one in plans] == ["eeg", "eeg", "eog", "eog", "emg"]


def test_numbers_alone_are_a_cap_only_where_it_is_declared():
    numbers = [str(i) for i in range(1, 62)]
    assert {one.position for one in plan(numbers)} == {None}
    declared = plan_channels(numbers, ["eeg"] * 61, None, [500.0] * 61, cap="easycap-M10")
    assert all(one.position_origin == "template" and one.cap == "easycap-M10" for one in declared)


def test_bipolar_channels_keep_anode_cathode_and_their_midpoint():
    one, two, ears = plan(["EEG Fpz-Cz", "EEG Pz-Oz", "EEG A2-A1"])
    assert (two.name, two.anode, two.cathode, two.position_origin) == ("Pz-Oz", "Pz", "Oz", "midpoint")
    expected = electrodes.positions(["Pz", "Oz"]).mean(axis=0)
    assert two.position == pytest.approx(expected)
    assert one.name == "Fpz-Cz"
    assert (ears.name, ears.status, ears.position) == ("A2-A1", "dropped", None)


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
    assert plans["A2-A1"].status == "dropped"
    assert plans["P7"].source_name == "EEG T5"
    assert plans["ECG"].type == "ecg"
