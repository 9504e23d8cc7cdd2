"""How fast and how small an ingest is beside the common script, how it scales, and what a day of EEG costs.

    python benchmarks/bench_etl.py --source ~/eegmmidb             # throughput, bytes, workers: some minutes
    python benchmarks/bench_etl.py --parts day                     # 24 h of 64 channels at 512 Hz: 6 GB of disk
    python benchmarks/bench_etl.py --quick --results /tmp/quick    # does it run?

The common script reads a file with MNE, resamples to 200 Hz, filters (0.3-75 Hz, notch at 60), cuts 4-s windows and
pickles them as float64 into LMDB. Everything of ours is counted: hash, quality, Parquet, the row, the commit.
"""

import argparse
import json
import os
import pickle
import platform
import shutil
import statistics
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

RESULTS = Path(__file__).parent / "results"
WINDOW_S = 4
ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
DAY = {"channels": 64, "rate_hz": 512, "hours": (1, 6, 24)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", default="data/sources/eegmmidb", help="folder of eegmmidb's files")
    parser.add_argument("--parts", default="script,workers,day")
    parser.add_argument("--files", type=int, default=12, help="of the comparison with the script")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--scratch", default=None, help="folder for lakes and the day's file")
    parser.add_argument("--results", default=str(RESULTS))
    parser.add_argument("--script", nargs=2, metavar=("LIST", "LMDB"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.script:
        common_script(json.loads(options.script[0]), Path(options.script[1]))
        return
    parts = options.parts.split(",")
    found = {}
    with TemporaryDirectory(prefix="eegfm-bench-", dir=options.scratch) as folder:
        scratch = Path(folder)
        if "script" in parts:
            found["script"] = beside_the_script(options, scratch)
        if "workers" in parts:
            found["workers"] = one_and_two_workers(options, scratch)
        if "day" in parts:
            found["day"] = a_day(options, scratch)
    write(Path(options.results), found)


def common_script(files: list[str], out: Path) -> None:
    """Preprocess as most repositories do, one file after the other."""
    import lmdb
    import mne

    mne.set_log_level("ERROR")
    with lmdb.open(str(out), map_size=2**36) as base:
        for file in files:
            raw = mne.io.read_raw(file, preload=True)
            raw.resample(200)
            raw.filter(0.3, 75)
            raw.notch_filter(60)
            data = raw.get_data()
            size = 200 * WINDOW_S
            with base.begin(write=True) as transaction:
                for window in range(data.shape[1] // size):
                    sample = data[:, window * size : (window + 1) * size]
                    transaction.put(f"{file}-{window}".encode(), pickle.dumps({"sample": sample, "label": 0}))


def beside_the_script(options: argparse.Namespace, scratch: Path) -> dict:
    """Time both on the same files in turn, each in a process of its own on one core; imports are timed apart."""
    files = sorted(Path(options.source).rglob("S*R04.edf"))[: 3 if options.quick else options.files]
    if not files:
        raise SystemExit(f"no S*R04.edf below {options.source}; name the folder of eegmmidb with --source")
    few = files[:1]
    seconds: dict[str, list[float]] = {"script": [], "ours": []}
    sizes = {}
    for turn in range(1 if options.quick else options.rounds):
        for name in ("script", "ours") if turn % 2 == 0 else ("ours", "script"):
            out = scratch / f"{name}-{turn}"
            run = script_of if name == "script" else ingest_of
            whole, start = run(files, out), run(few, scratch / f"{name}-{turn}-one")
            seconds[name].append((whole - start) / (len(files) - len(few)))
            sizes[name] = sum(one.stat().st_size for one in stored(out))
    ratios = [a / b for a, b in zip(seconds["script"], seconds["ours"], strict=True)]
    return {
        "files": len(files),
        "script_ms": 1e3 * statistics.median(seconds["script"]),
        "ours_ms": 1e3 * statistics.median(seconds["ours"]),
        "ratio": statistics.median(ratios),
        "ratios": [min(ratios), max(ratios)],
        "bytes": sizes["script"] / sizes["ours"],
    }


def stored(out: Path) -> list[Path]:
    """Files that hold signals: the data base, or signals and rows of the lake."""
    return [one for one in out.rglob("*") if one.is_file() and one.name != "lock.mdb"]


def script_of(files: list[Path], out: Path) -> float:
    out.mkdir()
    return timed([sys.executable, __file__, "--script", json.dumps([str(file) for file in files]), str(out)])


def ingest_of(files: list[Path], out: Path, workers: int = 0, cores: str = "0") -> float:
    root = os.path.commonpath([str(file.parent.parent) for file in files])
    only = [part for file in files for part in ("--only", f"*{file.name}")]
    command = [sys.executable, "-m", "eegfm.cli", "ingest", "eegmmidb", "--source", root, *only]
    return timed([*command, "--lake", str(out), "--workers", str(workers)], cores)


def timed(command: list[str], cores: str = "0") -> float:
    """Wall seconds of a command held to some cores."""
    pinned = ["taskset", "-c", cores] if shutil.which("taskset") else []
    started = time.perf_counter()
    done = subprocess.run(
        [*pinned, *command], env={**os.environ, **ONE_CORE}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return time.perf_counter() - started


def one_and_two_workers(options: argparse.Namespace, scratch: Path) -> dict:
    """One worker with the whole ingest held to one core, against two workers on two cores; starts are timed apart."""
    files = sorted(Path(options.source).rglob("S*.edf"))[: 8 if options.quick else 126]
    few = files[:2]
    wholes: dict[int, list[float]] = {1: [], 2: []}
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(1 if options.quick else options.rounds):
        for workers in (1, 2) if turn % 2 == 0 else (2, 1):
            cores = "0" if workers == 1 else "0,1"
            whole, start = (
                ingest_of(some, scratch / f"{workers}-{turn}-{len(some)}", workers=workers, cores=cores)
                for some in (files, few)
            )
            wholes[workers].append(whole)
            seconds[workers].append((whole - start) / (len(files) - len(few)))
    ratios = [a / b for a, b in zip(seconds[1], seconds[2], strict=True)]
    return {
        "files": len(files),
        "one_s": statistics.median(wholes[1]),
        "two_s": statistics.median(wholes[2]),
        "one_ms": 1e3 * statistics.median(seconds[1]),
        "two_ms": 1e3 * statistics.median(seconds[2]),
        "ratio": statistics.median(ratios),
        "ratios": [min(ratios), max(ratios)],
    }


def a_day(options: argparse.Namespace, scratch: Path) -> dict:
    """Ingest recordings of an hour to a day, and watch the resident memory of all its processes."""
    rows = []
    for hours in (0.02, 0.05) if options.quick else DAY["hours"]:
        root = scratch / f"day-{hours}"
        write_long_edf(root / "S001" / "S001R01.edf", hours)
        peak = Peak()
        lake = scratch / f"lake-{hours}"
        command = [
            sys.executable,
            "-m",
            "eegfm.cli",
            "ingest",
            "eegmmidb",
            "--source",
            str(root),
            "--lake",
            str(lake),
        ]
        started = time.perf_counter()
        with subprocess.Popen(command, env={**os.environ, **ONE_CORE}, stdout=subprocess.DEVNULL) as child:
            peak.watch(child)
        if child.returncode:
            raise SystemExit(f"the ingest of {hours} h ended with {child.returncode}")
        seconds = time.perf_counter() - started
        rows.append({"hours": hours, "seconds": seconds, "per_hour_s": seconds / hours, "peak_mib": peak.mib})
        shutil.rmtree(root)
        shutil.rmtree(lake)
    return {"rows": rows, "channels": DAY["channels"], "rate_hz": DAY["rate_hz"]}


class Peak:
    """The largest resident memory of a process and its children together."""

    def __init__(self) -> None:
        self.mib = 0.0

    def watch(self, child: subprocess.Popen) -> None:
        """Look five times a second until the process has ended."""
        import psutil

        done = threading.Event()
        watched = psutil.Process(child.pid)

        def look() -> None:
            while not done.wait(0.2):
                try:
                    family = [watched, *watched.children(recursive=True)]
                    self.mib = max(self.mib, sum(one.memory_info().rss for one in family) / 2**20)
                except psutil.NoSuchProcess:  # one ended between listing and asking
                    continue

        thread = threading.Thread(target=look)
        thread.start()
        child.wait()
        done.set()
        thread.join()


def write_long_edf(path: Path, hours: float) -> None:
    """Write an EDF of noise like EEG, second by second."""
    import mne

    path.parent.mkdir(parents=True)
    channels, rate = DAY["channels"], DAY["rate_hz"]
    names = mne.channels.make_standard_montage("biosemi64").ch_names[:channels]
    records = round(hours * 3600)
    fields = [
        [f"{name:<16}" for name in names],
        [f"{'':<80}"] * channels,
        [f"{'uV':<8}"] * channels,
        [f"{'-3276.8':<8}"] * channels,
        [f"{'3276.7':<8}"] * channels,
        [f"{'-32768':<8}"] * channels,
        [f"{'32767':<8}"] * channels,
        [f"{'':<80}"] * channels,
        [f"{rate:<8}"] * channels,
        [f"{'':<32}"] * channels,
    ]
    head = (
        f"{'0':<8}{'X X X X':<80}{'Startdate X X X X':<80}01.01.0100.00.00{256 * (channels + 1):<8}{'':<44}"
    )
    head += f"{records:<8}{'1':<8}{channels:<4}" + "".join("".join(field) for field in fields)
    rng = np.random.default_rng(0)
    minute = np.cumsum(rng.standard_normal((channels, rate * 60)), axis=1)
    minute -= np.linspace(0, 1, rate * 60) * minute[:, -1:]  # ends where it begins
    minute = (300 * minute / minute.std(axis=1, keepdims=True)).astype("<i2")
    seconds = [np.ascontiguousarray(minute[:, at : at + rate]).tobytes() for at in range(0, rate * 60, rate)]
    with path.open("wb") as file:
        file.write(head.encode("ascii"))
        for record in range(records):
            file.write(seconds[record % 60])


def write(results: Path, found: dict) -> None:
    """Write the table; parts that were not run keep their last figures."""
    results.mkdir(parents=True, exist_ok=True)
    store = results / "etl.json"
    known = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}
    where = (
        f"{os.cpu_count()} cores, {platform.machine()}, mne {version('mne')}, pyarrow {version('pyarrow')}"
    )
    command = " ".join(["python", *sys.argv])
    known |= {part: {**figures, "machine": where, "command": command} for part, figures in found.items()}
    store.write_text(json.dumps(known, indent=1), encoding="utf-8")
    (results / "etl.md").write_text(table(known), encoding="utf-8")


def table(known: dict) -> str:
    lines = [
        "# An ingest beside the common script",
        "",
        (__doc__ or "").strip().split("\n\n")[-1].replace("\n", " "),
        "",
    ]
    if part := known.get("script"):
        low, high = part["ratios"]
        lines += [
            f"`{part['command']}`, {part['machine']};",
            f"{part['files']} recordings of eegmmidb (64 channels, 160 Hz, 125 s),",
            "each process held to one core, in turn; starting Python is taken off both.",
            "",
            "| | wanted | measured |", "| --- | --- | --- |",
            f"| common script, ms a recording | | {part['script_ms']:.0f} |",
            f"| ours, ms a recording | | {part['ours_ms']:.0f} |",
            f"| throughput over the script | ≥ 2 | {part['ratio']:.2f} ({low:.2f}–{high:.2f}) |",
            f"| bytes of the script over ours | ≥ 5 | {part['bytes']:.1f} |",
            "",
        ]  # fmt: skip
    if part := known.get("workers"):
        low, high = part["ratios"]
        lines += [
            "## Workers", "",
            f"`{part['command']}`, {part['machine']}; {part['files']} recordings, starting processes taken off.", "",
            f"One worker, all on one core: {part['one_ms']:.0f} ms a recording; two workers on two cores: "
            f"{part['two_ms']:.0f} ms; {part['ratio']:.2f} times as fast ({low:.2f}–{high:.2f}; wanted 1.8). "
            f"With the start, {part['one_s']:.0f} s and {part['two_s']:.0f} s.", "",
        ]  # fmt: skip
    if part := known.get("day"):
        lines += [
            "## A day", "",
            f"`{part['command']}`, {part['machine']}; {part['channels']} channels at {part['rate_hz']} Hz, EDF; "
            "memory is resident, of all processes together (wanted: at most 1,536 MiB).", "",
            "| hours | s | s an hour of EEG | MiB |", "| --- | --- | --- | --- |",
            *(
                f"| {row['hours']:g} | {row['seconds']:.0f} | {row['per_hour_s']:.1f} | {row['peak_mib']:.0f} |"
                for row in part["rows"]
            ),
            "",
        ]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    main()
