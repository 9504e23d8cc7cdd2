"""Neuroscan .cnt: a header that does not say how wide its samples are.

Which of 16 and 32 bits it is, evidence decides: the wrong one gives noise where EEG is smooth, volts where it is
microvolts, and events between samples. Where the evidence is divided the file is refused. Layout of the header:
the SETUP, ELECTLOC and TEEG structures of Neuroscan's ``sethead.h``, as EEGLAB's and MNE's readers have it too.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from eegfm_etl.formats.recording import Recording, unique
from eegfm_etl.source import Ask, SourceError, SourceHeader

_SETUP_BYTES, _CHANNEL_BYTES = 900, 75
_EVENT_BYTES = {1: 8, 2: 19, 3: 19}
_LOOKED_AT = 20_000
_PERSONAL = {
    "patient id": (21, 20),
    "operator": (41, 20),
    "doctor": (61, 20),
    "referral": (81, 20),
    "hospital": (101, 20),
    "patient": (121, 20),
}
_ROUGH = 0.5
_PLAUSIBLE_UV = (0.05, 50_000.0)
_SURE = 2
_BAD, _GOOD, _JOINT = "BAD", "good again", "joint"
_MARKS = {11: "DC reset", 12: _BAD, 13: _GOOD, 14: _JOINT}  # the upper half of an event's accept byte


@dataclass(frozen=True)
class _Setup:
    rate_hz: float
    samples: int
    event_table: int
    data_start: int
    names: tuple[str, ...]
    baseline: np.ndarray
    to_uv: np.ndarray
    personal: tuple[str, ...]

    @property
    def channels(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class _Reading:
    """What the samples would be at one width."""

    bits: int
    rough: float
    amplitude_uv: float
    between: float  # share of events that would lie between samples
    exact: bool  # the header's number of samples fills the data exactly

    @property
    def votes(self) -> int:
        smooth = 2 if self.rough < _ROUGH else -2
        plausible = 2 if _PLAUSIBLE_UV[0] <= self.amplitude_uv <= _PLAUSIBLE_UV[1] else -2
        return smooth + plausible + (self.between == 0.0) + 2 * self.exact

    def __str__(self) -> str:
        return (
            f"{self.bits} bits: {self.amplitude_uv:.3g} µV, a step from sample to sample of {self.rough:.2g} of that"
            + (f", {self.between:.0%} of the events between samples" if self.between else "")
            + (", as many samples as the header says" if self.exact else "")
        )


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open a Neuroscan .cnt.

    Raises
    ------
    SourceError
        Where it is cut off in its header, or the width of its samples cannot be told.
    """
    size = path.stat().st_size
    setup = _setup(path, size)
    stop = setup.event_table if setup.data_start < setup.event_table <= size else size
    data_bytes = stop - setup.data_start
    offsets = _event_offsets(path, setup, size)
    best, other = _decide(path, setup, data_bytes, [at for at, _, is_byte in offsets if is_byte])
    there = data_bytes // (best.bits // 8 * setup.channels)
    n = min(setup.samples, there) if setup.samples > 0 else there
    notes = [f"samples are taken for {best.bits} bits: {best}; against {other}"]
    if setup.samples != there:
        notes.append(
            f"the header says {setup.samples:,} samples, the data have room for {there:,}: {n:,} are read"
        )
    if stop == size and setup.event_table != size:
        notes.append(
            f"the header puts the events at byte {setup.event_table:,} of {size:,}: they are missing"
        )
    events, joints, beyond = _events(setup, offsets, best.bits // 8, n)
    if beyond:
        notes.append(f"{beyond} of {len(offsets)} events lie beyond the samples")
    if joints:
        notes.append(f"the recording was paused {len(joints)} times; how long nobody wrote down")
    header = SourceHeader(
        path=str(path),
        format="Neuroscan",
        reader="eegfm",
        rate_hz=setup.rate_hz,
        n_samples=n,
        names=setup.names,
        types=("eeg",) * setup.channels,
        rates=(setup.rate_hz,) * setup.channels,
        units=("µV",) * setup.channels,
        positions={},
        annotations=tuple(events),
        segments=tuple((a / setup.rate_hz, a, b) for a, b in pairwise([0, *joints, n])),
        notes=tuple(notes),
        personal=setup.personal,
    )
    data = _mapped(path, setup, best.bits, n)

    def samples(first: int, last: int, rows: Sequence[int] | None) -> np.ndarray:
        chosen = np.arange(setup.channels) if rows is None else np.asarray(rows, dtype=np.int64)
        counts = data[first:last][:, chosen].T.astype(np.float64)
        return (counts - setup.baseline[chosen, None]) * setup.to_uv[chosen, None]

    return Recording(header, samples)


def _setup(path: Path, size: int) -> _Setup:
    with path.open("rb") as file:
        head = file.read(_SETUP_BYTES)
        channels = struct.unpack_from("<H", head, 370)[0] if len(head) == _SETUP_BYTES else 0
        electrodes = file.read(_CHANNEL_BYTES * channels)
    rate = struct.unpack_from("<H", head, 376)[0] if channels else 0
    start = _SETUP_BYTES + _CHANNEL_BYTES * channels
    if not channels or not rate or size <= start:
        raise SourceError(
            "read",
            f"{path.name}: the Neuroscan header is damaged: {channels} channels at {rate} Hz in {size:,} bytes; "
            "fetch it again",
        )
    at = [_CHANNEL_BYTES * i for i in range(channels)]
    names = [electrodes[i : i + 10].split(b"\x00")[0].decode("latin-1").strip() for i in at]
    sensitivity = np.array([struct.unpack_from("<f", electrodes, i + 59)[0] for i in at], dtype=np.float64)
    calibration = np.array([struct.unpack_from("<f", electrodes, i + 71)[0] for i in at], dtype=np.float64)
    return _Setup(
        rate_hz=float(rate),
        samples=struct.unpack_from("<i", head, 864)[0],
        event_table=struct.unpack_from("<i", head, 886)[0],
        data_start=start,
        names=unique(names),
        baseline=np.array([struct.unpack_from("<h", electrodes, i + 47)[0] for i in at], dtype=np.float64),
        to_uv=sensitivity * calibration / 204.8,
        personal=tuple(
            name for name, (first, width) in _PERSONAL.items() if _said(head[first : first + width])
        ),
    )


def _said(text: bytes) -> bool:
    words = text.split(b"\x00")[0].decode("latin-1").strip()
    return bool(words) and words.isprintable() and words.lower() not in ("unspecified", "x")


def _decide(path: Path, setup: _Setup, data_bytes: int, offsets: list[int]) -> tuple[_Reading, _Reading]:
    """Judge both widths: the one that the evidence is for, and the other."""
    readings = [_reading(path, setup, data_bytes, bits, offsets) for bits in (16, 32)]
    best, other = sorted(readings, key=lambda one: -one.votes)
    if best.votes - other.votes < _SURE or best.votes < _SURE:
        raise SourceError(
            "read",
            f"{path.name}: a Neuroscan .cnt does not say if its samples have 16 or 32 bits, and these do not show it "
            f"({readings[0]}; {readings[1]}); export it as EDF or BrainVision",
        )
    return best, other


def _reading(path: Path, setup: _Setup, data_bytes: int, bits: int, offsets: list[int]) -> _Reading:
    width = bits // 8
    there = data_bytes // (width * setup.channels)
    # The middle of what the header counts: filters settle and electrodes are handled at the start.
    n = min(setup.samples, there) if setup.samples > 0 else there
    looked_at = _mapped(path, setup, bits, n)[max(0, n // 2 - _LOOKED_AT // 2) :][:_LOOKED_AT].astype(
        np.float64
    )
    spread = np.median(np.abs(looked_at - np.median(looked_at, axis=0)), axis=0)
    step = np.median(np.abs(np.diff(looked_at, axis=0)), axis=0)
    alive = spread > 0
    frame = width * setup.channels
    return _Reading(
        bits=bits,
        rough=float(np.median(step[alive] / spread[alive])) if alive.any() else float("inf"),
        amplitude_uv=float(np.median(1.4826 * spread[alive] * np.abs(setup.to_uv[alive])))
        if alive.any()
        else 0.0,
        between=float(np.mean([(at - setup.data_start) % frame != 0 for at in offsets])) if offsets else 0.0,
        exact=setup.samples > 0 and setup.samples * frame == data_bytes,
    )


def _mapped(path: Path, setup: _Setup, bits: int, n: int) -> np.ndarray:
    if n < 1:
        return np.zeros((2, setup.channels))
    return np.memmap(
        path, dtype=f"<i{bits // 8}", mode="r", offset=setup.data_start, shape=(n, setup.channels)
    )


def _event_offsets(path: Path, setup: _Setup, size: int) -> list[tuple[int, str, bool]]:
    """(offset, text, whether it counts bytes from the file's start or else samples) of every event."""
    if not setup.data_start < setup.event_table <= size - 9:
        return []
    with path.open("rb") as file:
        file.seek(setup.event_table)
        kind, table_bytes, _ = struct.unpack("<bii", file.read(9))
        width = _EVENT_BYTES.get(kind)
        table = file.read(max(0, min(table_bytes, size - setup.event_table - 9)))
    if width is None:
        return []
    found = []
    for at in range(0, len(table) - width + 1, width):
        stim, key, accept, offset = struct.unpack_from("<HBBi", table, at)
        mark = _MARKS.get(accept >> 4) if not stim else None
        text = mark or (
            f"KeyPad Response {accept & 15}"
            if accept & 15
            else f"Keyboard Response {key}"
            if key
            else str(stim)
        )
        found.append((offset, text, kind != 3))
    return found


def _events(
    setup: _Setup, offsets: list[tuple[int, str, bool]], width: int, n: int
) -> tuple[list[tuple[float, float, str]], list[int], int]:
    """Annotations, the samples at which the recorder went on after a pause, and how many events lie beyond."""
    events, joints, beyond, bad_since = [], [], 0, None
    for offset, text, is_byte in offsets:
        sample = (offset - setup.data_start) // (width * setup.channels) if is_byte else offset
        if not 0 <= sample <= n:
            beyond += 1
        elif text == _JOINT:
            joints.append(sample)
        elif text == _BAD:
            bad_since = sample / setup.rate_hz
        elif text == _GOOD:
            if bad_since is not None:
                events.append((bad_since, sample / setup.rate_hz - bad_since, _BAD))
            bad_since = None
        elif sample < n:
            events.append((sample / setup.rate_hz, 0.0, text))
    return events, sorted({joint for joint in joints if 0 < joint < n}), beyond
