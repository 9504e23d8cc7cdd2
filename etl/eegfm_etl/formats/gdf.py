"""GDF 1 and 2: EDF's successor, with events in a table.

MNE reads the samples. Read here: the unit of every channel, for MNE knows µV (and in GDF 2 mV) and takes the rest
for volts; and where a new run begins (event 0x7FFE), with the missing values that stand there.
"""

import struct
from itertools import pairwise
from pathlib import Path

import mne
import numpy as np

from eegfm_etl.formats.of_mne import annotations_of, explained, recording
from eegfm_etl.formats.recording import Recording, factor_uv
from eegfm_etl.gdf_missing import missing
from eegfm_etl.source import Ask, SourceError

_NEW_RUN = "32766"
# ISO/IEEE 11073 codes as GDF 2 uses them: the volt is 4256, decimal factors are added.
_VOLT_CODES = {4256: "V", 4274: "mV", 4275: "uV", 4276: "nV"}
_KNOWN_TO_MNE = {"uV": 1e-6}


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open a .gdf.

    Raises
    ------
    SourceError
        Where it cannot be read.
    """
    with explained(path, "GDF") as warned:
        raw = mne.io.read_raw_gdf(path, verbose="warning")
        units = _units(path)
        if len(units) != len(raw.ch_names):
            units = None
        annotations = annotations_of(raw.annotations, raw.first_time if raw.annotations.orig_time else 0.0)
        rate_hz, n = float(raw.info["sfreq"]), len(raw.times)
        joints = sorted({round(onset * rate_hz) for onset, _, text in annotations if text == _NEW_RUN})
        notes: list[str] = []
        segments = _segments(raw, [one for one in joints if one < n], n, notes)
        if units is None:
            return recording(
                raw, path, "GDF", warned=warned, segments=segments, annotations=annotations, notes=notes
            )
        known = {"uV": 1e-6, "mV": 1e-3 if _version(path) >= 2 else 1.0}
        factors = []
        for unit in units:
            factor = factor_uv(unit)
            factors.append(1.0 if factor is None else factor / known.get(_plain(unit), 1.0))
        if any(_plain(unit) not in known and factor_uv(unit) not in (None, 1e6) for unit in units):
            notes.append(
                f"units {', '.join(sorted(set(units)))} are taken as the header says; MNE takes them for volts"
            )
        return recording(
            raw, path, "GDF", notes=notes, warned=warned, segments=segments, annotations=annotations,
            to_uv=np.array(factors), units=units,
        )  # fmt: skip


def _plain(unit: str) -> str:
    return "uV" if factor_uv(unit) == 1.0 else unit


def _version(path: Path) -> float:
    with path.open("rb") as file:
        return float(file.read(8)[4:].decode("latin-1").strip() or 0)


def _units(path: Path) -> list[str]:
    with path.open("rb") as file:
        head = file.read(256)
        if _version(path) < 1.9:
            count = struct.unpack_from("<I", head, 252)[0]
            file.seek(256 + (16 + 80) * count)
            return [file.read(8).split(b"\x00")[0].decode("latin-1").strip() for _ in range(count)]
        count = struct.unpack_from("<H", head, 252)[0]
        file.seek(256 + (16 + 80 + 6) * count)
        codes = struct.unpack(f"<{count}H", file.read(2 * count))
    return [_VOLT_CODES.get(code, "" if code == 0 else f"code {code}") for code in codes]


def _segments(
    raw: mne.io.BaseRaw, joints: list[int], n: int, notes: list[str]
) -> list[tuple[float, int, int]]:
    """Pieces between starts of runs and stretches of missing values."""
    rate_hz = float(raw.info["sfreq"])
    gone = missing(raw)
    if gone:
        samples = sum(stop - first for first, stop in gone)
        notes.append(f"{samples} missing samples became {len(gone)} gaps; MNE reads them as potentials")
    # both edges of a missing stretch, and the start of each run, are edges of segments
    edges = sorted({0, n, *joints, *(edge for stretch in gone for edge in stretch)})
    starts_of_gaps = {first for first, _ in gone}
    segments = [
        (first / rate_hz, first, stop) for first, stop in pairwise(edges) if first not in starts_of_gaps
    ]
    if not segments:
        raise SourceError("segments", "every sample is missing")
    return segments
