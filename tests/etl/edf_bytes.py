"""EDF and BDF files put together byte by byte, so that a test can write what no library would."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Channel:
    """One signal: digital samples of all records, and its header fields as text."""

    label: str
    digital: np.ndarray
    unit: str | bytes = "uV"
    physical: tuple = (-3276.8, 3276.7)
    limits: tuple = (-32768, 32767)
    prefilter: str = ""


@dataclass
class Edf:
    """A whole file; every header field may lie."""

    channels: list[Channel]
    records: int
    record_s: object = 1
    tals: list[list[bytes]] = field(default_factory=list)  # of each annotation channel, of each record
    reserved: str = ""
    patient: bytes = b"X X X X"
    recording: bytes = b"Startdate X X X X"
    date: bytes = b"02.03.21"
    time: bytes = b"04.05.06"
    counted: object = None
    bdf: bool = False

    def bytes(self) -> bytes:
        """Lay the file out."""
        width = 3 if self.bdf else 2
        kind = "BDF" if self.bdf else "EDF"
        tal_samples = [-(-max(len(one) for one in tals) // width) for tals in self.tals]
        spr = [len(one.digital) // self.records for one in self.channels] + tal_samples
        n = len(spr)
        rail = 2 ** (8 * width - 1)
        rows = [
            (one.label, "", one.unit, *one.physical, *one.limits, one.prefilter) for one in self.channels
        ] + [(f"{kind} Annotations", "", "", -1, 1, -rail, rail - 1, "")] * len(self.tals)
        head = [
            b"\xffBIOSEMI" if self.bdf else _pad("0", 8),
            _pad(self.patient, 80),
            _pad(self.recording, 80),
        ]
        head += [_pad(self.date, 8), _pad(self.time, 8), _pad(256 * (n + 1), 8), _pad(self.reserved, 44)]
        head += [
            _pad(self.records if self.counted is None else self.counted, 8),
            _pad(self.record_s, 8),
            _pad(n, 4),
        ]
        for column, size in enumerate((16, 80, 8, 8, 8, 8, 8, 80)):
            head += [_pad(row[column], size) for row in rows]
        head += [_pad(count, 8) for count in spr] + [b" " * 32] * n
        body = []
        for record in range(self.records):
            for one, count in zip(self.channels, spr, strict=False):
                body.append(_samples(one.digital[record * count : (record + 1) * count], width))
            for tals, count in zip(self.tals, tal_samples, strict=True):
                body.append(tals[record].ljust(count * width, b"\0"))
        return b"".join(head + body)


def stamps(onsets: list, *events: list[bytes]) -> list[bytes]:
    """Time-keeping lists for records, each with its events' lists behind it."""
    rows = [f"+{onset}\x14\x14\0".encode() for onset in onsets]
    for more in events:
        rows = [row + extra for row, extra in zip(rows, more, strict=True)]
    return rows


def _samples(values: np.ndarray, width: int) -> bytes:
    if width == 2:
        return values.astype("<i2").tobytes()
    return values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def _pad(value: object, width: int) -> bytes:
    text = value if isinstance(value, bytes) else str(value).encode()
    assert len(text) <= width, (value, width)
    return text.ljust(width)
