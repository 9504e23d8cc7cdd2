"""Potentials out of bipolar derivations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.data.bipolar import recover_potentials
from eegfm_lake.errors import EegfmError

NAMES = ("Fp1", "F7", "T7", "P7", "O1", "Fp2", "F8", "T8", "Fz", "Cz", "Pz")


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda pair: pair[0] != pair[1]),
             min_size=1, max_size=25),
    st.integers(0, 5),
)  # fmt: skip
@settings(deadline=None)
def test_potentials_come_back_up_to_the_mean_of_their_connected_piece(pairs, seed):
    truth = dict(zip(NAMES, np.random.default_rng(seed).normal(0, 20, (len(NAMES), 7)), strict=True))
    anodes, cathodes = zip(*pairs, strict=True)
    found = recover_potentials(np.array([truth[a] - truth[c] for a, c in pairs]), anodes, cathodes)
    assert set(found.electrodes) == set(anodes) | set(cathodes)
    assert found.residual == pytest.approx(0, abs=1e-9)
    piece_of = dict(zip(found.electrodes, found.piece_E.tolist(), strict=True))
    assert all(piece_of[a] == piece_of[c] for a, c in pairs)
    for piece in set(found.piece_E.tolist()):
        rows = np.flatnonzero(found.piece_E == piece)
        members = [found.electrodes[row] for row in rows]
        expected = np.array([truth[name] for name in members])
        assert found.x_ET[rows] == pytest.approx(expected - expected.mean(axis=0), abs=1e-8)
        assert {found.references[row] for row in rows} == {f"mean of {', '.join(sorted(members))}"}


def test_two_chains_that_no_derivation_joins_are_two_pieces_with_references_of_their_own():
    found = recover_potentials(np.ones((3, 2)), ("Fp1", "F7", "Fp2"), ("F7", "T7", "F8"))
    assert found.piece_E.tolist() == [0, 0, 0, 1, 1]
    assert found.references[0] == "mean of F7, Fp1, T7"
    assert found.references[-1] == "mean of F8, Fp2"


def test_a_loop_that_does_not_close_is_told_by_its_residual():
    found = recover_potentials(np.array([[1.0], [1.0], [1.0]]), ("Fz", "Cz", "Pz"), ("Cz", "Pz", "Fz"))
    assert found.residual == pytest.approx(1.0)


def test_a_derivation_of_one_electrode_and_names_that_do_not_fit_are_refused():
    with pytest.raises(EegfmError, match="no derivation"):
        recover_potentials(np.ones((1, 2)), ("Fz",), ("Fz",))
    with pytest.raises(EegfmError, match="2 derivations, but 1 anodes"):
        recover_potentials(np.ones((2, 2)), ("Fz",), ("Cz",))
