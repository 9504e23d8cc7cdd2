"""What the BCI Competition's data sets 2a and 2b have in common: codes, and labels published apart.

Brunner et al., https://www.bbci.de/competition/iv/desc_2a.pdf; Leeb et al., https://www.bbci.de/competition/iv/desc_2b.pdf.
"""

from collections.abc import Iterable
from pathlib import Path

from eegfm_etl.readers import ReaderProcess
from eegfm_etl.source import NO_VARIABLE, ArrayLayout, Ask, SourceError

LABELS = {
    "276": "rest/eyes_open",
    "277": "rest/eyes_closed",
    "768": "trial/start",
    "769": "motor/imagery/left_hand",
    "770": "motor/imagery/right_hand",
    "1023": "artifact/rejected_trial",
    "32766": "run/start",
}
METHODOLOGY = (
    ("site", "Graz University of Technology", "declared"),
    ("country", "AT", "declared"),
    ("hardware_notch", "50", "declared"),
)


def true_labels(root: Path, rels: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read the classes of sessions' trials from their ``classlabel``, in a process of its own.

    SciPy's reader can crash the interpreter over a damaged file, and this is asked where an ingest is planned.

    Parameters
    ----------
    root : Path
    rels : iterable of str
        MATLAB files below it.

    Returns
    -------
    dict of str to tuple of str
        Of those files that are lists of labels: ``1`` and so on, first trial to last. None of them where a file
        cannot be read: then they do not fit the cues, and the session's failure names both.
    """
    found = {}
    with ReaderProcess() as reader:
        for rel in rels:
            labels = _labels(reader, root / rel)
            if labels is not None:
                found[rel] = labels
    return found


def _labels(reader: ReaderProcess, path: Path) -> tuple[str, ...] | None:
    for axes in ("time channel", "channel time"):  # a column, a row
        layout = ArrayLayout("classlabel", axes, ("class",), rate_hz=1.0, unit="")
        try:
            source = reader.open(path, Ask(layout=layout))
            return tuple(f"{int(one)}" for one in source.read(0, source.n_samples)[0])
        except SourceError as error:
            if NO_VARIABLE in error.reason:
                return None
    return ()


def in_order(labels: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """`Job.in_order`: what the cues of an evaluation, all "unknown" (783), say in truth."""
    return {"783": tuple(f"{768 + int(one)}" for one in labels)}
