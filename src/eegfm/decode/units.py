"""One unit of a comparison: a model, aligned or not, a fold, a seed; finished ones are found again."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eegfm.config import DecoderConfig, FinetuneConfig
from eegfm.decode.alignment import USES, Past, Target
from eegfm.decode.decoders import Decoder, build_decoder, save_decoder
from eegfm.decode.linear import LINEAR
from eegfm.decode.protocols import Fold
from eegfm.decode.trials import Trials
from eegfm_lake.errors import EegfmError, UsageError

PREDICTIONS = pa.schema(
    [
        ("model", pa.string()),
        ("alignment", pa.string()),
        ("target_data", pa.string()),
        ("target_labels", pa.int32()),
        ("condition", pa.string()),  # covariates that the decoder was told; NULL: none
        ("fold", pa.string()),
        ("seed", pa.int32()),
        ("split", pa.string()),
        ("person", pa.string()),
        ("dataset", pa.string()),
        ("recording_id", pa.string()),
        ("window", pa.int64()),
        ("onset_s", pa.float64()),
        ("label", pa.string()),
        ("predicted", pa.string()),
        ("probabilities", pa.list_(pa.float32())),
        ("command", pa.string()),
    ]
)
"""One row a window, model, alignment, fold and seed: everything reported is made from these."""


@dataclass(frozen=True)
class Unit:
    """What is fitted once and asked about validation and test people.

    Training people are aligned with all their own windows whatever a test person will give, so one fit serves
    every aligned use; its choices are made on validation people with the first, the least that is taken.
    """

    model: DecoderConfig
    uses: tuple[str, ...]
    fold: Fold
    seed: int

    @property
    def decoder_rel(self) -> str:
        """Where its decoder lies below the run folder."""
        return f"{decoders_rel(self.model.title, self.uses[0])}/{self.fold.name}-{self.seed}"


def decoders_rel(title: str, use: str) -> str:
    """Return where a model's decoders for a use lie below the run folder."""
    return f"decoders/{_as_file(title)}-{_kind(use)}"


def plan_units(config: FinetuneConfig, folds: list[Fold]) -> list[Unit]:
    """Return every unit of a comparison, cheap models first.

    Linear decoders have no seed and run once; methodology has no signal to align.
    """
    units = []
    for model in config.models:
        seeds = config.seeds[:1] if model.name in LINEAR or model.name == "methodology" else config.seeds
        wanted = ["none"] if model.name == "methodology" else model.alignment or config.alignment.uses
        for kind in ("unaligned", "aligned"):
            uses = tuple(use for use in USES if use in wanted and _kind(use) == kind)
            if uses:
                units += [Unit(model, uses, fold, seed) for seed in seeds for fold in folds]
    return units


def unit_file(run_dir: Path, config: FinetuneConfig, unit: Unit, lock_hash: str) -> Path:
    """Return where a unit's predictions lie; its name holds a digest of everything that decides them."""
    deciding = {
        "model": unit.model.model_dump(mode="json"),
        "reader": config.reader.model_dump(mode="json"),
        "alignment": config.alignment.model_dump(mode="json", exclude={"uses"}),
        "classes": config.classes,
        "fold": [unit.fold.name, unit.fold.train, unit.fold.valid, unit.fold.test],
        "uses": unit.uses,
        "seed": unit.seed,
        "lock": lock_hash,
        "encoder": _weights_digest(unit.model.model.checkpoint),
    }
    digest = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:12]
    return (
        run_dir
        / "units"
        / f"{_as_file(unit.model.title)}-{_kind(unit.uses[0])}-{unit.fold.name}-{unit.seed}-{digest}.parquet"
    )


