"""What the miniatures of the data sets share: EEG-like samples, files in their formats, and the ingest."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eegfm_etl.ingest import IngestReport, ingest
from eegfm_lake.query import run_sql
from eegfm_lake.table import Lake

MISSING = -32768  # what the Graz files hold where nothing was recorded


def eeg_uv(channels: int, samples: int, seed: int = 0) -> np.ndarray:
    """Noise that falls with frequency, about 20 µV, shape (channels, samples)."""
    rng = np.random.default_rng(seed)
    falling = 1 / np.sqrt(np.maximum(np.fft.rfftfreq(samples, 1 / 250), 0.5))
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal((channels, samples))) * falling, samples)
    return 20 * noise / noise.std(axis=1, keepdims=True) + rng.standard_normal(noise.shape)


def write_gdf(
    path: Path,
    labels: Sequence[str],
    samples_uv: np.ndarray,
    events: Sequence[tuple[int, int, int]],
    *,
    rate_hz: int = 250,
    range_uv: float = 100.0,
    missing: Sequence[tuple[int, int]] = (),
) -> Path:
    """Write a GDF 1.25 as those of the Graz data sets: int16, one record a second, an event table of mode 3.

    Parameters
    ----------
    events
        (sample from zero, code, samples).
    missing
        (first, stop) of samples at which every channel holds `MISSING`.
    """
    channels, n = samples_uv.shape
    digital = np.clip(np.rint(samples_uv / range_uv * 32768), -32000, 32000).astype("<i2")
    for first, stop in missing:
        digital[:, first:stop] = MISSING
    head = b"GDF 1.25" + b"X X".ljust(80) + b"".ljust(80) + b"2005012512304500"
    head += struct.pack("<q24x20xqIII", 256 * (channels + 1), n // rate_hz, 1, 1, channels)
    head += b"".join(label.encode().ljust(16) for label in labels) + b"".ljust(80 * channels)
    head += b"uV      " * channels
    for kind, value in (("d", -range_uv), ("d", range_uv), ("q", -32768), ("q", 32767)):
        head += struct.pack(f"<{channels}{kind}", *[value] * channels)
    head += b"".ljust(80 * channels)
    head += struct.pack(f"<{channels}i", *[rate_hz] * channels) + struct.pack(
        f"<{channels}i", *[3] * channels
    )
    head += b"".ljust(32 * channels)
    records = digital[:, : n - n % rate_hz].reshape(channels, -1, rate_hz).transpose(1, 0, 2)
    table = struct.pack("<B3sI", 3, rate_hz.to_bytes(3, "little"), len(events))
    for kind, column in (("I", [s + 1 for s, _, _ in events]), ("H", [code for _, code, _ in events])):
        table += struct.pack(f"<{len(events)}{kind}", *column)
    table += struct.pack(f"<{len(events)}H", *[0] * len(events))
    table += struct.pack(f"<{len(events)}I", *[length for _, _, length in events])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + records.tobytes() + table)
    return path


def ingested(
    tmp_path: Path, recipe_id: str, source: Path, **ingest_options
) -> tuple[IngestReport, list[dict]]:
    """Ingest a miniature and return the report and the rows by recording."""
    lake_uri = str(tmp_path / "lake")
    report = ingest(lake_uri, recipe_id, source=source, progress=False, **ingest_options)
    rows = Lake.open(lake_uri).recordings().to_pylist() if report.done else []
    return report, sorted(rows, key=lambda row: row["recording_id"])


def splits(tmp_path: Path) -> dict[str | None, int]:
    """Recordings by official split, asked in SQL."""
    table = run_sql(
        Lake.open(str(tmp_path / "lake")),
        "SELECT official_split, count(*) AS n FROM recordings GROUP BY ALL ORDER BY ALL",
    )
    return dict(zip(table["official_split"].to_pylist(), table["n"].to_pylist(), strict=True))


def labels_of(row: dict) -> list[tuple[float, str]]:
    """Onset and label path of the events that have one."""
    return [(round(event["onset_s"], 3), event["label"]) for event in row["events"] if event["label"]]


def types_of(row: dict) -> dict[str, str]:
    """Channel to type, of the channels that are stored."""
    return {one["name"]: one["type"] for one in row["channels"] if one["status"] != "dropped"}


def methodology_of(row: dict) -> dict[str, tuple[str, str]]:
    """Covariate to (value, origin)."""
    return {one["covariate"]: (one["value"], one["origin"]) for one in row["methodology"]}
