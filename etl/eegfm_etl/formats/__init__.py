"""Every format that is read, one module each; which one reads a file its first bytes decide."""

import math
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from eegfm_etl import companions
from eegfm_etl.formats.recording import translated
from eegfm_etl.sidecars import with_annotations
from eegfm_etl.sniff import sniff
from eegfm_etl.source import Ask, OpenSource, SourceError, SourceHeader

# Format, as `eegfm_etl.sniff.sniff` names it, to the module whose ``open_recording(path, ask)`` reads it. Modules
# are imported when first needed: their libraries take seconds together.
OPENERS: dict[str, str] = {
    "EDF": "eegfm_etl.formats.edf_source",
    "BDF": "eegfm_etl.formats.edf_source",
    "BCI2000": "eegfm_etl.formats.bci2000",
    "ANT": "eegfm_etl.formats.ant",
    "BESA average": "eegfm_etl.formats.averages",
    "BrainVision": "eegfm_etl.formats.brainvision",
    "Curry": "eegfm_etl.formats.curry",
    "EEGLAB": "eegfm_etl.formats.eeglab",
    "FIF": "eegfm_etl.formats.fif",
    "GDF": "eegfm_etl.formats.gdf",
    "MATLAB": "eegfm_etl.formats.matlab",
    "MFF": "eegfm_etl.formats.mff",
    "Neuralynx": "eegfm_etl.formats.neuralynx",
    "Neuroscan": "eegfm_etl.formats.neuroscan",
    "NumPy": "eegfm_etl.formats.matlab",
    "UCI text": "eegfm_etl.formats.uci",
    "XDF": "eegfm_etl.formats.xdf",
    "text table": "eegfm_etl.formats.tables",
    **dict.fromkeys(
        ("EGI", "NEDF", "NSx", "Nicolet", "Nihon Kohden", "Persyst", "eXimia"),
        "eegfm_etl.formats.plain",
    ),
}


def open_source(path: str | Path, ask: Ask | None = None, kind: str | None = None) -> OpenSource:
    """Open a recording in this process; for files that nobody has checked use `ReaderProcess`.

    Parameters
    ----------
    path
        The file, or the folder where the format is one.
    ask
        What the reader must be told.
    kind
        The format, where `eegfm_etl.sniff.sniff` was asked already.

    Returns
    -------
    OpenSource
        With a ``header`` (`eegfm_etl.source.SourceHeader`).

    Raises
    ------
    SourceError
        Where the file cannot be read.
    """
    path, ask = Path(path), ask or Ask()
    kind = kind or sniff(path)
    if kind not in OPENERS:
        raise SourceError("read", f"{path.name}: {kind} is not read")
    if ask.triggers is not None and kind != "FIF":
        raise SourceError(
            "read", f"{path.name}: a channel of triggers can be declared for FIF only, not for {kind}"
        )
    try:
        source: OpenSource = import_module(OPENERS[kind]).open_recording(path, ask)
    except (SourceError, MemoryError):
        raise
    except Exception as error:  # a damaged header makes any parser fail in any way
        raise translated(path, kind, error) from error
    _refuse_impossible(path, source.header)
    beside = [str(one) for one in companions.parts(path) if one != path]
    source.header = replace(source.header, parts=tuple(dict.fromkeys([*source.header.parts, *beside])))
    if ask.annotations and kind not in ("EDF", "BDF"):  # which read them themselves
        source.header = with_annotations(source.header, ask.annotations)
    return source


def _refuse_impossible(path: Path, header: SourceHeader) -> None:
    """Refuse what no recording can be, whatever its reader made of a damaged header."""
    if not header.names:
        raise SourceError(
            "read", f"{path.name} opens as {header.format} and holds no channel; fetch it again"
        )
    if header.n_samples < 1 or not header.segments:
        raise SourceError(
            "read", f"{path.name} opens as {header.format} and holds no samples; fetch it again"
        )
    if not all(math.isfinite(rate) and rate > 0 for rate in (header.rate_hz, *header.rates)):
        raise SourceError(
            "read", f"{path.name}: a rate of {header.rate_hz:g} Hz is none; the header is damaged"
        )
