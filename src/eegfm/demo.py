"""The line on a simulated corpus: raw files → lake → cohorts → encoder → decoders → a new file → report.

Everything is simulated, and says so. Every step asks the same public function that its verb of the command
line asks, and finds what an earlier run left: a second demo does nothing twice.
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from eegfm.config import FinetuneConfig, PretrainConfig, load_config

LEFT_OUT = "A09"
"""The person whom nothing sees before `predict` reads the recording."""

DECODE, PRETRAIN = "simulated_left_right", "demo_pretrain"

# Nobody whom a decoder is tested on, and not the person left out: the encoder must not have seen them.
PRETRAIN_SQL = """
SELECT recording_id, start, seconds
FROM windows(4, 4)
WHERE dataset = 'simulated' AND clean(recording_id, start, seconds)
    AND NOT list_contains(split($unseen, ' '), person)
"""

Say = Callable[[str], object]


@dataclass(frozen=True)
class DemoResult:
    """What the demo showed; accuracies are balanced and means over people, chance is 0.5.

    Attributes
    ----------
    oracle : float
        Accuracy, on the tested people, of a decoder that knows how they were simulated.
    scores : list of dict
        model, target_data, balanced_accuracy, people: one row a decoder, on people it never saw.
    csbrain : float
        The best of CSBrain's rows.
    chance : float
        Mean of a linear decoder trained on permuted labels.
    left_out_correct, left_out_trials : int
        Trials of the person left out of everything that `predict` got right.
    report, picture : Path
    """

    oracle: float
    scores: list[dict[str, Any]]
    csbrain: float
    chance: float
    left_out_correct: int
    left_out_trials: int
    report: Path
    picture: Path

    @property
    def share_of_margin(self) -> float:
        """CSBrain's margin over one half as a share of the oracle's."""
        return (self.csbrain - 0.5) / (self.oracle - 0.5)


def run_demo(folder: str | Path = "data/demo", *, workers: int | None = None, say: Say = print) -> DemoResult:
    """Run every step of the line on a simulated corpus.

    Parameters
    ----------
    folder : str or Path
        Where corpus, lake, runs and picture go; what is there already is not made again.
    workers : int, optional
        Processes that ingest and that fit decoders; as many as there are cores, at most 4.
    say : callable
        Is given every line for people.

    Returns
    -------
    DemoResult

    Raises
    ------
    EegfmError
        A step failed; the same command goes on from there.
    """
    folder, started = Path(folder), time.monotonic()
    workers = min(4, os.cpu_count() or 1) if workers is None else workers
    steps = _Steps(say)
    corpus = _simulate(folder / "corpus", steps)
    lake_uri = str(folder / "lake")
    _ingest(lake_uri, corpus.root, workers, steps)
    settings = [f"lake={lake_uri}", f"runs={folder / 'runs'}"]
    finetune_config = load_config("finetune/demo", FinetuneConfig, [*settings, f"workers={workers}"])
    locks = _freeze(lake_uri, finetune_config, steps)
    encoder_dir = _pretrain(load_config("pretrain/demo", PretrainConfig, settings), locks[PRETRAIN], steps)
    run_dir = _finetune(finetune_config, encoder_dir, locks[DECODE], steps)
    correct, trials = _predict(run_dir, corpus, steps)
    report, picture = _draw(run_dir, folder / "demo.png", steps)
    result = _result(run_dir, corpus, (correct, trials), report, picture)
    say(f"\n{describe_result(result)}")
    say(f"{time.monotonic() - started:.0f} s; page {report}, picture {picture}")
    return result


def describe_result(result: DemoResult) -> str:
    """Return the final table as text: oracle, decoders from best to worst, chance."""
    rows = [("oracle (knows the simulation)", "", result.oracle)]
    ranked = sorted(result.scores, key=lambda row: -row["balanced_accuracy"])
    rows += [(row["model"], row["target_data"], row["balanced_accuracy"]) for row in ranked]
    rows.append(("chance (permuted labels)", "", result.chance))
    lines = [
        "simulated left or right imagery, people never seen",
        f"{'decoder':<32}{'took':<6}balanced accuracy",
    ]
    lines += [f"{name:<32}{took:<6}{value:.3f} {_bar(value)}" for name, took, value in rows]
    lines.append(f"CSBrain reaches {result.share_of_margin:.0%} of the oracle's margin over chance.")
    return "\n".join(lines)


class _Steps:
    """Numbers the steps, and says how long each took or that its result was there."""

    def __init__(self, say: Say) -> None:
        self.say, self.number, self.started = say, 0, 0.0

    def begin(self, text: str) -> None:
        self.number, self.started = self.number + 1, time.monotonic()
        self.say(f"[{self.number}/7] {text}")

    def end(self, text: str, *, existed: bool = False) -> None:
        took = "already there" if existed else f"{time.monotonic() - self.started:.0f} s"
        self.say(f"      {text} ({took})")


def _simulate(root: Path, steps: _Steps) -> Any:
    from eegfm_etl.simulated.corpus import write_corpus

    steps.begin("simulate three laboratories (nobody was recorded)")
    corpus = write_corpus(root)
    steps.end(
        f"{len(corpus.files)} recordings in {root}; oracle {corpus.oracle_accuracy:.3f}",
        existed=corpus.existed,
    )
    return corpus


def _ingest(lake_uri: str, source: Path, workers: int, steps: _Steps) -> None:
    from eegfm_etl.ingest import ingest

    steps.begin("ingest: EDF+, BrainVision and EEGLAB become 200 Hz in one lake")
    report = ingest(lake_uri, "simulated", source=source, workers=workers if workers > 1 else 0)
    steps.end(f"{report.done} recordings, {report.hours:.1f} h", existed=report.done == 0)


def _freeze(lake_uri: str, config: FinetuneConfig, steps: _Steps) -> dict[str, str]:
    from eegfm.decode.protocols import select_people
    from eegfm_lake.cohort import freeze
    from eegfm_lake.lock import read_lock
    from eegfm_lake.table import Lake

    steps.begin(
        f"cohorts: left or right with folds of people, and windows to pre-train on, without {LEFT_OUT}"
    )
    lake = Lake.open(lake_uri)
    decode = freeze(lake, DECODE, params={"without": f"sim/{LEFT_OUT}"})
    people = set(read_lock(decode.path).recordings["person"].to_pylist())
    unseen = [f"sim/{LEFT_OUT}", *select_people(config.protocol.test_people, people)]
    pretrain = freeze(lake, PRETRAIN_SQL, name=PRETRAIN, params={"unseen": " ".join(unseen)})
    for name, frozen in ((DECODE, decode), (PRETRAIN, pretrain)):
        windows = sum(row["windows"] for row in frozen.counts)
        steps.end(f"{name}@{frozen.hash[:12]}: {windows} windows", existed=frozen.existed)
    return {DECODE: str(decode.path), PRETRAIN: str(pretrain.path)}


def _pretrain(config: PretrainConfig, lock: str, steps: _Steps) -> Path:
    from eegfm.commands.progress import following
    from eegfm.pretrain import pretrain

    steps.begin("pre-train a tiny CSBrain on masked patches")
    config = config.model_copy(update={"lock": lock})
    existed = _finished(config.run_dir)
    with following(config.run_dir):
        run_dir = pretrain(config)
    steps.end(str(run_dir), existed=existed)
    return run_dir


def _finetune(config: FinetuneConfig, encoder_dir: Path, lock: str, steps: _Steps) -> Path:
    from eegfm.commands.progress import following
    from eegfm.decode import finetune

    steps.begin("decode people never seen: CSBrain on all three montages, baselines on the common channels")
    models = [
        model.model_copy(update={"model": model.model.model_copy(update={"checkpoint": str(encoder_dir)})})
        if model.name == "csbrain"
        else model
        for model in config.models
    ]
    config = config.model_copy(update={"lock": lock, "models": models})
    existed = _finished(config.run_dir) and _lock_of(config.run_dir) == lock
    if not existed:
        with following(config.run_dir):
            finetune(config)
    steps.end(str(config.run_dir), existed=existed)
    return config.run_dir


def _predict(run_dir: Path, corpus: Any, steps: _Steps) -> tuple[int, int]:
    """Read the left-out person's raw file with the run, and compare its trials with what was simulated."""
    from eegfm.predict import predict_file

    file = corpus.file_of(LEFT_OUT)
    steps.begin(f"predict {file.name}: a raw file of {LEFT_OUT}, whom nothing has seen")
    predicted = predict_file(run_dir, file, at=("T1", "T2")).table.to_pylist()
    truth = corpus.cues_of(LEFT_OUT)
    hits = [
        row["predicted"].endswith(truth[round(row["onset_s"], 1)])
        for row in predicted
        if round(row["onset_s"], 1) in truth
    ]
    steps.end(f"{sum(hits)} of {len(hits)} trials right; oracle {corpus.oracle_of(LEFT_OUT):.3f}")
    return sum(hits), len(hits)


