"""``sql``, ``show`` and ``cohort``: questions to the lake."""

import argparse
import sys
from typing import Any

from eegfm.commands.output import FORMATS, print_columns, write_table
from eegfm.commands.verb import Verb, param_argument, parameters


def sql(options: argparse.Namespace) -> None:
    """Run `eegfm_lake.query.run_sql`; without a statement, say what can be asked."""
    from eegfm_lake.query import run_sql
    from eegfm_lake.table import Lake

    lake = Lake.open(options.lake)
    if options.statement is None:
        _print_views(lake)
        return
    write_table(run_sql(lake, options.statement, parameters(options.param)), options.format, options.out)


def show(options: argparse.Namespace) -> None:
    """Print `eegfm.show.describe` of one recording, and draw it where asked."""
    from eegfm.show import describe, find_recording, write_html, write_picture
    from eegfm_lake.table import Lake

    row = find_recording(Lake.open(options.lake), options.recording, options.profile)
    print(describe(row, colour=sys.stdout.isatty()))
    if options.png:
        print(f"picture: {write_picture(row, options.png)}")
    if options.html:
        print(f"page: {write_html(row, options.html)}")


def cohort(options: argparse.Namespace) -> None:
    """Run `eegfm_lake.cohort.freeze` and print what the lock holds; without a query, the library."""
    from eegfm_lake.cohort import freeze, library
    from eegfm_lake.table import Lake

    if options.query is None:
        print_columns(["name", "what it asks for"], sorted(library().items()))
        return
    frozen = freeze(
        Lake.open(options.lake),
        options.query,
        name=options.name,
        params=parameters(options.param),
        against=options.against,
    )
    print(f"{'found' if frozen.existed else 'wrote'} {frozen.path}\n")
    _print_dicts(frozen.counts)
    if frozen.attrition:
        print("\nleft out:")
        _print_dicts(frozen.attrition)


def _print_views(lake: Any) -> None:
    from eegfm_lake.query import EXAMPLES, MACROS, view_help

    for view, columns in view_help(lake):
        print(view)
        for name, kind in columns:
            print(f"  {name:<20} {_short_type(kind)}")
        print()
    print("macros")
    for call, words in MACROS:
        print(f"  {call:<38} {words}")
    print("\nexamples")
    for words, statement in EXAMPLES:
        print(f'  {words}:\n    eegfm sql "{statement}"')


def _short_type(kind: str) -> str:
    nested = kind.replace("STRUCT(", "").replace('"', "")
    return kind if kind == nested else f"list or struct: {nested[:70]}{'…' if len(nested) > 70 else ''}"


def _print_dicts(rows: list[dict[str, Any]]) -> None:
    if rows:
        print_columns(list(rows[0]), [list(row.values()) for row in rows])


def _sql_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "statement", metavar="STATEMENT", nargs="?", help="one SELECT; without: what can be asked"
    )
    parser.add_argument("--format", choices=FORMATS, default="table", help="default: table")
    parser.add_argument("--out", metavar="FILE", help="write to a file instead of stdout")
    param_argument(parser, "value of $k in the SQL")


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recording", metavar="RECORDING", help="its id, for example eegmmidb/S001/R04")
    parser.add_argument("--profile", help="where it is stored in several (default: the first)")
    parser.add_argument("--png", metavar="FILE", help="draw its channels on a head and its spectrum")
    parser.add_argument("--html", metavar="FILE", help="the same as one page with the description")


def _cohort_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "query",
        metavar="FILE.sql|NAME",
        nargs="?",
        help="a query of yours or of the library; without it: the library",
    )
    parser.add_argument("--name", help="name of the lock (default: the query's)")
    param_argument(parser, "value of $k in the SQL")
    parser.add_argument(
        "--against",
        metavar="LOCK",
        action="append",
        default=[],
        help="leave out this lock's people; may repeat",
    )


VERBS = (
    Verb(
        "sql",
        "ask the lake in SQL; without a statement: views, columns, examples",
        sql,
        (
            "eegfm sql",
            'eegfm sql "SELECT dataset, people, hours FROM datasets"',
            'eegfm sql "SELECT label, count(*) AS n FROM events GROUP BY label" --format csv',
            'eegfm sql "SELECT * FROM channels" --format parquet --out channels.parquet',
        ),
        "One SELECT, run by DuckDB in a sandbox: it can read the views and nothing else.",
        _sql_arguments,
    ),
    Verb(
        "show",
        "one recording for people: channels on a head, methodology, chain, quality, events",
        show,
        ("eegfm show eegmmidb/S001/R04", "eegfm show eegmmidb/S001/R04 --png S001R04.png"),
        arguments=_show_arguments,
    ),
    Verb(
        "cohort",
        "freeze a query into a lock: the list of windows that training reads",
        cohort,
        (
            "eegfm cohort                                            (the library)",
            "eegfm cohort eegmmidb_left_right",
            "eegfm cohort mine.sql --name mine --param stride=4",
            "eegfm cohort pretrain_4s --against eegmmidb_left_right  (leaves those people out)",
        ),
        "A query is a SELECT that yields recording_id, start, seconds and, as needed, label, target,\n"
        "split, fold and weight. Prints the windows and people of every split and label, and where\n"
        "people were lost. The same query on the same data is the same lock; it is written once.",
        _cohort_arguments,
    ),
)
