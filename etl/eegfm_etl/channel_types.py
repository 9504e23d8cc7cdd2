"""What kind of signal a channel holds, told by its label: EDF and others call everything EEG.

A trigger, a target, a label or a movement is never EEG, whoever says so.
"""

import re
from collections.abc import Mapping, Sequence

from eegfm_lake.electrodes import without_decoration

STORED_TYPES = ("eeg", "eog", "ecg", "emg", "resp")
UNLABELLED = "unlabelled"

_READERS_TYPES = {
    "respiration": "resp",
    "misc": "other",
    "bio": "other",
    "stim": "stim",
    "exci": "stim",
    "trig": "stim",
}
_UNDECIDED = ("misc", "bio", "n/a", "")  # a reader's words for "not known"; an electrode's name decides

_SIDE = r"(?:LEFT|RIGHT|[LR])?[ _-]?"
_LIMBS = "HAND|FINGER|THUMB|WRIST|ELBOW|ARM|SHOULDER|FOOT|FEET|TOE|ANKLE|KNEE|HIP|TORSO|BODY"
# Certain: no declared type overrules these.
_CERTAIN = (
    (
        "stim",
        r"STATUS.*|STI ?\d*|STIM.*|TRIG.*|MARKERS?\d*|MKR.*|.*EVENTS?([ _-].*|\d*|TYPE|CODE)|.*ANNOTATIONS|"
        r"PHOTIC.*|(.*[ _-])?TARGETS?([ _-].*|\d*)|(.*[ _-])?LABELS?([ _-].*|\d*)|(.*[ _-])?CLASS(ES)?([ _-].*|\d*)|"
        r"CUES?([ _-].*|\d*)|DIN ?\d+|RESPONSES?([ _-].*|\d*)|BUTTONS?.*|KEY(PRESS|BOARD)?.*|TTL.*|SYNC.*|"
        r"PHOTO(DIODE|SENSOR|CELL).*|(TASK|TRIAL|EPOCH|SEGMENT|BLOCK|RUN)([ _-].*|\d*)|CODES?|Y_?TRUE|GROUND_?TRUTH",
    ),
    (
        "other",
        rf"{_SIDE}({_LIMBS}).*|KINEMATIC.*|KIN([ _-].*|[XYZ\d]*)|POS([ _-].*|[XYZ]?\d*)|POSITION.*|"
        rf"VEL([ _-].*|[XYZ]\d*)|VELOCITY.*|SPEED.*|(.*[ _-])?ACC([ _-].*|[XYZ]?\d*)|ACCEL.*|"
        r"(.*[ _-])?GYRO?([ _-].*|[XYZ]?\d*)|GYROSCOPE.*|"
        r"MAG([ _-].*|[XYZ])|MAGNETOMETER.*|QUAT.*|(.*[ _-])?ANGLES?([ _-].*|\d*)|(PITCH|ROLL|YAW)([ _-].*|\d*)|"
        r"FORCE.*|TORQUE.*|GRIP.*|JOY(STICK)?.*|MOUSE.*|CURSOR.*|GAZE.*|PUPIL.*|MOTION.*|TRACK(ER|ING).*",
    ),
    (
        "other",
        r"TIME([ _-]?STAMPS?)?([ _-].*|\d*)|TIMESTAMPS?.*|SAMPLES?([ _-].*|\d*)|INDEX|COUNTER.*|PACKET.*|BATTERY.*|"
        r"SAMPLE_?COUNT|CQ[ _-].*|INTERPOLATED|LATENCY.*",
    ),
    ("eog", r".*EOG.*"),
    ("ecg", r".*(ECG|EKG).*"),
    ("emg", r".*EMG.*"),
)
# Likely: what a recipe or a sidecar declares goes before these.
_LIKELY = (
    ("eog", r"LOC|ROC|[LR]?OC|VEO[GUL]?|HEO[GLR]?|EYE.*|E[12]"),
    ("emg", r"(SUB)?MENT.*|.*CHIN.*|R?LEG.*|LAT|RAT"),
    ("resp", r"RESP.*|ABD.*|THOR.*|.*AIRFLOW.*|.*NASAL.*|CHEST|FLOW|.*EFFORT.*|PNG"),
    ("other", r".*(SPO2|SAO2|PULSE|TEMP|GSR|EDA|PLETH?|SNORE|ETCO2).*"),
    (
        "other",
        r"\$.*|DC ?\d+|X\d+|[XYZ]|BP\d+|BN\d+|BIP\d+|AUX.*|ERG\d*|HR|PPG|GND|GROUND|PG\d|SP\d|REF\d*|CMS?|DRL|COM",
    ),
)
_CERTAIN_PATTERNS = [(kind, re.compile(f"^(?:{pattern})$")) for kind, pattern in _CERTAIN]
_LIKELY_PATTERNS = [(kind, re.compile(f"^(?:{pattern})$")) for kind, pattern in _LIKELY]
_CALLED_EEG = re.compile(r"^\s*EEG(?![A-Z])", re.IGNORECASE)
_NUMBERED = re.compile(r"^[A-Z]{0,3}[ _-]?\d+[A-Z]{0,2}$")

