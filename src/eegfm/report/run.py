"""A run folder, read once: what every table and figure of the report is made from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from eegfm_lake.errors import EegfmError
from eegfm_lake.lock import Lock, read_lock


@dataclass(frozen=True)
class Run:
    """What a run folder holds; what it lacks is None or empty."""

    path: Path
    info: dict[str, Any]
    config: dict[str, Any]
    log: list[dict[str, Any]]
    lock: Lock | None
    lock_problem: str | None
    scores: pa.Table | None
    predictions: pa.Table | None
    chance: dict[str, float] | None
    reconstructions: dict[str, np.ndarray] | None
    encoder: "Run | None"
    """The pre-training run whose weights this one started from."""

    @property
    def name(self) -> str:
        """The run's name, the folder's where it says none."""
        return str(self.info.get("name") or self.path.name)

    @property
    def kind(self) -> str:
        """``pretrain`` or ``finetune``."""
        return str(self.info["kind"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels that a fine-tuning run tells apart; empty where it did not get that far."""
        inputs = self.path / "inputs.json"
        known = json.loads(inputs.read_text(encoding="utf-8")) if inputs.exists() else self.info
        return tuple(known.get("classes") or ())

    @property
    def pretraining(self) -> "Run | None":
        """The run that pre-trained: itself, or the one its encoder comes from."""
        return self if self.kind == "pretrain" else self.encoder


def load_run(run_dir: str | Path) -> Run:
    """Read a run folder.

    Parameters
    ----------
    run_dir : str or Path
        A folder that `eegfm pretrain` or `eegfm finetune` made.

    Returns
    -------
    Run
        A lock that is gone leaves ``lock`` None and its reason in ``lock_problem``.

    Raises
    ------
    EegfmError
        No such folder, or no run.json in it.
    """
    path = Path(run_dir)
    if not (path / "run.json").exists():
        found = "does not exist" if not path.exists() else "holds no run.json"
        raise EegfmError(f"{path} {found}; expected the folder of a run, for example runs/left_right")
    info = json.loads((path / "run.json").read_text(encoding="utf-8"))
    lock, problem = _lock(info)
    return Run(
        path=path,
        info=info,
        config=_yaml(path / "config.yaml"),
        log=_log(path / "log.jsonl"),
        lock=lock,
        lock_problem=problem,
        scores=_table(path / "scores.parquet"),
        predictions=_table(path / "predictions.parquet"),
        chance=json.loads((path / "chance.json").read_text()) if (path / "chance.json").exists() else None,
        reconstructions=_arrays(path / "reconstructions.npz"),
        encoder=_encoder(path, info),
    )


def is_simulated(lock: Lock) -> bool:
    """Whether any recording of a lock was simulated, as its methodology says."""
    return any(
        entry["covariate"] == "simulated" and entry["value"] == "true"
        for methodology in lock.recordings["methodology"].to_pylist()
        for entry in methodology or ()
    )


def _lock(info: dict[str, Any]) -> tuple[Lock | None, str | None]:
    try:
        return read_lock(info["lock"]["path"]), None
    except (EegfmError, FileNotFoundError) as error:
        return None, str(error)


def _encoder(path: Path, info: dict[str, Any]) -> Run | None:
    encoder = info.get("encoder")
    checkpoint = encoder.get("path") or encoder.get("checkpoint") if isinstance(encoder, dict) else encoder
    if not checkpoint or info["kind"] == "pretrain":
        return None
    for base in (Path(), path.parent):
        for folder in (base / checkpoint, (base / checkpoint).parent):
            if (folder / "run.json").exists():
                return load_run(folder)
    return None


def _yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


def _log(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def _table(path: Path) -> pa.Table | None:
    return pq.read_table(path) if path.exists() else None


def _arrays(path: Path) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
