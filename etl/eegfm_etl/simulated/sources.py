"""Heads made of dipoles: what a person's brain does, and what a laboratory's electrodes see of it.

The head is MNE's three-layer sphere, fitted to the template positions of all electrodes that any
laboratory uses. Every source is a stationary Gaussian process with a known spectrum; imagery multiplies the
mu and beta sources of the opposite hemisphere by a known gain. So the statistics of every trial are known
exactly, which is what `eegfm_etl.simulated.oracle` decides with.

Shapes: C electrodes, S sources, F frequencies, N samples, T trials.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import mne
import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from eegfm_etl.simulated.laboratories import ELECTRODES, LEFT, RIGHT, Laboratory, Person

TRIAL_S = 4.0
ONSET_LAG_S, RAMP_S = 0.2, 0.4  # imagery follows its cue by a fifth of a second and unfolds over two fifths

_TEMPLATE = "colin27_1005"
_HAND_AREA = {LEFT: "C3", RIGHT: "C4"}  # hemisphere → electrode above its mu and beta generator
_BACKGROUND_SOURCES = 48
# A narrow rhythm has few independent cycles in a trial: its power is uncertain, so that no decoder is perfect.
_MU_WIDTH_HZ, _BETA_WIDTH_HZ = 0.5, 0.7


@dataclass(frozen=True)
class Sources:
    """The dipoles of one person.

    Attributes
    ----------
    electrodes : tuple of str
        The laboratory's electrodes, then its reference electrodes.
    gain : array (C, S)
        Potential at every electrode, against infinity, of a source of 1 µV at its best electrode.
    spectrum : array (S, F)
        One-sided power of every source in µV²/Hz at `freqs_hz` (F,).
    hemisphere : array (S,)
        LEFT or RIGHT for the sources that imagery suppresses, -1 for all others.
    blink : array (C,)
        Topography of a blink, 1 at the electrode that sees it best.
    """

    electrodes: tuple[str, ...]
    gain: np.ndarray
    spectrum: np.ndarray
    freqs_hz: np.ndarray
    hemisphere: np.ndarray
    blink: np.ndarray

    def spectrum_at(self, freqs_hz: np.ndarray) -> np.ndarray:
        """Power of every source at `freqs_hz`, shape (S, len(freqs_hz)), in µV²/Hz."""
        return np.stack([np.interp(freqs_hz, self.freqs_hz, row) for row in self.spectrum])


@dataclass(frozen=True)
class Trials:
    """Cues of one recording: onsets in seconds, the side imagined (T,), and the recording's length."""

    onset_s: np.ndarray
    side: np.ndarray
    duration_s: float


@dataclass(frozen=True)
class Recording:
    """Samples (C, N) in µV as the laboratory's amplifier would have written them, with their trials."""

    samples_uv: np.ndarray
    trials: Trials


def template_positions(names: Sequence[str]) -> np.ndarray:
    """Positions of template electrodes in MNE's head frame, shape (C, 3), in metres."""
    return np.array([_head(tuple(names)).positions[name] for name in names])


def place_sources(laboratory: Laboratory, person: Person) -> Sources:
    """Place a person's dipoles and compute what the laboratory's electrodes see of them.

    The sphere is fitted to the electrodes of all laboratories: a head does not change its size with the cap.
    """
    rng = np.random.default_rng([person.seed, 1])
    head = _head(ELECTRODES)
    placed = _place(head, person, rng)
    gain = _leadfield(head, np.array([d.position for d in placed]), np.array([d.moment for d in placed]))
    gain = gain / np.abs(gain).max(axis=0)

    kind = np.array([d.kind for d in placed])
    freqs = np.arange(0.0, 260.0, 0.25)
    spectrum = np.stack([_spectrum(d, person, freqs) for d in placed])
    background = kind == "background"
    seen = np.mean((gain[:, background] ** 2).sum(axis=1))
    spectrum[background] *= person.background_uv**2 / seen

    keep = [ELECTRODES.index(name) for name in (*laboratory.electrodes, *laboratory.reference)]
    stays = kind != "blink"
    return Sources(
        electrodes=(*laboratory.electrodes, *laboratory.reference),
        gain=gain[np.ix_(keep, stays)],
        spectrum=spectrum[stays],
        freqs_hz=freqs,
        hemisphere=np.array([d.hemisphere for d in placed])[stays],
        blink=gain[np.ix_(keep, ~stays)].mean(axis=1),
    )


def against_reference(laboratory: Laboratory) -> np.ndarray:
    """Matrix (C, C + references) that turns potentials against infinity into what the amplifier measures."""
    n, n_ref = len(laboratory.electrodes), len(laboratory.reference)
    return np.hstack([np.eye(n), np.full((n, n_ref), -1.0 / n_ref)])


