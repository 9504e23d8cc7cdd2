"""Every format that is read, one module each; which one reads a file its first bytes decide."""

from pathlib import Path

from eegfm_etl.formats.edf_source import EdfSource
from eegfm_etl.mne_source import MneSource
from eegfm_etl.samples import SampleSource
from eegfm_etl.sniff import sniff
from eegfm_etl.source import Ask


def open_source(path: str | Path, ask: Ask | None = None) -> SampleSource:
    """Open a recording in this process; for files that nobody has checked use `ReaderProcess`.

    Parameters
    ----------
    path
        The file, or the folder where the format is one.
    ask
        What the reader must be told.

    Returns
    -------
    SampleSource
        With a ``header`` (`eegfm_etl.source.SourceHeader`).

    Raises
    ------
    SourceError
        Where the file cannot be read.
    """
    if sniff(Path(path)) in ("EDF", "BDF"):
        return EdfSource(Path(path), ask)
    return MneSource(Path(path))
