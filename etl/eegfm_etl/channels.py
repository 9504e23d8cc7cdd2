"""Source labels → canonical names, types, positions and regions; no channel disappears without a row."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eegfm_lake import electrodes

XYZ = tuple[float, float, float]

STORED_TYPES = ("eeg", "eog", "ecg", "emg", "resp")
MAX_ANGLE_DEG = 30.0
"""A measured position further than this from its name's template is refused."""

_HEAD_RADIUS_M = (0.04, 0.20)
_HEAD_CENTRE_M = np.array([0.0, 0.008, 0.040])
_WRONG_ORIGIN_M = 0.015  # measured heads differ from the template by less, a sphere's centre by 40 mm
_MIN_FOR_SHIFT = 4
_LONGEST_PAIR_M = 0.12  # the midpoint of a longer pair (both ears) lies inside the head

_MNE_TYPES = {"respiration": "resp", "bio": "other", "misc": "other", "stim": "stim", "exci": "stim"}
_LABEL_TYPES = (
    (
        "stim",
        r"STATUS|STI ?\d*|TRIG.*|MARKERS?|MKR.*|EVENTS?( MARKER)?|EDF ANNOTATIONS|BDF ANNOTATIONS|PHOTIC.*",
    ),
    ("eog", r".*EOG.*|LOC|ROC|[LR]?OC|VEO[GUL]?|HEO[GLR]?|EYE.*"),
    ("ecg", r".*(ECG|EKG).*"),
    ("emg", r".*EMG.*|(SUB)?MENT.*|.*CHIN.*|R?LEG.*|LAT|RAT"),
    ("resp", r"RESP.*|ABD.*|THOR.*|.*AIRFLOW.*|.*NASAL.*|CHEST|FLOW|.*EFFORT.*|PNG"),
    ("other", r".*(SPO2|SAO2|PULSE|TEMP|GSR|EDA|ACC|GYRO|PLETH|SNORE|POSITION|BATTERY|COUNTER|ETCO2).*"),
    ("other", r"\$.*|DC ?\d+|X\d+|BP\d+|BN\d+|AUX.*|HR|PPG|STIM.*|GND|PG\d|SP\d"),
)
_TYPE_PATTERNS = [(kind, re.compile(f"^(?:{pattern})$")) for kind, pattern in _LABEL_TYPES]
_BIOSEMI = re.compile(r"^[A-H]([1-9]|[12]\d|3[0-2])$")
_KIND_PREFIX = re.compile(r"^(EEG|EOG|ECG|EMG|RESP|POL)[\s_]+(?=\S)", re.IGNORECASE)


@dataclass(frozen=True)
class ChannelPlan:
    """What becomes of one source channel."""

    source_index: int
    source_name: str
    name: str  # canonical, or the source's own; unique in a recording
    type: str  # one of schema.CHANNEL_TYPES
    position: XYZ | None  # metres, MNE's head frame
    position_origin: str  # one of schema.POSITION_ORIGINS
    region: str
    source_rate: float  # Hz, before the reader brought channels to one rate
    status: str  # "good", "bad" (said so by a sidecar), or "dropped": listed with its reasons, not stored
    reasons: tuple[str, ...]
    anode: str | None  # both None where all channels are measured against the same electrode
    cathode: str | None


