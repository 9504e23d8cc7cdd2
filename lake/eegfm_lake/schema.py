"""The Arrow schemas of every table, the vocabularies they use, and the contract's version.

Times are seconds from the recording's first sample, gaps included; sample numbers count stored samples; rates
are Hz, amplitudes µV, positions metres in MNE's head frame.
"""

from dataclasses import dataclass

import pyarrow as pa

CONTRACT_VERSION = 1

BLOCK_S = 10.0
"""A block is 10 s of one segment; one row group of a signal file is one block of all channels."""

STEP_UV = 0.1
"""Quantisation step of a channel unless its range needs more."""


@dataclass(frozen=True)
class Profile:
    """What a named signal chain promises about the samples it stores."""

    name: str
    rate_hz: float
    high_pass_hz: float
    low_pass_hz: float
    reach_s: float  # half the merged kernel: how far to both sides a stored sample looks


PROFILES: dict[str, Profile] = {
    "eeg200": Profile("eeg200", rate_hz=200.0, high_pass_hz=0.3, low_pass_hz=75.0, reach_s=9.0),
}

CHANNEL_TYPES = ("eeg", "eog", "ecg", "emg", "resp", "other")
CHANNEL_STATUS = ("good", "bad", "dropped")  # dropped: listed with its reason, not stored
POSITION_ORIGINS = ("file", "template", "midpoint", "none")
ORIGINS = ("recorded", "declared", "inferred", "detected")
SPLITS = ("train", "valid", "test")
UNSPLIT = "all"

COVARIATES: dict[str, str] = {
    "reference": "electrode or scheme that the potentials are measured against",
    "ground": "ground electrode",
    "amplifier": "amplifier model",
    "cap": "cap model",
    "electrode": "electrode material and type",
    "site": "laboratory that recorded",
    "country": "country of the laboratory",
    "line_freq": "mains frequency in Hz",
    "hardware_highpass": "high-pass of the amplifier in Hz",
    "hardware_lowpass": "low-pass of the amplifier in Hz",
    "hardware_notch": "notch of the amplifier in Hz",
    "protocol": "experimental protocol",
    "cue_modality": "how the task was cued",
    "medication": "medication at the time of recording",
    "time_of_day": "hour of the recording's start",
    "simulated": "true where the signal was never recorded from a person",
}
"""Closed vocabulary of methodology covariates; an unknown covariate is absent, never guessed."""

# The common covariates that the view `recordings` shows as plain columns.
COMMON_COVARIATES = ("reference", "amplifier", "cap", "site", "country", "line_freq", "protocol", "simulated")


def _list_of(*fields: tuple[str, pa.DataType]) -> pa.DataType:
    return pa.list_(pa.struct([pa.field(name, kind) for name, kind in fields]))


def _struct_of(*fields: tuple[str, pa.DataType]) -> pa.DataType:
    return pa.struct([pa.field(name, kind) for name, kind in fields])


_TEXT, _F64, _F32, _I64, _I32, _BOOL = (
    pa.string(),
    pa.float64(),
    pa.float32(),
    pa.int64(),
    pa.int32(),
    pa.bool_(),
)

METHODOLOGY = _list_of(("covariate", _TEXT), ("value", _TEXT), ("origin", _TEXT))

SPECTRUM = _struct_of(
    ("freqs_hz", pa.list_(_F32)),
    ("before_uv2_hz", pa.list_(_F32)),  # median over good channels, source samples
    ("after_uv2_hz", pa.list_(_F32)),  # the same on stored samples; the same frequencies
)

CHAIN = _struct_of(
    ("version", _TEXT), ("steps", _list_of(("name", _TEXT), ("params", _TEXT)))
)  # params: JSON

