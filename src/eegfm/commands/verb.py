"""What one verb of the command line is."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass


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
