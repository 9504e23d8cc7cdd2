"""The interface of every decoder; how one is built, written to a folder and read back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from eegfm.config import AlignmentConfig, DecoderConfig
from eegfm.decode.alignment import Alignment, Target
from eegfm.decode.linear import LINEAR, CovarianceDecoder
from eegfm.decode.methodology import MethodologyDecoder
from eegfm.decode.trials import Trials
from eegfm_lake.errors import EegfmError

SETTINGS, WEIGHTS = "decoder.json", "decoder.safetensors"
RATE_HZ, BAND_HZ = 100.0, (4.0, 38.0)
"""What networks of braindecode read unless the configuration says otherwise."""


class Decoder(Protocol):
    """What a model, its alignment and its training have in common with every other."""

    def fit(self, train: Trials, valid: Trials | None = None, target: Target = None) -> Self:
        """Fit on labelled windows of training people.

        Parameters
        ----------
        train : Trials
        valid : Trials, optional
            Windows of other people on whom every choice is made.
        target : Trials, Past or None
            What ``adapt`` is given for the validation people.
        """
        ...

    def adapt(self, target: Target) -> Self:
        """Take what may be used of the people who will be asked about.

        Parameters
        ----------
        target : Trials, Past or None
            None for nothing; ``Past()``: each window may use itself and the person's earlier ones; windows:
            of an earlier recording (calibration), or all. Known labels are counted, whether used or not.
        """
        ...

    def predict(self, windows: Trials) -> np.ndarray:
        """Return probabilities (N, K), person after person; labels are not looked at."""
        ...

    def uses(self, windows: Trials) -> tuple[str, int]:
        """Return target_data and target_labels of predicting these windows, as ``adapt`` decided."""
        ...

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return settings (JSON) and arrays from which the decoder is built again."""
        ...


def build_decoder(
    config: DecoderConfig,
    alignment: AlignmentConfig,
    use: str,
    *,
    window_s: float,
    seed: int = 0,
    device: str = "cpu",
    log: Callable[[dict[str, Any]], None] = lambda record: None,
) -> Decoder:
    """Build what a configuration names, not yet fitted.

    Parameters
    ----------
    config : DecoderConfig
    alignment : AlignmentConfig
    use : str
        ``none`` builds it without alignment; anything else with.
    window_s : float
        Length of the windows.
    seed : int
    device : str
        Where a network is trained.
    log : callable
        Given the training records of a network.
    """
    aligned = Alignment(alignment.band_hz, alignment.shrinkage) if use != "none" else None
    if config.name == "methodology":
        return MethodologyDecoder()
    if config.name in LINEAR:
        from dataclasses import replace

        spec = LINEAR[config.name]
        return CovarianceDecoder(
            replace(spec, bands_hz=tuple(config.bands_hz)) if config.bands_hz else spec, aligned
        )
    return _build_network(config, aligned, window_s, seed, device, log)


def save_decoder(decoder: Decoder, folder: str | Path) -> None:
    """Write a fitted decoder: decoder.json and decoder.safetensors."""
    from safetensors.numpy import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings, arrays = decoder.state()
    described = {"class": type(decoder).__name__, "settings": settings, "alignment": None}
    alignment = getattr(decoder, "alignment", None)
    if alignment is not None:
        described["alignment"], more = alignment.state()
        arrays |= {f"alignment.{name}": values for name, values in more.items()}
    save_file({name: np.ascontiguousarray(values) for name, values in arrays.items()}, folder / WEIGHTS)
    (folder / SETTINGS).write_text(json.dumps(described, indent=1), encoding="utf-8")


def load_decoder(folder: str | Path) -> Decoder:
    """Read a decoder back.

    Raises
    ------
    EegfmError
        The folder holds none.
    """
    from safetensors.numpy import load_file

    folder = Path(folder)
    if not (folder / SETTINGS).exists():
        raise EegfmError(
            f"{folder} holds no {SETTINGS}; expected a folder below decoders/ of a fine-tuning run"
        )
    described = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    arrays = load_file(folder / WEIGHTS)
    own = {name: values for name, values in arrays.items() if not name.startswith("alignment.")}
    alignment = None
    if described["alignment"] is not None:
        theirs = {name.removeprefix("alignment."): arrays[name] for name in arrays.keys() - own.keys()}
        alignment = Alignment.from_state(described["alignment"], theirs)
    return _class(described["class"]).from_state(described["settings"], own, alignment)


def _class(name: str) -> Any:
    if name == "NetworkDecoder":
        from eegfm.decode.networks import NetworkDecoder

        return NetworkDecoder
    return {"CovarianceDecoder": CovarianceDecoder, "MethodologyDecoder": MethodologyDecoder}[name]


def _build_network(
    config: DecoderConfig,
    alignment: Alignment | None,
    window_s: float,
    seed: int,
    device: str,
    log: Callable[[dict[str, Any]], None],
) -> Decoder:
    from eegfm.decode.networks import NetworkDecoder, NetworkSpec, encoder_settings
    from eegfm.decode.training import Schedule

    settings, weights = {}, None
    if config.name == "csbrain":
        if config.model.checkpoint is not None:
            from eegfm.pretrain.setup import load_encoder

            encoder = load_encoder(config.model)
            settings, weights = encoder.config.to_dict(), encoder.state_dict()
        else:
            changes = {"condition_drop": config.model.condition_drop} | config.model.changes
            settings = encoder_settings(config.model.preset, window_s, changes)
    own = config.name != "csbrain"
    spec = NetworkSpec(
        kind=config.name,
        mode=config.mode,
        encoder=settings,
        changes=config.changes,
        band_hz=config.bands_hz[0] if config.bands_hz else (BAND_HZ if own else None),
        rate_hz=config.rate_hz or (RATE_HZ if own else None),
        schedule=Schedule(config.epochs, config.batch, config.lr, config.weight_decay, config.patience),
        shift_s=config.shift_s,
        drop_channels=config.drop_channels,
        noise=config.noise,
        mirror=config.mirror,
        encoder_lr=config.encoder_lr,
        condition=tuple(config.model.condition),
        condition_recordings=config.model.condition_recordings,
    )
    return NetworkDecoder(spec, alignment, seed=seed, weights=weights, device=device, log=log)
