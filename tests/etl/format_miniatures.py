"""Small recordings in formats that no library here writes, made byte by byte."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

RATE_HZ = 250.0
NAMES = ("Fz", "Cz", "Pz", "Oz")


def smooth_uv(
    seed: int, seconds: float = 8.0, channels: int = len(NAMES), rate_hz: float = RATE_HZ
) -> np.ndarray:
    """EEG-like µV: smooth from sample to sample, as only the right reading of bytes is."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate_hz)
    walk = np.cumsum(rng.normal(size=(channels, n)), axis=1)
    walk -= np.linspace(0, 1, n) * walk[:, -1:]
    return np.rint(30 * walk / walk.std(axis=1, keepdims=True))


def write_neuroscan(
    path: Path, data_uv: np.ndarray, bits: int, events=((500, 7),), samples: int | None = None
) -> Path:
    """Write SETUP, ELECTLOC, samples and a table of events (sample, code); a step of 0.1 µV."""
    channels, n = data_uv.shape
    head = bytearray(900)
    head[:12] = b"Version 3.0\x00"
    head[121:125] = b"Anna"
    start = 900 + 75 * channels
    data = np.ascontiguousarray(np.rint(data_uv.T * 10).astype(f"<i{bits // 8}")).tobytes()
    struct.pack_into("<H", head, 370, channels)
    struct.pack_into("<H", head, 376, round(RATE_HZ))
    struct.pack_into("<i", head, 864, n if samples is None else samples)
    struct.pack_into("<i", head, 886, start + len(data))
    electrodes = bytearray(75 * channels)
    for i in range(channels):
        electrodes[75 * i : 75 * i + 4] = f"{NAMES[i]}".encode().ljust(4, b"\x00")
        struct.pack_into("<f", electrodes, 75 * i + 59, 20.48)
        struct.pack_into("<f", electrodes, 75 * i + 71, 1.0)
    width = bits // 8 * channels
    table = b"".join(struct.pack("<HBBi", code, 0, 0, start + at * width) for at, code in events)
    path.write_bytes(bytes(head) + bytes(electrodes) + data + struct.pack("<bii", 1, len(table), 0) + table)
    return path


def write_bci2000(path: Path, counts: np.ndarray, gain: str, offset: float, codes: np.ndarray) -> Path:
    """Write int16 samples (channels, n) with one state of 8 bits, StimulusCode."""
    channels = counts.shape[0]
    body = (
        "[ State Vector Definition ] \r\nStimulusCode 8 0 1 0\r\nRunning 8 0 0 0\r\n[ Parameter Definition ] \r\n"
        f"Source int SamplingRate= {RATE_HZ:g}Hz 256Hz 1 % // rate\r\n"
        f"Source list ChannelNames= {channels} {' '.join(NAMES[:channels])} // names\r\n"
        f"Source floatlist SourceChGain= {channels} {' '.join([gain] * channels)} 0 % % // gain\r\n"
        f"Source floatlist SourceChOffset= {channels} {' '.join([f'{offset:g}'] * channels)} 0 % % // offset\r\n"
        "Storage string SubjectName= Anna Name % % // subject\r\n"
    )
    first = f"BCI2000V= 1.1 HeaderLen= {{:6d}} SourceCh= {channels} StatevectorLen= 2 DataFormat= int16\r\n"
    length = len(first.format(0)) + len(body)
    states = np.stack([np.ones(counts.shape[1]), codes]).astype(np.uint8)
    frames = np.concatenate([counts.T.astype("<i2").copy().view(np.uint8), states.T], axis=1)
    path.write_bytes((first.format(length) + body).encode("ascii") + frames.tobytes())
    return path


