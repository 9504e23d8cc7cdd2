"""Follow a run's log while it runs: one live line on a terminal, plain lines elsewhere."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PLAIN_EVERY_S = 10.0
LOOK_EVERY_S = 0.3

_SHOWN = {
    "stage": "{}",
    "model": "{}",
    "fold": "fold {}",
    "seed": "seed {}",
    "epoch": "epoch {:.1f}",
    "step": "step {}",
    "split": "{}",
    "loss": "loss {:.4f}",
    "balanced_accuracy": "balanced accuracy {:.3f}",
    "windows_s": "{:.0f} windows/s",
    "hours_h": "{:.0f} h of EEG an hour",
    "wait_share": "waited {:.0%}",
}


@contextmanager
def following(run_dir: Path) -> Iterator[None]:
    """Print what `<run_dir>/log.jsonl` gains while the block runs.

    Parameters
    ----------
    run_dir : Path
        The run's folder; it need not exist yet.
    """
    log = Path(run_dir) / "log.jsonl"
    start = log.stat().st_size if log.exists() else 0
    done = threading.Event()
    thread = threading.Thread(target=_follow, args=(log, start, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def describe_record(record: dict[str, Any]) -> str:
    """One log record as words: ``pretrain · step 40 · train · loss 0.8123``."""
    words = [form.format(record[key]) for key, form in _SHOWN.items() if record.get(key) is not None]
    return " · ".join(words)


def _follow(log: Path, position: int, done: threading.Event) -> None:
    show = _live_line() if sys.stderr.isatty() else _plain_line
    last_shown, waiting = 0.0, ""
    finished = False
    while not finished:
        finished = done.wait(LOOK_EVERY_S)
        position, records = _new_records(log, position)
        for record in records:
            waiting = describe_record(record)
        now = time.monotonic()
        if waiting and (finished or sys.stderr.isatty() or now - last_shown >= PLAIN_EVERY_S):
            show(waiting)
            last_shown, waiting = now, ""
    if sys.stderr.isatty():
        print(file=sys.stderr)


def _new_records(log: Path, position: int) -> tuple[int, list[dict[str, Any]]]:
    if not log.exists():
        return position, []
    with log.open("rb") as file:
        file.seek(position)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]  # a line that is still being written waits for the next look
    return position + len(whole), [json.loads(line) for line in whole.splitlines() if line.strip()]


def _plain_line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _live_line() -> Any:
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    started = time.monotonic()

    def show(text: str) -> None:
        line = f"[dim]{time.monotonic() - started:5.0f} s[/dim]  {text}"
        console.print(line, end="\r", overflow="ellipsis", no_wrap=True, crop=True, soft_wrap=False)

    return show
