"""A run's decoders on new samples of any montage.

Legend: N windows, C channels, T samples, K classes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eegfm.config import ReaderConfig
from eegfm.data import UNIT_UV, read_array
from eegfm.decode.alignment import Past
from eegfm.decode.decoders import Decoder, load_decoder
from eegfm.decode.trials import UNKNOWN, PersonTrials, Trials
from eegfm.decode.units import decoders_rel
from eegfm_lake.errors import EegfmError, UsageError

USES = ("past", "none", "all")
"""What is taken from the new person, in order of preference; calibration needs another file."""


@dataclass(frozen=True)
class WindowPredictions:
    """What a run's decoder says about new windows.

    Attributes
    ----------
    onsets_s_N : ndarray (N,)
        Start of each window from the first sample.
    window_s : float
        Length of each.
    classes : tuple of str, length K
    probabilities_NK : ndarray (N, K)
        Mean over the run's folds and seeds.
    model, target_data : str
        Which decoder, and what it took from this recording.
    decoders : int
        How many were averaged.
    channel_report : tuple of str
        One line a channel: matched, extra, missing, without position; and one a covariate that the decoder is told.
    """

    onsets_s_N: np.ndarray
    window_s: float
    classes: tuple[str, ...]
    probabilities_NK: np.ndarray
    model: str
    target_data: str
    decoders: int
    channel_report: tuple[str, ...]


def predict_windows(
    run_dir: str | Path,
    samples_uv_CT: np.ndarray,
    channels: Sequence[Mapping[str, Any]],
    *,
    rate_hz: float,
    onsets_s: Sequence[float] | None = None,
    model: str | None = None,
    alignment: str | None = None,
    reference: str | None = None,
    methodology: Mapping[str, str] | None = None,
    source: str = "the file",
) -> WindowPredictions:
    """Predict windows of one recording of a person whom the run has not seen.

    Parameters
    ----------
    run_dir : str or Path
        A fine-tuning run.
    samples_uv_CT : ndarray (C, T)
        Stored channels of one segment, µV, after the signal chain of the run's profile.
    channels : sequence of mapping
        One row a channel, shaped like ``schema.CHANNELS`` without the dropped ones.
    rate_hz : float
    onsets_s : sequence of float, optional
        Where windows start; back to back from the first sample where omitted.
    model : str, optional
        A model of the run's table; CSBrain where there is one, else the best on validation people.
    alignment : {"none", "past", "all"}, optional
        What may be used of this recording; ``past`` where the run has it.
    reference : str, optional
        The recording's reference, for the reader.
    methodology : mapping, optional
        Covariate → value of what is known of how it was recorded, for decoders that are told; the rest is unknown.
    source : str
        How errors call the data.

    Returns
    -------
    WindowPredictions

    Raises
    ------
    EegfmError
        The run is no finished fine-tuning run, the rate differs, no window fits, or a decoder lacks channels.
    UsageError
        The run has no such model or alignment.
    """
    run_dir = Path(run_dir)
    inputs = _inputs(run_dir)
    if rate_hz != inputs["rate_hz"]:
        raise EegfmError(
            f"{source} is at {rate_hz:g} Hz, the run at {inputs['rate_hz']:g}; harmonise it with profile "
            f"{inputs['profile']}"
        )
    title, use, folders = _choose(run_dir, inputs, model, alignment)
    decoders = [load_decoder(folder) for folder in folders]
    trials = _cut(samples_uv_CT, channels, inputs, onsets_s, reference, methodology or {}, source)
    person = trials.people[0]
    needed = getattr(decoders[0], "names", None)
    report = match_channels(person, needed or inputs["common_channels"], any_montage=needed is None)
    missing = [name for name in needed or () if name not in person.names]
    if needed is not None and missing:
        raise EegfmError(
            f"{source} lacks {len(missing)} of the {len(needed)} channels that {title} was fitted on "
            f"({', '.join(missing[:8])}{' …' if len(missing) > 8 else ''}); choose a model that takes any "
            "montage (csbrain), or fit one on the channels that you have (models.N.channels)"
        )
    target = {"none": None, "past": Past(), "all": trials}[use]
    probabilities_NK = np.mean([_asked(decoder, trials, target) for decoder in decoders], axis=0)
    return WindowPredictions(
        onsets_s_N=person.onsets_s_N,
        window_s=inputs["samples"] / inputs["rate_hz"],
        classes=trials.classes,
        probabilities_NK=probabilities_NK,
        model=title,
        target_data=decoders[0].uses(trials)[0],
        decoders=len(decoders),
        channel_report=(*report, *told_methodology(methodology or {}, decoders[0])),
    )


def match_channels(person: PersonTrials, expected: Sequence[str], *, any_montage: bool) -> tuple[str, ...]:
    """Say of every channel what becomes of it, one line each."""
    lines = []
    for name, position in zip(person.names, person.positions_C3, strict=True):
        placed = np.isfinite(position).all()
        if name in expected:
            lines.append(f"{name}: matched")
        elif any_montage:
            lines.append(
                f"{name}: not in every recording of the run, used by its position"
                if placed
                else f"{name}: used without a position"
            )
        else:
            lines.append(f"{name}: extra, not used")
    absent = "missing; the decoder does without" if any_montage else "missing"
    return (*lines, *(f"{name}: {absent}" for name in expected if name not in person.names))


def told_methodology(known: Mapping[str, str], decoder: Decoder) -> tuple[str, ...]:
    """Say of every covariate that a decoder is told whether this recording's value is one that it knows."""
    lines = []
    for name, values in getattr(decoder, "vocabulary", ()):
        value = known.get(name)
        if value is None:
            lines.append(f"methodology {name}: unknown")
        elif value in values:
            lines.append(f"methodology {name} {value}: matched")
        else:
            lines.append(f"methodology {name} {value}: not seen in training, read as unknown")
    return tuple(lines)