def plan_channels(
    source_names: Sequence[str],
    source_types: Sequence[str],
    source_positions: Mapping[str, XYZ] | None,
    source_rates: Sequence[float],
    overrides: Mapping[str, str] | None = None,
) -> list[ChannelPlan]:
    """Decide name, type, position and region of every channel of a recording.

    Parameters
    ----------
    source_names : sequence of str
        Labels as the reader gave them.
    source_types : sequence of str
        The reader's types (MNE's words). ``eeg`` is taken as "not known otherwise": EDF says it of all.
    source_positions : mapping of str to (x, y, z), or None
        Measured positions by source name, metres in MNE's head frame.
    source_rates : sequence of float
        Hz, per channel.
    overrides : mapping of str to str, optional
        Source name → type, declared by the recipe or a sidecar; goes before everything else.

    Returns
    -------
    list of ChannelPlan
        One per source channel, in the source's order.
    """
    parts = _taken_apart(source_names)
    types = _types(source_names, source_types, parts, source_positions or {}, overrides or {})
    pairs = _pairs(parts, types)
    names = _unique([_name(*row) for row in zip(source_names, parts, types, pairs, strict=True)])
    measured, refusals = _trusted_positions(source_names, parts, pairs, types, source_positions or {})
    plans = []
    for index, (label, kind, (anode, cathode)) in enumerate(zip(source_names, types, pairs, strict=True)):
        stored = kind in STORED_TYPES
        reasons = [] if stored else [_why_dropped(kind, str(source_types[index]))]
        xyz, origin = (None, "none")
        if kind == "eeg":
            xyz, origin = _position(measured.get(label), parts[index][0], anode, cathode)
            reasons += [refusals[label]] if label in refusals else []
            reasons += [f"repeats {parts[index][0]}"] if "#" in names[index] else []
        plans.append(
            ChannelPlan(
                source_index=index,
                source_name=label,
                name=names[index],
                type=kind if stored else "other",
                position=xyz,
                position_origin=origin,
                region=electrodes.region(*xyz) if xyz else electrodes.UNKNOWN,
                source_rate=float(source_rates[index]),
                status="good" if stored else "dropped",
                reasons=tuple(reasons),
                anode=anode,
                cathode=cathode,
            )
        )
    return plans


_Parts = tuple[str | None, str | None, str | None]  # as eegfm_lake.electrodes.derivation gives them
_Pair = tuple[str | None, str | None]  # anode, cathode


def _taken_apart(labels: Sequence[str]) -> list[_Parts]:
    plain = [label.strip().upper() for label in labels]
    # BioSemi numbers its sockets A1 … H32: there A1 is no earlobe and C3 no central electrode
    sockets = any(re.fullmatch(r"A([3-9]|[12]\d|3[0-2])", label) for label in plain)
    return [
        (None, None, None) if sockets and _BIOSEMI.match(text) else electrodes.derivation(label)
        for label, text in zip(labels, plain, strict=True)
    ]


def _types(
    labels: Sequence[str],
    source_types: Sequence[str],
    parts: Sequence[_Parts],
    measured: Mapping[str, XYZ],
    overrides: Mapping[str, str],
) -> list[str]:
    types: list[str | None] = []
    for label, source_type, (electrode, _, _) in zip(labels, source_types, parts, strict=True):
        declared = overrides.get(label, source_type).lower()
        declared = _MNE_TYPES.get(declared, declared)
        if declared != "eeg" or label in overrides or electrode is not None:
            types.append(declared)
        else:
            types.append(_type_of_label(label) or ("eeg" if label in measured else None))
    unnamed = sum(kind is None for kind in types)
    named = sum(kind == "eeg" for kind in types)
    # Numbered caps (E1 …, 1 …) are EEG; a stranger or two among named electrodes are not
    return [kind or ("eeg" if unnamed > named else "unlabelled") for kind in types]


def _type_of_label(label: str) -> str | None:
    text = label.strip(" .").upper().removeprefix("POL ")
    if text.startswith("EEG"):
        return "eeg"
    return next((kind for kind, pattern in _TYPE_PATTERNS if pattern.match(text)), None)


def _why_dropped(kind: str, source_type: str) -> str:
    if kind == "stim":
        return "trigger channel: no signal"
    if kind == "unlabelled":
        return "label is no electrode, and others of this recording are"
    return "no biosignal that is stored" + (f" ({source_type})" if source_type != "eeg" else "")


def _pairs(parts: Sequence[_Parts], types: Sequence[str]) -> list[_Pair]:
    """Anode and cathode of each channel; none where all electrodes share one reference."""
    eeg = [part for part, kind in zip(parts, types, strict=True) if kind == "eeg" and part[0] is not None]
    references = {reference for _, _, reference in eeg}
    if len(references) == 1 and len(eeg) > 1:
        return [(None, None)] * len(parts)
    return [
        (electrode, cathode) if kind == "eeg" and electrode and cathode else (None, None)
        for (electrode, cathode, _), kind in zip(parts, types, strict=True)
    ]