def draw_trials(n_trials: int, rng: np.random.Generator) -> Trials:
    """Balanced cues in random order, 4 s each, with 2 to 3 s of rest before every one and 4 s at the end."""
    side = rng.permutation(np.arange(n_trials) % 2)
    rest_s = rng.integers(20, 31, n_trials) / 10  # tenths of a second fall on a sample at every rate used
    onset_s = np.round(2.0 + np.cumsum(rest_s + TRIAL_S) - TRIAL_S, 1)
    return Trials(onset_s, side, float(np.ceil(onset_s[-1] + TRIAL_S + 4.0)))


def record(
    laboratory: Laboratory, person: Person, brain: Sources, trials: Trials, rng: np.random.Generator
) -> Recording:
    """Mix sources and blinks at the electrodes, reference them, add hum and the faults of single channels."""
    n = round(trials.duration_s * laboratory.rate_hz)
    activity_SN = _gaussian(brain, n, laboratory.rate_hz, rng)
    for hemisphere in (LEFT, RIGHT):
        gain_N = imagery_gain(trials, 1 - hemisphere, person.suppression, n, laboratory.rate_hz)
        activity_SN[brain.hemisphere == hemisphere] *= gain_N
    scalp_CN = brain.gain @ activity_SN
    scalp_CN += person.sensor_noise_uv * rng.standard_normal(scalp_CN.shape)
    scalp_CN += np.outer(brain.blink, _blinks(person, n, laboratory.rate_hz, rng))

    samples_uv = against_reference(laboratory) @ scalp_CN
    samples_uv += _hum(laboratory, n, rng)
    if person.noisy_channel is not None:
        noise = 90.0 * rng.standard_normal(n) + 60.0 * np.cumsum(rng.standard_normal(n)) / np.sqrt(n)
        samples_uv[laboratory.electrodes.index(person.noisy_channel)] += noise
    if person.flat_channel is not None:
        samples_uv[laboratory.electrodes.index(person.flat_channel)] = 0.0
    return Recording(samples_uv, trials)


def imagery_gain(trials: Trials, side: int, suppression: float, n: int, rate_hz: float) -> np.ndarray:
    """Amplitude gain (N,) opposite to `side`: 1 at rest, sqrt(1 - suppression) in that side's trials."""
    depth = np.zeros(n)
    course_s = np.arange(round((TRIAL_S + RAMP_S) * rate_hz)) / rate_hz
    course = np.minimum(
        np.clip(course_s / RAMP_S, 0.0, 1.0), np.clip((TRIAL_S - course_s) / RAMP_S, 0.0, 1.0)
    )
    for onset_s in trials.onset_s[trials.side == side] + ONSET_LAG_S:
        first = round(onset_s * rate_hz)
        depth[first : first + len(course)] = course[: n - first]
    return np.sqrt(1.0 - suppression * depth)


@dataclass(frozen=True)
class _Dipole:
    kind: str
    position: np.ndarray
    moment: np.ndarray
    hemisphere: int = -1
    share: float = 1.0  # of the kind's power


@dataclass(frozen=True)
class _Head:
    info: mne.Info
    sphere: mne.bem.ConductorModel
    centre: np.ndarray
    positions: dict[str, np.ndarray]

    def below(self, electrode: str, depth: float) -> np.ndarray:
        """Point under an electrode at `depth` of the sphere's radius (0 centre, 1 scalp)."""
        return self.inside(self.positions[electrode] - self.centre, depth)

    def inside(self, outward: np.ndarray, depth: float) -> np.ndarray:
        """Point in the direction `outward` from the centre at `depth` of the sphere's radius."""
        return self.centre + depth * self.sphere.radius * outward / np.linalg.norm(outward)


@lru_cache(maxsize=8)
def _head(electrodes: tuple[str, ...]) -> _Head:
    montage = mne.channels.make_standard_montage(_TEMPLATE)
    info = mne.create_info(list(electrodes), 200.0, "eeg").set_montage(montage)
    sphere = mne.make_sphere_model("auto", "auto", info=info, verbose="error")
    positions = {ch["ch_name"]: ch["loc"][:3].copy() for ch in info["chs"]}
    return _Head(info, sphere, np.asarray(sphere["r0"]), positions)


def _place(head: _Head, person: Person, rng: np.random.Generator) -> list[_Dipole]:
    placed = [
        _dipole(head, "background", head.inside(_direction(rng), rng.uniform(0.3, 0.8)), 90.0, rng)
        for _ in range(_BACKGROUND_SOURCES)
    ]
    for electrode in ("O1", "Oz", "O2"):
        placed.append(_dipole(head, "alpha", head.below(electrode, 0.68), 35.0, rng, share=1 / 3))
    for hemisphere, electrode in _HAND_AREA.items():
        where = head.below(electrode, 0.74) + 0.004 * rng.standard_normal(3)
        placed.append(_dipole(head, "mu", where, 30.0, rng, hemisphere))
        placed.append(_dipole(head, "beta", where, 30.0, rng, hemisphere))
    for electrode in ("Fp1", "Fp2"):
        placed.append(_dipole(head, "blink", head.below(electrode, 0.84), 10.0, rng))
    return placed


