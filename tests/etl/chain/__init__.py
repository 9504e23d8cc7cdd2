"""What the tests of the signal chain share: recordings made on the spot, and their stored samples."""

from pathlib import Path

import numpy as np

from eegfm_etl.chain.harmonise import ArraySource, Harmonised, SampleSource, Segment, harmonise
from eegfm_etl.channels import plan_channels
from eegfm_lake.electrodes import positions
from eegfm_lake.schema import PROFILES
from eegfm_lake.signals import SignalReader
from eegfm_lake.storage import Storage

EEG200 = PROFILES["eeg200"]
NAMES = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8", "T7", "T8", "P7", "P8")


def noise(n_channels: int, seconds: float, rate_hz: float, seed: int = 0) -> np.ndarray:
    """EEG-like noise in µV: a spectrum that falls, alike in channels that lie close, with an offset."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate_hz)
    shape = 1 / np.sqrt(np.maximum(np.fft.rfftfreq(n, 1 / rate_hz), 0.5))
    pink = np.fft.irfft(np.fft.rfft(rng.standard_normal((n_channels, n)), axis=1) * shape, n, axis=1)
    xyz = positions((NAMES * (n_channels // len(NAMES) + 1))[:n_channels])
    mixing = np.exp(-(np.linalg.norm(xyz[:, None] - xyz[None], axis=2) ** 2) / (2 * 0.05**2))
    return 20 * mixing @ pink + 0.5 * rng.standard_normal(pink.shape) + rng.normal(0, 200, (n_channels, 1))


def harmonised(
    source: np.ndarray | SampleSource,
    rate_hz: float,
    out: Path,
    *,
    names: tuple[str, ...] | None = None,
    segments: list[Segment] | None = None,
    line_freq_hz: float | None = 50.0,
    hardware_band: tuple[float | None, float | None] | None = None,
    chunk_s: float = 60.0,
) -> Harmonised:
    """Harmonise an array of EEG in µV, or any source with `names`."""
    if isinstance(source, np.ndarray):
        source = ArraySource(source, rate_hz)
    names = names or tuple(f"EEG {row:03d}" for row in range(source.read(0, 1).shape[0]))
    return harmonise(
        source,
        plan_channels(names, ["eeg"] * len(names), None, [rate_hz] * len(names)),
        profile=EEG200,
        segments=segments or [Segment(0.0, 0, source.n_samples)],
        line_freq_hz=line_freq_hz,
        line_freq_origin=None if line_freq_hz is None else "declared",
        hardware_band=hardware_band,
        out=out,
        chunk_s=chunk_s,
    )


def run(
    source: np.ndarray | SampleSource, rate_hz: float, out: Path, **options
) -> tuple[Harmonised, np.ndarray]:
    """Harmonise and read back all that was stored, (C, N) µV; options as for `harmonised`."""
    done = harmonised(source, rate_hz, out, **options)
    reader = SignalReader(Storage(out.parent), out.name)
    return done, reader.read_uv(0, reader.n_samples)
