"""Trials made by hand: people whose mixing differs, left and right as lateralised 10-Hz power."""

from collections.abc import Sequence

import numpy as np

from eegfm.decode.trials import PersonTrials, Trials
from eegfm_lake import electrodes

RATE_HZ = 200.0
CLASSES = ("motor/imagery/left_fist", "motor/imagery/right_fist")
CAP_22 = (
    "Fz", "FC3", "FC1", "FCz", "FC2", "FC4", "C5", "C3", "C1", "Cz", "C2", "C4", "C6", "CP3", "CP1", "CPz",
    "CP2", "CP4", "P1", "Pz", "P2", "POz",
)  # fmt: skip
CAP_3 = ("C3", "Cz", "C4")
CAP_8 = ("F3", "F4", "C3", "Cz", "C4", "P3", "P4", "Pz")


def cap(n_channels: int) -> tuple[str, ...]:
    """Names of a cap of 3, 8, 22 or 64 channels."""
    if n_channels == 64:
        rows, columns = ("Fp", "AF", "F", "FC", "C", "CP", "P", "PO"), "7531z2468"
        every = [row + column for row in rows for column in columns]
        known = [name for name in every if electrodes.position(name) is not None]
        return tuple([*known, "O1", "Oz", "O2", "T7", "T8", "Iz", "FT9", "FT10", "TP9", "TP10"][:64])
    return {3: CAP_3, 8: CAP_8, 22: CAP_22}[n_channels]


def make_person(
    person: str,
    *,
    names: Sequence[str] = CAP_8,
    trials: int = 20,
    runs: int = 2,
    seconds: float = 2.0,
    effect: float = 1.0,
    average: bool = True,
    seed: int = 0,
) -> PersonTrials:
    """One person: noise under a mixing of its own, a 10-Hz rhythm that falls opposite to the fist."""
    rng = np.random.default_rng([seed, *person.encode()])
    n_channels, n_times = len(names), round(seconds * RATE_HZ)
    labels_N = np.tile([0, 1], trials)[:trials]
    times_T = np.arange(n_times) / RATE_HZ
    sources = rng.standard_normal((trials, n_channels, n_times)) + rng.standard_normal(
        (trials, n_channels, 1)
    )
    for place, opposite in (("C3", 1), ("C4", 0)):
        amplitude_N = np.where(labels_N == opposite, 2.0 * (1 - effect * 0.7), 2.0)
        phase_N = rng.uniform(0, 2 * np.pi, trials)
        rhythm_NT = amplitude_N[:, None] * np.sin(2 * np.pi * 10.0 * times_T + phase_N[:, None])
        sources[:, list(names).index(place)] += rhythm_NT
    mixing = np.eye(n_channels) + 0.15 * rng.standard_normal((n_channels, n_channels))
    x_NCT = 10.0 * np.exp(0.4 * rng.standard_normal()) * np.einsum("dc,nct->ndt", mixing, sources)
    if average:
        x_NCT = x_NCT - x_NCT.mean(1, keepdims=True)
    order_N = np.arange(trials) * runs // trials
    return PersonTrials(
        person=person,
        dataset="made",
        x_NCT=x_NCT.astype(np.float32),
        names=tuple(names),
        positions_C3=np.asarray(electrodes.positions(names), np.float32),
        labels_N=labels_N,
        recordings_N=np.array([f"{person}/R{run}" for run in order_N], dtype=object),
        order_N=order_N,
        windows_N=np.arange(trials),
        onsets_s_N=np.arange(trials) * 5.0,
        facts={"age": np.full(trials, 30.0, object), "site": np.full(trials, "here", object)},
    )


def make_trials(people: int = 6, **settings) -> Trials:
    """Several people made/P1, made/P2 …"""
    made = tuple(make_person(f"made/P{number}", **settings) for number in range(1, people + 1))
    return Trials(made, CLASSES, RATE_HZ)
