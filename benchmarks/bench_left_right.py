"""Left/right imagery on people never seen: what alignment and pre-training are worth beside simple decoders.

Cohort, pre-training on S001-S018, both comparisons and the table in benchmarks/results/, from a lake that
holds eegmmidb (runs 4, 8 and 12 of S001-S036):

    eegfm ingest eegmmidb --only '*R04.edf' --only '*R08.edf' --only '*R12.edf'
    python benchmarks/bench_left_right.py --workers 2

Finished parts are found again, so that an interrupted benchmark goes on.
"""

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eegfm.config import FinetuneConfig, PretrainConfig, load_config
from eegfm.decode import finetune
from eegfm.decode.protocols import select_people
from eegfm.pretrain import pretrain
from eegfm_lake.cohort import freeze
from eegfm_lake.table import Lake

RESULTS = Path(__file__).parent / "results"
UNSEEN = "eegmmidb/S019..S036"
CAVEAT = """\
In these recordings the target stands on the side of the fist that is to be imagined, so gaze and visual
responses can help a decoder that reads all frequencies and the whole head. How much: CSBrain from random
weights without alignment, one fold (six test people), reaches 0.757 from 0.5-8 Hz alone and 0.618 from 8-30
Hz alone (`bands_hz: [[0.5, 8]]`, `[[8, 30]]`). Most of its lead over the 8-30 Hz decoders is therefore not
the sensorimotor rhythm."""
COLUMNS = ("model", "alignment", "target_data", "target_labels", "seeds")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lake", default="data/lake")
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--skip-pretrained", action="store_true", help="leave the pre-trained encoder out")
    options = parser.parse_args()
    started = time.monotonic()
    lake = Lake.open(options.lake)
    lock = freeze(lake, "eegmmidb_left_right", params={"last": "36"})
    common = [f"lock={lock.path}", f"runs={options.runs}", f"workers={options.workers}"]
    runs = [finetune(load_config("left_right", FinetuneConfig, common))]
    if not options.skip_pretrained:
        seen = freeze(lake, "eegmmidb_pretrain", params={"first": "1", "last": "18"})
        changes = [f"lock={seen.path}", f"runs={options.runs}", "name=eegmmidb_s001_s018", "epochs=10"]
        encoder = pretrain(load_config("tiny_4s", PretrainConfig, changes))
        checkpoint = f"models.0.model.checkpoint={encoder / 'model'}"
        runs.append(finetune(load_config("left_right_pretrained", FinetuneConfig, [*common, checkpoint])))
    scores = pa.concat_tables([pq.read_table(run / "scores.parquet") for run in runs])
    rows = table_of(scores.to_pylist())
    chance = json.loads((runs[0] / "chance.json").read_text())
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_min = sum(part.ru_utime + part.ru_stime for part in usage) / 60
    write(rows, chance, lock, cpu_min, (time.monotonic() - started) / 60)


def table_of(scores: list[dict]) -> list[dict]:
    """One row a model and alignment: all test people, those whom no encoder has seen, validation."""
    each = defaultdict(lambda: defaultdict(dict))
    for row in scores:
        if row["person"] is not None:
            key = tuple(row[name] for name in COLUMNS[:4])
            each[key][row["split"]].setdefault(row["person"], []).append(row)
    rows = []
    for key, splits in each.items():
        people = {person: _mean(found) for person, found in splits["test"].items()}
        valid = [_mean(found)["balanced_accuracy"] for found in splits["valid"].values()]
        unseen = [people[person] for person in select_people([UNSEEN], people)]
        seeds = max(len(found) for found in splits["test"].values())
        rows.append(
            dict(zip(COLUMNS, (*key, seeds), strict=True))
            | {"people": len(people)}
            | _over(list(people.values()) if len(people) == 36 else [], "")
            | _over(unseen, "_s019_s036")
            | {"valid_balanced_accuracy": round(float(np.mean(valid)), 3)}
        )
    return rows


def write(rows: list[dict], chance: dict, lock, cpu_min: float, wall_min: float) -> None:
    RESULTS.mkdir(exist_ok=True)
    command = f"python {' '.join(sys.argv)}"
    table = pa.Table.from_pylist(rows)
    lines = [
        "# Imagined left against right fist, people never seen",
        "",
        f"`{command}` · lock `{Path(lock.path).name}` · {cpu_min:.0f} min of CPU, {wall_min:.0f} min · "
        f"{os.cpu_count()} cores, {platform.machine()}, torch {version('torch')}.",
        f"Chance, mean of {chance['permutations']} label permutations: {chance['mean']:.3f} "
        f"(sd {chance['sd']:.3f}). Scores are means over test people, in brackets the standard deviation "
        "over people. Rows that took different data of the test person are not ranked together.",
        "",
        CAVEAT,
        "",
        "| " + " | ".join(table.column_names) + " |",
        "|" + " --- |" * len(table.column_names),
        *("| " + " | ".join("" if v is None else str(v) for v in row.values()) + " |" for row in rows),
    ]
    (RESULTS / "left_right.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _mean(rows: list[dict]) -> dict[str, float]:
    names = ("balanced_accuracy", "kappa", "weighted_f1", "auroc")
    return {name: float(np.mean([row[name] for row in rows])) for name in names}


def _over(people: list[dict[str, float]], suffix: str) -> dict[str, str | float | None]:
    if not people:
        return {f"{name}{suffix}": None for name in ("balanced_accuracy", "kappa", "weighted_f1", "auroc")}
    found = {name: [person[name] for person in people] for name in people[0]}
    accuracy = found.pop("balanced_accuracy")
    shown = f"{np.mean(accuracy):.3f} ({np.std(accuracy, ddof=1):.3f})"
    rest = {f"{name}{suffix}": round(float(np.mean(values)), 3) for name, values in found.items()}
    return {f"balanced_accuracy{suffix}": shown} | rest


if __name__ == "__main__":
    main()
