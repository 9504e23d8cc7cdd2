"""EGI .mff: a folder of XML and one binary file a signal.

MNE reads it through mffpy. Read here: whether it holds averages (MNE opens them as a recording of some samples),
whether its samples are there at all, and pauses, which MNE fills with zeros: they are gaps.
"""

from pathlib import Path

import mne

from eegfm_etl.formats.of_mne import explained, recording
from eegfm_etl.formats.recording import Recording
from eegfm_etl.source import Ask, SourceError

_PERSONAL_NAMES = ("localIdentifier", "firstName", "lastName", "birthdate", "dateOfBirth", "name", "id")


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open an .mff folder.

    Raises
    ------
    SourceError
        Where its samples are missing, or it holds averages.
    """
    names = {one.name for one in path.iterdir()}
    if not any(name.startswith("signal") and name.endswith(".bin") for name in names):
        raise SourceError(
            "read",
            f"{path.name} has no signal1.bin: the samples are missing (a partial copy or download); copy the whole "
            "folder",
        )
    if missing := [name for name in ("info.xml", "epochs.xml") if name not in names]:
        raise SourceError("read", f"{path.name} lacks {missing[0]}; copy the whole folder")
    with explained(path, "MFF") as warned:
        import mffpy  # only for this format

        flavor = mffpy.Reader(str(path)).flavor
        if flavor == "averaged":
            raise SourceError("average", f"{path.name} holds averages of trials, not a recording")
        raw = mne.io.read_raw_egi(path, events_as_annotations=True, verbose="warning")
        notes = ["pauses are gaps; MNE fills them with zeros"] if _paused(raw) else []
        return recording(raw, path, "MFF", notes=notes, warned=warned)


def _paused(raw: mne.io.BaseRaw) -> bool:
    return any(text.upper() == "BAD_ACQ_SKIP" for text in raw.annotations.description)
