"""One pydantic model a command; YAML files and ``a.b=c`` overrides become one of them or one clear line.

A key that no model knows is an error that suggests the right one; values are checked strictly (``yes`` is no
number). The resolved configuration is written beside every run.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from eegfm import configfile
from eegfm_lake.errors import UsageError
from eegfm_lake.schema import COVARIATES

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Band = tuple[float | None, float | None]
TargetData = Literal["none", "past", "calibration", "all"]


class Section(BaseModel):
    """What every part of a configuration shares: no unknown keys, no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ReaderConfig(Section):
    """Operations on every window, in the order of the fields."""

    types: list[str] = ["eeg"]
    """Channel types that are read."""
    bad: Literal["drop", "keep", "zero"] = "drop"
    """Channels marked bad: left out, kept as they are, or set to zero; none enters an average reference."""
    reference: str = "average"
    """``none``, ``average``, or electrodes whose mean is subtracted (``Cz``, ``TP9+TP10``)."""
    band_hz: Band | None = None
    """Zero-phase FIR after the reference: ``[8, 30]``, ``[null, 40]``; null for none."""
    margin_s: Annotated[float, Field(ge=0)] | None = None
    """Signal read to both sides for the filter; null for all that its kernel reaches."""
    channels: Literal["all", "common"] | list[str] = "all"
    """``common``: names that every recording has; a list picks and orders."""
    scale: Literal["uv100", "robust"] = "uv100"
    """µV / 100, or each recording brought to the same robust amplitude first."""
    clip: Annotated[float, Field(gt=0)] | None = 15.0
    """Largest magnitude after scaling; 15 is 1.5 mV."""


def check_covariates(names: Iterable[str]) -> None:
    """Refuse a condition that is no covariate of the methodology.

    Raises
    ------
    UsageError
        It suggests the nearest of ``eegfm_lake.schema.COVARIATES``.
    """
    for name in names:
        if name not in COVARIATES:
            near = get_close_matches(name, COVARIATES, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COVARIATES)}"
            raise UsageError(f"model.condition: {name!r} is no covariate of the methodology; {hint}")


class ModelConfig(Section):
    """Which encoder: a preset with changes, or the ``model/`` folder of a pre-training run."""

    preset: str = "tiny"
    changes: dict[str, Any] = {}
    """Fields of ``eegfm.model.EncoderConfig`` that differ from the preset."""
    checkpoint: str | None = None
    """Start from these weights; preset and changes are then ignored."""
    condition: list[str] = []
    """Covariates of the methodology (``reference``, ``amplifier``, ``line_freq``, ``site`` …) that the encoder is told;
    a checkpoint has its own, and naming others is refused."""
    condition_drop: Share = 0.2
    """Share of covariates that are read as unknown while training, so that the encoder works without them."""
    condition_recordings: Positive = 5
    """Training recordings that a value needs; rarer ones are read as unknown."""

    @model_validator(mode="after")
    def _condition_names_covariates(self) -> "ModelConfig":
        check_covariates(self.condition)
        return self


class LoaderConfig(Section):
    """How windows become batches."""

    batch: Positive = 32
    workers: Annotated[int, Field(ge=0)] = 2
    """Threads that read ahead; any number gives the same batches."""
    prefetch: Positive = 4
    """Batches read ahead."""
    mix: bool = False
    """Put several montages into one batch, padded; else batches hold windows of one shape."""


class ObjectiveConfig(Section):
    """What is hidden and how the reconstruction is judged."""

    mask: Literal["discs", "scattered"] = "discs"
    """``discs`` on the head × time, or scattered single channels (which volume conduction solves)."""
    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of a window's patches that is hidden."""
    radius_m: Annotated[float, Field(gt=0)] = 0.06
    """Largest radius of a disc, in metres on MNE's head."""
    span_s: tuple[float, float] = (1.0, 3.0)
    """Shortest and longest time that a disc lasts."""
    loss: Literal["equalised", "plain"] = "equalised"
    """Every frequency counts the same, or squared error (two thirds of it below 4 Hz)."""
    high_hz: Annotated[float, Field(gt=0)] | None = None
    """Frequencies above are not judged; null for all that a channel's own band holds."""
    visible: Annotated[float, Field(ge=0)] = 0.0
    """Weight of visible patches in what is trained (never in what is reported). A token that holds its own waveform
    is what hidden neighbours are filled in from: with 1, a short run learns in half the steps."""

    @model_validator(mode="after")
    def _span_is_ordered(self) -> "ObjectiveConfig":
        if not 0 < self.span_s[0] <= self.span_s[1]:
            raise ValueError("the shortest span comes first and is above 0")
        return self


