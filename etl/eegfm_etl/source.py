"""What a source recording says about itself, and how it says that it cannot be read."""

from dataclasses import dataclass, field

from eegfm_lake.errors import EegfmError


class SourceError(EegfmError):
    """A source cannot become a recording.

    Parameters
    ----------
    step : str
        Where it failed: ``read``, ``units``, ``segments``, ``channels`` …
    reason : str
        One line that a scientist understands: what was found, what was expected, what to do.
    detail : str
        The reader's own words or a traceback.
    """

    def __init__(self, step: str, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.step, self.reason, self.detail = step, reason, detail

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (self.step, self.reason, self.detail)


@dataclass(frozen=True)
class SourceHeader:
    """Everything about a source but its samples; never a field about the person.

    Attributes
    ----------
    rate_hz, n_samples
        Of the samples that ``read`` returns: every channel at the fastest channel's rate.
    rates
        The rate in Hz at which the source holds each channel.
    units
        Unit of each channel as the source writes it; None where the format leaves no choice.
    positions
        Electrode name to (x, y, z) in metres, MNE's head frame; only those that the file measured.
    annotations
        (onset_s, duration_s, text); seconds from the first sample, gaps included.
    segments
        (start_s, first, stop) in source samples; a gap in time ends a segment.
    hardware_band
        (high-pass, low-pass) of the recording hardware in Hz; None where the header does not say.
    start_time
        ISO 8601 or None.
    """

    path: str
    format: str
    reader: str
    rate_hz: float
    n_samples: int
    names: tuple[str, ...]
    types: tuple[str, ...]
    rates: tuple[float, ...]
    units: tuple[str | None, ...]
    positions: dict[str, tuple[float, float, float]]
    annotations: tuple[tuple[float, float, str], ...]
    segments: tuple[tuple[float, int, int], ...]
    line_freq_hz: float | None = None
    hardware_band: tuple[float | None, float | None] | None = None
    start_time: str | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def duration_s(self) -> float:
        """Seconds from the first sample to the end of the last, gaps included."""
        start_s, first, stop = self.segments[-1]
        return start_s + (stop - first) / self.rate_hz