SCALP_WITHOUT_POSITION = ("CB1", "CB2", "T1", "T2")
"""Scalp electrodes that 10-05 does not place: cerebellar (Neuroscan) and anterior temporal (ACNS)."""


def certain_type(label: str) -> str | None:
    """Tell the type of a label that can be nothing else; None for all others.

    Parameters
    ----------
    label : str

    Returns
    -------
    str or None
        ``stim``, ``other``, ``eog``, ``ecg`` or ``emg``.
    """
    return _matched(label, _CERTAIN_PATTERNS)


def channel_types(
    labels: Sequence[str],
    source_types: Sequence[str],
    electrodes: Sequence[bool],
    measured: Mapping[str, object],
    overrides: Mapping[str, str],
) -> list[str]:
    """Decide the type of every channel.

    Parameters
    ----------
    labels, source_types : sequence of str
        As the reader gave them.
    electrodes : sequence of bool
        Which labels name an electrode, alone, against a reference, or of a cap.
    measured : mapping
        Labels with a measured position.
    overrides : mapping of str to str
        Label → declared type.

    Returns
    -------
    list of str
        One of `STORED_TYPES`, "stim", "other", `UNLABELLED`, or the reader's own word.
    """
    types: list[str | None] = []
    for label, source_type, electrode in zip(labels, source_types, electrodes, strict=True):
        declared = overrides.get(label, source_type).lower()
        if label not in overrides and electrode and declared in _UNDECIDED:
            declared = "eeg"
        if declared in ("n/a", ""):
            declared = "eeg"
        declared = _READERS_TYPES.get(declared, declared)
        if declared != "eeg" or electrode:
            types.append(declared)
        elif label in overrides:
            types.append(certain_type(label) or "eeg")
        else:
            types.append(_type_of_label(label) or ("eeg" if label in measured else None))
    unnamed = [label for label, kind in zip(labels, types, strict=True) if kind is None]
    named = sum(kind == "eeg" for kind in types)
    # Numbered caps (1 …, LE1 …) are EEG, with an electrode's name or two among them; strangers are not
    caps = named == 0 or (
        len(unnamed) > named and all(_NUMBERED.match(without_decoration(label)) for label in unnamed)
    )
    return [kind or ("eeg" if caps else UNLABELLED) for kind in types]


def _type_of_label(label: str) -> str | None:
    found = certain_type(label) or _matched(label, _LIKELY_PATTERNS)
    if found is None and (_CALLED_EEG.match(label) or without_decoration(label) in SCALP_WITHOUT_POSITION):
        return "eeg"
    return found


def _matched(label: str, patterns: Sequence[tuple[str, re.Pattern[str]]]) -> str | None:
    # As written, and without what a file puts before and behind every label ("EEG Target-Ref")
    plain = re.sub(r"\s+", " ", label.upper()).strip(" .")
    for text in (plain, without_decoration(label), _AROUND.sub("", plain)):
        for kind, pattern in patterns:
            if pattern.match(text):
                return kind
    return None


_AROUND = re.compile(
    r"^(?:(?:EEG|POL|CHANNEL|CHAN|CH)[ _:-]+)+| ?[-_ ](?:REF\d*|LE|AVG|AR|[AM][12])$|[-#]\d+$| ?[\[(].{1,3}[\])]$"
)
