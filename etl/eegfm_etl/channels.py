"""Source labels → canonical names, types, positions and regions; no channel disappears without a row."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eegfm_etl.channel_types import STORED_TYPES, UNLABELLED, channel_types
from eegfm_lake import caps, electrodes

__all__ = ["MAX_ANGLE_DEG", "STORED_TYPES", "ChannelPlan", "plan_channels"]

XYZ = tuple[float, float, float]

MAX_ANGLE_DEG = 30.0
"""A measured position further than this from its name's template is refused."""

_HEAD_RADIUS_M = (0.04, 0.20)
_HEAD_CENTRE_M = np.array([0.0, 0.008, 0.040])
_WRONG_ORIGIN_M = 0.015  # measured heads differ from the template by less, a sphere's centre by 40 mm
_MIN_FOR_SHIFT = 4
_LONGEST_PAIR_M = 0.12  # the midpoint of a longer pair (both ears) lies inside the head

_EARS = "ears"
_SOCKET = re.compile(r"^[A-H](?:[1-9]|[12]\d|3[0-2])$")
_OUR_SOCKET = re.compile(r"^([A-H]\d+)@([A-Z0-9]+)$")
_KIND_PREFIX = re.compile(r"^(?:(?:EEG|EOG|ECG|EMG|RESP|POL)[\s_]+(?=\S))+", re.IGNORECASE)


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
    cap: str | None = None  # whose label it is, where that is no electrode's name


