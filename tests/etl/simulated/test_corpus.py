"""The simulated corpus is what it says it is, checked with MNE and mne-bids on the written files."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import mne
import mne_bids
import numpy as np
import pytest
from scipy.signal import welch

from eegfm_etl.recipes import find
from eegfm_etl.simulated.corpus import Corpus, read_corpus, simulate_person, write_corpus
from eegfm_etl.simulated.laboratories import LABORATORIES, LEFT, RIGHT, draw_people
from eegfm_etl.simulated.sources import draw_trials, imagery_gain, place_sources, template_positions
from eegfm_lake.errors import UsageError

PEOPLE, TRIALS = 9, 40  # as in the demo
CODES = {
    "A": {"T0": "rest", "T1": "left_fist", "T2": "right_fist"},
    "B": {"Stimulus/S  9": "rest", "Stimulus/S  1": "left_fist", "Stimulus/S  2": "right_fist"},
    "C": {"276": "rest", "769": "left_fist", "770": "right_fist"},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def _raws(corpus: Corpus, laboratory: str) -> list[tuple]:
    return [
        (entry, mne.io.read_raw(corpus.root / entry.file, preload=True, verbose="error"))
        for entry in corpus.people
        if entry.person.laboratory == laboratory
    ]


@pytest.mark.parametrize(
    ("code", "suffix", "rate_hz", "n"),
    [("A", ".edf", 160, 64), ("B", ".vhdr", 500, 32), ("C", ".set", 250, 22)],
)
def test_files_open_in_mne_with_the_promised_names_rates_and_events(corpus, code, suffix, rate_hz, n):
    raws = _raws(corpus, code)
    assert len(raws) == PEOPLE
    for entry, raw in raws:
        assert entry.file.endswith(suffix)
        assert raw.info["sfreq"] == rate_hz
        assert len(raw.ch_names) == n
        found = [CODES[code][text] for text in raw.annotations.description]
        assert found.count("left_fist") == found.count("right_fist") == TRIALS // 2
        assert found.count("rest") == TRIALS + 1
        cued = [kind != "rest" for kind in found]
        assert np.allclose(raw.annotations.duration[cued], 4.0, atol=1 / rate_hz)


def test_laboratory_a_spells_electrodes_as_physionet_does_and_b_lacks_its_reference(corpus):
    _, raw_a = _raws(corpus, "A")[0]
    assert {"Fc5.", "C3..", "Fcz.", "Iz..", "T10.", "Afz."} <= set(raw_a.ch_names)
    assert all(len(name) == 4 for name in raw_a.ch_names)
    _, raw_b = _raws(corpus, "B")[0]
    assert "Cz" not in raw_b.ch_names


def test_laboratory_b_is_bids_that_mne_bids_reads_with_events_and_bad_channels(corpus):
    for entry in corpus.people[PEOPLE : 2 * PEOPLE]:
        path = mne_bids.BIDSPath(
            root=corpus.root / "lab_b", subject=entry.person.code, task="imagery", datatype="eeg"
        )
        raw = mne_bids.read_raw_bids(path, verbose="error")
        assert raw.info["line_freq"] == 50
        assert set(raw.annotations.description) == {"left_fist", "right_fist", "rest"}
        faults = {entry.person.noisy_channel, entry.person.flat_channel} - {None}
        assert set(raw.info["bads"]) == faults
    sidecar = json.loads(next(corpus.root.glob("lab_b/sub-B01/eeg/*_eeg.json")).read_text())
    assert sidecar["EEGReference"] == "Cz"


def test_laboratory_c_carries_positions_in_the_head_frame(corpus):
    _, raw = _raws(corpus, "C")[0]
    measured = np.array([channel["loc"][:3] for channel in raw.info["chs"]])
    assert np.allclose(measured, template_positions(raw.ch_names), atol=1e-6)


def test_everything_simulated_says_so(corpus):
    edf = next(corpus.root.glob("lab_a/*/*.edf")).read_bytes()
    assert b"simulated" in edf[8:88]  # patient
    assert b"simulated" in edf[88:168]  # recording
    assert "Simulated" in json.loads((corpus.root / "lab_b/dataset_description.json").read_text())["Name"]
    assert b"simulated" in next(corpus.root.glob("lab_c/*.set")).read_bytes()[:116]
    assert json.loads((corpus.root / "simulated.json").read_text())["simulated"] is True
    assert all("Simulated" in readme.read_text() for readme in corpus.root.glob("lab_*/README"))


def test_amplitudes_are_physiological_except_on_the_channels_made_bad(corpus):
    for code in LABORATORIES:
        for entry, raw in _raws(corpus, code):
            rms_uv = dict(
                zip(LABORATORIES[code].electrodes, raw.get_data(units="uV").std(axis=1), strict=True)
            )
            if entry.person.flat_channel:
                assert rms_uv.pop(entry.person.flat_channel) == 0
            if entry.person.noisy_channel:
                assert rms_uv.pop(entry.person.noisy_channel) > 60
            assert min(rms_uv.values()) > 5
            assert max(rms_uv.values()) < 100


@pytest.mark.parametrize(("code", "line_hz"), [("A", 60.0), ("B", 50.0), ("C", 50.0)])
def test_the_mains_hum_at_the_laboratorys_frequency_and_at_no_other(corpus, code, line_hz):
    _, raw = _raws(corpus, code)[0]
    freqs_hz, power = welch(raw.get_data(units="uV"), raw.info["sfreq"], nperseg=int(4 * raw.info["sfreq"]))
    power = np.median(power, axis=0)

    def at(hz: float) -> float:
        return float(power[np.argmin(abs(freqs_hz - hz))])

    other_hz = 110.0 - line_hz
    assert at(line_hz) > 10 * at(line_hz - 2)
    assert at(other_hz) < 2 * at(other_hz - 2)


def test_imagery_lowers_mu_on_the_opposite_side_by_the_persons_suppression(corpus):
    for code in ("A", "C"):
        change = {"C3": [], "C4": []}
        for _, raw in _raws(corpus, code):
            change_of = _mu_change_of_right_against_left(raw, code)
            for name in change:
                change[name].append(change_of[name])
        assert np.mean(change["C3"]) < -0.1  # right imagery takes mu from the left hemisphere
        assert np.mean(change["C4"]) > 0.1


def _mu_change_of_right_against_left(raw: mne.io.BaseRaw, code: str) -> dict[str, float]:
    names = list(LABORATORIES[code].electrodes)
    data = raw.get_data(units="uV")
    data = data - np.median(data, axis=0)
    rate_hz = raw.info["sfreq"]
    power = {"left_fist": [], "right_fist": []}
    for onset_s, text in zip(raw.annotations.onset, raw.annotations.description, strict=True):
        if CODES[code][text] == "rest":
            continue
        first = round((onset_s + 0.6) * rate_hz)
        freqs_hz, spectrum = welch(
            data[:, first : first + round(3.4 * rate_hz)], rate_hz, nperseg=int(rate_hz)
        )
        power[CODES[code][text]].append(spectrum[:, (freqs_hz >= 8) & (freqs_hz <= 13)].sum(axis=1))
    ratio = np.log(np.mean(power["right_fist"], axis=0) / np.mean(power["left_fist"], axis=0))
    return {name: float(ratio[names.index(name)]) for name in ("C3", "C4")}


def test_the_gain_is_one_at_rest_and_takes_the_suppression_in_trials_of_its_side_only():
    trials = draw_trials(20, np.random.default_rng(0))
    gain = imagery_gain(trials, RIGHT, 0.36, round(trials.duration_s * 100), 100.0)
    middles = ((trials.onset_s + 2.0) * 100).astype(int)
    assert np.allclose(gain[middles[trials.side == RIGHT]], 0.8)
    assert np.allclose(gain[middles[trials.side == LEFT]], 1.0)
    assert np.allclose(gain[((trials.onset_s - 0.1) * 100).astype(int)], 1.0)


def test_the_leadfield_agrees_with_a_homogeneous_sphere_in_where_a_source_is_seen_best():
    laboratory = LABORATORIES["A"]
    person = draw_people(laboratory, 1, seed=0)[0]
    brain = place_sources(laboratory, person)
    names = np.array(brain.electrodes)
    for hemisphere, near in (
        (LEFT, {"C3", "C1", "C5", "CP3", "FC3"}),
        (RIGHT, {"C4", "C2", "C6", "CP4", "FC4"}),
    ):
        for column in brain.gain[:, brain.hemisphere == hemisphere].T:
            assert names[np.abs(column).argmax()] in near
    assert {names[i] for i in np.argsort(-np.abs(brain.blink))[:3]} <= {"Fp1", "Fp2", "Fpz", "AF7", "AF8"}


def test_the_reference_matters_laboratory_b_would_see_nothing_at_cz(corpus):
    laboratory = LABORATORIES["B"]
    person = draw_people(laboratory, 1, seed=0)[0]
    recording, _ = simulate_person(laboratory, person, 2)
    near, far = (np.std(recording.samples_uv[laboratory.electrodes.index(name)]) for name in ("CP1", "PO9"))
    assert near < far  # potentials grow with the distance from the reference


def test_the_oracle_is_good_but_not_perfect_and_better_where_suppression_is_stronger(corpus):
    accuracy = [entry.oracle_accuracy for entry in corpus.people]
    suppression = [entry.person.suppression for entry in corpus.people]
    assert corpus.oracle_accuracy == pytest.approx(np.mean(accuracy))
    assert 0.80 <= corpus.oracle_accuracy <= 0.95
    assert np.corrcoef(accuracy, suppression)[0, 1] > 0.4
    assert min(suppression) >= 0.2
    assert max(suppression) <= 0.5


def test_the_oracle_is_at_chance_where_nothing_is_suppressed():
    laboratory = LABORATORIES["C"]
    person = draw_people(laboratory, 1, seed=1)[0]
    person = replace(person, suppression=1e-6)
    assert abs(simulate_person(laboratory, person, 400)[1] - 0.5) < 0.1


def _digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_signals(tmp_path):
    for name, seed in (("one", 5), ("two", 5), ("other", 6)):
        write_corpus(tmp_path / name, people_per_lab=1, trials_per_person=4, seed=seed)
    one, two, other = (_digests(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert one["lab_a/A01/A01R01.edf"] != other["lab_a/A01/A01R01.edf"]


def test_a_corpus_is_written_once_and_another_one_is_refused_in_its_place(corpus):
    before = {path: path.stat().st_mtime_ns for path in corpus.files}
    again = write_corpus(corpus.root, people_per_lab=PEOPLE, trials_per_person=TRIALS, seed=0)
    assert again.existed
    assert again.people == corpus.people == read_corpus(corpus.root).people
    assert before == {path: path.stat().st_mtime_ns for path in corpus.files}
    with pytest.raises(UsageError, match="choose another folder"):
        write_corpus(corpus.root, people_per_lab=PEOPLE, trials_per_person=TRIALS, seed=4)


def test_the_recipe_lists_every_recording_with_its_person_labels_and_methodology(corpus):
    jobs = find("simulated").plan(corpus.root)
    assert {job.rel for job in jobs} == {entry.file for entry in corpus.people}
    assert {job.person.id for job in jobs} == {entry.person.code for entry in corpus.people}
    assert len({job.recording_id for job in jobs}) == len(jobs)
    for job in jobs:
        lab = LABORATORIES[job.person.id[0]]
        raw_labels = {lab.event_codes[kind]: kind for kind in lab.event_codes}
        assert {code: path.split("/")[-1] for code, path in job.labels.items()} == {
            code: "between_trials" if kind == "rest" else kind for code, kind in raw_labels.items()
        }
        known = {covariate: (value, origin) for covariate, value, origin in job.methodology}
        assert known["simulated"] == ("true", "declared")
        assert known["reference"] == ("+".join(lab.reference), "recorded" if lab.code == "B" else "declared")
        assert known["site"][0] == lab.code
        assert "country" not in known
        assert job.line_freq_hz == lab.line_freq_hz


def test_without_a_source_the_recipe_simulates_the_corpus(corpus):
    recipe = find("simulated")
    assert recipe.access == "simulated"
    assert recipe.download(corpus.root, ()) == corpus.root
    assert recipe.people == len(corpus.people)


@pytest.mark.parametrize(
    "numbers", [{"people_per_lab": 0}, {"trials_per_person": 7}, {"trials_per_person": 0}]
)
def test_numbers_that_make_no_balanced_corpus_are_refused(tmp_path, numbers):
    with pytest.raises(UsageError, match="half of them left"):
        write_corpus(tmp_path, **numbers)
    assert not list(tmp_path.iterdir())
