"""A source opened with MNE: its header once, its samples in chunks, in µV."""

import re
import traceback
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import mne
import numpy as np

from eegfm_etl import edf
from eegfm_etl.sniff import sniff
from eegfm_etl.source import Ask, SourceError, SourceHeader

_SKIP = re.compile(r"bad_acq_skip", re.IGNORECASE)
_JOINT = re.compile(r"boundary|^New Segment/", re.IGNORECASE)
_VOLT = 107  # FIFF_UNIT_V


class MneSource:
    """An open recording; a `SampleSource` for `eegfm_etl.harmonise`.

    Parameters
    ----------
    path : Path

    Raises
    ------
    SourceError
        Where the file cannot be read, with a reason that a scientist understands.
    """

    def __init__(self, path: Path) -> None:
        path = Path(path)
        self.format = sniff(path)
        self._edf = edf.read_header(path) if self.format in ("EDF", "BDF") else None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self._raw = _open(self._named_edf(path), self.format)
            segments, annotations = self._times(path)
        self._to_uv, units = self._units()
        self.header = SourceHeader(
            path=str(path),
            format=self.format,
            reader=f"mne {mne.__version__}",
            rate_hz=float(self._raw.info["sfreq"]),
            n_samples=len(self._raw.times),
            names=tuple(self._raw.ch_names),
            types=tuple(self._raw.get_channel_types()),
            rates=self._rates(),
            units=units,
            positions=_positions(self._raw.info),
            annotations=tuple(annotations),
            segments=tuple(segments),
            line_freq_hz=_positive(self._raw.info["line_freq"]),
            hardware_band=_hardware_band(self._raw.info),
            start_time=_start_time(self._raw.info),
            warnings=tuple(dict.fromkeys(str(one.message).splitlines()[0] for one in caught)),
        )

    def _named_edf(self, path: Path) -> Path:
        """Give MNE a link with the suffix that it insists on, where an EDF is named .rec."""
        if path.suffix.lower() != ".rec":
            return path
        self._links = TemporaryDirectory(prefix="eegfm-")  # as long as MNE may read
        link = Path(self._links.name) / f"{path.stem}.edf"
        link.symlink_to(path.resolve())
        return link

    @property
    def rate_hz(self) -> float:
        """Rate of the samples that `read` returns."""
        return self.header.rate_hz

    @property
    def n_samples(self) -> int:
        """Samples of every channel."""
        return self.header.n_samples

    def read(self, start: int, stop: int, rows: Sequence[int] | None = None) -> np.ndarray:
        """Return samples ``start`` to ``stop`` of rows (all: None), float64 in µV, (rows, stop - start)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                data = self._raw.get_data(picks=rows, start=start, stop=stop)
            except MemoryError:
                raise
            except Exception as error:
                raise _translated(Path(self.header.path), self.format, error) from error
        data *= (self._to_uv if rows is None else self._to_uv[list(rows)])[:, None]
        if not np.isfinite(data).all():
            name = Path(self.header.path).name
            raise SourceError(
                "read", f"{name}: some of its samples are not numbers (NaN); it is damaged or a broken export"
            )
        return data

    def _rates(self) -> tuple[float, ...]:
        rate, channels = float(self._raw.info["sfreq"]), len(self._raw.ch_names)
        if self._edf is None or len(self._edf.signals) != channels:
            return (rate,) * channels
        return tuple(self._edf.samples_per_record[i] / self._edf.record_s for i in self._edf.signals)

    def _units(self) -> tuple[np.ndarray, tuple[str | None, ...]]:
        """Factor to µV and the unit's text of every channel.

        MNE takes EDF units that it does not know for volts; what the header says wins.
        """
        channels = len(self._raw.ch_names)
        if self._edf is None or len(self._edf.signals) != channels:
            volts = [ch["unit"] == _VOLT for ch in self._raw.info["chs"]]
            return np.where(volts, 1e6, 1.0), tuple(None if volt else "no voltage" for volt in volts)
        units = [self._edf.units[i] for i in self._edf.signals]
        factors = []
        for unit, name, kind in zip(units, self._raw.ch_names, self._raw.get_channel_types(), strict=True):
            known_to_mne = {"mV": 1e-3, "uV": 1e-6, "µV": 1e-6}.get(unit, 1.0)
            volts = 1.0 if kind == "stim" else edf.unit_factor(unit, name)
            factors.append(1.0 if volts is None or kind == "stim" else 1e6 * volts / known_to_mne)
        return np.array(factors), tuple(units)

    def _times(self, path: Path) -> tuple[list[tuple[float, int, int]], list[tuple[float, float, str]]]:
        rate, n = float(self._raw.info["sfreq"]), len(self._raw.times)
        found = self._raw.annotations
        shift_s = self._raw.first_time if found.orig_time is not None else 0.0
        if self._edf is not None:
            segments = edf.record_segments(path, self._edf, rate)
            segments = [(start, min(first, n), min(stop, n)) for start, first, stop in segments if first < n]
            if len(segments) > 1:  # MNE drops what lies beyond the joined samples
                found, shift_s = mne.read_annotations(path), 0.0
            return segments, _annotations(found, shift_s)
        annotations = _annotations(found, shift_s)
        if self.format == "EEGLAB":
            return _split_at_boundaries(annotations, rate, n)
        skips = [(onset, onset + length) for onset, length, text in annotations if _SKIP.search(text)]
        joints = [round(onset * rate) for onset, _, text in annotations if _JOINT.search(text)]
        kept = [one for one in annotations if not (_SKIP.search(one[2]) or _JOINT.search(one[2]))]
        return _cut(_without(skips, rate, n), joints, rate), kept


def open_recording(path: Path, ask: Ask) -> MneSource:
    """Open an EDF or BDF."""
    return MneSource(path)


def _open(path: Path, kind: str) -> mne.io.BaseRaw:
    readers = {
        "EDF": mne.io.read_raw_edf,
        "BDF": mne.io.read_raw_bdf,
        "GDF": mne.io.read_raw_gdf,
        "EEGLAB": mne.io.read_raw_eeglab,
        "FIF": mne.io.read_raw_fif,
        "BrainVision": mne.io.read_raw_brainvision,
        "ANT": mne.io.read_raw_ant,
    }
    try:
        raw = readers[kind](path, preload=False, verbose="warning")
    except MemoryError:
        raise
    except Exception as error:
        raise _translated(path, kind, error) from error
    if len(raw.times) < 1:
        raise SourceError("read", f"{path.name} opens as {kind} and holds no samples")
    return raw


def _translated(path: Path, kind: str, error: Exception) -> SourceError:
    """MNE's words in a scientist's, for the failures that are known."""
    words = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if kind == "EEGLAB" and "number of trials" in str(error).lower():
        reason = (
            "it holds epochs cut out of a recording, not a continuous recording; ingest the continuous .set"
        )
    elif isinstance(error, FileNotFoundError) or re.search("fdt|number of samples", words.lower()):
        reason = f"a file that belongs to it is missing or cut off ({words}); copy all parts"
    else:
        reason = (
            f"the {kind} reader cannot make sense of it ({words}); it is damaged or of an unusual variant"
        )
    return SourceError("read", f"{path.name}: {reason}", traceback.format_exc())


def _annotations(found: mne.Annotations, shift_s: float) -> list[tuple[float, float, str]]:
    return [
        (float(onset - shift_s), float(length), str(text))
        for onset, length, text in zip(found.onset, found.duration, found.description, strict=True)
    ]


def _split_at_boundaries(
    annotations: list[tuple[float, float, str]], rate_hz: float, n_samples: int
) -> tuple[list[tuple[float, int, int]], list[tuple[float, float, str]]]:
    """EEGLAB counts events in joined samples; a boundary's duration is what was cut out."""
    cuts = sorted((onset, length) for onset, length, text in annotations if _JOINT.search(text))
    segments, first, start_s = [], 0, 0.0
    for onset, length in cuts:
        stop = min(max(round(onset * rate_hz), 0), n_samples)
        if stop <= first:  # a boundary before the first sample cuts nothing that we hold
            continue
        segments.append((start_s, first, stop))
        start_s += (stop - first) / rate_hz + length
        first = stop
    if first < n_samples:
        segments.append((start_s, first, n_samples))
    kept = [
        (_gap_time(onset, segments, rate_hz), length, text)
        for onset, length, text in annotations
        if not _JOINT.search(text)
    ]
    return segments, kept