def _draw(run_dir: Path, picture: Path, steps: _Steps) -> tuple[Path, Path]:
    from eegfm.report import write_overview_png, write_report

    steps.begin("report: one page that needs no network")
    report = write_report(run_dir)
    write_overview_png(run_dir, picture)
    steps.end(str(report))
    return report, picture


def _result(run_dir: Path, corpus: Any, left_out: tuple[int, int], report: Path, picture: Path) -> DemoResult:
    scores = pq.read_table(run_dir / "scores.parquet")
    tested = scores.filter(pc.equal(scores["split"], "test"))
    over_people = tested.filter(pc.is_null(tested["person"]))
    people = {name.removeprefix("sim/") for name in tested["person"].to_pylist() if name}
    rows = over_people.select(["model", "target_data", "balanced_accuracy", "people"]).to_pylist()
    return DemoResult(
        oracle=_mean(corpus.oracle_of(code) for code in sorted(people)),
        scores=rows,
        csbrain=max(row["balanced_accuracy"] for row in rows if row["model"].lower().startswith("csbrain")),
        chance=json.loads((run_dir / "chance.json").read_text(encoding="utf-8"))["mean"],
        left_out_correct=left_out[0],
        left_out_trials=left_out[1],
        report=report,
        picture=picture,
    )


def _finished(run_dir: Path) -> bool:
    file = run_dir / "run.json"
    return file.exists() and json.loads(file.read_text(encoding="utf-8")).get("status") == "finished"


def _lock_of(run_dir: Path) -> str:
    return json.loads((run_dir / "run.json").read_text(encoding="utf-8"))["lock"]["path"]


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)


def _bar(value: float) -> str:
    """Return a bar from one half (nothing) to one (full)."""
    return "█" * max(0, round(40 * (value - 0.5)))
