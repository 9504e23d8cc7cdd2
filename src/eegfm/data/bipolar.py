"""Potentials out of bipolar derivations, as far as they can be known: within each connected piece of the montage.

A derivation is a difference of two potentials, an edge between two electrodes. Differences fix the potentials of the
electrodes that a path of derivations joins, up to one number a moment that the whole piece has in common. It is not
in the recording, so what comes out is referred to the piece's own mean and says so; pieces cannot be compared.
Nothing applies this by itself. Axes: D derivations, E electrodes, T samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eegfm_lake.errors import EegfmError


@dataclass(frozen=True)
class Recovered:
    """Potentials relative to the mean of each connected piece.

    Attributes
    ----------
    x_ET : ndarray (E, T)
        In the unit of the derivations.
    electrodes : tuple of str, length E
        In the order in which the derivations first name them.
    piece_E : ndarray of int (E,)
        Which connected piece each belongs to, from 0.
    references : tuple of str, length E
        What each potential is measured against: ``mean of C3, F3, P3``.
    residual : float
        Root mean square of what no potentials explain (loops that do not close), over that of the derivations.
    """

    x_ET: np.ndarray
    electrodes: tuple[str, ...]
    piece_E: np.ndarray
    references: tuple[str, ...]
    residual: float


def recover_potentials(x_DT: np.ndarray, anodes: Sequence[str], cathodes: Sequence[str]) -> Recovered:
    """Find the potentials whose differences the derivations are, by least squares.

    Parameters
    ----------
    x_DT : ndarray (D, T)
        Anode less cathode, one row a derivation.
    anodes, cathodes : sequence of str, length D
        Electrodes of each derivation.

    Returns
    -------
    Recovered
        The mean over each connected piece is zero at every moment.

    Raises
    ------
    EegfmError
        Rows and names differ in number, or a derivation has one electrode on both sides.
    """
    if not len(x_DT) == len(anodes) == len(cathodes):
        raise EegfmError(f"{len(x_DT)} derivations, but {len(anodes)} anodes and {len(cathodes)} cathodes")
    if same := [anode for anode, cathode in zip(anodes, cathodes, strict=True) if anode == cathode]:
        raise EegfmError(f"{same[0]}-{same[0]} is no derivation: both sides are one electrode")
    electrodes = tuple(dict.fromkeys(name for pair in zip(anodes, cathodes, strict=True) for name in pair))
    place = {name: index for index, name in enumerate(electrodes)}
    incidence_DE = np.zeros((len(anodes), len(electrodes)))
    for row, (anode, cathode) in enumerate(zip(anodes, cathodes, strict=True)):
        incidence_DE[row, place[anode]], incidence_DE[row, place[cathode]] = 1.0, -1.0
    # The solution of least norm has zero mean in every piece: the constants are the null space
    x_ET = np.linalg.pinv(incidence_DE) @ x_DT
    piece_E = _pieces([(place[a], place[c]) for a, c in zip(anodes, cathodes, strict=True)], len(electrodes))
    members = [", ".join(sorted(np.array(electrodes)[piece_E == piece])) for piece in piece_E]
    strength = float(np.sqrt(np.mean(np.square(x_DT)))) if np.size(x_DT) else 0.0
    left = float(np.sqrt(np.mean(np.square(x_DT - incidence_DE @ x_ET)))) if strength else 0.0
    return Recovered(
        x_ET=x_ET,
        electrodes=electrodes,
        piece_E=piece_E,
        references=tuple(f"mean of {names}" for names in members),
        residual=left / strength if strength else 0.0,
    )


def _pieces(edges: Sequence[tuple[int, int]], n_electrodes: int) -> np.ndarray:
    """Give each electrode the number of its connected piece, counted in the order of their first electrodes."""
    piece = np.arange(n_electrodes)
    for one, other in edges:
        low, high = sorted((piece[one], piece[other]))
        piece[piece == high] = low
    return np.unique(piece, return_inverse=True)[1]
