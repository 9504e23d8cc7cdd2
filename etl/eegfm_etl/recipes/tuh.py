"""What the EEG corpora of Temple University Hospital share: people, references, channels, label files.

https://isip.piconepress.com/projects/nedc/html/tuh_eeg/ and the AAREADME.txt of each corpus. A person has the same
name in every corpus of the present naming (eight letters), so all corpora have one namespace, and a cohort
can keep the people of an evaluation set out of pre-training.
"""

import re
from pathlib import Path
from typing import Any

from eegfm_etl.edf_fields import EdfFields, edf_fields
from eegfm_etl.recipe import Job, Person

NAMESPACE = "tuh"
LICENCE = "TUH EEG user agreement: no redistribution"
APPLY_AT = "https://isip.piconepress.com/projects/nedc/html/tuh_eeg/ (sign the form, then rsync)"
CITATION = "Obeid and Picone, Frontiers in Neuroscience 10:196, 2016"

PERSON = r"(?P<person>[a-z]{8}|\d{8})"
"""Letters since 2022; digits in older releases, which name the same people otherwise."""

TOKEN = rf"{PERSON}_(?P<session>s\d{{3}})_(?P<token>t\d{{3}})\.edf"
MONTAGE = r"(?P<montage>0[1-4]_tcp_(?:ar|le)(?:_a)?)"

# The number of a label's channel counts the ACNS TCP montage, not the file's channels (TUEV's README).
TCP_MONTAGE = (
    *("FP1-F7", "F7-T3", "T3-T5", "T5-O1", "FP2-F8", "F8-T4", "T4-T6", "T6-O2", "A1-T3", "T3-C3", "C3-CZ"),
    *("CZ-C4", "C4-T4", "T4-A2", "FP1-F3", "F3-C3", "C3-P3", "P3-O1", "FP2-F4", "F4-C4", "C4-P4", "P4-O2"),
)

_REFERENCES = {"REF": "average", "LE": "linked ears", "ar": "average", "le": "linked ears"}
_SUFFIX = re.compile(r"^EEG [A-Z0-9]+-(REF|LE)$", re.IGNORECASE)
_TYPES = {
    "eog": ("EEG LOC", "EEG ROC", "EEG LUC", "EEG RLC"),
    "ecg": ("EEG EKG", "EEG EKG1", "ECG EKG"),
    "emg": ("EMG",),
    "resp": ("EEG RESP1", "EEG RESP2", "RESP ABDOMEN"),
    # C3P … PG2 are no electrodes of the scalp's 10-20 positions; numbered inputs are whatever was plugged in.
    "other": (
        "EEG C3P",
        "EEG C4P",
        "EEG SP1",
        "EEG SP2",
        "EEG PG1",
        "EEG PG2",
        *(f"EEG {n}" for n in range(20, 129)),
    ),
}
OVERRIDES = {
    **{f"{name}-{ref}": kind for kind, names in _TYPES.items() for name in names for ref in ("REF", "LE")},
    **dict.fromkeys(("IBI", "BURSTS", "SUPPR", "PULSE RATE"), "other"),
    **dict.fromkeys(("PHOTIC-REF", "PHOTIC-LE", "PHOTIC PH"), "stim"),
}
_METHODOLOGY = (
    ("site", "Temple University Hospital, Philadelphia", "declared"),
    ("country", "US", "declared"),
    ("protocol", "clinical EEG", "declared"),
)


def tuh_job(root: Path, rel: str, recording_id: str, person: str, **facts: Any) -> Job:
    """Describe one EDF of a TUH corpus; `facts` are further fields of the job.

    Age and sex are those of the header's patient field, the only place where the corpora have them.
    """
    fields = edf_fields(root / rel)
    reference = _reference(rel, fields)
    methodology = (*_METHODOLOGY, *((("reference", reference, "declared"),) if reference else ()))
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=recording_id,
        person=Person(person, age=fields.age if fields else None, sex=fields.sex if fields else None),
        overrides=OVERRIDES,
        methodology=methodology,
        line_freq_hz=60.0,
        **facts,
    )


def _reference(rel: str, fields: EdfFields | None) -> str | None:
    """By the channel labels, else by the folder; None where labels contradict each other.

    ``EEG FP1-REF`` is measured against an averaged reference, ``EEG FP1-LE`` against the linked ears.
    """
    suffixes = {
        match[1].upper() for label in (fields.labels if fields else ()) if (match := _SUFFIX.match(label))
    }
    if suffixes:
        return _REFERENCES[suffixes.pop()] if len(suffixes) == 1 else None
    folder = re.search(rf"(?:^|/){MONTAGE}/", rel)
    return _REFERENCES[folder["montage"].split("_")[2]] if folder else None
