"""Locks made by hand: recordings of any montage and content, without the table, SQL or MNE."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eegfm_lake import schema
from eegfm_lake.lock import Lock, read_lock
from eegfm_lake.signals import SignalWriter, store_signal
from eegfm_lake.storage import Storage

RATE_HZ = 200.0
CAP = ("Fp1", "Fp2", "F3", "Fz", "F4", "C3", "Cz", "C4", "P3", "Pz", "P4", "O1", "O2")


@dataclass
class Made:
    """One recording: samples in µV and what is known of it."""

    person: str = "made/P1"
    samples_uv: np.ndarray | None = None  # (C, T); brown noise where None
    names: Sequence[str] = CAP
    types: Sequence[str] | None = None
    bad: Sequence[str] = ()
    reference: str | None = None
    cathodes: Sequence[str | None] | None = None
    segments: Sequence[int] = (6000,)  # samples
    same_as: Sequence[str] = ()
    band_high: float = 75.0
    rate: float = RATE_HZ
    windows: Sequence[tuple[int, int]] = ()  # (first, samples); tiled where empty
    split: str = "all"
    facts: dict = field(default_factory=dict)


def write_lock(root: Path, recordings: Sequence[Made], *, name: str = "made", tile: int = 800) -> Lock:
    """Write signal files and a lock of these recordings below ``root`` and read it."""
    storage = Storage(root)
    folder = root / "cohorts" / f"{name}@0"
    rows: dict[str, list[dict]] = {"recordings": [], "channels": [], "windows": []}
    for index, made in enumerate(recordings):
        n = sum(made.segments)
        samples_uv = (
            brown_noise(len(made.names), n, seed=index) if made.samples_uv is None else made.samples_uv
        )
        rel = _store(storage, root / f"{index}.parquet", made, samples_uv)
        rows["recordings"].append(_recording(index, made, rel, n))
        rows["channels"] += _channels(index, made, samples_uv)
        for first, samples in made.windows or _tiles(made.segments, tile):
            rows["windows"].append(
                {
                    "window": len(rows["windows"]),
                    "recording": index,
                    "first_sample": first,
                    "samples": samples,
                    "start_s": first / made.rate,
                    "split": made.split,
                }
            )
    folder.mkdir(parents=True)
    schemas = (schema.LOCK_RECORDINGS, schema.LOCK_CHANNELS, schema.LOCK_WINDOWS)
    for table, kind in zip(rows, schemas, strict=True):
        pq.write_table(pa.Table.from_pylist(rows[table], schema=kind), folder / f"{table}.parquet")
    meta = {"name": name, "hash": "0" * 64, "contract": 1, "signals": "../.."}
    (folder / "lock.json").write_text(json.dumps(meta))
    return read_lock(folder)


def brown_noise(n_channels: int, n_times: int, seed: int = 0) -> np.ndarray:
    """(C, T) µV: a 1/f-like background of about 20 µV, quantised at 0.1 µV, alike in all channels in part."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(n_channels, n_times)) + rng.normal(size=(1, n_times))
    spectrum = np.fft.rfft(steps, axis=1)
    freq = np.fft.rfftfreq(n_times, 1 / RATE_HZ)
    spectrum *= np.where(freq < 0.5, 0, 1 / np.maximum(freq, 0.5))
    noise = np.fft.irfft(spectrum, n_times, axis=1)
    return np.round(20 * noise / noise.std(), 1)


def position(index: int) -> tuple[float, float, float]:
    """Metres of a made-up electrode: a spiral over the head."""
    height = 1 - (index + 0.5) / 20
    angle = 2.4 * index
    flat = np.sqrt(1 - height**2)
    return tuple(0.095 * np.array([flat * np.cos(angle), flat * np.sin(angle), height]))


def _store(storage: Storage, local: Path, made: Made, samples_uv: np.ndarray) -> str:
    block = round(schema.BLOCK_S * made.rate)
    n_channels = len(made.names)
    zeros = np.zeros((1, n_channels))
    quality = {"flat": zeros, "clipped_share": zeros, "good": zeros == 0}
    steps_uv = np.full(n_channels, 0.1)
    stored = np.round(samples_uv / 0.1).astype(np.int16)
    with SignalWriter(local, rate_hz=made.rate, channels=list(made.names), steps_uv=steps_uv) as writer:
        begin = 0
        for length in made.segments:
            for first in range(begin, begin + length, block):
                writer.write_blocks([stored[:, first : min(first + block, begin + length)]], quality)
            begin += length
    return store_signal(storage, "made", writer.close())


def _recording(index: int, made: Made, rel: str, n: int) -> dict:
    covariates = {"reference": made.reference} if made.reference else {}
    return {
        "recording": index,
        "recording_id": f"made/{index}",
        "profile": "eeg200",
        "dataset": "made",
        "person": made.person,
        "same_as": list(made.same_as),
        "signal_file": rel,
        "rate": made.rate,
        "signal_samples": n,
        "duration_s": n / made.rate,
        "methodology": [{"covariate": k, "value": v, "origin": "declared"} for k, v in covariates.items()],
        **made.facts,
    }


def _channels(index: int, made: Made, samples_uv: np.ndarray) -> list[dict]:
    rows = []
    for channel, name in enumerate(made.names):
        x, y, z = position(CAP.index(name) if name in CAP else channel)
        rows.append(
            {
                "recording": index,
                "channel": channel,
                "name": name,
                "type": made.types[channel] if made.types else "eeg",
                "x": x,
                "y": y,
                "z": z,
                "position_origin": "template",
                "region": "unknown",
                "band_low": 0.3,
                "band_high": made.band_high,
                "step_uv": 0.1,
                "status": "bad" if name in made.bad else "good",
                "reasons": [],
                "anode": name if made.cathodes else None,
                "cathode": made.cathodes[channel] if made.cathodes else None,
                "scale_uv": float(1.4826 * np.median(np.abs(samples_uv[channel]))),
            }
        )
    return rows


def _tiles(segments: Sequence[int], tile: int) -> list[tuple[int, int]]:
    tiles, begin = [], 0
    for length in segments:
        tiles += [(begin + at, tile) for at in range(0, length - tile + 1, tile)]
        begin += length
    return tiles
