"""The shared zoo of odd recordings: every file's fate, compared with what an independent look says it should be."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from eegfm_etl.account import NOT_READ, Account
from eegfm_etl.formats import open_source
from eegfm_etl.ingest import IngestReport, ingest
from eegfm_etl.inventory import files_of
from eegfm_etl.readers import ReaderProcess
from eegfm_etl.source import Ask, SourceError, TableLayout
from eegfm_lake.query import run_sql
from eegfm_lake.table import Lake

pytestmark = pytest.mark.shared

RECORDING, AVERAGE, ANNOTATIONS, REFUSED = "recording", "average", "annotations", "refused"

# What TRUTH.csv's words mean here.
EXPECTED = {
    "epochs": {RECORDING},
    "evoked": {AVERAGE},
    "sidecar": {ANNOTATIONS},
    "not EEG": {REFUSED},
    "refuse clearly": {REFUSED, AVERAGE},
    "convert or refuse clearly": {RECORDING, REFUSED},
    "refuse clearly or convert with report": {RECORDING, REFUSED},
    "convert with a stated rate": {REFUSED},  # nothing stated: the reason says what to declare
    "convert with a stated rate and unit": {REFUSED},
    "convert only with a stated data format": {REFUSED},
}

EMOTIV = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4", "")
SHORT = "shorter than the second that a segment needs"
# Where the outcome differs from TRUTH.csv, and why.
DIFFERENCES: dict[str, tuple[str, str]] = {
    "brainvision/Analyzer_nV_Export.vhdr": (REFUSED, f"2 samples: {SHORT}"),
    "brainvision/test_NO.vhdr": (REFUSED, f"0.448 s: {SHORT}"),
    "brainvision/test_VAmp.ahdr": (REFUSED, "every sample of every channel is zero: no signal"),
    "cnt/test_CNT_events_mne_JWoess_clipped.cnt": (
        RECORDING,
        "the evidence for 32 bits is clear; the notes state it",
    ),
    "eeglab/test_epochs.set": (REFUSED, f"epochs of 0.16 s: {SHORT}"),
    "eeglab/test_epochs_onefile.set": (REFUSED, f"epochs of 0.16 s: {SHORT}"),
    "eeglab/test_raw_hdf5.set": (REFUSED, f"0.25 s: {SHORT}"),
    "egi/test_egi.raw": (REFUSED, f"0.308 s: {SHORT}"),
    "fieldtrip/epoched_v7.mat": (REFUSED, f"epochs of 0.02 s: {SHORT}"),
    "gdf/test_1ch.gdf": (REFUSED, "its one channel is an ECG: no EEG"),
    "xdf/empty_streams.xdf": (REFUSED, "the stream that has data is a counter, ten samples at 1 Hz: no EEG"),
    "xdf/minimal.xdf": (REFUSED, f"9 samples at 10 Hz: {SHORT}"),
    "xdf/twochannel_string_marker.xdf": (REFUSED, f"1 sample: {SHORT}"),
    "edf/kemp-log-neuroloopgain.edf": (
        REFUSED,
        "its units are '%' and 'Filtered': no amplitude, at one sample a second",
    ),
    "edf/sine3Hz_block0.2Hz.edf": (
        REFUSED,
        "a sine of 5 V: no EEG, and no power of ten in the header proves another unit",
    ),
    "edf/test_uneven_samp.edf": (REFUSED, "the same sine of 5 V"),
    "odd/derived/unit_mV.edf": (
        REFUSED,
        "the unit was edited: 10.7 mV is no EEG, and the header lies about all of it",
    ),
    "odd/derived/unit_nV.edf": (REFUSED, "the unit was edited: 14 nV is no EEG"),
    "egi/test_egi_multiepoch_paused.mff": (
        REFUSED,
        "7 mV after the filters: noise of an open amplifier, no scalp",
    ),
    "neuralynx/gaps": (REFUSED, "3.6 mV after the filters: a test signal of intracranial channels, no scalp"),
    "neuralynx/plain": (
        REFUSED,
        "3.9 mV after the filters: a test signal of intracranial channels, no scalp",
    ),
}


@pytest.fixture(scope="module")
def zoo(zoo_dir, tmp_path_factory) -> tuple[IngestReport, str]:
    lake_uri = str(tmp_path_factory.mktemp("zoo") / "lake")
    return ingest(lake_uri, "folder", source=zoo_dir, params={"name": "zoo"}, progress=False), lake_uri


@pytest.fixture(scope="module")
def account(zoo) -> Account:
    assert zoo[0].account is not None
    return zoo[0].account


def truth(zoo_dir: Path) -> list[dict[str, str]]:
    with (zoo_dir / "TRUTH.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def outcome(account: Account, path: str) -> tuple[str, str]:
    fate = account.fates.get(path) or account.folders[path]
    if fate.kind == "recording":
        return RECORDING, ""
    step = {"average": AVERAGE, "annotations": ANNOTATIONS}.get(fate.step or "", REFUSED)
    return step, f"{fate.step}: {fate.reason}"


def expected(words: str) -> set[str]:
    return EXPECTED.get(words) or ({RECORDING} if words.startswith("convert") else set())


def test_every_file_is_accounted_for(zoo_dir, account):
    there = {path.relative_to(zoo_dir).as_posix() for path in files_of(zoo_dir)}
    assert set(account.fates) == there
    assert account.unexplained == []
    assert sum(files for _, _, files in account.table()) == len(there)
    assert all(fate.reason for fate in account.fates.values() if fate.kind == "failure")


def test_every_entry_meets_what_an_independent_look_expects(zoo_dir, account):
    wrong = []
    for row in truth(zoo_dir):
        found, reason = outcome(account, row["path"])
        allowed = {DIFFERENCES[row["path"]][0]} if row["path"] in DIFFERENCES else expected(row["expect"])
        if found not in allowed:
            wrong.append((row["path"], row["expect"], found, reason))
    assert wrong == []


def test_reasons_are_a_scientists_words(account):
    bare = re.compile(
        r"Error\b|Traceback|NoneType|line \d+|<class|invalid literal|does not explain|\bdtype\b"
    )
    shown = [fate.reason or "" for fate in account.fates.values() if fate.kind == "failure"]
    assert [reason for reason in shown if bare.search(reason) or "\n" in reason or len(reason) < 20] == []


def test_the_fate_of_every_file_can_be_asked_in_sql(zoo, account):
    lake = Lake.open(zoo[1])
    heads = run_sql(
        lake, "SELECT source_path AS path FROM recordings UNION SELECT path FROM failures"
    ).to_pylist()
    parts = run_sql(
        lake,
        "SELECT unnest(source_parts) AS path FROM recordings UNION SELECT unnest(parts) AS path FROM failures",
    ).to_pylist()
    asked = {row["path"] for row in [*heads, *parts]}
    silent = {rel for rel, fate in account.fates.items() if rel not in asked}
    assert all(account.fates[rel].kind.startswith(("document", "table", "sidecar")) for rel in silent)


def test_nothing_is_left_to_read_and_the_account_stays(zoo_dir, zoo, account):
    again = ingest(zoo[1], "folder", source=zoo_dir, params={"name": "zoo"}, progress=False)
    assert (again.done, again.failed) == (0, 0)
    assert again.account == account
    assert NOT_READ not in {fate.kind for fate in account.fates.values()}


@pytest.mark.parametrize(
    ("path", "layout"),
    [
        ("text/data_N2_spindles_15sec_200Hz.txt", TableLayout(("Cz",), 200.0, "uV")),
        (
            "text/EEG Eye State.arff",
            TableLayout(EMOTIV, 128.0, "uV"),
        ),
        (
            "text/SDconverted-2014-10-22_17-39-29.txt",
            TableLayout(("", *(f"EEG{i}" for i in range(1, 9))), 250.0, "uV"),
        ),
    ],
)
def test_a_text_table_is_read_with_a_declared_layout(zoo_dir, path, layout):
    source = open_source(zoo_dir / path, Ask(layout=layout))
    assert source.header.names == tuple(name for name in layout.columns if name)
    assert source.read(0, 100).shape == (len(source.header.names), 100)
    assert any("declared" in note for note in source.header.notes)


MEASURED = [  # path, median over channels of the standard deviation in µV, as an independent reader has it
    ("bci2000/eeg1_1.dat", 22.4),
    ("bci2000/P3SpellerS001R01.dat", 13.4),
    ("cnt/test_CNT_events_mne_JWoess_clipped.cnt", 48.0),
    ("fieldtrip/raw_v7.mat", 35.9),
    ("neuralynx/plain", 2585.2),
    ("brainvision/test_units.vhdr", 24.2),
    ("nihon/MB0400FU.EEG", 155.98),
    ("persyst/sub-pt1_ses-02_task-monitor_acq-ecog_run-01_clip2.lay", 98.8),
]


@pytest.mark.parametrize(("path", "sd_uv"), MEASURED)
def test_amplitudes_are_microvolts(zoo_dir, path, sd_uv):
    source = open_source(zoo_dir / path)
    assert np.median(source.read(0, source.n_samples).std(axis=1)) == pytest.approx(sd_uv, rel=0.01)


GAPS = [  # path, lengths of the gaps in s
    ("egi/test_egi_multiepoch_paused.mff", [0.468, 3.636]),
    ("xdf/clock_resets.xdf", [273.9]),
    ("neuralynx/gaps", [0.05, 0.0035, 0.0115]),
]


@pytest.mark.parametrize(("path", "gaps_s"), GAPS)
def test_gaps_are_kept(zoo_dir, path, gaps_s):
    header = open_source(zoo_dir / path).header
    ends = [start + (stop - first) / header.rate_hz for start, first, stop in header.segments]
    gaps = [start - end for (start, _, _), end in zip(header.segments[1:], ends, strict=False)]
    assert gaps == pytest.approx(gaps_s, rel=0.01, abs=2 / header.rate_hz)


def test_a_person_is_not_in_the_lake(zoo):
    rows = Lake.open(zoo[1]).recordings(["source"]).to_pylist()
    named = [row["source"] for row in rows if row["source"]["personal"]]
    assert len(named) >= 5
    fields = {field for source in named for field in source["personal"]}
    assert {"birthday", "first_name", "SubjectName", "BirthDate"} <= fields
    assert all(
        re.fullmatch(r"[A-Za-z_' ().]+\d?", field) for field in fields
    )  # names of fields, never their values


def test_a_crash_of_mnes_reader_costs_one_recording(zoo_dir):
    wrong = (
        "from eegfm_etl import formats, reader_child; from eegfm_etl.formats import plain; "
        "formats.OPENERS['Neuroscan'] = plain.__name__; plain._AS_THEY_ARE['Neuroscan'] = plain.mne.io.read_raw_ant; "
        "reader_child.main()"
    )
    with ReaderProcess(program=("-c", wrong)) as reader:
        for path in sorted((zoo_dir / "cnt").glob("*.cnt")):
            with pytest.raises(SourceError, match=r"crashed the reader \(SIGSEGV"):
                reader.header(path)
        assert reader.header(zoo_dir / "ant" / "Andy_101-raw.cnt").format == "ANT"


@pytest.mark.slow
def test_a_parallel_ingest_gives_the_same_views(zoo_dir, zoo, tmp_path):
    ingest(
        str(tmp_path / "lake"), "folder", source=zoo_dir, workers=2, params={"name": "zoo"}, progress=False
    )
    one, other = Lake.open(zoo[1]), Lake.open(str(tmp_path / "lake"))
    for view, key in (
        ("recordings", "recording_id"),
        ("failures", "path"),
        ("channels", "recording_id, name"),
    ):
        # a failure's detail is a traceback, which may name a temporary place
        left_out = {"recordings": "ingest_id, ingest_time", "failures": "ingest_id, ingest_time, detail"}.get(
            view
        )
        columns = f"* EXCLUDE ({left_out})" if left_out else "*"
        statement = f"SELECT {columns} FROM {view} ORDER BY {key}"
        assert run_sql(one, statement).equals(run_sql(other, statement)), view
