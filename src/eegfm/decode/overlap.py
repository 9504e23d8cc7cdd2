"""A decoder refuses an encoder that has seen its test people."""

from collections.abc import Iterable, Sequence

from eegfm.decode.protocols import Fold
from eegfm.pretrain.keep import read_story
from eegfm.pretrain.setup import model_folder
from eegfm_lake.errors import EegfmError
from eegfm_lake.lock import Lock


def refuse_seen_people(checkpoint: str, folds: Iterable[Fold], lock: Lock) -> None:
    """Raise if pre-training saw a person who is tested, under any of the person's names.

    Parameters
    ----------
    checkpoint : str
        A pre-training run or its ``model/`` folder; its pretraining.json says whom it saw.
    folds : iterable of Fold
    lock : Lock
        Where the test people's other names are known.

    Raises
    ------
    EegfmError
        Naming the people and what to do, or that the checkpoint does not say whom it saw.
    """
    story = read_story(model_folder(checkpoint))
    if "people" not in story:
        raise EegfmError(
            f"{checkpoint}: no pretraining.json says whom this encoder has seen, so nobody can be tested "
            "with it; use the model folder that eegfm pretrain wrote"
        )
    seen = set(story["people"])
    tested = sorted({person for fold in folds for person in fold.test})
    aliases = _aliases(lock)
    both = [person for person in tested if aliases.get(person, {person}) & seen]
    if both:
        raise EegfmError(
            f"{checkpoint} has seen {len(both)} of the {len(tested)} test people in pre-training "
            f"({_few(both)}); pre-train without them (eegfm cohort --against LOCK), or restrict "
            "protocol.test_people to others"
        )


def _aliases(lock: Lock) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in lock.recordings.select(["person", "same_as"]).to_pylist():
        found.setdefault(row["person"], {row["person"]}).update(row["same_as"] or ())
    return found


def _few(names: Sequence[str], shown: int = 6) -> str:
    return ", ".join(names[:shown]) + (" …" if len(names) > shown else "")
