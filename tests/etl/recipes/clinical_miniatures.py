"""Seconds of signal under the true names, labels, rates and start times of clinical archives."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

import edfio
import numpy as np

from eegfm_etl.ingest import IngestReport, ingest
from eegfm_lake.table import Lake

TEN_TWENTY = (
    *("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8", "T3", "T4", "T5", "T6"),
    *("Fz", "Cz", "Pz"),
)


def write_edf(
    path: Path,
    labels: Sequence[str],
    *,
    rate_hz: float,
    seconds: float,
    rates: Mapping[str, float] | None = None,
    units: Mapping[str, str] | None = None,
    annotations: Sequence[tuple[float, float | None, str]] = (),
    start: str = "2011-01-01 00:00:00",
    patient: edfio.Patient | None = None,
    record_s: float = 1.0,
) -> Path:
    """Write one EDF (EDF+ with annotations); `rates` and `units` by label where they differ from the others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    when = dt.datetime.fromisoformat(start)
    signals = [
        _signal(label, (rates or {}).get(label, rate_hz), seconds, (units or {}).get(label, "uV"), seed)
        for seed, label in enumerate(labels)
    ]
    edfio.Edf(
        signals,
        patient=patient,
        recording=edfio.Recording(startdate=when.date()),
        starttime=when.time(),
        annotations=[edfio.EdfAnnotation(*one) for one in annotations] or None,
        data_record_duration=record_s if signals else None,
    ).write(path)
    return path


def ingested(root: Path, recipe_id: str) -> dict[str, dict]:
    """Ingest a miniature into a lake beside it: rows by recording id; not one file may fail."""
    report, lake_uri = ingest_into_lake(root, recipe_id)
    assert report.failures == ()
    return {row["recording_id"]: row for row in Lake.open(lake_uri).recordings().to_pylist()}


def ingest_into_lake(root: Path, recipe_id: str) -> tuple[IngestReport, str]:
    lake_uri = str(root.parent / "lake")
    return ingest(lake_uri, recipe_id, source=root, progress=False), lake_uri


def methodology(row: dict) -> dict[str, str]:
    return {one["covariate"]: one["value"] for one in row["methodology"]}


def stored(row: dict) -> dict[str, str]:
    """Canonical name → type of the channels that are stored."""
    return {one["name"]: one["type"] for one in row["channels"] if one["status"] != "dropped"}


def dropped(row: dict) -> set[str]:
    return {one["source_name"] for one in row["channels"] if one["status"] == "dropped"}


def spans(row: dict, label: str | None) -> list[tuple[float, float]]:
    """(onset, stop) of the events of a label."""
    events = [one for one in row["events"] if one["label"] == label]
    return [(one["onset_s"], one["onset_s"] + one["duration_s"]) for one in events]


def _signal(label: str, rate_hz: float, seconds: float, unit: str, seed: int) -> edfio.EdfSignal:
    rng = np.random.default_rng(seed)
    noise = np.cumsum(rng.normal(size=round(rate_hz * seconds)))
    data = 20 * (noise - noise.mean()) / max(noise.std(), 1e-9) + 5 * rng.normal(size=noise.shape)
    scale = 1e-3 if unit == "mV" else 1.0
    return edfio.EdfSignal(
        np.clip(np.rint(data), -400, 400) * scale,
        rate_hz,
        label=label,
        physical_dimension=unit,
        physical_range=(-500 * scale, 500 * scale),
    )
