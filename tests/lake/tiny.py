"""A tiny lake: a few people imagine their left or right fist, small enough to be built in every test.

Nothing is recorded: the background is brown noise, and during imagery the mu rhythm falls over the hand area
opposite to the fist, so that every sensible decoder learns something.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eegfm_lake import schema
from eegfm_lake.signals import SignalFile, SignalWriter, store_signal
from eegfm_lake.table import Lake

RATE_HZ = 200.0
PROFILE = "eeg200"
LEFT, RIGHT, REST = "motor/imagery/left_fist", "motor/imagery/right_fist", "rest/between_trials"
TRIAL_S, REST_S, LEAD_S = 4.0, 2.0, 3.0

# Polar angle from the vertex and azimuth from the right ear, degrees, on a sphere of 95 mm.
_ANGLES = {
    "Fp1": (90, 108), "Fp2": (90, 72), "F3": (60, 129), "Fz": (45, 90), "F4": (60, 51),
    "FC3": (48, 152), "FC4": (48, 28), "C3": (45, 180), "C1": (22, 180), "Cz": (0, 0),
    "C2": (22, 0), "C4": (45, 0), "CP3": (48, 208), "CP4": (48, -28), "P3": (60, 231),
    "Pz": (45, 270), "P4": (60, -51), "O1": (90, 252), "O2": (90, 288),
}  # fmt: skip
CHANNELS = tuple(_ANGLES)


def position(name: str) -> np.ndarray:
    """(3,) metres of an electrode of the tiny cap."""
    polar, azimuth = np.radians(_ANGLES[name])
    unit = [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)]
    return 0.095 * np.array(unit)


def write_tiny_lake(
    path: str | Path,
    people: int = 6,
    *,
    runs: int = 2,
    trials: int = 12,
    dataset: str = "tiny",
    channels: Sequence[str] = CHANNELS,
    suppression: float = 0.8,
    gap: bool = False,
    seed: int = 0,
) -> Lake:
    """Make a lake, or add a data set to one.

    Parameters
    ----------
    path
        Folder or object store.
    people, runs, trials
        Persons ``<dataset>/P01`` …, recordings ``<dataset>/P01/R1`` …, trials a recording (half left).
    dataset
        Name of the data set.
    channels
        Names out of `CHANNELS`.
    suppression
        Share of the mu amplitude lost over the hand area opposite to the imagined fist.
    gap
        Whether every recording pauses for 5 s at its middle: two segments.
    seed
        Same seed, same bytes.
    """
    lake = Lake.open(path, create=True)
    rows = []
    for person in range(1, people + 1):
        for run in range(1, runs + 1):
            rows.append(
                write_tiny_recording(
                    lake,
                    f"{dataset}/P{person:02d}/R{run}",
                    trials=trials,
                    channels=channels,
                    suppression=suppression,
                    gap=gap,
                    seed=[seed, person, run],
                )
            )
    lake.commit_recordings(rows)
    return lake


def write_tiny_recording(
    lake: Lake,
    recording_id: str,
    *,
    trials: int = 12,
    channels: Sequence[str] = CHANNELS,
    suppression: float = 0.8,
    gap: bool = False,
    bad_blocks: Sequence[int] = (),
    seed: int | Sequence[int] = 0,
    **fields: object,
) -> dict:
    """Store one recording's signal and return its row, uncommitted; ``fields`` replace the row's own."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation([LEFT, RIGHT] * (trials // 2))
    onsets_s = LEAD_S + np.arange(trials) * (TRIAL_S + REST_S)
    n = round((float(onsets_s[-1]) + TRIAL_S + REST_S) * RATE_HZ)
    samples_uv = _samples_uv(rng, channels, n, onsets_s, labels, suppression)
    lengths = [n // 2, n - n // 2] if gap else [n]
    signal_file, blocks, segments = _write_signal(samples_uv, channels, lengths, bad_blocks)
    # Times include the pause, stored samples do not.
    pause_s = [0.0 if not gap or onset * RATE_HZ < lengths[0] else 5.0 for onset in onsets_s]
    dataset, person, run = recording_id.split("/")
    row = {
        "recording_id": recording_id,
        "profile": PROFILE,
        "dataset": dataset,
        "task": "imagery",
        "run": run,
        "person": f"{dataset}/{person}",
        "age": float(20 + int(person[1:])),
        "sex": "f" if int(person[1:]) % 2 else "m",
        "phenotype": {"simulated": "true"},
        "source": {
            "path": f"{person}/{run}.edf",
            "sha256": hashlib.sha256(recording_id.encode()).hexdigest(),
            "bytes": 2 * samples_uv.size,
            "format": "edf",
            "reader": "tiny 1",
        },
        "licence": "CC0-1.0",
        "citation": "simulated",
        "methodology": [
            {"covariate": "reference", "value": "Cz", "origin": "declared"},
            {"covariate": "line_freq", "value": "50", "origin": "detected"},
            {"covariate": "simulated", "value": "true", "origin": "declared"},
        ],
        "signal": {
            "file": store_signal(lake.storage, dataset, signal_file),
            "rate": RATE_HZ,
            "samples": n,
            "step": schema.STEP_UV,
        },
        "segments": segments,
        "duration_s": n / RATE_HZ + (5.0 if gap else 0.0),
        "trailing_zeros_cut": 0,
        "chain": {
            "version": "tiny 1",
            "steps": [{"name": "quantise", "params": '{"step_uv": 0.1}'}],
        },
        "spectrum": _spectrum(samples_uv),
        "ingest": {"id": "tiny", "time": "2026-01-01T00:00:00+00:00", "recipe": dataset, "version": "1"},
        "channels": [_channel(name, samples_uv[i]) for i, name in enumerate(channels)],
        "events": _events(onsets_s + pause_s, labels),
        "blocks": blocks,
    }
    return {**row, **fields}


def _samples_uv(rng, channels, n, onsets_s, labels, suppression) -> np.ndarray:
    t = np.arange(n) / RATE_HZ
    background = np.cumsum(rng.normal(size=(len(channels), n)), axis=1)
    background = _high_passed(background)
    mu = {}
    for side, other_fist in (("C3", RIGHT), ("C4", LEFT)):
        gain = np.ones(n)
        for onset, label in zip(onsets_s, labels, strict=True):
            if label == other_fist:
                gain[int(onset * RATE_HZ) : int((onset + TRIAL_S) * RATE_HZ)] -= suppression
        phase = 2 * np.pi * (10.5 * t + 0.05 * np.cumsum(rng.normal(size=n)) / np.sqrt(RATE_HZ))
        mu[side] = 8.0 * gain * np.sin(phase)
    spread = {side: [_nearness(name, side) for name in channels] for side in mu}
    return background + sum(np.outer(spread[side], mu[side]) for side in mu)


def _high_passed(samples: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(samples, axis=1)
    freqs_hz = np.fft.rfftfreq(samples.shape[1], 1 / RATE_HZ)
    spectrum[:, freqs_hz < 0.5] = 0
    filtered = np.fft.irfft(spectrum, samples.shape[1], axis=1)
    return 10.0 * filtered / filtered.std(axis=1, keepdims=True)


def _nearness(name: str, centre: str) -> float:
    return float(np.exp(-((np.linalg.norm(position(name) - position(centre)) / 0.05) ** 2)))


def _write_signal(
    samples_uv: np.ndarray, channels: Sequence[str], lengths: Sequence[int], bad_blocks: Sequence[int]
) -> tuple[SignalFile, list[dict], list[dict]]:
    stored = np.clip(np.round(samples_uv / schema.STEP_UV), -32768, 32767).astype(np.int16)
    steps_uv = np.full(len(channels), schema.STEP_UV)
    n_block = int(schema.BLOCK_S * RATE_HZ)
    local = Path(tempfile.mkdtemp(prefix="tiny-")) / "signal.parquet"
    blocks: list[dict] = []
    segments: list[dict] = []
    with SignalWriter(local, rate_hz=RATE_HZ, channels=channels, steps_uv=steps_uv) as writer:
        begin = 0
        for i, length in enumerate(lengths):
            start_s = begin / RATE_HZ + 5.0 * i
            segments.append(
                {"start_s": start_s, "first_sample": begin, "samples": length, "first_block": len(blocks)}
            )
            for first in range(begin, begin + length, n_block):
                piece = stored[:, first : min(first + n_block, begin + length)]
                good = len(blocks) not in bad_blocks
                quality = {name: np.zeros((1, len(channels))) for name in ("flat", "clipped_share")}
                writer.write_blocks([piece], {**quality, "good": np.full((1, len(channels)), good)})
                blocks.append(
                    {
                        "start_s": start_s + (first - begin) / RATE_HZ,
                        "first_sample": first,
                        "samples": piece.shape[1],
                        "flat_share": 0.0,
                        "clipped_share": 0.0,
                        "amplitude_uv": float(np.median(piece.std(axis=1)) * schema.STEP_UV),
                        "bad_channels": 0 if good else len(channels),
                        "good": good,
                    }
                )
            begin += length
    return writer.close(), blocks, segments


def _channel(name: str, samples_uv: np.ndarray) -> dict:
    x, y, z = position(name)
    return {
        "name": name,
        "source_name": name,
        "type": "eeg",
        "x": x,
        "y": y,
        "z": z,
        "position_origin": "template",
        "region": "unknown",
        "source_rate": RATE_HZ,
        "band_low": 0.3,
        "band_high": 75.0,
        "step": schema.STEP_UV,
        "status": "good",
        "reasons": [],
        "clipped_samples": 0,
        "scale_uv": float(1.4826 * np.median(np.abs(samples_uv - np.median(samples_uv)))),
    }


def _events(onsets_s: np.ndarray, labels: Sequence[str]) -> list[dict]:
    events = []
    for onset_s, label in zip(onsets_s, map(str, labels), strict=True):
        source = "T1" if label == LEFT else "T2"
        events.append(_event(onset_s, TRIAL_S, label, source))
        events.append(_event(onset_s + TRIAL_S, REST_S, REST, "T0"))
    return events


def _event(onset_s: float, duration_s: float, label: str, source: str) -> dict:
    return {
        "onset_s": onset_s,
        "duration_s": duration_s,
        "label": label,
        "value": None,
        "source_label": source,
    }


def _spectrum(samples_uv: np.ndarray) -> dict:
    n = 400
    pieces = samples_uv[:, : samples_uv.shape[1] // n * n].reshape(len(samples_uv), -1, n) * np.hanning(n)
    power = (np.abs(np.fft.rfft(pieces, axis=2)) ** 2).mean(axis=1) / (RATE_HZ * (np.hanning(n) ** 2).sum())
    median = np.median(power, axis=0)
    return {
        "freqs_hz": np.fft.rfftfreq(n, 1 / RATE_HZ).tolist(),
        "before_uv2_hz": median.tolist(),
        "after_uv2_hz": median.tolist(),
    }