def _gap_time(joined_s: float, segments: list[tuple[float, int, int]], rate_hz: float) -> float:
    start_s, first, _ = max((one for one in segments if one[1] / rate_hz <= joined_s), default=segments[0])
    return start_s + joined_s - first / rate_hz


def _without(
    skips: list[tuple[float, float]], rate_hz: float, n_samples: int
) -> list[tuple[float, int, int]]:
    """Segments between stretches that were never acquired and are filled with zeros."""
    segments, first = [], 0
    for start_s, stop_s in sorted(skips):
        stop = min(max(round(start_s * rate_hz), 0), n_samples)
        if stop > first:
            segments.append((first / rate_hz, first, stop))
        first = max(first, min(round(stop_s * rate_hz), n_samples))
    if first < n_samples:
        segments.append((first / rate_hz, first, n_samples))
    if not segments:
        raise SourceError(
            "segments", "the recording was paused from its first sample to its last: nothing was acquired"
        )
    return segments


def _cut(
    segments: list[tuple[float, int, int]], joints: list[int], rate_hz: float
) -> list[tuple[float, int, int]]:
    """End segments where pieces were joined; how long the gap was nobody wrote down."""
    pieces = []
    for start_s, first, stop in segments:
        edges = [first, *sorted({joint for joint in joints if first < joint < stop}), stop]
        pieces += [(start_s + (a - first) / rate_hz, a, b) for a, b in pairwise(edges)]
    return pieces


def _positions(info: mne.Info) -> dict[str, tuple[float, float, float]]:
    head = mne.io.constants.FIFF.FIFFV_COORD_HEAD
    found = {}
    for ch in info["chs"]:
        xyz = ch["loc"][:3]
        if ch["coord_frame"] == head and np.isfinite(xyz).all() and np.any(xyz):
            found[ch["ch_name"]] = (float(xyz[0]), float(xyz[1]), float(xyz[2]))
    return found


def _hardware_band(info: mne.Info) -> tuple[float | None, float | None] | None:
    """MNE writes 0 Hz and the Nyquist frequency where the header does not say."""
    low = _positive(info["highpass"])
    high = float(info["lowpass"]) if 0 < info["lowpass"] < 0.499 * info["sfreq"] else None
    return None if low is None and high is None else (low, high)


def _positive(value: float | None) -> float | None:
    return float(value) if value is not None and value > 0 else None


def _start_time(info: mne.Info) -> str | None:
    return None if info["meas_date"] is None else info["meas_date"].isoformat()
