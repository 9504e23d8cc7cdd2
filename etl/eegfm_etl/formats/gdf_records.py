"""The records of a GDF: every channel at its own rate and in its own number format, as EDF's are laid out.

Schlögl 2006, GDF - a general data format for biosignals, https://arxiv.org/abs/cs/0608052. MNE brings all channels to
the fastest rate with ringing, reads every channel in the first one's number format, and takes missing values,
which GDF writes as the smallest number, for potentials; it counts events at the fastest rate whatever their table says.
"""

import struct
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from eegfm_etl.source import SourceError

_FIXED_BYTES = 256
_TYPES = {
    1: "<i1",
    2: "<u1",
    3: "<i2",
    4: "<u2",
    5: "<i4",
    6: "<u4",
    7: "<i8",
    8: "<u8",
    16: "<f4",
    17: "<f8",
}
# Bytes a channel before a field; both versions have these at the same place.
_UNIT, _RANGES, _SAMPLES, _TYPE = 96, 104, 216, 220
# ISO/IEEE 11073 codes as GDF 2 uses them: the volt is 4256, decimal factors are added.
_VOLT_CODES = {4256: "V", 4274: "mV", 4275: "uV", 4276: "nV"}
_MOST_CHANNELS = 65_535
_BATCH_BYTES = 16 * 2**20


