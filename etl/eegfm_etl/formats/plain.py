"""Formats that MNE reads as they are: ANT, EGI .raw, Nihon Kohden, NEDF, Nicolet, eXimia, Blackrock.

What MNE gets wrong of them is put right here and said in the notes; formats that need more have modules of
their own.
"""

import re
from dataclasses import replace
from pathlib import Path

import mne
import numpy as np

from eegfm_etl.formats.of_mne import explained, filled_in, recording
from eegfm_etl.formats.recording import Recording
from eegfm_etl.sniff import sniff
from eegfm_etl.source import Ask, SourceError


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open a recording that MNE reads.

    Raises
    ------
    SourceError
        Where it cannot be read, or holds no EEG.
    """
    return _OPENERS[sniff(path)](path)


def _ant(path: Path) -> Recording:
    with explained(path, "ANT") as warned:
        raw = mne.io.read_raw_ant(path, verbose="warning")
        return recording(raw, path, "ANT", warned=warned)


def _egi(path: Path) -> Recording:
    with explained(path, "EGI .raw") as warned:
        raw = mne.io.read_raw_egi(path, verbose="warning")
        return recording(raw, path, "EGI", warned=warned)


def _nihon(path: Path) -> Recording:
    with explained(path, "Nihon Kohden") as warned:
        raw = mne.io.read_raw_nihon(path, verbose="warning")
        opened = recording(raw, path, "Nihon Kohden", warned=warned)
    # The patient's file names its fields in the recorder's language; none of it is read
    patient = tuple("patient's file (.PNT)" for one in opened.header.parts if one.lower().endswith(".pnt"))
    return replace(opened, header=replace(opened.header, personal=patient))


def _nedf(path: Path) -> Recording:
    with explained(path, "NEDF") as warned:
        raw = mne.io.read_raw_nedf(path, verbose="warning")
        return recording(raw, path, "NEDF", warned=warned)


def _persyst(path: Path) -> Recording:
    with explained(path, "Persyst") as warned:
        raw = mne.io.read_raw_persyst(path, verbose="warning")
        opened = recording(raw, path, "Persyst", warned=warned)
    text = path.read_bytes().decode("latin-1")
    patient = re.search(r"^\[Patient\](.*?)(?:^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    fields = re.findall(r"^(\w+)=([^\r\n]*)", patient.group(1) if patient else "", re.MULTILINE)
    personal = tuple(name for name, value in fields if filled_in(value) and not name.startswith("Test"))
    return replace(opened, header=replace(opened.header, personal=personal))


def _nicolet(path: Path) -> Recording:
    if not path.with_suffix(".head").is_file():
        raise SourceError("read", f"{path.name}: a Nicolet recording needs its .head beside it; copy both")
    with explained(path, "Nicolet") as warned:
        raw = mne.io.read_raw_nicolet(path, ch_type="eeg", verbose="warning")
        opened = recording(raw, path, "Nicolet", warned=warned)
    fields = re.findall(
        r"^(pat_id|adm_id)=(.*)$", path.with_suffix(".head").read_text("latin-1"), re.MULTILINE
    )
    personal = tuple(name for name, value in fields if filled_in(value))
    return replace(opened, header=replace(opened.header, personal=personal))


def _eximia(path: Path) -> Recording:
    with explained(path, "eXimia") as warned:
        raw = mne.io.read_raw_eximia(path, verbose="warning")
    note = "values are µV; MNE calls them volts (factor 10^6)"
    return recording(raw, path, "eXimia", warned=warned, to_uv=np.ones(len(raw.ch_names)), notes=(note,))


def _nsx(path: Path) -> Recording:
    with explained(path, "NSx") as warned:
        raw = mne.io.read_raw_nsx(path, verbose="warning")
        return recording(raw, path, "NSx", warned=warned)


_OPENERS = {
    "ANT": _ant,
    "EGI": _egi,
    "Nihon Kohden": _nihon,
    "NEDF": _nedf,
    "Persyst": _persyst,
    "Nicolet": _nicolet,
    "eXimia": _eximia,
    "NSx": _nsx,
}
