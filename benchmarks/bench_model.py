"""How fast and how large the encoder is beside the released CSBrain and braindecode's models: ratios within one run.

    python benchmarks/bench_model.py                                # on a CPU, about 12 minutes on two idle cores
    python benchmarks/bench_model.py --parts base --rounds 10       # again, one part of it
    python benchmarks/bench_model.py --device cuda --parts gpu      # the lines that need a GPU
    python benchmarks/bench_model.py --quick --results /tmp/quick   # does it run?

Every part measures the machine's floors for itself and leaves its figures in runs/bench_model; a part that is
there, made from the same code with the same options, is found again. The table is made from the parts that exist.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCES = (HERE / "model_speed", HERE.parent / "src" / "eegfm" / "model")
NOT_MEASURING = ("report.py", "figure.py")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", help="floors,base,peers,growth,gpu (default: all that the device has)")
    parser.add_argument("--rounds", type=int, default=6, help="times that every step is timed (default: 6)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: one a core")
    parser.add_argument("--device", default="cpu", help="cuda: the part gpu runs there")
    parser.add_argument(
        "--compile", action="store_true", help="on the CPU too, ours with compiled blocks (minutes)"
    )
    parser.add_argument("--quick", action="store_true", help="small models on small windows: does it run?")
    parser.add_argument("--again", action="store_true", help="measure parts that are there already")
    parser.add_argument("--runs", default="runs", help="folder of the run's parts (default: runs)")
    parser.add_argument("--results", default=str(HERE / "results"), help="folder of the table")
    parser.add_argument("--images", default=str(HERE.parent / "docs" / "images"), help="folder of the figure")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)

    # After the number of threads is known: libraries read it when they load.
    import torch
    from model_speed.options import Options
    from model_speed.parts import PARTS
    from model_speed.report import write

    torch.set_num_threads(options.threads)
    usual = [name for name in PARTS if name != "gpu" or options.device != "cpu"]
    wanted = options.parts.split(",") if options.parts else usual
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"found part {sorted(unknown)[0]!r}, expected {', '.join(PARTS)}")
    if options.device != "cpu" and not torch.cuda.is_available():
        parser.error(
            f"found no GPU for --device {options.device}; --device cpu measures all but the part gpu"
        )
    chosen = Options(options.rounds, options.threads, options.device, options.quick, options.compile)
    folder = Path(options.runs) / ("bench_model_quick" if options.quick else "bench_model")
    for name in wanted:
        run_part(name, chosen, folder, options.again)
    results, images = Path(options.results), Path(options.images)
    print(write(folder, results, results if options.quick else images))


def run_part(name: str, options: Any, folder: Path, again: bool) -> None:
    """Measure a part unless its figures, from the same code with the same options, are there."""
    from model_speed.floors import machine, say
    from model_speed.parts import measure_part

    path = folder / f"{name}.json"
    made_from = {"options": asdict(options), "code": fingerprint()}
    if path.is_file() and not again and json.loads(path.read_text())["made_from"] == made_from:
        say(f"{name}: found in {path}")
        return
    started = time.monotonic()
    found = measure_part(name, options)
    stamp = {
        "command": f"python {' '.join([shown(Path(sys.argv[0])), *sys.argv[1:]])}",
        "machine": machine(options.device if name == "gpu" else "cpu"),
        "minutes": (time.monotonic() - started) / 60,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stamp | {"made_from": made_from} | found, indent=1), encoding="utf-8")
    say(f"{name}: {stamp['minutes']:.1f} min, {path}")


def fingerprint() -> str:
    """Digest of what is measured and of what measures, so that figures of other code are not found again."""
    files = [path for folder in SOURCES for path in sorted(folder.glob("*.py"))]
    measured = [path.read_bytes() for path in files if path.name not in NOT_MEASURING]
    return sha256(b"\0".join(measured)).hexdigest()[:16]


def shown(path: Path) -> str:
    """Return a path as seen from the repository."""
    path = path.resolve()
    return str(
        path.relative_to(HERE.parent.resolve()) if path.is_relative_to(HERE.parent.resolve()) else path
    )


if __name__ == "__main__":
    main()
