"""Write docs/cli.md from the parser itself: ``python -m eegfm.commands.reference > docs/cli.md``."""

import argparse

from eegfm.cli import build_parser
from eegfm.commands import STAGES

_HEAD = """\
# The command line

`eegfm VERB --help` says what is on this page, which is made from it. Every verb is a thin skin over a
documented Python function.

- **The lake** is `--lake URI`, else the variable `EEGFM_LAKE`, else `data/lake`: a folder, or
  `s3://bucket/path` with the usual `AWS_*` variables.
- **Exit status**: 0 done, 1 failed, 2 wrong use, 130 interrupted. An error is one line on stderr,
  `eegfm: error: …`; `--debug` shows the traceback too.
- **Output** goes to stdout, progress and remarks of `predict` to stderr.
"""


def reference() -> str:
    """Markdown of every verb's help, in the order of the line."""
    verbs = next(
        action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    parts = [_HEAD]
    for stage, members in STAGES.items():
        parts.append(f"## {stage.capitalize()}\n")
        parts += [
            f"### eegfm {v.name}\n\n```text\n{verbs.choices[v.name].format_help()}```\n" for v in members
        ]
    return "\n".join(parts)


if __name__ == "__main__":
    print(reference(), end="")
