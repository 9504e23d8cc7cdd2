"""The best decoder there can be: it knows how the data were made, but sees only what the electrodes saw."""

import numpy as np

from eegfm_etl.simulated.laboratories import LEFT, RIGHT, Laboratory, Person
from eegfm_etl.simulated.sources import ONSET_LAG_S, TRIAL_S, Recording, Sources, against_reference

BAND_HZ = (6.0, 32.0)  # below lie blinks, above lie only noise and hum


def oracle_decisions(
    laboratory: Laboratory, person: Person, brain: Sources, recording: Recording
) -> np.ndarray:
    """Side (T,) that a likelihood-ratio test chooses for every trial.

    In every frequency bin the electrodes' Fourier coefficients are complex Gaussian with covariances that
    follow from the leadfield and the spectra (Whittle, Ark. Mat. 2:423-434, 1953); left and right imagery
    differ in the power of the contralateral mu and beta sources. With these covariances known, the
    likelihood ratio is the optimal decision. Noisy and flat channels are left out; the ramps at both ends
    of the imagery are ignored.
    """
    good = [
        index
        for index, name in enumerate(laboratory.electrodes)
        if name not in (person.noisy_channel, person.flat_channel)
    ]
    spectra_FTC, freqs_hz = _fourier(laboratory, recording, good)
    left_FCC = _covariance(laboratory, person, brain, freqs_hz, LEFT)[:, good][:, :, good]
    right_FCC = _covariance(laboratory, person, brain, freqs_hz, RIGHT)[:, good][:, :, good]
    contrast_FCC = np.linalg.inv(left_FCC) - np.linalg.inv(right_FCC)
    energy_T = np.einsum("ftc,fcd,ftd->t", spectra_FTC.conj(), contrast_FCC, spectra_FTC, optimize=True).real
    threshold = (np.linalg.slogdet(right_FCC)[1] - np.linalg.slogdet(left_FCC)[1]).sum()
    return np.where(energy_T > threshold, RIGHT, LEFT)


def _fourier(
    laboratory: Laboratory, recording: Recording, channels: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Fourier coefficients (F, T, C) of the trials in the band, scaled so that their power is µV²/Hz."""
    rate_hz = laboratory.rate_hz
    n = round((TRIAL_S - ONSET_LAG_S) * rate_hz)
    edge = 0.5 - 0.5 * np.cos(np.pi * (np.arange(round(0.1 * n)) + 0.5) / round(0.1 * n))
    taper = np.concatenate([edge, np.ones(n - 2 * len(edge)), edge[::-1]])
    freqs_hz = np.fft.rfftfreq(n, 1.0 / rate_hz)
    band = (freqs_hz >= BAND_HZ[0]) & (freqs_hz <= BAND_HZ[1])
    first = np.round((recording.trials.onset_s + ONSET_LAG_S) * rate_hz).astype(int)
    trials_TCN = np.stack([recording.samples_uv[channels, start : start + n] for start in first])
    trials_TCN = trials_TCN - trials_TCN.mean(axis=2, keepdims=True)
    spectra_TCF = np.fft.rfft(trials_TCN * taper, axis=2)[:, :, band]
    return spectra_TCF.transpose(2, 0, 1) * np.sqrt(2.0 / rate_hz / (taper**2).sum()), freqs_hz[band]


def _covariance(
    laboratory: Laboratory, person: Person, brain: Sources, freqs_hz: np.ndarray, side: int
) -> np.ndarray:
    """Cross-spectra (F, C, C) in µV²/Hz that the model expects while `side` is imagined."""
    power_SF = brain.spectrum_at(freqs_hz)
    power_SF[brain.hemisphere == 1 - side] *= 1.0 - person.suppression
    scalp_FCC = np.einsum("cs,sf,ds->fcd", brain.gain, power_SF, brain.gain, optimize=True)
    noise = 2.0 * person.sensor_noise_uv**2 / laboratory.rate_hz  # white noise up to Nyquist
    scalp_FCC += noise * np.eye(len(brain.electrodes))
    measure = against_reference(laboratory)
    return measure @ scalp_FCC @ measure.T