def plan_channels(
    source_names: Sequence[str],
    source_types: Sequence[str],
    source_positions: Mapping[str, XYZ] | None,
    source_rates: Sequence[float],
    overrides: Mapping[str, str] | None = None,
    cap: str | None = None,
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
        Source name → type, declared by the recipe or a sidecar; goes before what the file says. "eeg" does not
        make EEG of a label that is a trigger, a movement, an ECG.
    cap : str, optional
        The cap that the labels belong to, one of `eegfm_lake.caps.caps`; None tells it by the labels.

    Returns
    -------
    list of ChannelPlan
        One per source channel, in the source's order.
    """
    overrides = overrides or {}
    parts, cap = _taken_apart(source_names, cap)
    types = channel_types(
        source_names,
        source_types,
        [one.electrode is not None for one in parts],
        source_positions or {},
        overrides,
    )
    types = [
        _EARS if kind == "eeg" and part.of_ears else kind for kind, part in zip(types, parts, strict=True)
    ]
    pairs = _pairs(parts, types)
    names = _unique(
        [_name(*row) for row in zip(source_names, parts, types, pairs, strict=True)], source_names
    )
    measured, refusals = _trusted_positions(source_names, parts, pairs, types, source_positions or {})
    plans = []
    for index, (label, kind, (anode, cathode)) in enumerate(zip(source_names, types, pairs, strict=True)):
        stored = kind in STORED_TYPES
        reasons = [] if stored else [_why_dropped(kind, str(source_types[index]))]
        if overrides.get(label, "").lower() == "eeg" and kind != "eeg":
            reasons.append("declared EEG, which its label says it is not")
        xyz, origin = (None, "none")
        if kind == "eeg":
            xyz, origin = _position(measured.get(label), parts[index], anode, cathode)
            reasons += [refusals[label]] if label in refusals else []
            reasons += [f"repeats {names[index].rsplit('#', 1)[0]}"] if "#" in names[index] else []
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
                cap=cap if parts[index].of_cap else None,
            )
        )
    return plans


@dataclass(frozen=True)
class _Parts:
    """A label taken apart."""

    electrode: str | None  # canonical, or a cap's own name for it
    cathode: str | None  # canonical
    reference: str | None  # as written
    template: XYZ | None = None
    of_cap: bool = False

    @property
    def of_ears(self) -> bool:
        """Whether it is one ear against the other: the reference itself, of no place on the scalp."""
        return self.electrode in electrodes.EARS and self.cathode in electrodes.EARS


_Pair = tuple[str | None, str | None]  # anode, cathode


def _taken_apart(labels: Sequence[str], cap: str | None) -> tuple[list[_Parts], str | None]:
    bare = [electrodes.without_decoration(label) for label in labels]
    ours = {match[2] for label in bare if (match := _OUR_SOCKET.match(label))}
    known = {name.upper(): name for name in caps.caps()}
    cap = cap or next((known[name] for name in sorted(ours & known.keys())), None) or caps.recognised(bare)
    own = caps.cap(cap) if cap else {}
    # BioSemi numbers its sockets A1 … H32: there A1 is no earlobe and C3 no central electrode
    sockets = cap is None and any(re.fullmatch(r"A([3-9]|[12]\d|3[0-2])", label) for label in bare)
    parts = []
    for label, text in zip(labels, bare, strict=True):
        text = match[1] if (match := _OUR_SOCKET.match(text)) else text
        if cap is not None and text in own:
            name, place = own[text].name, own[text].position
            unnamed = f"{text}@{cap}" if cap.startswith("biosemi") else text
            parts.append(_Parts(name or unnamed, None, None, place, of_cap=True))
        elif (sockets or match) and _SOCKET.match(text):
            parts.append(_Parts(f"{text}@socket", None, None))
        else:
            parts.append(_Parts(*electrodes.derivation(label)))
    return parts, cap


def _why_dropped(kind: str, source_type: str) -> str:
    if kind == "stim":
        return "trigger channel: no signal"
    if kind == _EARS:
        return "one ear against the other: no EEG of the scalp"
    if kind == UNLABELLED:
        return "label is no electrode, and others of this recording are"
    return "no biosignal that is stored" + (f" ({source_type})" if source_type != "eeg" else "")


def _pairs(parts: Sequence[_Parts], types: Sequence[str]) -> list[_Pair]:
    """Anode and cathode of each channel; none where all electrodes share one reference."""
    eeg = [
        part for part, kind in zip(parts, types, strict=True) if kind == "eeg" and part.electrode is not None
    ]
    references = {part.reference for part in eeg}
    if len(references) == 1 and len(eeg) > 1:
        return [(None, None)] * len(parts)
    return [
        (part.electrode, part.cathode) if kind == "eeg" and part.electrode and part.cathode else (None, None)
        for part, kind in zip(parts, types, strict=True)
    ]


def _name(label: str, parts: _Parts, kind: str, pair: _Pair) -> str:
    if kind == "eeg" and parts.electrode is not None:
        apart = pair[0] is not None and electrodes.canonical(label) is None
        return f"{parts.electrode}-{parts.cathode}" if apart else parts.electrode
    plain = label.strip(" .")
    return _KIND_PREFIX.sub("", plain).strip(" .") or plain or "unnamed"


def _unique(names: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Add numbers to what several channels are called; the source's order does not matter."""
    unique, taken = list(names), set(names)
    for name in sorted(name for name, count in Counter(names).items() if count > 1):
        rows = [row for row, other in enumerate(names) if other == name]
        rows.sort(key=lambda row: (labels[row] != name, labels[row], row))
        number = 1
        for row in rows[1:]:
            number += 1
            while f"{name}#{number}" in taken:
                number += 1
            unique[row] = f"{name}#{number}"
            taken.add(unique[row])
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


def _referential(labels: Sequence[str], parts: Sequence[_Parts], pairs: Sequence[_Pair]) -> dict[str, XYZ]:
    """Give the template position of every label that names one electrode."""
    return {
        label: xyz
        for label, part, (anode, _) in zip(labels, parts, pairs, strict=True)
        if anode is None and (xyz := _template(part)) is not None
    }


def _in_head_frame(
    found: dict[str, np.ndarray], templates: Mapping[str, XYZ]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Move positions whose origin is the sphere's centre (formats without fiducials) to MNE's head frame."""
    known = [label for label in found if label in templates]
    if len(known) < _MIN_FOR_SHIFT:
        return found, np.zeros(3)
    template = np.array([templates[label] for label in known])
    shift = np.median(np.array([found[label] for label in known]) - template, axis=0)
    if np.linalg.norm(shift) < _WRONG_ORIGIN_M:
        return found, shift
    return {label: xyz - shift for label, xyz in found.items()}, np.zeros(3)


def _angles(
    found: Mapping[str, np.ndarray], templates: Mapping[str, XYZ], shift: np.ndarray
) -> dict[str, float]:
    """Angle in degrees between a measured position and its template, seen from the head's centre."""
    known = [label for label in found if label in templates]
    if not known:
        return {}
    one = np.array([found[label] for label in known]) - shift - _HEAD_CENTRE_M
    other = np.array([templates[label] for label in known]) - _HEAD_CENTRE_M
    cosine = (one * other).sum(axis=1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1) + 1e-12)
    degrees = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return dict(zip(known, degrees.tolist(), strict=True))


def _position(
    measured: np.ndarray | None, parts: _Parts, anode: str | None, cathode: str | None
) -> tuple[XYZ | None, str]:
    if anode is not None and cathode is not None and cathode not in electrodes.EARS:
        one, other = electrodes.positions([anode, cathode])
        if np.linalg.norm(one - other) > _LONGEST_PAIR_M:
            return None, "none"
        return _xyz((one + other) / 2), "midpoint"
    if measured is not None:
        return _xyz(measured), "file"
    template = _template(parts)
    return (template, "template") if template else (None, "none")


def _template(parts: _Parts) -> XYZ | None:
    return parts.template or (electrodes.position(parts.electrode) if parts.electrode else None)


def _xyz(position: np.ndarray) -> XYZ:
    return float(position[0]), float(position[1]), float(position[2])
