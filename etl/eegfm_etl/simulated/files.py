"""One recording written as each of the three laboratories writes it; every file says that it is simulated."""

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pybv
from eeglabio.raw import export_set

from eegfm_etl.simulated.laboratories import SIDES, Laboratory, Person
from eegfm_etl.simulated.sources import TRIAL_S, Recording, template_positions

STATEMENT = "Simulated by eegfm: dipoles in a spherical head. No person was recorded."
# A fixed date: the same seed gives the same bytes.
_DATE = datetime.datetime(2000, 1, 1)
_EDF_RANGE_UV = (-3276.8, 3276.7)  # of int16: a tenth of a microvolt a unit


def write_recording(root: Path, laboratory: Laboratory, person: Person, recording: Recording) -> str:
    """Write one recording below `root` and return its path there, with forward slashes.

    Lab A writes EDF+ with annotations, lab B BrainVision in BIDS, lab C EEGLAB with positions.
    """
    write = {"edf": _write_edf, "brainvision": _write_bids, "eeglab": _write_eeglab}[laboratory.format]
    path = write(root / f"lab_{laboratory.code.lower()}", laboratory, person, recording)
    return path.relative_to(root).as_posix()


def write_descriptions(root: Path, laboratory: Laboratory, people: list[Person]) -> None:
    """Write what accompanies a laboratory's files: a README, and for BIDS the data set's own tables."""
    folder = root / f"lab_{laboratory.code.lower()}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README").write_text(f"{STATEMENT}\n")
    if laboratory.format != "brainvision":
        return
    description = {
        "Name": f"Simulated left and right motor imagery, laboratory {laboratory.code}",
        "BIDSVersion": "1.9.0",
        "DatasetType": "raw",
        "License": "CC0",
        "Authors": ["eegfm_etl.simulated.corpus"],
        "Acknowledgements": STATEMENT,
        "GeneratedBy": [{"Name": "eegfm_etl.simulated.corpus", "Description": STATEMENT}],
    }
    _write_json(folder / "dataset_description.json", description)
    _write_tsv(
        folder / "participants.tsv",
        ["participant_id", "age", "sex", "simulated"],
        [[f"sub-{person.code}", "n/a", "n/a", "true"] for person in people],
    )


def events_of(recording: Recording) -> list[tuple[float, float, str]]:
    """Onset and duration in seconds, and left_fist, right_fist or rest: cues and the pauses between them."""
    events, rest_from_s = [], 0.0
    for onset_s, side in zip(recording.trials.onset_s.tolist(), recording.trials.side.tolist(), strict=True):
        events.append((rest_from_s, round(onset_s - rest_from_s, 1), "rest"))
        events.append((onset_s, TRIAL_S, SIDES[side]))
        rest_from_s = round(onset_s + TRIAL_S, 1)
    events.append((rest_from_s, round(recording.trials.duration_s - rest_from_s, 1), "rest"))
    return events


def _write_edf(folder: Path, laboratory: Laboratory, person: Person, recording: Recording) -> Path:
    path = folder / person.code / f"{person.code}R01.edf"
    path.parent.mkdir(parents=True, exist_ok=True)
    samples_uv = np.clip(recording.samples_uv, *_EDF_RANGE_UV)
    signals = [
        edfio.EdfSignal(
            samples,
            laboratory.rate_hz,
            label=_physionet_name(name),
            transducer_type="simulated",
            physical_dimension="uV",
            physical_range=_EDF_RANGE_UV,
        )
        for name, samples in zip(laboratory.electrodes, samples_uv, strict=True)
    ]
    edf = edfio.Edf(
        signals,
        patient=edfio.Patient(code=person.code, name="simulated", additional=["no_person"]),
        recording=edfio.Recording(
            startdate=_DATE.date(), equipment_code="simulated", additional=["eegfm_etl.simulated.corpus"]
        ),
        starttime=_DATE.time(),
        annotations=[
            edfio.EdfAnnotation(onset_s, duration_s, laboratory.event_codes[kind])
            for onset_s, duration_s, kind in events_of(recording)
        ],
    )
    edf.write(path)
    return path