class OptimiserConfig(Section):
    """AdamW with linear warm-up and a cosine to ``final_lr``; norms, biases and embeddings do not decay."""

    lr: Annotated[float, Field(gt=0)] = 5e-4
    final_lr: Annotated[float, Field(ge=0)] = 1e-5
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    clip_norm: Annotated[float, Field(gt=0)] = 1.0


class ValidationConfig(Section):
    """People who are only looked at: the lock's ``valid`` split, else the last people by name."""

    people: Share = 0.1
    """Share of people held out where the lock has no ``valid`` split; at least one."""
    every_steps: Positive = 200
    windows: Positive = 256
    """Windows looked at each time, spread evenly over the held-out people's windows."""


class PretrainConfig(Section):
    """``eegfm pretrain``: masked-patch pre-training of an encoder on a lock."""

    name: str
    """The run folder is ``<runs>/<name>``."""
    lock: str
    """A name, ``name@hash``, or the lock's folder."""
    lake: str | None = None
    runs: str = "runs"
    seed: int = 0
    epochs: Annotated[float, Field(gt=0)] | None = None
    """Passes over the training windows; give this or ``steps``."""
    steps: Positive | None = None
    """Optimiser steps."""
    reader: ReaderConfig = ReaderConfig()
    loader: LoaderConfig = LoaderConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    validation: ValidationConfig = ValidationConfig()
    log_steps: Positive = 10
    checkpoint_steps: Positive = 500
    checkpoint_min: Annotated[float, Field(gt=0)] = 10.0
    """A checkpoint is written when either is reached, on SIGTERM and on Ctrl-C."""
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    compile: bool = False
    """Compile the encoder's blocks: minutes at the start, faster steps on a GPU."""
    checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, a third more time."""
    reconstructions: Positive = 8
    """Validation windows whose reconstructions are kept for the report."""

    @model_validator(mode="after")
    def _length_is_given_once(self) -> "PretrainConfig":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either epochs or steps")
        return self

    @property
    def run_dir(self) -> Path:
        """Folder of the run."""
        return Path(self.runs) / self.name


class ProtocolConfig(Section):
    """Who trains and who is tested; the unit is the person."""

    name: Literal["cross_subject", "fixed"] = "cross_subject"
    """Folds over people, or the lock's own train/valid/test."""
    kind: Literal["kfold", "loso"] = "kfold"
    """Several people a fold, or one: leave one person out."""
    folds: Positive | None = None
    """Null: the lock's fold column, else five."""
    test_people: list[str] = []
    """Only these people are ever tested (``eegmmidb/S019..S036`` for a range); empty for all."""
    train_people: list[str] = []
    """Only these people train and validate; empty for all."""


class DecoderConfig(Section):
    """One model of the comparison."""

    name: Literal[
        "csbrain",
        "eegnet",
        "shallow",
        "band_power",
        "csp_lda",
        "tangent",
        "tangent_filterbank",
        "methodology",
    ]
    label: str | None = None
    """How it is called in tables; the name where null."""
    mode: Literal["full", "linear_probe"] = "full"
    """CSBrain: train everything, or the head alone on a frozen encoder."""
    model: ModelConfig = ModelConfig()
    """CSBrain: which encoder; without a checkpoint it starts from random weights."""
    alignment: list[TargetData] | None = None
    """Only these of the run's alignments; null for all of them."""
    channels: list[str] | None = None
    """Only these channels; null for all (all but csbrain: all that people share)."""
    bands_hz: list[tuple[float, float]] | None = None
    """Bands of a linear decoder; the first is a network's band-pass. Null for the decoder's own."""
    rate_hz: Annotated[float, Field(gt=0)] | None = None
    """Networks: windows are brought down to this rate; null keeps theirs."""
    epochs: Positive = 30
    batch: Positive = 32
    lr: Annotated[float, Field(gt=0)] = 1e-3
    encoder_lr: Annotated[float, Field(gt=0)] = 1.0
    """Learning rate of CSBrain's encoder as a share of the head's."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    patience: Positive | None = None
    """Epochs without a lower validation loss before a network stops."""
    shift_s: Annotated[float, Field(ge=0)] = 0.0
    """Augmentation: training windows move by up to this much."""
    drop_channels: Share = 0.0
    """Augmentation of CSBrain: share of channels hidden in a batch."""
    noise: Annotated[float, Field(ge=0)] = 0.0
    """Augmentation: white noise as a share of a window's standard deviation."""
    mirror: bool = False
    """Augmentation: exchange left and right of head and label; for classes that are mirror images."""
    changes: dict[str, Any] = {}
    """Arguments of the braindecode class, or ``pooling`` and ``drop_prob`` of CSBrain's head."""

    @property
    def title(self) -> str:
        """Its name in tables."""
        return self.label or self.name


