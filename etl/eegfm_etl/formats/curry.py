"""Curry 7 and 8: samples with a parameter file beside them; binary or ASCII.

MNE reads them through curryreader.
"""

import re
from dataclasses import replace
from pathlib import Path

import mne

from eegfm_etl import companions
from eegfm_etl.formats.of_mne import explained, filled_in, recording
from eegfm_etl.formats.recording import Recording
from eegfm_etl.source import Ask, SourceError

_PARAMETERS = (".dap", ".cdt.dpa", ".cdt.dpo")
_AMPLIFIER = re.compile(r"^[ \t]*AmplifierInfo[ \t]*=[ \t]*(\S[^\r\n]*?)[ \t\r]*$", re.MULTILINE)
_PERSONAL = re.compile(
    r"^[ \t]*((?:Patient|Subject|Birth|Technician|Operator)\w*)[ \t]*=[ \t]*(\S[^\r\n]*?)[ \t\r]*$",
    re.MULTILINE,
)


def open_recording(path: Path, ask: Ask) -> Recording:
    """Open a .dat or .cdt.

    Raises
    ------
    SourceError
        Where the parameters are missing, or nothing tells what the .dat is.
    """
    found = [one for one in companions.parts(path) if one.name.lower().endswith(_PARAMETERS)]
    if not found:
        raise SourceError(
            "read",
            f"{path.name}: a {path.suffix} is read with Curry's parameters (.dap, .cdt.dpa) beside it, with a Persyst "
            ".lay, or as BCI2000, which begins with its header; none of these is there",
        )
    text = found[0].read_bytes().decode("utf-8-sig", errors="replace")
    with explained(path, "Curry") as warned:
        raw = mne.io.read_raw_curry(path, verbose="warning")
        amplifier = _AMPLIFIER.search(text)
        notes = []
        if re.search(r"^\s*SampleFreqHz\s*=\s*0\s*$", text, re.MULTILINE):
            notes.append(f"the header gives 0 Hz; {raw.info['sfreq']:g} Hz is from its sample distance")
        recorded = (("amplifier", amplifier.group(1)),) if amplifier else ()
        opened = recording(raw, path, "Curry", notes=notes, warned=warned, recorded=recorded)
    personal = [name for name, value in _PERSONAL.findall(text) if filled_in(value)]
    return replace(
        opened,
        header=replace(opened.header, personal=tuple(dict.fromkeys((*opened.header.personal, *personal)))),
    )
