"""BrainVision: a text header that names its data and markers.

MNE reads the samples. Read here: whether the files named lie beside the header, whether the header fits its data
(MNE reads whatever it is pointed at), and the unit of every channel, for MNE calls a channel without a coordinate
"misc" and what it does not know dimensionless.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import mne
import numpy as np

from eegfm_etl import companions
from eegfm_etl.formats.of_mne import explained, recording
from eegfm_etl.formats.recording import Recording, factor_uv
from eegfm_etl.source import Ask, SourceError

_SAMPLE_BYTES = {"INT_16": 2, "UINT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4, "IEEE_FLOAT_64": 8}
_LOOKED_AT_S = 20.0
_POSSIBLE_UV = (1e-6, 1e9)  # a median magnitude outside is bytes read in a wrong way
_AMPLIFIER = re.compile(r"\b(BrainAmp(?: \w+)?|actiCHamp(?: Plus)?|LiveAmp|V-Amp|QuickAmp)\b", re.IGNORECASE)


@dataclass(frozen=True)
class _Header:
    text: str
    fields: dict[str, str]  # keys in lower case
    # name, reference, unit as written ("" where the header gives none)
    channels: tuple[tuple[str, str, str], ...]
    trigger_channel: bool  # V-Amp's .ahdr: one channel of triggers more than it lists

    @property
    def frame_bytes(self) -> int | None:
        """Bytes of one sample of all channels; None for text data."""
        width = _SAMPLE_BYTES.get(self.fields.get("binaryformat", "").upper())
        return None if width is None else width * (len(self.channels) + self.trigger_channel)


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open a .vhdr or .ahdr.

    Raises
    ------
    SourceError
        Where a file is missing, empty or named outside the folder, the header does not fit its data, or the data
        are averages.
    """
    header = _read_header(path)
    data = _data_file(path)
    notes = _markers(path)
    notes += _refuse_misfit(path, header, data)
    with explained(path, "BrainVision") as warned:
        try:
            raw = mne.io.read_raw_brainvision(path, verbose="warning", ignore_marker_types=False)
        except AssertionError as error:
            raise SourceError(
                "read",
                f"{path.name}: the amplifier's table in the header's comment does not name the channels that the "
                "header lists; correct the names, or remove the [Comment] section",
            ) from error
    units = (
        [unit or "µV" for _, _, unit in header.channels]
        if len(header.channels) == len(raw.ch_names)
        else None
    )
    if units is None:
        return recording(raw, path, "BrainVision", notes=notes, warned=warned)
    blank = sum(not unit for _, _, unit in header.channels)
    if blank:
        notes.append(f"{blank} channels without a unit are µV, as the format says")
    factors = [factor_uv(unit) for unit in units]
    opened = recording(
        raw, path, "BrainVision", notes=notes, warned=warned, recorded=_recorded(header),
        to_uv=np.where([factor is not None for factor in factors], 1e6, 1.0), units=units,
    )  # fmt: skip
    _refuse_nonsense(opened, path)
    types = [
        "eeg" if kind == "misc" and factor is not None else kind
        for kind, factor in zip(opened.header.types, factors, strict=True)
    ]
    segments = _segmented(header, opened)
    return replace(opened, header=replace(opened.header, types=tuple(types), segments=segments))


def _read_header(path: Path) -> _Header:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    settings = re.split(r"^\[Comment\]", text, maxsplit=1, flags=re.MULTILINE)[0]
    fields = {
        key.strip().lower(): value.strip()
        for line in settings.splitlines()
        if "=" in line and not line.startswith(";")
        for key, _, value in [line.partition("=")]
    }
    infos = re.search(r"^\[Channel Infos\](.*?)(?:^\[|\Z)", settings, re.MULTILINE | re.DOTALL)
    channels = []
    for line in (infos.group(1) if infos else "").splitlines():
        if match := re.match(r"^Ch\d+\s*=(.*)$", line.strip(), re.IGNORECASE):
            cells = [cell.strip().replace("\\1", ",") for cell in match.group(1).split(",")] + [""] * 4
            channels.append((cells[0], cells[1], cells[3]))
    return _Header(text, fields, tuple(channels), path.suffix.lower() == ".ahdr")


