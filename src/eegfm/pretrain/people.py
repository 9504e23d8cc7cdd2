"""Who is trained on and who is only looked at; the unit is the person."""

from dataclasses import dataclass

import numpy as np

from eegfm_lake.errors import EegfmError
from eegfm_lake.lock import Lock, people_of


@dataclass(frozen=True)
class People:
    """Windows (rows of the lock) of training and of validation people, and who was seen.

    Attributes
    ----------
    train_N, valid_N : ndarray of int
        Rows of the lock's windows; ``valid_N`` is empty where there is one person only.
    seen : tuple of str
        Every person whose windows are used at all, and every name they are also known by.
    """

    train_N: np.ndarray
    valid_N: np.ndarray
    seen: tuple[str, ...]


def split_people(lock: Lock, share: float) -> People:
    """Divide a lock's windows by person.

    The lock's ``valid`` split is taken where there is one. Else the last people by name are held
    out, ``share`` of them, at least one and never all. Windows of the ``test`` split are never read.

    Parameters
    ----------
    lock : Lock
    share : float
        0 holds nobody out.

    Returns
    -------
    People

    Raises
    ------
    EegfmError
        No window is left to train on.
    """
    split_N = np.array(lock.windows["split"].fill_null("all").to_pylist(), dtype=object)
    recording_N = lock.windows["recording"].to_numpy()
    group_R = _groups(lock)
    train = np.isin(split_N, ["train", "all"])
    valid = split_N == "valid"
    if not valid.any() and share > 0:
        groups = sorted(set(group_R[recording_N[train]].tolist()))
        count = min(max(1, round(share * len(groups))), len(groups) - 1)
        held = groups[len(groups) - count :]
        valid = train & np.isin(group_R[recording_N], held)
        train &= ~valid
    if not train.any():
        raise EegfmError(f"lock {lock.name} has no window to train on (splits: {sorted(set(split_N))})")
    used = np.unique(recording_N[train | valid])
    seen = people_of(lock.recordings.select(["person", "same_as"]).take(used).to_pylist())
    return People(np.flatnonzero(train), np.flatnonzero(valid), tuple(sorted(seen)))


def _groups(lock: Lock) -> np.ndarray:
    """Give recordings of the same person the same name, whatever names that person bears."""
    # A recording of nobody known is its own person.
    columns = [lock.recordings[column].to_pylist() for column in ("recording_id", "person", "same_as")]
    rows = zip(*columns, strict=True)
    names_R = [(person or recording, *(same_as or [])) for recording, person, same_as in rows]
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            name = root[name]
        return name

    for names in names_R:
        for name in names[1:]:
            low, high = sorted((find(names[0]), find(name)))
            root[high] = low
    return np.array([find(names[0]) for names in names_R], dtype=object)
