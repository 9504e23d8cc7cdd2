"""Formats that MNE reads as they are: EGI .raw, Nihon Kohden, NEDF, Nicolet, eXimia, Blackrock.

What MNE gets wrong of them is put right here and said in the notes; formats that need more have modules of
their own.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    kind = sniff(path)
    if kind in _OPENERS:
        return _OPENERS[kind](path)
    return _opened(path, kind, _AS_THEY_ARE[kind])


def _opened(path: Path, kind: str, read: Callable[..., mne.io.BaseRaw], **given: Any) -> Recording:
    with explained(path, kind) as warned:
        return recording(read(path, verbose="warning", **given), path, kind, warned=warned)


def _nihon(path: Path) -> Recording:
    opened = _opened(path, "Nihon Kohden", mne.io.read_raw_nihon)
    # The patient's file names its fields in the recorder's language; none of it is read
    patient = tuple("patient's file (.PNT)" for one in opened.header.parts if one.lower().endswith(".pnt"))
    return replace(opened, header=replace(opened.header, personal=patient))


def _persyst(path: Path) -> Recording:
    opened = _opened(path, "Persyst", mne.io.read_raw_persyst)
    text = path.read_bytes().decode("latin-1")
    patient = re.search(r"^\[Patient\](.*?)(?:^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    fields = re.findall(r"^(\w+)=([^\r\n]*)", patient.group(1) if patient else "", re.MULTILINE)
    personal = tuple(name for name, value in fields if filled_in(value) and not name.startswith("Test"))
    return replace(opened, header=replace(opened.header, personal=personal))


def _nicolet(path: Path) -> Recording:
    if not path.with_suffix(".head").is_file():
        raise SourceError("read", f"{path.name}: a Nicolet recording needs its .head beside it; copy both")
    opened = _opened(path, "Nicolet", mne.io.read_raw_nicolet, ch_type="eeg")
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


_OPENERS = {"Nihon Kohden": _nihon, "Persyst": _persyst, "Nicolet": _nicolet, "eXimia": _eximia}
_AS_THEY_ARE = {
    "EGI": mne.io.read_raw_egi,
    "NEDF": mne.io.read_raw_nedf,
    "NSx": mne.io.read_raw_nsx,
}
