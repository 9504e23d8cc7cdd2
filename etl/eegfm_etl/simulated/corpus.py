"""Three small laboratories, for the demo and the tests: people whose left and right imagery can be decoded.

Lab A writes EDF+ (64 channels, 160 Hz, names as PhysioNet spells them, 60 Hz mains), lab B BrainVision in
BIDS (32 channels, 500 Hz, against Cz, 50 Hz mains), lab C EEGLAB (22 channels, 250 Hz, 50 Hz mains). What is
simulated says so: in the files' headers, in the data set's description, in ``simulated.json``, and as the
methodology covariate ``simulated``.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from eegfm_etl.simulated.files import STATEMENT, write_descriptions, write_recording
from eegfm_etl.simulated.laboratories import LABORATORIES, SIDES, Laboratory, Person, draw_people
from eegfm_etl.simulated.oracle import oracle_decisions
from eegfm_etl.simulated.sources import Recording, draw_trials, place_sources, record
from eegfm_lake.errors import UsageError

MANIFEST = "simulated.json"
VERSION = 1


@dataclass(frozen=True)
class SimulatedPerson:
    """A person of the corpus: the recording's path below the root, and how well it can be decoded at best."""

    person: Person
    file: str
    cues: dict[str, str]  # onset in seconds, to a tenth → left_fist or right_fist
    oracle_accuracy: float


@dataclass(frozen=True)
class Corpus:
    """What `write_corpus` wrote.

    Attributes
    ----------
    oracle_accuracy : float
        Mean over people of the share of trials that `oracle_decisions` gets right; chance is 0.5.
    existed : bool
        True where the corpus was there already and nothing was written.
    """

    root: Path
    seed: int
    people: tuple[SimulatedPerson, ...]
    oracle_accuracy: float
    existed: bool

    @property
    def files(self) -> list[Path]:
        """Paths of all recordings."""
        return [self.root / person.file for person in self.people]

    def oracle_of(self, code: str) -> float:
        """Oracle accuracy of one person, by code (``A01``)."""
        return self._of(code).oracle_accuracy

    def file_of(self, code: str) -> Path:
        """Path of one person's recording."""
        return self.root / self._of(code).file

    def cues_of(self, code: str) -> dict[float, str]:
        """Cues of one person: onset in seconds, to a tenth, and ``left_fist`` or ``right_fist``."""
        return {float(onset_s): side for onset_s, side in self._of(code).cues.items()}

    def _of(self, code: str) -> SimulatedPerson:
        return next(entry for entry in self.people if entry.person.code == code)


def write_corpus(
    root: Path, *, people_per_lab: int = 9, trials_per_person: int = 40, seed: int = 0
) -> Corpus:
    """Write a corpus of three simulated laboratories, or find that it is there.

    Parameters
    ----------
    root : Path
        Folder for ``lab_a``, ``lab_b``, ``lab_c`` and the manifest ``simulated.json``, which holds
        everything that was simulated and the oracle's accuracy per person. The manifest is written last:
        without it the corpus counts as unfinished and is written again.
    people_per_lab : int
        People in each laboratory, one recording each.
    trials_per_person : int
        Even number of cued trials of 4 s, half left, half right.
    seed : int
        The same seed gives the same bytes.

    Returns
    -------
    Corpus

    Raises
    ------
    UsageError
        The numbers make no corpus, or `root` holds a corpus made with other ones.
    """
    if people_per_lab < 1 or trials_per_person < 2 or trials_per_person % 2:
        raise UsageError(
            f"people_per_lab={people_per_lab}, trials_per_person={trials_per_person}: expected at least one "
            "person and an even number of trials, half of them left"
        )
    root = Path(root)
    made_with = {
        "version": VERSION,
        "seed": seed,
        "people_per_lab": people_per_lab,
        "trials_per_person": trials_per_person,
    }
    if (root / MANIFEST).exists():
        return _same_corpus(root, made_with)
    people = []
    for laboratory in LABORATORIES.values():
        persons = draw_people(laboratory, people_per_lab, seed)
        write_descriptions(root, laboratory, persons)
        for person in persons:
            recording, accuracy = simulate_person(laboratory, person, trials_per_person)
            file = write_recording(root, laboratory, person, recording)
            people.append(SimulatedPerson(person, file, _cues(recording), accuracy))
    oracle = float(np.mean([entry.oracle_accuracy for entry in people]))
    corpus = Corpus(root, seed, tuple(people), oracle, existed=False)
    _write_manifest(corpus, made_with)
    return corpus


def read_corpus(root: Path) -> Corpus:
    """Read a corpus' manifest.

    Raises
    ------
    UsageError
        There is no ``simulated.json``.
    """
    path = Path(root) / MANIFEST
    if not path.exists():
        raise UsageError(
            f"{path} not found: expected a corpus written by eegfm_etl.simulated.corpus.write_corpus"
        )
    content = json.loads(path.read_text(encoding="utf-8"))
    people = tuple(
        SimulatedPerson(Person(**entry["person"]), entry["file"], entry["cues"], entry["oracle_accuracy"])
        for entry in content["people"]
    )
    return Corpus(Path(root), content["made_with"]["seed"], people, content["oracle_accuracy"], existed=True)


def simulate_person(laboratory: Laboratory, person: Person, n_trials: int) -> tuple[Recording, float]:
    """One person's recording and the share of its trials that the oracle gets right."""
    rng = np.random.default_rng([person.seed, 2])
    brain = place_sources(laboratory, person)
    recording = record(laboratory, person, brain, draw_trials(n_trials, rng), rng)
    decided = oracle_decisions(laboratory, person, brain, recording)
    return recording, float(np.mean(decided == recording.trials.side))


def _cues(recording: Recording) -> dict[str, str]:
    trials = recording.trials
    return {
        f"{onset_s:.1f}": SIDES[side]
        for onset_s, side in zip(trials.onset_s.tolist(), trials.side.tolist(), strict=True)
    }


def _same_corpus(root: Path, made_with: dict[str, int]) -> Corpus:
    there = json.loads((root / MANIFEST).read_text(encoding="utf-8"))["made_with"]
    if there != made_with:
        raise UsageError(
            f"{root / MANIFEST} was made with {there}, asked for {made_with}: choose another folder or "
            "remove this one"
        )
    corpus = read_corpus(root)
    missing = [path for path in corpus.files if not path.exists()]
    if missing:
        raise UsageError(
            f"{missing[0]} is gone though {MANIFEST} names it: remove {root} to simulate it again"
        )
    return replace(corpus, existed=True)


def _write_manifest(corpus: Corpus, made_with: dict[str, int]) -> None:
    of_lab = {
        code: float(np.mean([p.oracle_accuracy for p in corpus.people if p.person.laboratory == code]))
        for code in LABORATORIES
    }
    content = {
        "simulated": True,
        "statement": STATEMENT,
        "made_with": made_with,
        "oracle_accuracy": corpus.oracle_accuracy,
        "oracle_accuracy_of_laboratory": of_lab,
        "laboratories": {code: asdict(lab) for code, lab in LABORATORIES.items()},
        "people": [asdict(entry) for entry in corpus.people],
    }
    scratch = corpus.root / f".{MANIFEST}"
    scratch.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    scratch.replace(corpus.root / MANIFEST)
