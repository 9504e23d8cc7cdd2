"""One file that a run continues from, replaced whole or not at all."""

import os
from pathlib import Path
from typing import Any

import torch

from eegfm_lake.errors import EegfmError, UsageError

FILE = "resume/checkpoint.pt"

# Keys of a configuration that may differ when a run is continued: they do not touch the result.
FREE_KEYS = (
    "name", "runs", "lake", "lock", "log_steps", "checkpoint_steps", "checkpoint_min", "reconstructions",
    "loader.workers", "loader.prefetch", "compile", "checkpointing",
)  # fmt: skip


def save_checkpoint(run_dir: Path, state: dict[str, Any]) -> None:
    """Write the state beside the old one, flush it, then replace: a crash leaves one of the two whole."""
    path = run_dir / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    try:
        with scratch.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:
        scratch.unlink(missing_ok=True)
        raise EegfmError(f"cannot write the checkpoint {path}: {error}; is the disk full?") from error
    scratch.replace(path)


def load_checkpoint(run_dir: Path, config: dict[str, Any], lock_hash: str) -> dict[str, Any] | None:
    """Return the state that a run left, None where it left none.

    Parameters
    ----------
    run_dir : Path
    config : dict
        The resolved configuration of the run that wants to continue.
    lock_hash : str
        Hash of its lock.

    Raises
    ------
    UsageError
        The checkpoint belongs to another configuration or lock.
    EegfmError
        The file cannot be read.
    """
    path = run_dir / FILE
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise EegfmError(f"{path} is damaged ({error}); delete it to start again") from error
    way_out = "give the run another name, or delete its folder to start again"
    if state["lock_hash"] != lock_hash:
        raise UsageError(f"{run_dir} was trained on lock {state['lock_hash']}, not on {lock_hash}; {way_out}")
    before, now = _flat(state["config"]), _flat(config)
    differs = {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}
    changed = sorted(differs - set(FREE_KEYS))
    if changed:
        key = changed[0]
        raise UsageError(
            f"{run_dir} was trained with {key}={before.get(key)!r}, not {now.get(key)!r}; {way_out}"
        )
    return state


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
