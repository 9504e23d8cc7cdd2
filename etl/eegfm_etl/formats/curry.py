"""Curry 7 and 8: samples with a parameter file beside them; binary or ASCII.

MNE reads them through curryreader.
"""

import re
from pathlib import Path

import mne

from eegfm_etl import companions
from eegfm_etl.formats.of_mne import explained, recording
from eegfm_etl.formats.recording import Recording
from eegfm_etl.source import Ask, SourceError

_PARAMETERS = (".dap", ".cdt.dpa", ".cdt.dpo")
_AMPLIFIER = re.compile(r"^\s*AmplifierInfo\s*=\s*(\S.*?)\s*$", re.MULTILINE)
_PERSONAL = ("PatientName", "PatientId", "PatientID", "BirthDate", "PatientSex", "PatientGender", "Technician")


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
        return recording(raw, path, "Curry", notes=notes, warned=warned, recorded=recorded)
