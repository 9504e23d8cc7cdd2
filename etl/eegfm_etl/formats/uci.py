"""The text files of the EEG Database at UCI: one trial a file, one sample a line.

https://archive.ics.uci.edu/dataset/121/eeg+database. A folder of trials is a recording; each trial is a segment,
laid end to end in the order of the trials' numbers: the pauses between them were not kept.
"""

import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from eegfm_etl.companions import TRIAL
from eegfm_etl.source import Ask, Headed, SourceError, SourceHeader

_CONDITION = re.compile(r"^# (?P<text>.+?)\s*,\s*trial\s+(?P<trial>\d+)")
_LARGEST_BYTES = 16 * 2**20  # a trial of 64 channels and a second has 0.4 MB
_STEP = re.compile(r"^# (?P<ms>[\d.]+) msecs (?P<unit>\S+)")
_CHANNEL = re.compile(r"^# (?P<name>\S+) chan \d+")


@dataclass(frozen=True)
class _Trial:
    name: str
    condition: str
    rate_hz: float
    unit: str
    channels: tuple[str, ...]
    samples_CN: np.ndarray


class UciTrials(Headed):
    """Trials of one person as a recording; a `SampleSource` for `eegfm_etl.chain.harmonise`.

    Parameters
    ----------
    path : Path
        A folder of ``co2a0000364.rd.000.gz`` …, or one such file, compressed or not.

    Raises
    ------
    SourceError
        Where none of them can be read.
    """

    def __init__(self, path: Path) -> None:
        path = Path(path)
        files = trial_files(path)
        read = [_read(one) for one in files]
        trials = [one for one in read if isinstance(one, _Trial)]
        notes = [one for one in read if isinstance(one, str)]
        kept = [one for one in trials if one.channels == trials[0].channels and one.unit == trials[0].unit]
        notes += [f"{one.name} holds other channels and was left out" for one in trials if one not in kept]
        if not kept:
            raise SourceError("read", f"{path.name} holds no trial that can be read ({'; '.join(notes[:3])})")
        self._samples_CN = np.concatenate([one.samples_CN for one in kept], axis=1)
        rate_hz, channels = kept[0].rate_hz, kept[0].channels
        edges = np.cumsum([0, *(one.samples_CN.shape[1] for one in kept)]).tolist()
        self.header = SourceHeader(
            path=str(path),
            format="UCI text",
            reader="eegfm",
            rate_hz=rate_hz,
            n_samples=edges[-1],
            names=channels,
            types=("eeg",) * len(channels),
            rates=(rate_hz,) * len(channels),
            units=(kept[0].unit,) * len(channels),
            positions={},
            annotations=tuple(
                (first / rate_hz, (stop - first) / rate_hz, one.condition)
                for one, first, stop in zip(kept, edges[:-1], edges[1:], strict=True)
            ),
            segments=tuple((first / rate_hz, first, stop) for first, stop in pairwise(edges)),
            notes=tuple(notes),
        )

    def read(self, start: int, stop: int, rows: Sequence[int] | None = None) -> np.ndarray:
        """Return samples ``start`` to ``stop`` of rows (all: None), float64 in µV, (rows, stop - start)."""
        chosen = slice(None) if rows is None else np.asarray(rows, dtype=np.int64)
        return self._samples_CN[chosen, start:stop].copy()


def open_recording(path: Path, ask: Ask) -> UciTrials:
    """Open a folder of trials, or one of them."""
    return UciTrials(path)


def trial_files(path: Path) -> list[Path]:
    """List the trials that a path means, by their number; none where it is no such recording."""
    if path.is_file():
        return [path] if TRIAL.fullmatch(path.name) else []
    if not path.is_dir():
        return []
    found = [one for one in path.iterdir() if TRIAL.fullmatch(one.name)]
    return sorted(found, key=lambda one: one.name)


def _read(path: Path) -> _Trial | str:
    """One trial, or why it was left out."""
    try:
        with path.open("rb") as packed:
            compressed = packed.read(2) == b"\x1f\x8b"
        with (gzip.open if compressed else open)(path, "rb") as file:
            raw = file.read(_LARGEST_BYTES + 1)
        lines = raw.decode("ascii").splitlines()
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        return f"{path.name} cannot be read ({error}) and was left out"
    if len(raw) > _LARGEST_BYTES:
        return f"{path.name} holds more than {_LARGEST_BYTES:,} bytes: it is no trial, and was left out"
    comments = [line for line in lines if line.startswith("#")]
    step = next((found for line in comments if (found := _STEP.match(line))), None)
    condition = next((found for line in comments if (found := _CONDITION.match(line))), None)
    channels = [found["name"] for line in comments if (found := _CHANNEL.match(line))]
    values = [line.split() for line in lines if line and not line.startswith("#")]
    if step is None or condition is None or not channels or not values:
        return f"{path.name} holds no samples and was left out"
    try:
        samples_CN = np.array([float(row[3]) for row in values]).reshape(len(channels), -1)
    except (ValueError, IndexError):
        return f"{path.name} is cut off or damaged and was left out"
    if [row[1] for row in values[:: samples_CN.shape[1]]] != channels or not np.isfinite(samples_CN).all():
        return f"{path.name} is cut off or damaged and was left out"
    text = condition["text"].rstrip(" ,")
    rate_hz = float(round(1000 / float(step["ms"])))  # 3.906 ms stand for 256 Hz
    return _Trial(path.name, text, rate_hz, step["unit"], tuple(channels), samples_CN)
