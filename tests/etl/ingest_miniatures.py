"""Small recordings in the layout of eegmmidb, written by the tests themselves."""

from pathlib import Path

import edfio
import numpy as np
import pybv

CHANNELS = ("Fc5.", "C3..", "Cz..", "C4..", "Fp1.", "O1..")
CUES = ((0.0, 4.2, "T0"), (4.2, 4.1, "T1"), (8.3, 4.2, "T0"), (12.5, 4.1, "T2"))


def samples_uv(seed: int, rate_hz: float, seconds: float, channels: int = len(CHANNELS)) -> np.ndarray:
    """Integer µV, so that an EDF with a step of 1 µV holds them exactly; the last sample is never zero."""
    rng = np.random.default_rng(seed)
    noise = np.cumsum(rng.normal(size=(channels, round(rate_hz * seconds))), axis=1)
    centred = noise - noise.mean(axis=1, keepdims=True)
    data = np.rint(30 * centred / centred.std(axis=1, keepdims=True) + 5 * rng.normal(size=noise.shape))
    data[:, -1] = 7
    return data


def write_edf(path: Path, *, seed: int = 0, rate_hz: float = 160.0, seconds: float = 20.0, cues=CUES) -> Path:
    """Write one EDF+ with a step of 1 µV, as the originals have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    signals = [
        edfio.EdfSignal(
            data,
            rate_hz,
            label=label,
            physical_dimension="uV",
            physical_range=(-8092, 8092),
            digital_range=(-8092, 8092),
        )
        for label, data in zip(CHANNELS, samples_uv(seed, rate_hz, seconds), strict=True)
    ]
    annotations = [edfio.EdfAnnotation(*cue) for cue in cues]
    edfio.Edf(signals, annotations=annotations, data_record_duration=1.0).write(path)
    return path


def write_corpus(root: Path, people: int = 2, runs: tuple[int, ...] = (4, 8), **edf) -> list[Path]:
    """Write Sxxx/SxxxRyy.edf for some people and runs."""
    return [
        write_edf(root / f"S{person:03d}" / f"S{person:03d}R{run:02d}.edf", seed=100 * person + run, **edf)
        for person in range(1, people + 1)
        for run in runs
    ]


def write_brainvision_folder(root: Path, recordings: int, seconds: float = 20.0) -> list[Path]:
    """Write recordings that, unlike EDF, are read in a process of their own."""
    root.mkdir(parents=True, exist_ok=True)
    for number in range(recordings):
        pybv.write_brainvision(
            data=1e-6 * samples_uv(number, 200, seconds),
            sfreq=200,
            ch_names=[name.strip(".") for name in CHANNELS],
            fname_base=f"p{number:02d}",
            folder_out=root,
        )
    return sorted(root.glob("*.vhdr"))
