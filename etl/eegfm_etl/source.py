"""What a source recording says about itself, what it must be told, and how it says that it cannot be read."""

from dataclasses import dataclass, field
from typing import Protocol

from eegfm_etl.chain.samples import SampleSource
from eegfm_lake.errors import EegfmError

CUT_OFF = "cut off"
"""How the note of a reader begins that found less than the header says and reads what is there."""

NO_VARIABLE = "holds no variable"
"""What the reason says of a file of arrays without the one that is declared."""


class SourceError(EegfmError):
    """A source cannot become a recording.

    Parameters
    ----------
    step : str
        Where it failed: one of `eegfm_lake.schema.FAILURE_STEPS`.
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
class TableLayout:
    """A text table's columns: what its file does not say.

    Attributes
    ----------
    columns : tuple of str
        Channel name of each column in order; an empty name leaves the column out.
    rate_hz : float
    unit : str
        Of all columns.
    separator : str
        Between columns; "" takes any white space.
    comment : str
        A line that begins so is no row.
    skip_lines : int
        Lines before the first row.
    """

    columns: tuple[str, ...]
    rate_hz: float
    unit: str
    separator: str = ","
    comment: str = "%"
    skip_lines: int = 0


@dataclass(frozen=True)
class ArrayLabels:
    """Where a MATLAB or NumPy file holds its trials' labels.

    Attributes
    ----------
    values : str
        Variable with one value a trial; a matrix of zeros and ones (one-hot) gives the place of the one,
        counted from one.
    onsets : str
        Variable with the sample, counted from one within its own array, at which each value holds; "" is
        the trial's start.
    shift_s : float
        From that sample to the event.
    duration_s : float or None
        Of the event; None is the trial's length, or unknown where `onsets` says when.
    prefix : str
        Written before the value: ``class `` and 1 make the annotation ``class 1``.
    """

    values: str
    onsets: str = ""
    shift_s: float = 0.0
    duration_s: float | None = None
    prefix: str = ""


@dataclass(frozen=True)
class ArrayLayout:
    """Where a MATLAB or NumPy file holds samples: what the file does not say.

    Attributes
    ----------
    variable : str
        Name of the array; a dot leads into a struct (``EEG.data``) and into each cell of a cell array
        (``data.X``), a ``*`` takes every top-level variable of such a name, by the number it ends with.
        Several arrays are segments, laid end to end.
    axes : str
        Names of its axes in MATLAB's order: ``channel time``, ``time channel``, ``trial channel time`` …;
        trials are segments of their own, laid end to end.
    channels : tuple of str
        An empty name leaves the channel out; none at all where `names` says where the file holds them.
    rate_hz : float
    unit : str
    names : str
        Variable that holds the channels' names.
    labels : tuple of ArrayLabels
        They become annotations. Without any, every array or trial is annotated ``trial``.
    """

    variable: str
    axes: str
    channels: tuple[str, ...]
    rate_hz: float
    unit: str
    names: str = ""
    labels: tuple[ArrayLabels, ...] = ()


@dataclass(frozen=True)
class Ask:
    """What a reader must be told about a file, because the file does not say it.

    Attributes
    ----------
    layout
        Columns of a text table, or the place of an array.
    annotations
        Paths of files whose annotations belong to this recording (a hypnogram's EDF, a .seizures file).
    entry
        Which recording of a file that holds several (an XDF stream's name).
    triggers
        Name of a FIF's channel whose steps to another value than zero are events, named by that value.
    """

    layout: TableLayout | ArrayLayout | None = None
    annotations: tuple[str, ...] = ()
    entry: str | None = None
    triggers: str | None = None


@dataclass(frozen=True)
class SourceHeader:
    """Everything about a source but its samples; never a field about the person.

    Attributes
    ----------
    rate_hz, n_samples
        Of the fastest channel.
    rates
        The rate in Hz at which the source holds each channel; `read` gives rows of one rate at that rate.
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
    recorded
        (covariate, value) of the methodology that the file itself states (``reference``, ``amplifier`` …).
    parts
        Further files that were read: a header's data, markers, sidecars.
    personal
        Names of the header's fields about a person that were filled in; their values never leave the reader.
    faults
        (channel, reason) of channels whose samples mean nothing though they can be read; zeros were read.
    notes
        What was read otherwise than MNE would, or repaired, in words: units, gaps, gains, dates.
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
    recorded: tuple[tuple[str, str], ...] = ()
    parts: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    faults: tuple[tuple[int, str], ...] = ()

    @property
    def duration_s(self) -> float:
        """Seconds from the first sample to the end of the last, gaps included."""
        start_s, first, stop = self.segments[-1]
        return start_s + (stop - first) / self.rate_hz


class OpenSource(SampleSource, Protocol):
    """A source of samples with what it says about itself."""

    header: SourceHeader


class Headed:
    """As fast and as long as its header says: a `eegfm_etl.chain.samples.SampleSource` but for its samples."""

    header: SourceHeader

    @property
    def rate_hz(self) -> float:
        """Rate of the fastest channel."""
        return self.header.rate_hz

    @property
    def n_samples(self) -> int:
        """Samples of the fastest channel."""
        return self.header.n_samples