SOURCE = _struct_of(
    ("path", _TEXT),  # below the source root, with forward slashes
    ("sha256", _TEXT),
    ("bytes", _I64),
    ("format", _TEXT),
    ("reader", _TEXT),  # name and version, "mne 1.13.2"
    ("start_time", _TEXT),  # ISO 8601 or NULL, shifted or dropped as the profile says
    ("start_time_note", _TEXT),
    ("parts", pa.list_(_TEXT)),  # further files it was made of, below the source root
    ("notes", pa.list_(_TEXT)),  # what was read otherwise than the header says, or repaired
    (
        "personal",
        pa.list_(_TEXT),
    ),  # fields about a person that the header filled in and the lake does not have
)

CHANNELS = _list_of(
    ("name", _TEXT),  # canonical, or the source's own where no canonical name is known
    ("source_name", _TEXT),
    ("type", _TEXT),
    ("x", _F64),
    ("y", _F64),
    ("z", _F64),
    ("position_origin", _TEXT),
    ("region", _TEXT),
    ("source_rate", _F64),
    ("band_low", _F64),
    ("band_high", _F64),
    ("step", _F64),  # µV a unit of the stored int16
    ("status", _TEXT),
    ("reasons", pa.list_(_TEXT)),
    ("anode", _TEXT),
    ("cathode", _TEXT),
    ("clipped_samples", _I64),  # saturated by quantisation
    ("scale_uv", _F64),  # robust standard deviation (1.4826 MAD) of the stored samples
)

EVENTS = _list_of(
    ("onset_s", _F64),
    ("duration_s", _F64),
    ("label", _TEXT),  # path from general to particular; NULL where the source label has no known meaning
    ("value", _TEXT),
    ("source_label", _TEXT),
    ("channel", _TEXT),
    ("hed", _TEXT),  # tags of the Hierarchical Event Descriptors; NULL where the data set has none
)

SEGMENTS = _list_of(("start_s", _F64), ("first_sample", _I64), ("samples", _I64), ("first_block", _I32))

BLOCKS = _list_of(
    ("start_s", _F64),
    ("first_sample", _I64),
    ("samples", _I32),
    ("flat_share", _F32),  # share of EEG channels flat in the source
    ("clipped_share", _F32),  # share of source samples at the rail, worst EEG channel
    ("line_ratio", _F32),  # median over EEG channels, source
    ("high_freq_ratio", _F32),  # median over EEG channels, source
    ("amplitude_uv", _F32),  # median over EEG channels of the stored robust standard deviation
    ("correlation", _F32),  # median over EEG channels of the largest correlation with a neighbour, stored
    ("bad_channels", _I32),  # EEG channels bad in this block
    ("good", _BOOL),
)

RECORDINGS = pa.schema(
    [
        ("recording_id", _TEXT),
        ("profile", _TEXT),
        ("dataset", _TEXT),
        ("session", _TEXT),
        ("task", _TEXT),
        ("run", _TEXT),
        ("person", _TEXT),
        ("same_as", pa.list_(_TEXT)),
        ("age", _F64),
        ("sex", _TEXT),
        ("handedness", _TEXT),
        ("diagnosis", _TEXT),
        ("phenotype", pa.map_(_TEXT, _TEXT)),
        ("source", SOURCE),
        ("licence", _TEXT),
        ("citation", _TEXT),
        ("methodology", METHODOLOGY),
        ("signal", _struct_of(("file", _TEXT), ("rate", _F64), ("samples", _I64), ("step", _F64))),
        ("segments", SEGMENTS),
        ("duration_s", _F64),
        ("trailing_zeros_cut", _I64),
        ("chain", CHAIN),
        ("spectrum", SPECTRUM),
        ("ingest", _struct_of(("id", _TEXT), ("time", _TEXT), ("recipe", _TEXT), ("version", _TEXT))),
        ("channels", CHANNELS),
        ("events", EVENTS),
        ("label", _TEXT),
        ("target", _F64),
        ("official_split", _TEXT),
        ("blocks", BLOCKS),
    ]
)
"""One row a recording and profile; the key is (recording_id, profile)."""

RECORDING_KEY = ("recording_id", "profile")

