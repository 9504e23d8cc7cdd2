"""Any EEG file through a run's own chain: harmonised as an ingest would, then read by the run's decoder."""

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pyarrow as pa

from eegfm.data.methodology import covariates
from eegfm.decode import predict_windows
from eegfm_etl.ingest import harmonise_file
from eegfm_lake.errors import EegfmError, UsageError
from eegfm_lake.signals import open_signal
from eegfm_lake.storage import Storage


@dataclass(frozen=True)
class Prediction:
    """What a run says about a file.

    Attributes
    ----------
    table : pa.Table
        One row a trial or window: file, onset_s, seconds, event, predicted, a probability a class, model and
        target_data.
    channel_report : tuple of str
        One line for every channel that does not match what the run was trained on.
    """

    table: pa.Table
    channel_report: tuple[str, ...]


def predict_file(
    run_dir: str | Path,
    path: str | Path,
    *,
    model: str | None = None,
    alignment: str | None = None,
    at: Sequence[str] = (),
    windows: bool = False,
) -> Prediction:
    """Read an EEG file with a fine-tuning run's decoder.

    Parameters
    ----------
    run_dir : str or Path
        The run's folder.
    path : str or Path
        A file of any format that an ingest reads.
    model : str, optional
        A model of the run's table; CSBrain where there is one.
    alignment : {"none", "past", "all"}, optional
        What may be used of this file's earlier or later signal; ``past`` where the run has it.
    at : sequence of str
        Patterns of the file's own event labels at which trials begin (``T1``, ``Stimulus/*``); all of its
        events where omitted.
    windows : bool
        Windows that follow one another through the whole file, whatever its events; also what a file without
        events gets.

    Returns
    -------
    Prediction

    Raises
    ------
    EegfmError
        The file cannot be read, holds no whole window, or lacks channels that the decoder needs.
    UsageError
        No event fits `at`, or the run has no such model or alignment.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    inputs = _inputs(Path(run_dir))
    window_s = inputs["samples"] / inputs["rate_hz"]
    rows: list[dict[str, Any]] = []
    report: dict[str, None] = {}
    with tempfile.TemporaryDirectory(prefix="eegfm-predict-") as folder:
        row, signal = harmonise_file(path, folder, inputs.get("profile") or "eeg200")
        stored = [channel for channel in row["channels"] if channel["status"] != "dropped"]
        report |= dict.fromkeys(_left_out(row["channels"]))
        known = covariates(row["methodology"])
        wanted = [] if windows else _trials(row["events"] or [], at, path)
        reader = open_signal(Storage(folder), Path(signal.path).name)
        for segment, events in _parts(row, wanted, window_s):
            said = predict_windows(
                run_dir,
                reader.read_uv(segment["first_sample"], segment["samples"]),
                stored,
                rate_hz=reader.rate_hz,
                onsets_s=[onset_s for onset_s, _ in events] if wanted else None,
                model=model,
                alignment=alignment,
                reference=known.get("reference"),
                methodology=known,
                source=str(path),
            )
            report |= dict.fromkeys(line for line in said.channel_report if not line.endswith(": matched"))
            rows += _rows(path, segment, said, dict(events))
    if not rows:
        raise EegfmError(f"{path} holds no whole {'trial' if wanted else 'window'} of {window_s:g} s")
    return Prediction(pa.Table.from_pylist(rows), tuple(report))


def _trials(events: list[dict[str, Any]], at: Sequence[str], path: Path) -> list[dict[str, Any]]:
    patterns = at or ("*",)
    chosen = [e for e in events if any(fnmatchcase(str(e["source_label"]), pattern) for pattern in patterns)]
    if at and not chosen:
        found = ", ".join(sorted({str(event["source_label"]) for event in events})[:12]) or "none"
        raise UsageError(f"{path}: no event fits --at {' '.join(at)}; its events are: {found}")
    return chosen


def _parts(
    row: Mapping[str, Any], trials: list[dict[str, Any]], window_s: float
) -> Iterable[tuple[Mapping[str, Any], list[tuple[float, str]]]]:
    """Yield segments with the whole trials in them: (onset from the segment's start, label)."""
    for segment in row["segments"]:
        latest_s = segment["samples"] / row["signal"]["rate"] - window_s
        onsets = [(round(event["onset_s"] - segment["start_s"], 6), event) for event in trials]
        inside = [
            (onset_s, str(event["source_label"])) for onset_s, event in onsets if 0 <= onset_s <= latest_s
        ]
        if inside or (not trials and latest_s >= 0):
            yield segment, inside


def _rows(
    path: Path, segment: Mapping[str, Any], said: Any, events: dict[float, str]
) -> list[dict[str, Any]]:
    names = _short(said.classes)
    rows = []
    for onset_s, probabilities_K in zip(
        said.onsets_s_N.tolist(), said.probabilities_NK.tolist(), strict=True
    ):
        near = min(events, key=lambda event_s: abs(event_s - onset_s), default=None)
        rows.append(
            {
                "file": str(path),
                "onset_s": round(segment["start_s"] + onset_s, 3),
                "seconds": said.window_s,
                "event": None if near is None else events[near],
                "predicted": said.classes[max(range(len(names)), key=probabilities_K.__getitem__)],
                **{f"p_{name}": round(p, 4) for name, p in zip(names, probabilities_K, strict=True)},
                "model": said.model,
                "target_data": said.target_data,
            }
        )
    return rows


def _short(classes: Sequence[str]) -> list[str]:
    """Last part of every label path, or the whole path where two end alike."""
    last = [name.split("/")[-1] for name in classes]
    return last if len(set(last)) == len(last) else list(classes)


def _left_out(channels: Iterable[Mapping[str, Any]]) -> list[str]:
    return [
        f"{channel['source_name']}: left out, {'; '.join(channel['reasons'] or ['no EEG'])}"
        for channel in channels
        if channel["status"] == "dropped"
    ]


def _inputs(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "inputs.json"
    if not path.exists():
        raise EegfmError(f"{run_dir} holds no inputs.json; expected the folder of a finished fine-tuning run")
    inputs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return inputs
