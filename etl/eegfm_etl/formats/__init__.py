"""Every format that is read, one module each; which one reads a file its first bytes decide."""

from pathlib import Path

from eegfm_etl.formats import uci
from eegfm_etl.formats.arrays import ArrayFile
from eegfm_etl.mne_source import MneSource
from eegfm_etl.samples import SampleSource
from eegfm_etl.source import ArrayLayout, Ask


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
    path = Path(path)
    if ask is not None and isinstance(ask.layout, ArrayLayout):
        return ArrayFile(path, ask.layout)
    if uci.trial_files(path):
        return uci.UciTrials(path)
    return MneSource(path, ask)
