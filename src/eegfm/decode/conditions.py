"""What an encoder with conditions is told of the methodology behind windows.

Legend: N windows, K covariates.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from eegfm.data.methodology import Vocabulary, numbers
from eegfm.decode.trials import PersonTrials


def by_window(person: PersonTrials) -> list[dict[str, Any]]:
    """Return covariate → value of each of a person's windows, other facts of the recording among them."""
    return [{name: values[row] for name, values in person.facts.items()} for row in range(len(person))]


def by_recording(people: Iterable[PersonTrials]) -> list[dict[str, Any]]:
    """Return the same of each of these people's recordings, once."""
    found = {
        (person.person, recording): known
        for person in people
        for recording, known in zip(person.recordings_N, by_window(person), strict=True)
    }
    return list(found.values())


def condition_of(people: Iterable[PersonTrials], vocabulary: Vocabulary) -> Tensor | None:
    """Return the numbers of these people's windows, person after person: int64 (N, K); None without conditions."""
    if not vocabulary:
        return None
    known = [window for person in people for window in by_window(person)]
    return torch.from_numpy(numbers(known, vocabulary))
