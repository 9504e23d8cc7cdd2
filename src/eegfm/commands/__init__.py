"""The verbs of the command line, by stage; importing this package imports nothing heavy."""

from eegfm.commands import asking, filling, keeping, learning, using
from eegfm.commands.verb import Verb

STAGES: dict[str, tuple[Verb, ...]] = {
    "fill the lake": filling.VERBS,
    "ask it": asking.VERBS,
    "learn from it": learning.VERBS,
    "use and judge what was learned": using.VERBS,
    "keep house": keeping.VERBS,
}
"""What ``eegfm --help`` lists, in the order of the line."""

__all__ = ["STAGES", "Verb"]