def _physionet_name(name: str) -> str:
    """`FC5` → `Fc5.`: first letter large, filled with dots to four, as eegmmidb's files have it."""
    return name.capitalize().ljust(4, ".")


def _write_bids(folder: Path, laboratory: Laboratory, person: Person, recording: Recording) -> Path:
    eeg = folder / f"sub-{person.code}" / "eeg"
    eeg.mkdir(parents=True, exist_ok=True)
    stem = f"sub-{person.code}_task-imagery"
    events = events_of(recording)
    codes = {kind: int(code.removeprefix("Stimulus/S")) for kind, code in laboratory.event_codes.items()}
    pybv.write_brainvision(
        data=recording.samples_uv * 1e-6,  # volts, as pybv expects
        sfreq=laboratory.rate_hz,
        ch_names=list(laboratory.electrodes),
        ref_ch_names=list(laboratory.reference) * len(laboratory.electrodes),
        fname_base=f"{stem}_eeg",
        folder_out=eeg,
        overwrite=True,
        events=[
            {
                "onset": round(onset_s * laboratory.rate_hz),
                "duration": round(duration_s * laboratory.rate_hz),
                "description": codes[kind],
                "type": "Stimulus",
            }
            for onset_s, duration_s, kind in events
        ],
        resolution=0.1,
        unit="µV",
        fmt="binary_int16",
        meas_date=_DATE,
    )
    _write_tsv(
        eeg / f"{stem}_events.tsv",
        ["onset", "duration", "trial_type", "value"],
        [[onset_s, duration_s, kind, codes[kind]] for onset_s, duration_s, kind in events],
    )
    faults = {person.noisy_channel: "noisy", person.flat_channel: "flat"}
    _write_tsv(
        eeg / f"{stem}_channels.tsv",
        ["name", "type", "units", "sampling_frequency", "reference", "status", "status_description"],
        [
            [name, "EEG", "µV", laboratory.rate_hz, laboratory.reference[0]]
            + (["bad", faults[name]] if name in faults else ["good", "n/a"])
            for name in laboratory.electrodes
        ],
    )
    sidecar = {
        "TaskName": "imagery",
        "TaskDescription": STATEMENT,
        "InstitutionName": f"simulated laboratory {laboratory.code}",
        "Manufacturer": "simulated",
        "EEGReference": laboratory.reference[0],
        "SamplingFrequency": laboratory.rate_hz,
        "PowerLineFrequency": laboratory.line_freq_hz,
        "SoftwareFilters": "n/a",
        "EEGChannelCount": len(laboratory.electrodes),
        "RecordingDuration": recording.trials.duration_s,
        "RecordingType": "continuous",
    }
    _write_json(eeg / f"{stem}_eeg.json", sidecar)
    return eeg / f"{stem}_eeg.vhdr"


def _write_eeglab(folder: Path, laboratory: Laboratory, person: Person, recording: Recording) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{person.code}_imagery_simulated.set"
    onsets_s, durations_s, kinds = zip(*events_of(recording), strict=True)
    x, y, z = template_positions(laboratory.electrodes).T
    export_set(
        str(path),
        recording.samples_uv * 1e-6,  # volts, as eeglabio expects
        laboratory.rate_hz,
        list(laboratory.electrodes),
        ch_locs=np.column_stack([y, -x, z]),  # EEGLAB's X points to the nose
        annotations=[
            [laboratory.event_codes[kind] for kind in kinds],
            np.array(onsets_s),
            np.array(durations_s),
        ],
        ref_channels=list(laboratory.reference),
    )
    with open(
        path, "r+b"
    ) as stream:  # the header's free text holds the time of writing; the bytes should not
        stream.write(b"MATLAB 5.0 MAT-file, simulated by eegfm".ljust(116))
    return path


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_tsv(path: Path, header: list[str], rows: Sequence[Sequence[object]]) -> None:
    lines = ["\t".join(map(str, row)) for row in [header, *rows]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
