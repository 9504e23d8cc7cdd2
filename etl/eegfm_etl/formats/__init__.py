"""Every format that is read, one module each; which one reads a file its first bytes decide."""

from pathlib import Path

from eegfm_etl.formats import arrays, uci
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
    path, ask = Path(path), ask or Ask()
    if isinstance(ask.layout, ArrayLayout):
        return arrays.open_recording(path, ask)
    if uci.trial_files(path):
        return uci.open_recording(path, ask)
    return MneSource(path, ask)
