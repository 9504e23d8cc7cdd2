"""What a run writes about itself: run.json, config.yaml, log.jsonl."""

import json
import math
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("eegfm", "torch", "lightning-fabric", "numpy", "pyarrow")


class RunRecord:
    """The papers of a run folder.

    Parameters
    ----------
    run_dir : Path
        Created if need be.
    facts : dict
        Entries of run.json: kind, name, lock, seed, device …; times, command, versions and status are added.
    config_yaml : str
        The resolved configuration.
    """

    def __init__(self, run_dir: Path, facts: dict[str, Any], config_yaml: str) -> None:
        self.run_dir = run_dir
        run_dir.mkdir(parents=True, exist_ok=True)
        write_atomic(run_dir / "config.yaml", config_yaml)
        before = read_facts(run_dir)
        self._facts = {
            **facts,
            "command": " ".join(sys.argv),
            "versions": _versions(),
            "started": before.get("started") or _now(),
            "resumed": [*before.get("resumed", []), _now()] if before else [],
            "finished": None,
            "status": "running",
        }
        self._write()

    def log(self, **entry: Any) -> None:
        """Append one line to log.jsonl; not-a-number becomes null."""
        with (self.run_dir / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(_plain({"time": _now(), **entry}), ensure_ascii=False) + "\n")

    def close(self, status: str, **facts: Any) -> None:
        """Write how the run ended: ``finished``, ``stopped`` or ``failed``."""
        self._facts |= {**facts, "status": status, "finished": _now()}
        self._write()

    def _write(self) -> None:
        write_atomic(self.run_dir / "run.json", json.dumps(_plain(self._facts), indent=2, ensure_ascii=False))


def read_facts(run_dir: Path) -> dict[str, Any]:
    """Return run.json, empty where there is none."""
    path = run_dir / "run.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def drop_log_after(run_dir: Path, step: int) -> None:
    """Forget log lines of steps that a resumed run will do again."""
    path = run_dir / "log.jsonl"
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.endswith("}") and json.loads(line).get("step", 0) <= step]
    write_atomic(path, "".join(f"{line}\n" for line in kept))


def write_atomic(path: Path, text: str) -> None:
    """Replace a text file whole."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree that was never installed
            found[package] = "not installed"
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
