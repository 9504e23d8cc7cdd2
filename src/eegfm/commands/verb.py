"""What one verb of the command line is."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from eegfm_lake.errors import UsageError


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    """Most of the small verbs take nothing but ``--lake`` and ``--debug``."""


@dataclass(frozen=True)
class Verb:
    """A name, what ``--help`` says about it, its arguments and the function that runs it."""

    name: str
    summary: str
    run: Callable[[argparse.Namespace], int | None]
    examples: tuple[str, ...]
    description: str = ""
    arguments: Callable[[argparse.ArgumentParser], None] = _no_arguments


def param_argument(parser: argparse.ArgumentParser, what: str) -> None:
    """Let a verb take ``--param k=v``."""
    parser.add_argument(
        "--param", metavar="k=v", action="append", default=[], help=f"{what}; may be repeated"
    )


def parameters(pairs: list[str]) -> dict[str, str]:
    """Read what ``--param`` was given.

    Raises
    ------
    UsageError
        Where one is not of the form name=value.
    """
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise UsageError(f'--param "{pair}" is not of the form name=value, for example --param stride=4')
        found[name] = value
    return found
