"""``gc``, ``doctor`` and ``demo``: the lake's and the installation's health."""

import argparse

from eegfm.commands.verb import Verb


def gc(options: argparse.Namespace) -> None:
    """Run `eegfm_lake.gc.collect` and say what it removed."""
    from eegfm_lake.gc import collect
    from eegfm_lake.table import Lake

    collected = collect(Lake.open(options.lake), dry_run=options.dry_run)
    verb = "would remove" if options.dry_run else "removed"
    for file in collected.removed:
        print(f"  {file}")
    count = len(collected.removed)
    print(f"{verb} {count} orphans ({collected.bytes / 1e6:.1f} MB), kept {collected.kept} files")


def doctor(options: argparse.Namespace) -> None:
    """Print `eegfm.doctor.examine`."""
    from eegfm.doctor import examine

    for line in examine(options.lake):
        print(line)


def demo(options: argparse.Namespace) -> None:
    """Run `eegfm.demo.run_demo`: every step of the line on a simulated corpus."""
    from eegfm.demo import run_demo

    run_demo(options.folder)


def _gc_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="count, and remove nothing")


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", metavar="DIR", default="data/demo", help="default: data/demo")


VERBS = (
    Verb(
        "gc",
        "remove signal files that no row and no lock names",
        gc,
        ("eegfm gc --dry-run", "eegfm gc"),
        "Refuses while an ingest lives: its next row may name a file that nothing names yet. The mark of\n"
        "a dead ingest expires.",
        _gc_arguments,
    ),
    Verb(
        "doctor",
        "say what is installed, which device, and what each missing extra would give",
        doctor,
        ("eegfm doctor",),
    ),
    Verb(
        "demo",
        "run the whole line on a simulated corpus: ingest, cohort, train, decode, report",
        demo,
        ("eegfm demo", "eegfm demo --folder /tmp/eegfm-demo"),
        "Everything is simulated, and says so. Takes a few minutes on two cores.",
        _demo_arguments,
    ),
)