def _dipole(
    head: _Head,
    kind: str,
    position: np.ndarray,
    tilt_deg: float,
    rng: np.random.Generator,
    hemisphere: int = -1,
    share: float = 1.0,
) -> _Dipole:
    """Return a dipole that points outward, tilted by up to `tilt_deg` in a random direction."""
    outward = (position - head.centre) / np.linalg.norm(position - head.centre)
    sideways = np.cross(outward, _direction(rng))
    tilt = np.deg2rad(rng.uniform(0.0, tilt_deg))
    moment = np.cos(tilt) * outward + np.sin(tilt) * sideways / np.linalg.norm(sideways)
    return _Dipole(kind, position, moment, hemisphere, share)


def _direction(rng: np.random.Generator) -> np.ndarray:
    vector = rng.standard_normal(3)
    return vector / np.linalg.norm(vector)


def _leadfield(head: _Head, position_S3: np.ndarray, moment_S3: np.ndarray) -> np.ndarray:
    """Potentials (C, S) of unit dipoles through MNE's forward solution."""
    space = mne.setup_volume_source_space(
        pos={"rr": position_S3, "nn": moment_S3},
        sphere=(*head.centre, head.sphere.radius),
        sphere_units="m",
        verbose="error",
    )
    forward = mne.make_forward_solution(
        head.info, trans=None, src=space, bem=head.sphere, meg=False, eeg=True, mindist=0.0, verbose="error"
    )
    free_CS3 = forward["sol"]["data"].reshape(len(head.positions), -1, 3)
    return np.einsum("csk,sk->cs", free_CS3, moment_S3)


def _spectrum(dipole: _Dipole, person: Person, freqs_hz: np.ndarray) -> np.ndarray:
    if dipole.kind == "background":
        return _one_over_f(freqs_hz)
    if dipole.kind == "alpha":
        return dipole.share * person.alpha_uv**2 * _bump(freqs_hz, person.alpha_hz, 0.8)
    if dipole.kind == "mu":
        return dipole.share * person.mu_uv**2 * _bump(freqs_hz, person.mu_hz, _MU_WIDTH_HZ)
    if dipole.kind == "beta":
        return dipole.share * person.beta_uv**2 * _bump(freqs_hz, 2.0 * person.mu_hz, _BETA_WIDTH_HZ)
    return np.zeros_like(freqs_hz)


def _one_over_f(freqs_hz: np.ndarray) -> np.ndarray:
    """1/f above 0.5 Hz, of unit power between 0.5 and 70 Hz, falling steeply above 75 Hz."""
    shape = 1.0 / np.maximum(freqs_hz, 0.5) / (1.0 + (freqs_hz / 75.0) ** 8)
    shape[0] = 0.0
    band = (freqs_hz >= 0.5) & (freqs_hz <= 70.0)
    return shape / (shape[band].sum() * (freqs_hz[1] - freqs_hz[0]))


def _bump(freqs_hz: np.ndarray, centre_hz: float, width_hz: float) -> np.ndarray:
    """Gaussian line of unit power."""
    return np.exp(-0.5 * ((freqs_hz - centre_hz) / width_hz) ** 2) / (width_hz * np.sqrt(2.0 * np.pi))


def _gaussian(brain: Sources, n: int, rate_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian processes (S, N) in µV with the sources' spectra."""
    n_fast = next_fast_len(n, real=True)
    freqs_hz = rfftfreq(n_fast, 1.0 / rate_hz)
    white = rfft(rng.standard_normal((len(brain.spectrum), n_fast)), axis=1)
    return irfft(white * np.sqrt(brain.spectrum_at(freqs_hz) * rate_hz / 2.0), n_fast, axis=1)[:, :n]


def _blinks(person: Person, n: int, rate_hz: float, rng: np.random.Generator) -> np.ndarray:
    course_uv = np.zeros(n)
    shape = np.hanning(round(0.35 * rate_hz)) ** 2
    for _ in range(rng.poisson(person.blinks_per_min * n / rate_hz / 60.0)):
        first = rng.integers(0, n - len(shape))
        course_uv[first : first + len(shape)] += rng.uniform(80.0, 140.0) * shape
    return course_uv


def _hum(laboratory: Laboratory, n: int, rng: np.random.Generator) -> np.ndarray:
    """Mains and its second harmonic (C, N), stronger at some electrodes than at others."""
    phase_N = 2.0 * np.pi * laboratory.line_freq_hz * np.arange(n) / laboratory.rate_hz
    strength_C = laboratory.hum_uv * rng.lognormal(0.0, 0.5, len(laboratory.electrodes))
    course_N = np.sin(phase_N + rng.uniform(0.0, 2.0 * np.pi))
    if 2.0 * laboratory.line_freq_hz < laboratory.rate_hz / 2.0:
        course_N = course_N + 0.2 * np.sin(2.0 * phase_N)
    return np.outer(strength_C, course_N)