FAILURES = pa.schema(
    [
        ("path", _TEXT),  # below the source root
        ("sha256", _TEXT),
        ("dataset", _TEXT),
        ("recording_id", _TEXT),  # what it would have become
        ("profile", _TEXT),
        ("bytes", _I64),
        ("step", _TEXT),  # where it failed: one of FAILURE_STEPS
        ("reason", _TEXT),  # one line that a scientist understands
        ("detail", _TEXT),  # the traceback or the reader's own words
        ("parts", pa.list_(_TEXT)),  # further files that belong to it, below the source root
        ("ingest", _struct_of(("id", _TEXT), ("time", _TEXT), ("recipe", _TEXT), ("version", _TEXT))),
    ]
)
"""One row a source that could not be read; the key is (path, sha256, dataset, profile)."""

FAILURE_STEPS = {
    "plan": "two files claim to be one recording",
    "read": "the file is damaged, no recording, or of a format that is not read",
    "annotations": "it holds annotations alone, and no recording here goes with it",
    "average": "it holds averages of trials, not a recording",
    "segments": "no stretch of a second holds signal",
    "channels": "none of its channels is EEG",
    "units": "its amplitudes are of no known unit",
    "harmonise": "the signal chain failed",
    "memory": "it needs more memory than there is",
    "worker": "the process died each time it worked on it",
}

FAILURE_KEY = ("dataset", "path", "sha256", "profile")

SIGNAL = pa.schema(
    [
        pa.field("block", _I32, nullable=False),
        pa.field("channel", _I32, nullable=False),  # index among the stored channels
        pa.field("flat", _BOOL, nullable=False),
        pa.field("clipped_share", _F32, nullable=False),
        pa.field("line_ratio", _F32),
        pa.field("high_freq_ratio", _F32),
        pa.field("amplitude_uv", _F32),
        pa.field("correlation", _F32),
        pa.field("good", _BOOL, nullable=False),
        pa.field("samples", pa.list_(pa.field("element", pa.int16(), nullable=False)), nullable=False),
    ]
)
"""A signal file: rows are (block, channel), one row group a block of all stored channels.

The file's key-value metadata (key ``eegfm``, JSON) holds rate_hz, channels, steps_uv and contract.
"""

LOCK_WINDOWS = pa.schema(
    [
        ("window", _I64),  # row number
        ("recording", _I32),  # row of recordings.parquet
        ("first_sample", _I64),
        ("samples", _I32),
        ("start_s", _F64),
        ("label", _TEXT),
        ("target", _F64),
        ("split", _TEXT),  # train, valid, test, or "all" where the cohort does not split
        ("fold", _I32),
        ("weight", _F64),
    ]
)

LOCK_RECORDINGS = pa.schema(
    [
        ("recording", _I32),
        ("recording_id", _TEXT),
        ("profile", _TEXT),
        ("dataset", _TEXT),
        ("session", _TEXT),
        ("task", _TEXT),
        ("run", _TEXT),
        ("person", _TEXT),
        ("same_as", pa.list_(_TEXT)),
        ("age", _F64),
        ("sex", _TEXT),
        ("signal_file", _TEXT),
        ("rate", _F64),
        ("signal_samples", _I64),
        ("duration_s", _F64),
        ("source_sha256", _TEXT),
        ("chain", CHAIN),
        ("spectrum", SPECTRUM),
        ("methodology", METHODOLOGY),
        ("licence", _TEXT),
        ("citation", _TEXT),
    ]
)

LOCK_CHANNELS = pa.schema(
    [
        ("recording", _I32),
        ("channel", _I32),  # index in the signal file
        ("name", _TEXT),
        ("type", _TEXT),
        ("x", _F64),
        ("y", _F64),
        ("z", _F64),
        ("position_origin", _TEXT),
        ("region", _TEXT),
        ("band_low", _F64),
        ("band_high", _F64),
        ("step_uv", _F64),
        ("status", _TEXT),
        ("reasons", pa.list_(_TEXT)),
        ("anode", _TEXT),
        ("cathode", _TEXT),
        ("scale_uv", _F64),
    ]
)