def _asked(decoder: Decoder, trials: Trials, target: Any) -> np.ndarray:
    return decoder.adapt(target).predict(trials)


def _inputs(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "inputs.json"
    if not path.exists():
        raise EegfmError(f"{run_dir} holds no inputs.json; expected the folder of a fine-tuning run")
    return json.loads(path.read_text(encoding="utf-8"))


def _choose(
    run_dir: Path, inputs: dict[str, Any], model: str | None, alignment: str | None
) -> tuple[str, str, list[Path]]:
    """Return the model's title, the use, and the folders of its decoders."""
    titles = {config["label"] or config["name"]: config["name"] for config in inputs["models"]}
    if model is None:
        model = next((title for title, name in titles.items() if name == "csbrain"), None) or _best(
            run_dir, titles
        )
    if model not in titles:
        raise UsageError(f"{run_dir} has no model {model!r}; it has {', '.join(titles)}")
    offered = [use for use in USES if (run_dir / decoders_rel(model, use)).is_dir()]
    use = alignment or next(iter(offered), None)
    if use not in offered:
        raise UsageError(
            f"{run_dir} has no decoder {model} with alignment {use}; it offers {', '.join(offered) or 'none'}"
        )
    return model, use, sorted((run_dir / decoders_rel(model, use)).iterdir())


def _best(run_dir: Path, titles: dict[str, str]) -> str:
    import csv

    path = run_dir / "table.csv"
    if not path.exists():
        return next(iter(titles))
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return max(rows, key=lambda row: float(row["valid_balanced_accuracy"] or 0))["model"]


def _cut(
    samples_uv_CT: np.ndarray,
    channels: Sequence[Mapping[str, Any]],
    inputs: dict[str, Any],
    onsets_s: Sequence[float] | None,
    reference: str | None,
    methodology: Mapping[str, str],
    source: str,
) -> Trials:
    """Windows after the run's reader operations, every usable channel kept."""
    reader = ReaderConfig(**inputs["reader"]).model_copy(update={"channels": "all"})
    n_samples, n_times = inputs["samples"], samples_uv_CT.shape[1]
    if onsets_s is None:
        starts = np.arange(0, n_times - n_samples + 1, n_samples)
    else:
        starts = np.round(np.asarray(onsets_s, float) * inputs["rate_hz"]).astype(int)
        starts = starts[(starts >= 0) & (starts + n_samples <= n_times)]
    if not len(starts):
        raise EegfmError(
            f"{source} holds no window of {n_samples / inputs['rate_hz']:g} s; a longer recording is needed"
        )
    whole = read_array(
        samples_uv_CT, channels, reader, rate_hz=inputs["rate_hz"], reference=reference, source=source
    )
    x_CT = whole.scaled() * np.float32(UNIT_UV)
    person = PersonTrials(
        person="new",
        dataset="new",
        x_NCT=np.stack([x_CT[:, start : start + n_samples] for start in starts]),
        names=whole.names,
        positions_C3=whole.positions_C3,
        labels_N=np.full(len(starts), UNKNOWN),
        recordings_N=np.full(len(starts), source, dtype=object),
        order_N=np.zeros(len(starts), int),
        windows_N=np.full(len(starts), -1),
        onsets_s_N=starts / inputs["rate_hz"],
        facts={name: np.full(len(starts), value, dtype=object) for name, value in methodology.items()},
    )
    use = "all" if reader.scale == "robust" else "none"
    return Trials((person,), tuple(inputs["classes"]), inputs["rate_hz"], use)
