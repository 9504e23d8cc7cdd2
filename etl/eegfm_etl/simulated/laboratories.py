"""The three laboratories and their people: everything that a simulated recording depends on."""

from dataclasses import dataclass

import numpy as np

SIDES = ("left_fist", "right_fist")
LEFT, RIGHT = 0, 1


@dataclass(frozen=True)
class Laboratory:
    """How one laboratory records: everything that is methodology and not biology."""

    code: str
    format: str
    rate_hz: float
    electrodes: tuple[str, ...]
    reference: tuple[str, ...]  # potentials are against the mean of these
    line_freq_hz: float
    hum_uv: float
    event_codes: dict[str, str]  # left_fist, right_fist, rest → what the file says
    rim: tuple[str, ...]  # electrodes that may lose contact; the hand area stays whole


@dataclass(frozen=True)
class Person:
    """What differs between people; amplitudes are RMS at the electrode that sees the source best."""

    code: str
    laboratory: str
    mu_hz: float
    mu_uv: float
    beta_uv: float
    suppression: float  # share of contralateral mu and beta power that imagery takes away
    alpha_hz: float
    alpha_uv: float
    background_uv: float  # RMS over electrodes, 0.5-70 Hz
    sensor_noise_uv: float
    blinks_per_min: float
    noisy_channel: str | None
    flat_channel: str | None
    seed: int


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


LABORATORIES: dict[str, Laboratory] = {
    "A": Laboratory(
        code="A",
        format="edf",
        rate_hz=160.0,
        electrodes=_names(
            "FC5 FC3 FC1 FCz FC2 FC4 FC6 C5 C3 C1 Cz C2 C4 C6 CP5 CP3 CP1 CPz CP2 CP4 CP6 Fp1 Fpz Fp2 "
            "AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FT8 T7 T8 T9 T10 TP7 TP8 P7 P5 P3 P1 Pz "
            "P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2 Iz"
        ),
        reference=("TP9", "TP10"),
        line_freq_hz=60.0,
        hum_uv=8.0,
        event_codes={"rest": "T0", "left_fist": "T1", "right_fist": "T2"},
        rim=("Fpz", "T9", "P8", "PO7", "F8"),
    ),
    "B": Laboratory(
        code="B",
        format="brainvision",
        rate_hz=500.0,
        electrodes=_names(
            "Fp1 Fp2 F7 F3 Fz F4 F8 FC5 FC1 FCz FC2 FC6 T7 C3 C4 T8 TP9 CP5 CP1 CP2 CP6 TP10 P7 P3 Pz P4 "
            "P8 PO9 O1 Oz O2 PO10"
        ),
        reference=("Cz",),
        line_freq_hz=50.0,
        hum_uv=10.0,
        event_codes={
            "rest": "Stimulus/S  9",
            "left_fist": "Stimulus/S  1",
            "right_fist": "Stimulus/S  2",
        },
        rim=("Fp2", "T7", "P7", "O2", "F8"),
    ),
    "C": Laboratory(
        code="C",
        format="eeglab",
        rate_hz=250.0,
        electrodes=_names("Fz FC3 FC1 FCz FC2 FC4 C5 C3 C1 Cz C2 C4 C6 CP3 CP1 CPz CP2 CP4 P1 Pz P2 POz"),
        reference=("TP9",),
        line_freq_hz=50.0,
        hum_uv=6.0,
        event_codes={"rest": "276", "left_fist": "769", "right_fist": "770"},
        rim=("P1", "POz", "P2"),
    ),
}

ELECTRODES: tuple[str, ...] = tuple(
    dict.fromkeys(name for lab in LABORATORIES.values() for name in (*lab.electrodes, *lab.reference))
)
"""Every electrode that any laboratory uses, references included."""


def draw_people(laboratory: Laboratory, n: int, seed: int) -> list[Person]:
    """Draw the people of a laboratory: suppression spread over 20-50 % (mean 38 %), the rest at random.

    Every third person has one noisy channel and every fourth one flat channel, at the rim of the cap.
    """
    rng = np.random.default_rng([seed, ord(laboratory.code)])
    suppression = rng.permutation(0.5 - 0.3 * ((np.arange(n) + rng.uniform(size=n)) / n) ** 1.5)
    rim = laboratory.rim
    return [
        Person(
            code=f"{laboratory.code}{index + 1:02d}",
            laboratory=laboratory.code,
            mu_hz=round(rng.uniform(9.0, 12.0), 2),
            mu_uv=round(rng.uniform(8.0, 14.0), 2),
            beta_uv=round(rng.uniform(4.0, 7.0), 2),
            suppression=round(float(suppression[index]), 3),
            alpha_hz=round(rng.uniform(8.5, 11.5), 2),
            alpha_uv=round(rng.uniform(6.0, 16.0), 2),
            background_uv=round(rng.uniform(8.0, 12.0), 2),
            sensor_noise_uv=round(rng.uniform(1.0, 2.0), 2),
            blinks_per_min=round(rng.uniform(6.0, 15.0), 1),
            noisy_channel=rim[index % len(rim)] if index % 3 == 1 else None,
            flat_channel=rim[(index + 1) % len(rim)] if index % 4 == 2 else None,
            seed=int(rng.integers(2**31)),
        )
        for index in range(n)
    ]
