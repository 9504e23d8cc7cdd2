"""Trigger channels of FIF files: their steps are events as `mne.find_events` finds them."""

from collections import Counter
from pathlib import Path

import mne
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eegfm_etl import triggers
from eegfm_etl.formats import open_source
from eegfm_etl.ingest import ingest
from eegfm_etl.process import harmonise_file
from eegfm_etl.source import Ask
from eegfm_lake.query import run_sql
from eegfm_lake.table import Lake

from .format_miniatures import NAMES, RATE_HZ, smooth_uv


def write_fif(path: Path, stims: dict[str, np.ndarray], annotations=(), first_samp: int = 0) -> Path:
    """Write EEG and stimulus channels as MNE does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n = len(next(iter(stims.values()))) if stims else 2000
    data = np.concatenate([smooth_uv(1, n / RATE_HZ) * 1e-6, *(one[None] for one in stims.values())])
    kinds = ["eeg"] * len(NAMES) + ["stim"] * len(stims)
    info = mne.create_info([*NAMES, *stims], RATE_HZ, kinds)
    raw = mne.io.RawArray(data, info, first_samp=first_samp, verbose="error")
    raw.set_annotations(mne.Annotations(*zip(*annotations, strict=True)) if annotations else None)
    raw.save(path, verbose="error")
    return path


def pulses(n: int = 2000, **at: int) -> np.ndarray:
    """Give a channel with pulses of 10 samples: ``_500=7`` is 7 from sample 500 on."""
    line = np.zeros(n)
    for place, value in at.items():
        line[int(place[1:]) : int(place[1:]) + 10] = value
    return line


def events_of(path: Path) -> list[tuple[int, str]]:
    return [(round(onset * RATE_HZ), text) for onset, _, text in open_source(path).header.annotations]


STEPS = st.lists(
    st.tuples(st.integers(1, 60), st.sampled_from([0, 0, 1, 2, 3, 8, 24, 255, 32767, -32768, -32760])),
    min_size=1,
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, first_samp=st.sampled_from([0, 12_345]))
def test_events_of_a_stimulus_channel_are_those_that_mne_finds(tmp_path, monkeypatch, steps, first_samp):
    line = np.concatenate([np.full(length, float(value)) for length, value in steps])
    line = np.concatenate([line, np.full(2000 - len(line) if len(line) < 2000 else 250, line[-1])])
    path = write_fif(tmp_path / "x_raw.fif", {"STI 014": line[: len(line) // 250 * 250]}, (), first_samp)
    raw = mne.io.read_raw_fif(path, verbose="error")
    theirs = mne.find_events(raw, shortest_event=1, uint_cast=True, verbose="error")
    monkeypatch.setattr(triggers, "_CHUNK_S", 0.5)  # steps at the edges of chunks, too
    assert events_of(path) == [(at - raw.first_samp, str(value)) for at, _, value in theirs.tolist()]
    path.unlink()


def test_an_event_is_as_long_as_its_value_and_the_row_says_where_it_is_from(tmp_path):
    line = pulses(_500=7, _1000=9)
    row, _ = harmonise_file(write_fif(tmp_path / "x_raw.fif", {"STI101": line}), tmp_path)
    assert [(one["onset_s"], one["duration_s"], one["value"]) for one in row["events"]] == [
        (2.0, 0.04, "7"),
        (4.0, 0.04, "9"),
    ]
    assert "events from STI101, for want of annotations: 2" in row["source"]["notes"]
    (stim,) = (one for one in row["channels"] if one["source_name"] == "STI101")
    assert stim["type"] == "other"


@pytest.mark.parametrize(
    ("channels", "events"),
    [
        ({"STI 001": pulses(_500=5), "STI 014": pulses(_500=1), "STI101": pulses(_500=257)}, ["257"]),
        ({"STI 001": pulses(_500=5), "STI 014": pulses(_500=1)}, ["1"]),
        ({"STI 001": pulses(_500=5), "STI 002": pulses(_500=5, _900=5)}, ["STI 001 5", "STI 002 5", "STI 002 5"]),
        ({"DIN1": pulses(_500=1)}, ["1"]),
        ({"STI 014": np.zeros(2000)}, []),
        ({"STI 014": np.full(2000, 3.0)}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_the_sum_of_the_lines_is_asked_before_single_lines(tmp_path, channels, events):
    assert [text for _, text in events_of(write_fif(tmp_path / "x_raw.fif", channels))] == events


def test_annotations_go_before_triggers_unless_they_only_mark_what_is_bad(tmp_path):
    stim = {"STI 014": pulses(_500=7)}
    path = write_fif(tmp_path / "a_raw.fif", stim, [(1.0, 0.0, "cue")])
    assert events_of(path) == [(250, "cue")]
    path = write_fif(tmp_path / "b_raw.fif", stim, [(1.0, 0.5, "BAD blink")])
    assert events_of(path) == [(250, "BAD blink"), (500, "7")]


def test_a_channel_that_never_rests_is_no_trigger_and_a_declared_one_is_believed(tmp_path):
    noisy = np.random.default_rng(0).integers(0, 100, 2000).astype(float)
    path = write_fif(tmp_path / "x_raw.fif", {"STI 001": noisy, "STI 002": pulses(_500=7, _510=4)})
    source = open_source(path)
    assert events_of(path) == [(500, "STI 002 7")]
    assert "STI 001 changes more than 20 times a second: no triggers" in source.header.notes
    declared = open_source(path, Ask(triggers="STI 002")).header
    assert [text for _, _, text in declared.annotations] == ["7", "4"]
    silent = write_fif(tmp_path / "y_raw.fif", {"STI 014": np.zeros(2000)})
    assert open_source(silent, Ask(triggers="STI 014")).header.annotations == ()


def test_triggers_of_a_folders_fif_files_are_events_in_the_lake(tmp_path):
    write_fif(tmp_path / "archive" / "one_raw.fif", {"STI 014": pulses(_500=7, _900=7, _1300=9)})
    report = ingest(str(tmp_path / "lake"), "folder", source=tmp_path / "archive", progress=False)
    assert (report.done, report.failed) == (1, 0)
    asked = run_sql(Lake.open(str(tmp_path / "lake")), "SELECT source_label FROM events").to_pylist()
    assert Counter(row["source_label"] for row in asked) == {"7": 2, "9": 1}


@pytest.mark.shared
def test_real_fif_files_have_the_events_that_mne_finds(zoo_dir):
    for path in sorted((zoo_dir / "fif").glob("*.fif")):
        raw = mne.io.read_raw_fif(path, verbose="error")
        stims = mne.pick_types(raw.info, meg=False, stim=True)
        events, notes = triggers.stim_events(raw)
        if len(stims) == 0:
            assert (events, notes) == ([], [])
            continue
        theirs = mne.find_events(raw, shortest_event=1, uint_cast=True, verbose="error")
        assert [round(onset * raw.info["sfreq"]) + raw.first_samp for onset, _, _ in events] == sorted(
            theirs[:, 0].tolist()
        )