def _data_file(path: Path) -> Path:
    name = companions.named_file(path, "DataFile")
    if name is None:
        raise SourceError("read", f"{path.name} names no DataFile: the header is incomplete; fetch it again")
    if companions.leads_out(name):
        raise SourceError(
            "read",
            f"{path.name}: DataFile={name} leads out of the header's folder; it must be a file beside it",
        )
    data = path.with_name(name)
    if not data.exists() and path.with_suffix(".eeg").exists():
        data = path.with_suffix(".eeg")
    if not data.exists():
        raise SourceError("read", f"{path.name}: its data file {name} is missing beside it; copy both")
    if data.is_symlink() and data.resolve().parent != path.resolve().parent and not path.is_symlink():
        raise SourceError(
            "read",
            f"{path.name}: its data file {name} is a link out of the header's folder; put the file itself there",
        )
    if data.stat().st_size == 0:
        raise SourceError(
            "read", f"{path.name}: its data file {data.name} is empty (0 bytes); fetch it again"
        )
    return data


def _markers(path: Path) -> list[str]:
    name = companions.named_file(path, "MarkerFile")
    if not name:
        return ["the header names no markers"]
    if companions.leads_out(name):
        raise SourceError(
            "read",
            f"{path.name}: MarkerFile={name} leads out of the header's folder; it must be a file beside it",
        )
    if not path.with_name(name).exists():
        return [f"its markers ({name}) are missing: there are no events"]
    return []


def _refuse_misfit(path: Path, header: _Header, data: Path) -> list[str]:
    """Refuse averages and sizes that the header's channels do not divide; note what was cut off."""
    if header.fields.get("averaged", "").upper() == "YES":
        raise SourceError("average", f"{path.name} holds averages of trials (Averaged=YES), not a recording")
    frame, size = header.frame_bytes, data.stat().st_size
    if not frame:
        return []
    notes = []
    if size % frame:
        notes.append(
            f"the data end within a sample: {size:,} bytes are {size // frame:,} samples of {frame} bytes and "
            f"{size % frame} bytes more"
        )
    points = header.fields.get("datapoints", "")
    there = size // frame
    # Some exports count the values of all channels
    whole = points.isdigit() and int(points) in (there, there * len(header.channels))
    if points.isdigit() and not whole and there < int(points):
        notes.append(f"cut off: the header says {int(points):,} samples, its data hold {there:,}")
    if beyond := _markers_beyond(path, there):
        why = (
            "they are another recording's"
            if whole
            else "the data are cut off, or the markers another recording's"
        )
        notes.append(f"{beyond} markers lie beyond the {there:,} samples that the data hold: {why}")
    return notes


def _markers_beyond(path: Path, n_samples: int) -> int:
    name = companions.named_file(path, "MarkerFile")
    marker = path.with_name(name) if name else None
    if marker is None or not marker.is_file():
        return 0
    text = marker.read_bytes().decode("latin-1")
    positions = re.findall(r"^Mk\d+=[^,]*,[^,]*,\s*(\d+)", text, re.MULTILINE)
    return sum(int(position) > n_samples for position in positions)


def _refuse_nonsense(opened: Recording, path: Path) -> None:
    """Refuse data that no header with these channels can mean: bytes of another kind read as samples."""
    voltages = [i for i, unit in enumerate(opened.header.units) if factor_uv(unit) is not None]
    if not voltages:
        return
    data = opened.samples(0, min(opened.n_samples, round(_LOOKED_AT_S * opened.rate_hz)), voltages)
    finite = np.isfinite(data)
    middle = float(np.median(np.abs(data[finite]))) if finite.any() else np.nan
    if not finite.all() or (middle != 0 and not _POSSIBLE_UV[0] <= middle <= _POSSIBLE_UV[1]):
        raise SourceError(
            "read",
            f"{path.name}: the header does not fit its data: read as {len(opened.header.names)} channels, "
            f"{np.mean(~finite):.1%} of the samples are no numbers and the median is {middle:.3g} µV; find the "
            "header that was written with these data",
        )


def _segmented(header: _Header, opened: Recording) -> tuple[tuple[float, int, int], ...]:
    """Segments of a file that was cut into pieces of one length around markers."""
    points = header.fields.get("segmentdatapoints", "")
    if (
        header.fields.get("segmentationtype", "").upper() != "MARKERBASED"
        or not points.isdigit()
        or int(points) < 1
    ):
        return opened.header.segments
    step, n, rate = int(points), opened.n_samples, opened.rate_hz
    return tuple((first / rate, first, min(first + step, n)) for first in range(0, n, step))


def _recorded(header: _Header) -> tuple[tuple[str, str], ...]:
    found = []
    references = {reference for _, reference, _ in header.channels}
    if len(references) == 1 and (reference := references.pop()):
        found.append(("reference", reference))
    if match := _AMPLIFIER.search(header.text):
        found.append(("amplifier", match.group(1)))
    return tuple(found)