@dataclass(frozen=True)
class GdfRecords:
    """What the header says of the samples, and the samples.

    Attributes
    ----------
    version : float
    header_bytes : int
        The first record begins there.
    counted : int
        Records by the header.
    records : int
        Whole ones that are there.
    record_s : float
    units : tuple of str
        Of each channel as the header writes it; GDF 2's codes in words.
    ranges : np.ndarray, shape (4, C)
        Physical minimum and maximum, digital minimum and maximum.
    samples_per_record : tuple of int
    formats : tuple of str
        Number format of each channel's samples.
    """

    path: Path
    version: float
    header_bytes: int
    counted: int
    records: int
    record_s: float
    units: tuple[str, ...]
    ranges: np.ndarray
    samples_per_record: tuple[int, ...]
    formats: tuple[str, ...]

    @cached_property
    def fastest(self) -> int:
        """Samples of the fastest channel in a record."""
        return max(self.samples_per_record)

    @cached_property
    def record(self) -> np.dtype:
        """A record as a structure with one field a channel, named by its number."""
        return np.dtype(
            [
                (str(i), kind, (count,))
                for i, (kind, count) in enumerate(zip(self.formats, self.samples_per_record, strict=True))
            ]
        )

    def rate_hz(self, channel: int) -> float:
        """Rate at which the file holds a channel."""
        return self.samples_per_record[channel] / self.record_s

    def stored(self, channel: int, start: int, stop: int) -> np.ndarray:
        """Numbers `start` to `stop` of a channel as the file has them, counted at the channel's own rate."""
        count = self.samples_per_record[channel]
        first, last = start // count, -(-stop // count)
        values = self._mapped(first, last)[str(channel)].reshape(-1)
        return values[start - first * count : stop - first * count]

    def missing(self) -> list[tuple[int, int]]:
        """Find the stretches in which every channel holds its smallest number: (first, stop) at the fastest rate.

        https://www.bbci.de/competition/iv/desc_2a.pdf: "the runs are separated by 100 missing values, which are
        encoded as not-a-numbers (NaN) by default".
        """
        batch = max(1, _BATCH_BYTES // self.record.itemsize)
        gone = np.zeros(self.records * self.fastest + 2, dtype=bool)
        for first in range(0, self.records, batch):
            last = min(first + batch, self.records)
            data = self._mapped(first, last)
            here = np.ones((last - first, self.fastest), dtype=bool)
            for i, count in enumerate(self.samples_per_record):
                if count:
                    low = ~(data[str(i)] > self.ranges[2, i])  # NaN too
                    here &= low[:, np.arange(self.fastest) * count // self.fastest]
            gone[1 + first * self.fastest : 1 + last * self.fastest] = here.ravel()
        edges = np.flatnonzero(gone[1:] != gone[:-1])
        return [(int(first), int(stop)) for first, stop in edges.reshape(-1, 2)]

    def event_rate_hz(self) -> float | None:
        """Rate at which the table of events counts; None where there is no table or it does not say."""
        if self.records < self.counted:
            return None
        with self.path.open("rb") as file:
            file.seek(self.header_bytes + self.records * self.record.itemsize)
            head = file.read(8)
        if len(head) < 8:
            return None
        if self.version < 1.94:
            rate_hz = float(int.from_bytes(head[1:4], "little"))
        else:
            rate_hz = float(struct.unpack_from("<f", head, 4)[0])
        return rate_hz if np.isfinite(rate_hz) and rate_hz > 0 else None

    def _mapped(self, first: int, last: int) -> np.ndarray:
        at = self.header_bytes + first * self.record.itemsize
        return np.memmap(self.path, self.record, "r", offset=at, shape=(last - first,))


def read_records(path: Path) -> GdfRecords:
    """Read what the header says of the samples.

    Raises
    ------
    SourceError
        Where the header contradicts itself or names a number format that is not read, and where less than half of
        the records is there.
    """
    with path.open("rb") as file:
        fixed = file.read(_FIXED_BYTES)
        version = float(fixed[4:8].decode("latin-1").strip() or 0)
        old = version < 1.9
        channels = struct.unpack_from("<I" if old else "<H", fixed, 252)[0]
        fields = file.read(_FIXED_BYTES * min(channels, _MOST_CHANNELS))
    header_bytes = struct.unpack_from("<q" if old else "<H", fixed, 184)[0] * (1 if old else 256)
    records, numerator, denominator = struct.unpack_from("<qII", fixed, 236)
    if not 0 < channels <= _MOST_CHANNELS or records < 1:
        raise SourceError(
            "read", f"{path.name}: the header gives {records} records of {channels} channels; it is damaged"
        )
    counts, codes = (np.frombuffer(fields, "<i4", channels, at * channels) for at in (_SAMPLES, _TYPE))
    if unknown := sorted({int(code) for code in codes} - set(_TYPES)):
        raise SourceError("read", f"{path.name}: samples of GDF's type {unknown[0]} are not read")
    if counts.min() < 0 or counts.max() < 1:
        raise SourceError("read", f"{path.name}: its records hold no samples; it is damaged")
    found = GdfRecords(
        path=path,
        version=version,
        header_bytes=header_bytes,
        counted=records,
        records=records,
        record_s=(numerator or 1) / (denominator or 1),
        units=_units(fields, channels, old),
        ranges=_ranges(fields, channels, old),
        samples_per_record=tuple(int(count) for count in counts),
        formats=tuple(_TYPES[int(code)] for code in codes),
    )
    there = (path.stat().st_size - header_bytes) // found.record.itemsize
    if 2 * there < records:
        raise SourceError(
            "read",
            f"{path.name} is cut off: the header says {records:,} records of {found.record_s:g} s, its "
            f"{path.stat().st_size:,} bytes hold {max(there, 0):,}; fetch it again",
        )
    return replace(found, records=min(records, there))


def _units(fields: bytes, channels: int, old: bool) -> tuple[str, ...]:
    if old:
        at = _UNIT * channels
        texts = [fields[at + 8 * i : at + 8 * (i + 1)] for i in range(channels)]
        return tuple(text.split(b"\x00")[0].decode("latin-1").strip() for text in texts)
    codes = struct.unpack_from(f"<{channels}H", fields, (_UNIT + 6) * channels)
    return tuple(_VOLT_CODES.get(code, "" if code == 0 else f"code {code}") for code in codes)


def _ranges(fields: bytes, channels: int, old: bool) -> np.ndarray:
    kinds = ("<f8", "<f8", "<i8", "<i8") if old else ("<f8",) * 4
    return np.stack(
        [
            np.frombuffer(fields, kind, channels, (_RANGES + 8 * i) * channels).astype(np.float64)
            for i, kind in enumerate(kinds)
        ]
    )
