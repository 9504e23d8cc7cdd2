"""The console script: one verb a stage of the line, each a thin skin over a documented Python function.

Only the standard library is imported here; a verb imports what it needs when it runs, so that
``eegfm --help`` answers at once. Errors become one line on stderr and an exit status: 0 done, 1 failed,
2 wrong use, 130 interrupted.
"""

import argparse
import difflib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from eegfm import __version__
from eegfm.commands import STAGES, Verb
from eegfm_lake.errors import EegfmError, MissingExtraError, UsageError

WIDTH = 100
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments without the program's name; `sys.argv` where absent.

    Returns
    -------
    int
        The exit status: 0 done, 1 failed, 2 wrong use, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command goes on where it can", INTERRUPTED, debug)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `eegfm sql … | head` is no failure
        return 0
    except EegfmError as error:
        return _fail(str(error), error.exit_code, debug)
    except ModuleNotFoundError as error:
        return _fail(_missing_package(error), 1, debug)
    except Exception as error:  # noqa: BLE001 - the last stop before the user
        return _fail(_unexpected(error), 1, debug)


def build_parser() -> argparse.ArgumentParser:
    """Every verb with its options; also what the documentation's tests parse commands with."""
    parser = _Parser(
        prog="eegfm",
        description=_overview(),
        epilog=_EPILOG,
        formatter_class=_Wide,
        usage="eegfm VERB [ARGUMENTS]   (eegfm VERB --help has examples)",
    )
    parser.add_argument("--version", action="version", version=f"eegfm {__version__}")
    verbs = parser.add_subparsers(
        dest="verb", metavar="VERB", help=argparse.SUPPRESS, parser_class=_Parser, prog="eegfm"
    )
    for stage_verbs in STAGES.values():
        for verb in stage_verbs:
            _add_verb(verbs, verb)
    return parser


_EPILOG = """\
Every verb takes --lake URI (else the variable EEGFM_LAKE, else data/lake; a folder or s3://bucket/path)
and --debug (the traceback of an error). Exit status: 0 done, 1 failed, 2 wrong use.

start here:
  eegfm demo                      the whole line on a simulated corpus, in minutes, without a download
  eegfm doctor                    what this installation can do
"""


class _Wide(argparse.RawDescriptionHelpFormatter):
    """Descriptions and examples keep their lines, on pages as wide as this source."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=WIDTH)


class _Parser(argparse.ArgumentParser):
    """argparse that raises instead of exiting, so that every wrong use reads the same."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see: {self.prog} --help")


def _dispatch(arguments: list[str]) -> int:
    parser = build_parser()
    _refuse_unknown_verb(arguments)
    options, left_over = parser.parse_known_args(arguments)
    if options.verb is None:
        parser.print_help()
        return 0
    _take_overrides(options, left_over)
    options.lake_given = options.lake is not None
    options.lake = options.lake or os.environ.get("EEGFM_LAKE") or "data/lake"
    run: Callable[[argparse.Namespace], int | None] = options.run
    return run(options) or 0


def _take_overrides(options: argparse.Namespace, left_over: list[str]) -> None:
    """Accept a.b=c after an option too, where argparse loses it; refuse everything else that is left."""
    takes_overrides = hasattr(options, "overrides")
    unknown = [word for word in left_over if not takes_overrides or word.startswith("-") or "=" not in word]
    if unknown:
        raise UsageError(f"{options.verb}: unknown argument {unknown[0]}; see: eegfm {options.verb} --help")
    if takes_overrides:
        options.overrides = [*options.overrides, *left_over]


def _refuse_unknown_verb(arguments: list[str]) -> None:
    known = [verb.name for verbs in STAGES.values() for verb in verbs]
    if not arguments or arguments[0].startswith("-") or arguments[0] in known:
        return
    close = difflib.get_close_matches(arguments[0], known, n=1)
    hint = f'; did you mean "{close[0]}"?' if close else ""
    raise UsageError(f'unknown verb "{arguments[0]}"{hint} (eegfm --help lists all {len(known)})')


def _add_verb(verbs: "argparse._SubParsersAction[_Parser]", verb: Verb) -> None:
    parser = verbs.add_parser(
        verb.name,
        help=verb.summary,
        description=f"{verb.summary[0].upper()}{verb.summary[1:]}.\n\n{verb.description}".rstrip(),
        epilog="examples:\n" + "\n".join(f"  {line}" for line in verb.examples),
        formatter_class=_Wide,
        allow_abbrev=False,
    )
    verb.arguments(parser)
    parser.add_argument(
        "--lake", metavar="URI", help="the lake: a folder or s3://… (default: EEGFM_LAKE or data/lake)"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=verb.run)


def _overview() -> str:
    lines = ["From the EEG archives of the world to a decoder that works on a person it has never seen.", ""]
    for stage, verbs in STAGES.items():
        lines.append(f"{stage}:")
        lines += [f"  {verb.name:<10}{verb.summary}" for verb in verbs]
        lines.append("")
    return "\n".join(lines).rstrip()


def _fail(message: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"eegfm: error: {' '.join(message.split())}", file=sys.stderr)
    return status


def _missing_package(error: ModuleNotFoundError) -> str:
    from eegfm.doctor import extra_of

    package = (error.name or "").split(".")[0]
    extra = extra_of(package)
    return str(MissingExtraError(package, extra)) if extra else _unexpected(error)


def _unexpected(error: Exception) -> str:
    if isinstance(error, OSError):  # full disk, missing rights: the system's own words are the clearest
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{where} (--debug shows where)"
    return f"{type(error).__name__}: {error} (unexpected; --debug shows the traceback)"


if __name__ == "__main__":
    sys.exit(main())
