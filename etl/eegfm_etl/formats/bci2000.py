"""BCI2000 .dat: samples and a state vector, multiplexed.

Read here, not through MNE, which takes converter units for volts and drops the states: each channel becomes µV by
``(value - SourceChOffset) * SourceChGain``, and every change of a state that marks the experiment becomes an event.
Format: https://www.bci2000.org/mediawiki/index.php/Technical_Reference:BCI2000_File_Format
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from eegfm_etl.formats.recording import Recording, factor_uv, unique
from eegfm_etl.source import Ask, SourceError, SourceHeader

_DTYPES = {"int16": "<i2", "int32": "<i4", "float32": "<f4"}
_HEADER_LIMIT = 2**24
_EVENT_CHUNK = 2**20
# States that say what happened; the others time the computer or repeat these.
_EVENTS = re.compile(
    r"^(StimulusCode|StimulusType|TargetCode|ResultCode|Feedback|CursorPos\w*|IntertrialInterval|StimulusBegin|"
    r"SelectedTarget|PhaseInSequence|DigitalInput\d*|KeyDown|KeyUp|StimulusCodeRes|SelectedRow|SelectedColumn)$"
)
_PERSONAL = ("SubjectName", "SubjectYearOfBirth", "SubjectSex", "ExperimenterName", "OperatorName")


@dataclass(frozen=True)
class _Header:
    length: int
    channels: int
    state_bytes: int
    dtype: np.dtype
    parameters: dict[str, list[str]]
    states: dict[str, tuple[int, int]]  # name to (first bit of the vector, bits)

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.dtype.itemsize + self.state_bytes


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open a BCI2000 .dat.

    Raises
    ------
    SourceError
        Where the header is damaged or gives no rate or gains.
    """
    header = _read_header(path)
    rate_hz = _rate(path, header)
    size = path.stat().st_size
    n = (size - header.length) // header.frame_bytes
    if n < 1:
        raise SourceError("read", f"{path.name} has a header and no samples; fetch it again")
    offset, to_uv, gain_note = _scaling(path, header)
    notes = [gain_note]
    if rest := (size - header.length) % header.frame_bytes:
        notes.append(f"cut off: the file ends {rest} bytes into a sample")
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=header.length, shape=(n, header.frame_bytes))
    signal_bytes = header.channels * header.dtype.itemsize

    def samples(start: int, stop: int, rows: Sequence[int] | None) -> np.ndarray:
        chosen = np.arange(header.channels) if rows is None else np.asarray(rows, dtype=np.int64)
        values = np.ascontiguousarray(data[start:stop, :signal_bytes]).view(header.dtype)[:, chosen]
        return (values.T.astype(np.float64) - offset[chosen, None]) * to_uv[chosen, None]

    names = header.parameters.get("ChannelNames", [])
    if len(names) != header.channels:
        names = [f"EEG{i + 1}" for i in range(header.channels)]
        notes.append("the file names no channels; they are numbered")
    recorded = [("amplifier", name) for name in header.parameters.get("AmplifierName", [])[:1] if name]
    return Recording(
        SourceHeader(
            path=str(path),
            format="BCI2000",
            reader="eegfm",
            rate_hz=rate_hz,
            n_samples=n,
            names=unique(names),
            types=("eeg",) * header.channels,
            rates=(rate_hz,) * header.channels,
            units=("µV",) * header.channels,
            positions={},
            annotations=tuple(_events(header, data, n, signal_bytes, rate_hz)),
            segments=((0.0, 0, n),),
            start_time=_start_time(header),
            notes=tuple(notes),
            recorded=tuple(recorded),
            personal=tuple(name for name in _PERSONAL if any(header.parameters.get(name, []))),
        ),
        samples,
    )


def _read_header(path: Path) -> _Header:
    with path.open("rb") as file:
        first = file.readline(4096).decode("latin-1")
        fields = dict(re.findall(r"(\w+)\s*=\s*(\S+)", first))
        try:
            length, channels = int(fields["HeaderLen"]), int(fields["SourceCh"])
            state_bytes = int(fields.get("StatevectorLen") or fields["StateVectorLength"])
            dtype = np.dtype(_DTYPES[fields.get("DataFormat", "int16")])
        except (KeyError, ValueError) as error:
            raise SourceError(
                "read", f"{path.name}: the BCI2000 header is damaged ({first[:80].strip()!r}); fetch it again"
            ) from error
        if not (0 < length <= _HEADER_LIMIT and 0 < channels < 10_000 and 0 <= state_bytes < 10_000):
            raise SourceError("read", f"{path.name}: the BCI2000 header is damaged ({first[:80].strip()!r})")
        file.seek(0)
        text = file.read(length).decode("utf-8", errors="replace")
    parameters: dict[str, list[str]] = {}
    states: dict[str, tuple[int, int]] = {}
    section = ""
    for line in text.splitlines()[1:]:
        if line.startswith("["):
            section = line
        elif (
            "State" in section
            and (cells := line.split())
            and len(cells) >= 5
            and all(c.isdigit() for c in cells[1:5])
        ):
            states[cells[0]] = (8 * int(cells[3]) + int(cells[4]), int(cells[1]))
        elif "Parameter" in section and "=" in line:
            left, _, right = line.partition("=")
            parameters[left.split()[-1]] = _values(left, right)
    return _Header(length, channels, state_bytes, dtype, parameters, states)