def run_unit(
    config: FinetuneConfig, unit: Unit, trials: Trials, file: Path, *, command: str, log: Any
) -> None:
    """Fit a unit's decoder, ask it about validation and test people, write decoder and predictions.

    The predictions are written last and at once: a unit whose file exists is finished.
    """
    model, fold = unit.model, unit.fold
    names = {"model": model.title, "alignment": "/".join(unit.uses), "fold": fold.name, "seed": unit.seed}
    if model.channels is not None:
        trials = trials.pick(model.channels)
    window_s = trials.people[0].x_NCT.shape[-1] / trials.rate_hz
    decoder = build_decoder(
        model,
        config.alignment,
        unit.uses[0],
        window_s=window_s,
        seed=unit.seed,
        device=device_of(config.accelerator),
        log=lambda record: log(stage="finetune", **names, **record),
    )
    valid, test = trials.only(fold.valid), trials.only(fold.test)
    decoder.fit(trials.only(fold.train), *asked_and_target(valid, unit.uses[0]))
    tables = []
    for use in unit.uses:
        names["alignment"] = use
        for split, people in (("valid", valid), ("test", test)):
            asked, target = asked_and_target(people, use)
            if not len(asked):
                continue
            table, accuracy = _predict(decoder, asked, target, names | {"split": split, "command": command})
            tables.append(table)
            if split == "valid":  # test people are looked at when the comparison is over
                log(stage="finetune", **names, split=split, balanced_accuracy=accuracy)
    save_decoder(decoder, file.parents[1] / unit.decoder_rel)
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    pq.write_table(pa.concat_tables(tables), scratch)
    scratch.replace(file)


def device_of(accelerator: str) -> str:
    """Return where networks are trained: ``cpu`` or ``cuda``.

    Raises
    ------
    UsageError
        ``cuda`` is asked for and there is none.
    """
    import torch

    if accelerator == "cuda" and not torch.cuda.is_available():
        raise UsageError("accelerator is cuda, but torch finds no GPU; use accelerator=auto or cpu")
    return "cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu"


def asked_and_target(trials: Trials, use: str) -> tuple[Trials, Target]:
    """Return the windows that are scored and what ``adapt`` is given; labels are withheld from it.

    Raises
    ------
    EegfmError
        ``calibration``, and nobody has a second recording.
    """
    if use == "none" or not len(trials):
        return trials, None
    if use == "past":
        return trials, Past()
    if use == "all":
        return trials, trials.without_labels()
    later = trials.where(lambda person: person.order_N > 0)
    if not len(later):
        raise EegfmError(
            f"alignment calibration: {trials.names[0]} and the others have one recording each, so none is "
            "left to score; use past or all"
        )
    first = trials.only(later.names).where(lambda person: person.order_N == 0)
    return later, first.without_labels()


def _predict(
    decoder: Decoder, asked: Trials, target: Target, constants: dict[str, Any]
) -> tuple[pa.Table, float]:
    from eegfm.decode.scores import balanced_accuracy

    probabilities_NK = decoder.adapt(target).predict(asked.without_labels())
    target_data, target_labels = decoder.uses(asked)
    predicted_N = probabilities_NK.argmax(1)
    columns: dict[str, Any] = {
        "target_data": [target_data] * len(asked),
        "target_labels": [target_labels] * len(asked),
        "condition": [_told(decoder)] * len(asked),
        "person": np.concatenate([[p.person] * len(p) for p in asked.people]),
        "dataset": np.concatenate([[p.dataset] * len(p) for p in asked.people]),
        "recording_id": np.concatenate([p.recordings_N for p in asked.people]),
        "window": np.concatenate([p.windows_N for p in asked.people]),
        "onset_s": np.concatenate([p.onsets_s_N for p in asked.people]),
        "label": [asked.classes[label] for label in asked.labels_N],
        "predicted": [asked.classes[label] for label in predicted_N],
        "probabilities": list(probabilities_NK.astype(np.float32)),
    }
    columns |= {name: [value] * len(asked) for name, value in constants.items()}
    table = pa.table({field.name: pa.array(list(columns[field.name]), field.type) for field in PREDICTIONS})
    return table, balanced_accuracy(asked.labels_N, predicted_N)


def _told(decoder: Decoder) -> str | None:
    """Name the covariates of the methodology that a decoder is told of every window."""
    return ", ".join(name for name, _ in getattr(decoder, "vocabulary", ())) or None


def _kind(use: str) -> str:
    return "unaligned" if use == "none" else "aligned"


def _as_file(title: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", title)


def _weights_digest(checkpoint: str | None) -> str | None:
    if checkpoint is None:
        return None
    from eegfm.pretrain.setup import model_folder

    return hashlib.sha256((model_folder(checkpoint) / "model.safetensors").read_bytes()).hexdigest()