def _name(label: str, parts: _Parts, kind: str, pair: _Pair) -> str:
    electrode, cathode, _ = parts
    if kind == "eeg" and electrode is not None:
        apart = pair[0] is not None and electrodes.canonical(label) is None
        return f"{electrode}-{cathode}" if apart else electrode
    plain = label.strip(" .")
    return _KIND_PREFIX.sub("", plain) or plain or "unnamed"


def _unique(names: Sequence[str]) -> list[str]:
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return unique


def _trusted_positions(
    labels: Sequence[str],
    parts: Sequence[_Parts],
    pairs: Sequence[_Pair],
    types: Sequence[str],
    measured: Mapping[str, XYZ],
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Give the measured positions that can be true, and why the others cannot."""
    found = {
        label: np.asarray(measured[label], dtype=np.float64)
        for label, kind in zip(labels, types, strict=True)
        if kind == "eeg"
        and label in measured
        and np.isfinite(measured[label]).all()
        and np.any(measured[label])
    }
    if not found:
        return {}, {}
    cloud = np.array(list(found.values()))
    radius = float(np.median(np.linalg.norm(cloud - np.median(cloud, axis=0), axis=1)))
    if len(found) > 3 and not _HEAD_RADIUS_M[0] <= radius <= _HEAD_RADIUS_M[1]:
        return {}, dict.fromkeys(found, f"measured positions are no metres (median radius {radius:.3g})")
    found, moved_m = _in_head_frame(found, _referential(labels, parts, pairs))
    angles = _angles(found, _referential(labels, parts, pairs), moved_m)
    wrong = {label: angle for label, angle in angles.items() if angle > MAX_ANGLE_DEG}
    if len(wrong) > len(angles) / 3:  # rotated axes: then what has no template is wrong as well
        worst = max(wrong.values())
        return {}, dict.fromkeys(
            found, f"measured positions are rotated (up to {worst:.0f}° from the template)"
        )
    refusals = {label: f"measured position {angle:.0f}° from the template" for label, angle in wrong.items()}
    return {label: xyz for label, xyz in found.items() if label not in wrong}, refusals


def _referential(labels: Sequence[str], parts: Sequence[_Parts], pairs: Sequence[_Pair]) -> dict[str, str]:
    return {
        label: electrode
        for label, (electrode, _, _), (anode, _) in zip(labels, parts, pairs, strict=True)
        if electrode is not None and anode is None
    }


def _in_head_frame(
    found: dict[str, np.ndarray], names: Mapping[str, str]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Move positions whose origin is the sphere's centre (formats without fiducials) to MNE's head frame."""
    known = [label for label in found if label in names]
    if len(known) < _MIN_FOR_SHIFT:
        return found, np.zeros(3)
    template = electrodes.positions([names[label] for label in known])
    shift = np.median(np.array([found[label] for label in known]) - template, axis=0)
    if np.linalg.norm(shift) < _WRONG_ORIGIN_M:
        return found, shift
    return {label: xyz - shift for label, xyz in found.items()}, np.zeros(3)


def _angles(found: Mapping[str, np.ndarray], names: Mapping[str, str], shift: np.ndarray) -> dict[str, float]:
    """Angle in degrees between a measured position and its template, seen from the head's centre."""
    known = [label for label in found if label in names]
    if not known:
        return {}
    one = np.array([found[label] for label in known]) - shift - _HEAD_CENTRE_M
    other = electrodes.positions([names[label] for label in known]) - _HEAD_CENTRE_M
    cosine = (one * other).sum(axis=1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1) + 1e-12)
    degrees = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return dict(zip(known, degrees.tolist(), strict=True))


def _position(
    measured: np.ndarray | None, electrode: str | None, anode: str | None, cathode: str | None
) -> tuple[XYZ | None, str]:
    if anode is not None and cathode is not None:
        one, other = electrodes.positions([anode, cathode])
        if np.linalg.norm(one - other) > _LONGEST_PAIR_M:
            return None, "none"
        return _xyz((one + other) / 2), "midpoint"
    if measured is not None:
        return _xyz(measured), "file"
    template = electrodes.position(electrode) if electrode else None
    return (template, "template") if template else (None, "none")


def _xyz(position: np.ndarray) -> XYZ:
    return float(position[0]), float(position[1]), float(position[2])
