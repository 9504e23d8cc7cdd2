"""An open recording: its header, and samples in µV from wherever they lie."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eegfm_etl.source import Headed, SourceError, SourceHeader

_FACTORS_UV = {"v": 1e6, "mv": 1e3, "uv": 1.0, "µv": 1.0, "μv": 1.0, "nv": 1e-3, "microvolt": 1.0, "microvolts": 1.0,
               "volt": 1e6, "volts": 1e6, "millivolt": 1e3, "millivolts": 1e3, "muv": 1.0}  # fmt: skip


IMPOSSIBLE_UV = 1e14
"""A hundred million volts: float32 holds the square of what is below."""


@dataclass
class Recording(Headed):
    """An open recording; a `eegfm_etl.chain.samples.SampleSource`.

    Parameters
    ----------
    header : SourceHeader
    samples : callable
        (start, stop, rows) to float64 µV of shape (rows, stop - start); rows None: all.
    """

    header: SourceHeader
    samples: Callable[[int, int, Sequence[int] | None], np.ndarray]

    def read(self, start: int, stop: int, rows: Sequence[int] | None = None) -> np.ndarray:
        """Give samples ``start`` to ``stop`` of rows (all: None), float64 in µV, (rows, stop - start).

        Raises
        ------
        SourceError
            Where a sample is no number, or the reader fails.
        """
        path = Path(self.header.path)
        try:
            data = np.asarray(self.samples(start, stop, rows), dtype=np.float64)
        except (SourceError, MemoryError):
            raise
        except Exception as error:
            raise translated(path, self.header.format, error) from error
        if not np.isfinite(data).all():
            raise not_numbers(path)
        return data


def not_numbers(path: Path) -> SourceError:
    """Make the error of a recording with NaN or infinite samples."""
    return SourceError(
        "read", f"{path.name}: some of its samples are not numbers (NaN); it is damaged or a broken export"
    )


def translated(path: Path, kind: str, error: Exception) -> SourceError:
    """Put a reader's words in a scientist's; what Python says of itself stays in the detail."""
    words = next(iter(str(error).strip().splitlines()), "").strip()
    if isinstance(error, FileNotFoundError):
        reason = f"a file that belongs to it is missing ({words}); copy all parts of the recording"
    elif isinstance(error, ImportError):
        reason = f"a library that reads {kind} is missing ({words}); install eegfm[etl]"
    else:
        plain = isinstance(error, RuntimeError | NotImplementedError | OSError) and words
        said = f" (its reader says: {words})" if plain else ""
        reason = (
            f"it cannot be read as {kind}{said}: it is damaged, cut off, or of a variant that is not known"
        )
    return SourceError("read", f"{path.name}: {reason}", traceback.format_exc())


def of_array(header: SourceHeader, data: np.ndarray, to_uv: np.ndarray | float = 1.0) -> Recording:
    """Wrap samples that are in memory or mapped: (channels, samples), times `to_uv`."""
    factors = np.broadcast_to(np.asarray(to_uv, dtype=np.float64), (len(header.names),))

    def samples(start: int, stop: int, rows: Sequence[int] | None) -> np.ndarray:
        chosen = np.arange(len(header.names)) if rows is None else np.asarray(rows, dtype=np.int64)
        return np.asarray(data[chosen, start:stop], dtype=np.float64) * factors[chosen, None]

    return Recording(header, samples)


def factor_uv(unit: str | None) -> float | None:
    """µV in one `unit`; None where the text names no voltage."""
    return _FACTORS_UV.get((unit or "").strip().lower())


def epoch_segments(n_epochs: int, samples: int, rate_hz: float) -> tuple[tuple[float, int, int], ...]:
    """One segment an epoch, laid end to end: when each was recorded the file does not say."""
    return tuple((i * samples / rate_hz, i * samples, (i + 1) * samples) for i in range(n_epochs))


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """Names as they are where they differ; those that repeat get running numbers, as MNE gives them."""
    seen = {name: names.count(name) for name in names}
    count: dict[str, int] = {}
    made = []
    for name in names:
        if seen[name] > 1 or not name:
            made.append(f"{name}-{count.setdefault(name, 0)}")
            count[name] += 1
        else:
            made.append(name)
    return tuple(made)
