"""``datasets`` and ``ingest``: what eegfm knows how to read, and reading it."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from eegfm.commands.output import print_columns
from eegfm.commands.verb import Verb, param_argument, parameters
from eegfm_lake.errors import EegfmError, UsageError

if TYPE_CHECKING:
    from eegfm_etl.ingest import IngestReport


def datasets(options: argparse.Namespace) -> None:
    """Print `eegfm_etl.recipes.RECIPES`, one line a data set."""
    from eegfm_etl.recipes import RECIPES

    recipes = [RECIPES[name] for name in sorted(RECIPES)]
    print_columns(
        ["id", "people", "hours", "access", "verified", "licence", "task"],
        [
            [r.id, r.people, r.hours, r.access, "yes" if r.verified else "no", r.licence, r.task]
            for r in recipes
        ],
    )


def ingest(options: argparse.Namespace) -> None:
    """Run `eegfm_etl.ingest.ingest`, which says what it does."""
    from eegfm_etl.cluster import parse_workers
    from eegfm_etl.ingest import ingest as run_ingest

    if options.report and options.list:
        raise UsageError("--list writes nothing, so there is nothing to --report; leave one of them out")
    report = run_ingest(
        options.lake,
        options.id,
        source=options.source,
        only=tuple(options.only),
        workers=parse_workers(options.workers),
        scheduler=options.scheduler,
        retry_failed=options.retry_failed,
        rehash=options.rehash,
        list_only=options.list,
        profile=options.profile,
        params=parameters(options.param),
    )
    if options.report:
        print(f"report: {_write_report(options, report)}")
    if report.failed:
        lake = f" --lake {options.lake}" if options.lake_given else ""
        why = f'eegfm sql "SELECT path, step, reason FROM failures"{lake}'
        if not report.done:
            raise EegfmError(f"no file became a recording, {report.failed:,} failed; why: {why}")
        print(f"why they failed: {why}")


def _write_report(options: argparse.Namespace, report: "IngestReport") -> Path:
    from eegfm.report.ingested_page import write_ingest_report
    from eegfm_etl.run_log import logs_of
    from eegfm_lake.table import Lake

    lake = Lake.open(options.lake)
    return write_ingest_report(
        lake,
        report.dataset,
        options.profile,
        options.report,
        logs_of(lake.storage, report.dataset),
        skipped=report.skipped,
        command=" ".join(["eegfm", *sys.argv[1:]]),
    )


def _ingest_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="a data set that `eegfm datasets` lists")
    parser.add_argument("--source", metavar="DIR", help="folder of its files (default: download them)")
    parser.add_argument("--list", action="store_true", help="say what would be read, and write nothing")
    parser.add_argument(
        "--only",
        metavar="GLOB",
        action="append",
        default=[],
        help="only these paths; may be repeated",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        default="0",
        help="processes, or the fewest and the most (1:8); 0: a plain loop (default)",
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="a running Dask scheduler, or its scheduler file"
    )
    parser.add_argument("--report", metavar="FILE.html", help="draw what became of the files as one page")
    parser.add_argument("--profile", default="eeg200", help="which signal chain (default: eeg200)")
    param_argument(parser, "what the data set takes beside its folder")
    parser.add_argument("--retry-failed", action="store_true", help="read again what failed before")
    parser.add_argument("--rehash", action="store_true", help="compare contents, not only sizes")


VERBS = (
    Verb(
        "datasets",
        "list the data sets eegfm can read: people, hours, task, licence, access",
        datasets,
        ("eegfm datasets",),
        '"verified": layout and labels are those of a public source, which the recipe quotes. docs/datasets.md says\n'
        "which, and what each data set does to those who trust it.",
    ),
    Verb(
        "ingest",
        "read a data set, harmonise it and put it into the lake",
        ingest,
        (
            "eegfm ingest simulated --source data/simulated",
            "eegfm ingest eegmmidb --source ~/eegmmidb --only '*R04.edf' --only '*R08.edf' --workers 4",
            "eegfm ingest eegmmidb --source ~/eegmmidb --list",
            "eegfm ingest eegmmidb --source ~/eegmmidb --workers 1:8 --report eegmmidb.html",
            "eegfm ingest eegmmidb                      (downloads what is missing)",
        ),
        "Interrupted or killed, the same command goes on: what is in the lake already is skipped. A file\n"
        "that cannot be read becomes a row of the view `failures` with its reason, and harms no other.",
        _ingest_arguments,
    ),
)