class AlignmentConfig(Section):
    """Euclidean alignment of every person, and what of a test person's data it may use."""

    uses: Annotated[list[TargetData], Field(min_length=1)] = ["none", "past", "all"]
    """Every model is fitted and scored with each: ``none`` (nobody is aligned), ``past`` (this trial and
    earlier ones), ``calibration`` (the person's first recording, which is then not scored), ``all``."""
    band_hz: Band = (8.0, 30.0)
    """Where its covariance is estimated; it acts on the whole signal."""
    shrinkage: Share = 0.0
    """Towards the mean eigenvalue; 0 relies on the subspace above 1e-6 of the largest eigenvalue."""


class FinetuneConfig(Section):
    """``eegfm finetune``: decoders trained on some people and scored on others."""

    name: str
    """The run folder is ``<runs>/<name>``."""
    lock: str
    """A name, ``name@hash``, or the lock's folder."""
    lake: str | None = None
    runs: str = "runs"
    seeds: Annotated[list[int], Field(min_length=1)] = [0]
    """Every network is trained once a seed; linear decoders have none and run once."""
    reader: ReaderConfig = ReaderConfig(bad="keep")
    classes: list[str] | None = None
    """Labels to tell apart; null for all of the lock."""
    protocol: ProtocolConfig = ProtocolConfig()
    alignment: AlignmentConfig = AlignmentConfig()
    models: Annotated[list[DecoderConfig], Field(min_length=1)]
    permutations: Annotated[int, Field(ge=0)] = 20
    """Runs of a linear decoder on permuted training labels: what chance is."""
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """Where networks are trained; ``auto`` takes a GPU where there is one."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that share the folds; 0 works in this one."""

    @model_validator(mode="after")
    def _titles_differ(self) -> "FinetuneConfig":
        titles = [model.title for model in self.models]
        twice = sorted({title for title in titles if titles.count(title) > 1})
        if twice:
            raise ValueError(f"two models are called {twice[0]}; give one a label")
        return self

    @property
    def run_dir(self) -> Path:
        """Folder of the run."""
        return Path(self.runs) / self.name


Config = TypeVar("Config", bound=BaseModel)


def load_config(ref: str | Path, cls: type[Config], overrides: Sequence[str] = ()) -> Config:
    """Read a configuration file, apply overrides and check every key and value.

    Parameters
    ----------
    ref : str or Path
        A YAML file, or the name of a shipped configuration (``tiny_4s``, ``pretrain/tiny_4s``).
    cls : type
        ``PretrainConfig`` or ``FinetuneConfig``.
    overrides : sequence of str
        ``a.b=c``, values as YAML, list places as numbers: ``optimiser.lr=1e-3``, ``models.0.epochs=5``.

    Returns
    -------
    Config
        An instance of ``cls``, frozen.

    Raises
    ------
    UsageError
        No such file, broken YAML, an unknown key (the nearest one is suggested), a value of the wrong kind.
    """
    path = configfile.find(ref, kind=configfile.kind_of(cls))
    data = configfile.read(path)
    configfile.apply_overrides(data, overrides, cls)
    return configfile.validate(data, cls, source=path.name, overrides=overrides)


def shipped_configs(kind: str | None = None) -> dict[str, Path]:
    """List the configurations that come with the package.

    Parameters
    ----------
    kind : {"pretrain", "finetune"}, optional
        Only these.

    Returns
    -------
    dict of str to Path
        ``"pretrain/tiny_4s"`` to its file, sorted by name.
    """
    return configfile.shipped(kind)


def dump_config(config: BaseModel) -> str:
    """Write the resolved configuration as YAML, defaults included; ``load_config`` reads it back."""
    return configfile.dump(config.model_dump(mode="json"))
