"""Which patches are hidden: a function of (seed, epoch, window) and the montage, nothing else."""

import numpy as np

DRAWN_AT_ONCE = 32
SMALLEST_RADIUS = 0.5  # of the largest


def disc_mask(
    positions_C3: np.ndarray,
    n_patches: int,
    *,
    ratio: float,
    radius_m: float,
    span: tuple[int, int],
    key: tuple[int, ...],
) -> np.ndarray:
    """Hide discs on the head, each for a while.

    Neighbouring electrodes record nearly the same potential (volume conduction), so a hidden electrode with
    visible neighbours is solved by copying; a disc has to be predicted.

    Parameters
    ----------
    positions_C3 : ndarray (C, 3)
        Metres; an electrode without position is a disc of its own.
    n_patches : int
    ratio : float
        Share of patches hidden, met exactly up to rounding.
    radius_m : float
        Largest radius; the smallest is half of it.
    span : (int, int)
        Shortest and longest disc in patches.
    key : tuple of int
        Seeds the choice.

    Returns
    -------
    ndarray of bool (C, n_patches)
        True where hidden.
    """
    rng = np.random.default_rng(key)
    n_channels = len(positions_C3)
    apart_CC = _distances(positions_C3)
    wanted = hidden_count(n_channels * n_patches, ratio)
    patch_P = np.arange(n_patches)
    # A token's turn: the number of the first disc that covers it, plus how far from its middle it lies.
    turn_CP = np.full((n_channels, n_patches), np.inf)
    drawn = 0
    while np.isfinite(turn_CP).sum() < wanted:
        centre_K = rng.integers(n_channels, size=DRAWN_AT_ONCE)
        radius_K = radius_m * rng.uniform(SMALLEST_RADIUS, 1, size=DRAWN_AT_ONCE)
        length_K = np.minimum(rng.integers(span[0], span[1] + 1, size=DRAWN_AT_ONCE), n_patches)
        # Starts before the window's first patch give its edges the same chance as its middle.
        start_K = np.floor(rng.uniform(1 - length_K, n_patches)).astype(int)
        far_KC = apart_CC[centre_K] / radius_K[:, None]
        inside_KP = (patch_P >= start_K[:, None]) & (patch_P < (start_K + length_K)[:, None])
        covered_KCP = (far_KC <= 1)[:, :, None] & inside_KP[:, None, :]
        order_KC = drawn + np.arange(DRAWN_AT_ONCE)[:, None] + 0.5 * np.minimum(far_KC, 1)
        turns_KCP = np.where(covered_KCP, order_KC[:, :, None], np.inf)
        turn_CP = np.minimum(turn_CP, turns_KCP.min(axis=0))
        drawn += DRAWN_AT_ONCE
    return _first(turn_CP, wanted)


def scattered_mask(n_channels: int, n_patches: int, *, ratio: float, key: tuple[int, ...]) -> np.ndarray:
    """Hide single patches anywhere: bool (C, P), the share met exactly up to rounding."""
    rng = np.random.default_rng(key)
    return _first(rng.random((n_channels, n_patches)), hidden_count(n_channels * n_patches, ratio))


def hidden_count(n_tokens: int, ratio: float) -> int:
    """Return the number of tokens hidden: at least one, and one stays visible where there are two."""
    return min(max(1, round(ratio * n_tokens)), max(1, n_tokens - 1))


def _first(turn_CP: np.ndarray, count: int) -> np.ndarray:
    mask_N = np.zeros(turn_CP.size, dtype=bool)
    mask_N[np.argsort(turn_CP, axis=None, kind="stable")[:count]] = True
    return mask_N.reshape(turn_CP.shape)


def _distances(positions_C3: np.ndarray) -> np.ndarray:
    apart_CC = np.linalg.norm(positions_C3[:, None] - positions_C3[None], axis=-1)
    apart_CC[~np.isfinite(apart_CC)] = np.inf
    np.fill_diagonal(apart_CC, 0.0)
    return apart_CC