def write_gdf(
    path: Path,
    counts: Sequence[np.ndarray],
    unit: str,
    events=((501, 769, 0),),
    *,
    version: str = "1.25",
    types: Sequence[int] = (),
    events_hz: float = RATE_HZ,
    ranges: Sequence[tuple[float, float, float, float]] = (),
) -> Path:
    """Write records of a second, a step of one unit, and a table of events (sample from 1, type, duration).

    Parameters
    ----------
    counts
        A row a channel; the first is at `RATE_HZ`, a shorter one lasts as long at a lower rate.
    unit
        A name in GDF 1, a code in GDF 2 (``4275`` is µV).
    types
        GDF's number format of each channel; 16-bit integers without.
    """
    channels, old = len(counts), float(version) < 1.9
    seconds = len(counts[0]) // round(RATE_HZ)
    per_record = [len(one) // seconds for one in counts]
    types = types or [3] * channels
    ranges = ranges or [(-32768, 32767, -32768, 32767)] * channels
    head = bytearray(256)
    head[:8] = f"GDF {version}".encode()
    if old:
        head[168:184] = b"2020010112000000"
        struct.pack_into("<q", head, 184, 256 * (channels + 1))
    else:
        struct.pack_into("<H", head, 184, channels + 1)
    struct.pack_into("<qIII", head, 236, seconds, 1, 1, channels)
    fields = b"".join(name.encode().ljust(16, b"\x00") for name in NAMES[:channels]) + bytes(80 * channels)
    if old:
        fields += unit.encode().ljust(8, b"\x00") * channels
    else:
        fields += bytes(6 * channels) + struct.pack("<H", int(unit)) * channels
    for column, kind in zip(zip(*ranges, strict=True), "ddqq" if old else "dddd", strict=True):
        fields += struct.pack(f"<{channels}{kind}", *column)
    fields += bytes(80 * channels) + struct.pack(f"<{channels}i", *per_record)
    fields += struct.pack(f"<{channels}i", *types) + bytes(32 * channels)
    kinds = {3: "<i2", 4: "<u2", 5: "<i4", 16: "<f4"}
    records = b"".join(
        one.reshape(seconds, -1)[second].astype(kinds[kind]).tobytes()
        for second in range(seconds)
        for one, kind in zip(map(np.asarray, counts), types, strict=True)
    )
    positions, codes, durations = zip(*events, strict=True)
    if old:
        table = b"\x03" + round(events_hz).to_bytes(3, "little") + struct.pack("<I", len(events))
    else:
        table = b"\x03" + len(events).to_bytes(3, "little") + struct.pack("<f", events_hz)
    table += struct.pack(f"<{len(events)}I", *positions) + struct.pack(f"<{len(events)}H", *codes)
    table += bytes(2 * len(events)) + struct.pack(f"<{len(events)}I", *durations)
    path.write_bytes(bytes(head) + fields + records + table)
    return path


def write_xdf(
    path: Path, pieces: list[tuple[float, np.ndarray]], markers=((1.0, "go"),), unit: str = "microvolts"
) -> Path:
    """Write one stream of EEG in pieces (start in s, samples (channels, n) in µV) and one of markers."""
    channels = pieces[0][1].shape[0]
    described = "".join(
        f"<channel><label>{name}</label><type>EEG</type><unit>{unit}</unit></channel>"
        for name in NAMES[:channels]
    )
    eeg = (
        f"<info><name>amp</name><type>EEG</type><channel_count>{channels}</channel_count>"
        f"<nominal_srate>{RATE_HZ:g}</nominal_srate><channel_format>float32</channel_format>"
        f"<desc><channels>{described}</channels></desc></info>"
    )
    events = (
        "<info><name>cues</name><type>Markers</type><channel_count>1</channel_count>"
        "<nominal_srate>0</nominal_srate><channel_format>string</channel_format><desc></desc></info>"
    )
    chunks = [_chunk(1, b"<info><version>1.0</version></info>")]
    chunks += [
        _chunk(2, struct.pack("<I", 1) + eeg.encode()),
        _chunk(2, struct.pack("<I", 2) + events.encode()),
    ]
    for start_s, data in pieces:
        values = b"".join(
            struct.pack("<Bd", 8, 100 + start_s + i / RATE_HZ) + data[:, i].astype("<f4").tobytes()
            for i in range(data.shape[1])
        )
        chunks.append(_chunk(3, struct.pack("<I", 1) + b"\x04" + struct.pack("<I", data.shape[1]) + values))
    texts = b"".join(
        struct.pack("<Bd", 8, 100 + at) + b"\x01" + bytes([len(text)]) + text.encode() for at, text in markers
    )
    chunks.append(_chunk(3, struct.pack("<I", 2) + b"\x01" + bytes([len(markers)]) + texts))
    path.write_bytes(b"XDF:" + b"".join(chunks))
    return path


def write_neuralynx(folder: Path, counts: np.ndarray, gaps: dict[int, float]) -> Path:
    """Write one .ncs a channel in records of 512 samples; `gaps`: seconds lost before a record."""
    folder.mkdir(parents=True)
    rate = 2000
    for i, channel in enumerate(counts):
        head = (
            "######## Neuralynx Data File Header\r\n-FileType NCS\r\n-FileVersion 3.4\r\n-RecordSize 1044\r\n"
            "-TimeCreated 2020/01/01 12:00:00\r\n-TimeClosed 2020/01/01 13:00:00\r\n"
            f"-AcqEntName {NAMES[i]}\r\n-SamplingFrequency {rate}\r\n-ADBitVolts 0.000000100\r\n-ADMaxValue 32767\r\n"
            f"-NumADChannels 1\r\n-ADChannel {i}\r\n-InputRange 3277\r\n-InputInverted False\r\n"
            "-DspLowCutFilterEnabled True\r\n-DspLowCutFrequency 0.1\r\n-DspHighCutFilterEnabled True\r\n"
            "-DspHighCutFrequency 500\r\n-HardwareSubSystemName AcqSystem1\r\n-HardwareSubSystemType DigitalLynxSX\r\n"
        )
        records, at_us = b"", 1_000_000
        for record in range(len(channel) // 512):
            at_us += round(1e6 * gaps.get(record, 0.0))
            samples = channel[512 * record : 512 * (record + 1)].astype("<i2").tobytes()
            records += struct.pack("<QIII", at_us, i, rate, 512) + samples
            at_us += 256_000
        (folder / f"{NAMES[i]}.ncs").write_bytes(head.encode("latin-1").ljust(16384, b"\x00") + records)
    return folder


def _chunk(tag: int, content: bytes) -> bytes:
    body = struct.pack("<H", tag) + content
    return b"\x04" + struct.pack("<I", len(body)) + body