def _values(left: str, right: str) -> list[str]:
    """Take a parameter's value, or its elements where it is a list; without default, range and comment."""
    cells = right.split("//")[0].split()
    if "list" in left and cells and cells[0].isdigit():
        return [unquote(cell).replace("%", "") for cell in cells[1 : 1 + int(cells[0])]]
    return [unquote(cell).replace("%", "") for cell in cells[:1]]


def _rate(path: Path, header: _Header) -> float:
    text = "".join(header.parameters.get("SamplingRate", []))
    match = re.match(r"^\s*([\d.]+)", text)
    if match is None or float(match.group(1)) <= 0:
        raise SourceError("read", f"{path.name}: the BCI2000 header gives no sampling rate (found {text!r})")
    return float(match.group(1))


def _scaling(path: Path, header: _Header) -> tuple[np.ndarray, np.ndarray, str]:
    gains, units = [], []
    for cell in header.parameters.get("SourceChGain", []):
        match = re.match(r"^([-+\d.eE]+)\s*(\D*)$", cell)
        gains.append(float(match.group(1)) if match else np.nan)
        units.append(match.group(2) if match else "")
    offsets = [_offset(path, cell) for cell in header.parameters.get("SourceChOffset", [])]
    factors = [factor_uv(unit or "µV") for unit in units]
    if len(gains) != header.channels or not np.isfinite(gains).all() or None in factors or not all(gains):
        raise SourceError(
            "units",
            f"{path.name}: SourceChGain gives {len(gains)} gains for {header.channels} channels "
            f"({' '.join(header.parameters.get('SourceChGain', [])[:4])} …), so no amplitude is known; correct the "
            "header",
        )
    offsets = offsets if len(offsets) == header.channels else [0.0] * header.channels
    to_uv = np.array(gains) * np.array(factors, dtype=float)
    low, high = float(to_uv.min()), float(to_uv.max())
    said = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    note = f"the header's gains and offsets are applied ({said} µV a unit); MNE takes the converter's units for volts"
    return np.array(offsets), to_uv, note


def _offset(path: Path, cell: str) -> float:
    match = re.match(r"^[-+\d.eE]+", cell)
    if match is None:
        raise SourceError(
            "units", f"{path.name}: SourceChOffset holds {cell!r}, which is no number; correct the header"
        )
    return float(match.group())


def _events(
    header: _Header, data: np.ndarray, n: int, signal_bytes: int, rate_hz: float
) -> list[tuple[float, float, str]]:
    """Stretches in which a state is not zero."""
    found = []
    chosen = {name: place for name, place in header.states.items() if _EVENTS.match(name) and place[1] <= 32}
    for name, (bit, bits) in chosen.items():
        values = np.concatenate(
            [
                _state(np.asarray(data[a : a + _EVENT_CHUNK, signal_bytes:]), bit, bits)
                for a in range(0, n, _EVENT_CHUNK)
            ]
        )
        edges = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1, [n]])
        if len(edges) > n / 4:  # follows the signal, sample by sample: no event
            continue
        found += [
            (a / rate_hz, (b - a) / rate_hz, f"{name} {values[a]}")
            for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
            if values[a]
        ]
    return sorted(found)


def _state(vector: np.ndarray, bit: int, bits: int) -> np.ndarray:
    """Give an unsigned state of up to 32 bits that starts at a bit of the vector, the lowest first."""
    first, shift = divmod(bit, 8)
    value = np.zeros(len(vector), dtype=np.uint64)
    for i in range((shift + bits + 7) // 8):
        if first + i < vector.shape[1]:
            value |= vector[:, first + i].astype(np.uint64) << np.uint64(8 * i)
    return (value >> np.uint64(shift)) & np.uint64(2**bits - 1)


def _start_time(header: _Header) -> str | None:
    text = " ".join(header.parameters.get("StorageTime", []))
    for read in (datetime.fromisoformat, lambda one: datetime.strptime(one, "%a %b %d %H:%M:%S %Y")):
        try:
            return read(text).isoformat()
        except ValueError:
            continue
    return None
