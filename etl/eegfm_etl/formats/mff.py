"""EGI .mff: a folder of XML and one binary file a signal.

MNE reads it through mffpy. Read here: whether it holds averages (MNE opens them as a recording of some samples),
whether its samples are there at all, and pauses, which MNE fills with zeros: they are gaps.
"""

import re
from dataclasses import replace
from pathlib import Path

import mne

from eegfm_etl.formats.of_mne import explained, filled_in, recording
from eegfm_etl.formats.recording import Recording
from eegfm_etl.source import Ask, SourceError


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
        if _averaged(path):
            raise SourceError("average", f"{path.name} holds averages of trials, not a recording")
        raw = mne.io.read_raw_egi(path, events_as_annotations=True, verbose="warning")
        notes = ["pauses are gaps; MNE fills them with zeros"] if _paused(raw) else []
        opened = recording(raw, path, "MFF", notes=notes, warned=warned)
    personal = tuple(dict.fromkeys((*opened.header.personal, *_personal(path))))
    return replace(opened, header=replace(opened.header, personal=personal))


def _personal(path: Path) -> list[str]:
    """Names of the fields of subject.xml that are filled in."""
    subject = path / "subject.xml"
    text = subject.read_text(encoding="utf-8", errors="replace") if subject.exists() else ""
    fields = re.findall(r"<field>(.*?)</field>", text, re.DOTALL)
    found = []
    for field in fields:
        name = re.search(r"<name>\s*([^<]+?)\s*</name>", field)
        data = re.search(r"<data[^>]*>\s*([^<]+?)\s*</data>", field)
        if name and data and filled_in(data.group(1)):
            found.append(name.group(1))
    return found


def _averaged(path: Path) -> bool:
    """Whether its history or its categories say that trials were averaged (``#seg``: how many)."""
    import mffpy  # only for this format

    history, categories = path / "history.xml", path / "categories.xml"
    if history.exists() and mffpy.XML.from_file(str(history)).mff_flavor() == "averaged":
        return True
    return categories.exists() and "<keyCode>#seg</keyCode>" in categories.read_text(
        encoding="utf-8", errors="replace"
    )


def _paused(raw: mne.io.BaseRaw) -> bool:
    return any(text.upper() == "BAD_ACQ_SKIP" for text in raw.annotations.description)
