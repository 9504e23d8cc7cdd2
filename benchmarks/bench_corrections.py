"""What each correction of the released CSBrain is worth: ours, ours with one undone at a time, the released model.

All are pre-trained on the same windows of S001-S018 for the same number of multiplications, and judged alike on
S019-S036, whom none has seen: by the error of hidden patches (the same discs, the equalised loss) and by left against
right imagery read linearly off the frozen tokens. Two more tables: ours and the released classifier on the same
pre-trained encoder; models at electrodes and lengths that they were not trained on. From a lake that holds
eegmmidb (runs 4, 8 and 12 of S001-S036):

    eegfm ingest eegmmidb --only '*R04.edf' --only '*R08.edf' --only '*R12.edf'
    python benchmarks/bench_corrections.py                                   # everything, about two hours of one core
    python benchmarks/bench_corrections.py --parts variants --only ours no_mix
    python benchmarks/bench_corrections.py --parts classifiers elsewhere     # they train ours if need be

Finished runs are found again, so that an interrupted benchmark goes on; the tables hold what has been run.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from corrections.classifiers import write_classifiers
from corrections.elsewhere import write_elsewhere
from corrections.judging import hidden_error
from corrections.material import Material, material
from corrections.report import write_variants
from corrections.training import place, run
from corrections.variants import VARIANTS

from eegfm_lake.cohort import freeze
from eegfm_lake.lock import Lock, find_lock
from eegfm_lake.table import Lake

PARTS = ("variants", "classifiers", "elsewhere")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lake", default="data/lake")
    parser.add_argument("--runs", default="runs/corrections")
    parser.add_argument("--steps", type=int, default=600, help="of ours; others get the same multiplications")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--only", nargs="*", help="names of variants")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lake = Lake.open(options.lake)
    frozen = [
        freeze(lake, "eegmmidb_pretrain", params={"first": "1", "last": "36"}),
        freeze(lake, "eegmmidb_left_right", params={"last": "36"}),
    ]
    locks = [find_lock(each.path, "") for each in frozen]
    runs = Path(options.runs)
    runs.mkdir(parents=True, exist_ok=True)
    if "variants" in options.parts:
        run_variants(options.steps, options.seeds, options.only, runs, locks)
    if "classifiers" in options.parts:
        write_classifiers(options.steps, options.seeds, of(locks), runs, locks)
    if "elsewhere" in options.parts:
        write_elsewhere(options.steps, options.seeds, of(locks), runs, locks)


def run_variants(
    steps: int, seeds: int, only: Sequence[str] | None, runs: Path, locks: Sequence[Lock]
) -> None:
    reference = runs / "zeros.json"
    if not reference.exists():
        reference.write_text(json.dumps(hidden_error(lambda batch: torch.zeros(()), of(locks))))
    for seed in range(seeds):
        for variant in VARIANTS:
            file = place(runs, variant, steps, seed, "json")
            if not file.exists() and (not only or variant.name in only):
                result = run(variant, seed, steps, of(locks), runs)
                print(file.stem, json.dumps(result), flush=True)
                write_variants(runs, steps, locks)
    write_variants(runs, steps, locks)


def of(locks: Sequence[Lock]) -> Material:
    return material(*(lock.path for lock in locks))


if __name__ == "__main__":
    main()
