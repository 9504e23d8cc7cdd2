"""Run a comparison of decoders on a lock: every model, alignment, fold and seed, then scores and tables."""

import csv
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eegfm.config import FinetuneConfig, dump_config
from eegfm.data import WindowReader
from eegfm.decode.chance import permutation_chance
from eegfm.decode.overlap import refuse_seen_people
from eegfm.decode.protocols import Fold, make_folds
from eegfm.decode.tables import score_people, table_of_models
from eegfm.decode.trials import Trials, read_trials
from eegfm.decode.units import Unit, device_of, plan_units, run_unit, unit_file
from eegfm.pretrain.record import RunRecord, write_atomic
from eegfm_lake.allocator import keep_freed_memory
from eegfm_lake.lock import Lock, find_lock, verify

ANY_MONTAGE = ("csbrain", "methodology")


def finetune(config: FinetuneConfig) -> Path:
    """Fit and score every decoder of a configuration on people it never saw.

    A run that was interrupted goes on: units that are finished are not done again.

    Parameters
    ----------
    config : FinetuneConfig

    Returns
    -------
    Path
        The run folder: config.yaml, run.json, log.jsonl, predictions.parquet, scores.parquet, table.csv,
        chance.json, decoders/ and units/ (finished parts).

    Raises
    ------
    EegfmError
        Signals are gone; folds share people; an encoder has seen test people; too few labels or channels.
    UsageError
        No such lock, or people whom it does not have.
    """
    lock = find_lock(config.lock, config.lake or os.environ.get("EEGFM_LAKE") or "data/lake")
    verify(lock)
    folds = make_folds(lock, config.protocol)
    checkpoints = {model.model.checkpoint for model in config.models if model.name == "csbrain"}
    for checkpoint in sorted(one for one in checkpoints if one is not None):
        refuse_seen_people(checkpoint, folds, lock)
    comparison = Comparison(config, lock.path, " ".join(sys.argv))
    record = RunRecord(config.run_dir, _facts(config, lock, folds), dump_config(config))
    status = "failed"
    try:
        data = Data.read(lock, config)
        _describe_inputs(config, lock, data)
        _run_units(comparison, data, plan_units(config, folds), lock.hash, record)
        _write_results(config, data, folds, lock.hash)
        status = "finished"
    except KeyboardInterrupt:
        status = "stopped"
        raise
    finally:
        record.close(status)
    return config.run_dir


@dataclass(frozen=True)
class Comparison:
    """What a process needs to know to work on a unit."""

    config: FinetuneConfig
    lock_path: str
    command: str


@dataclass(frozen=True)
class Data:
    """The trials in every channel, and in those common to all people: linear decoders share covariances."""

    every: Trials
    common: Trials

    @classmethod
    def read(cls, lock: Lock, config: FinetuneConfig) -> "Data":
        """Read a lock's labelled windows."""
        every = read_trials(lock, WindowReader(lock, config.reader), config.classes)
        shared = every.common_channels()
        return cls(every, every.pick(shared) if shared else every)

    def of(self, unit: Unit) -> Trials:
        """Return what a unit's model reads."""
        return self.every if unit.model.name in ANY_MONTAGE else self.common


def _run_units(
    comparison: Comparison, data: Data, units: list[Unit], lock_hash: str, record: RunRecord
) -> None:
    run_dir = comparison.config.run_dir
    files = [unit_file(run_dir, comparison.config, unit, lock_hash) for unit in units]
    waiting = [(unit, file) for unit, file in zip(units, files, strict=True) if not file.exists()]
    record.log(stage="finetune", units=len(units), finished=len(units) - len(waiting))
    if not comparison.config.workers:
        keep_freed_memory()
        for unit, file in waiting:
            _work(comparison, data, unit, file)
        return
    # Spawned, not forked: a child of a process that has used torch's threads may hang.
    from multiprocessing import get_context

    pool = ProcessPoolExecutor(
        comparison.config.workers, get_context("spawn"), initializer=_start_worker, initargs=(comparison,)
    )
    with pool:
        futures = [pool.submit(_work_in_pool, comparison, unit, file) for unit, file in waiting]
        for future in as_completed(futures):
            error = future.exception()
            if error is not None:
                pool.shutdown(wait=False, cancel_futures=True)
                raise error


def _work(comparison: Comparison, data: Data, unit: Unit, file: Path) -> None:
    log = partial(_log, comparison.config.run_dir)
    run_unit(comparison.config, unit, data.of(unit), file, command=comparison.command, log=log)


_worker_data: list[Data] = []


def _start_worker(comparison: Comparison) -> None:
    import torch

    from eegfm_lake.lock import read_lock

    keep_freed_memory()
    torch.set_num_threads(1)
    _worker_data[:] = [Data.read(read_lock(comparison.lock_path), comparison.config)]


def _work_in_pool(comparison: Comparison, unit: Unit, file: Path) -> None:
    _work(comparison, _worker_data[0], unit, file)


def _log(run_dir: Path, **entry: Any) -> None:
    """Append one line to the run's log; one short write a line, so that processes do not mix theirs."""
    from datetime import UTC, datetime

    line = json.dumps(
        {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry}, ensure_ascii=False
    )
    with (run_dir / "log.jsonl").open("ab", buffering=0) as file:
        file.write(line.encode() + b"\n")


def _facts(config: FinetuneConfig, lock: Lock, folds: list[Fold]) -> dict[str, Any]:
    encoders = [model.model.checkpoint for model in config.models if model.model.checkpoint]
    return {
        "kind": "finetune",
        "name": config.name,
        "lock": {"path": lock.path, "name": lock.name, "hash": lock.hash},
        "encoder": {"checkpoint": encoders[0]} if encoders else None,
        "seed": config.seeds,
        "models": [model.title for model in config.models],
        "protocol": config.protocol.model_dump(mode="json"),
        "folds": [vars(fold) for fold in folds],
        "device": device_of(config.accelerator),
    }


def _describe_inputs(config: FinetuneConfig, lock: Lock, data: Data) -> None:
    """Write inputs.json: what `predict_windows` needs to know to treat new samples as these were."""
    first = data.every.people[0]
    described = {
        "classes": list(data.every.classes),
        "rate_hz": data.every.rate_hz,
        "samples": int(first.x_NCT.shape[-1]),
        "reader": config.reader.model_dump(mode="json"),
        "common_channels": list(data.common.people[0].names),
        "profile": lock.recordings["profile"][0].as_py(),
        "models": [model.model_dump(mode="json") for model in config.models],
    }
    write_atomic(config.run_dir / "inputs.json", json.dumps(described, indent=1))


def _write_results(config: FinetuneConfig, data: Data, folds: list[Fold], lock_hash: str) -> None:
    run_dir = config.run_dir
    files = [unit_file(run_dir, config, unit, lock_hash) for unit in plan_units(config, folds)]
    predictions = pa.concat_tables([pq.read_table(file) for file in files])
    scores = score_people(predictions, list(data.every.classes))
    pq.write_table(predictions, run_dir / "predictions.parquet")
    pq.write_table(scores, run_dir / "scores.parquet")
    rows = table_of_models(scores)
    with (run_dir / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(
            {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}
            for row in rows
        )
    if config.permutations:
        _log(run_dir, stage="chance", permutations=config.permutations)
        chance = permutation_chance(data.common, folds, config.permutations)
        write_atomic(run_dir / "chance.json", json.dumps(chance, indent=1))
