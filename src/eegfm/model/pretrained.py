"""An encoder on disk: config.json and model.safetensors."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from eegfm.model.encoder import Encoder
from eegfm.model.presets import EncoderConfig
from eegfm_lake.errors import EegfmError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
FORMAT = 1


def save_pretrained(folder: str | Path, encoder: Encoder, extra: dict[str, Any] | None = None) -> Path:
    """Write an encoder's settings and weights to a folder.

    Parameters
    ----------
    folder
        Created if need be.
    encoder
        What to save.
    extra
        Further JSON-able entries of config.json, such as what pre-training saw.
    """
    return write_folder(folder, {"encoder": encoder.config.to_dict(), **(extra or {})}, encoder)


def load_pretrained(folder: str | Path) -> Encoder:
    """Read an encoder back.

    Raises
    ------
    EegfmError
        If a file is absent or damaged, or if not every tensor finds its counterpart; the message has the number
        matched, the total, and the first tensor without one.
    """
    described, state = read_folder(folder)
    if "encoder" not in described:
        raise EegfmError(
            f"{Path(folder) / CONFIG}: found no key 'encoder', expected a file written by save_pretrained"
            + ("; eegfm.CSBrain.from_pretrained reads this one" if "encoder_config" in described else "")
        )
    encoder = Encoder(EncoderConfig.from_dict(described["encoder"]))
    load_matching(encoder, state, str(Path(folder) / WEIGHTS))
    return encoder


def write_folder(folder: str | Path, described: dict[str, Any], model: nn.Module) -> Path:
    """Write a model's description and weights to a folder, which is made if need be."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous().cpu() for name, tensor in distinct(model).items()}
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CONFIG).write_text(json.dumps({"format": FORMAT, **described}, indent=2) + "\n")
    return folder


def read_folder(folder: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a folder's description and weights; what is absent or damaged is an EegfmError that names it."""
    folder = Path(folder)
    try:
        described = json.loads((folder / CONFIG).read_text())
        state = load_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise EegfmError(
            f"{folder}: found no {Path(error.filename or CONFIG).name}, expected {CONFIG} and {WEIGHTS}"
        ) from error
    except (json.JSONDecodeError, SafetensorError) as error:
        raise EegfmError(
            f"{folder}: {CONFIG} or {WEIGHTS} is damaged ({error}); save or copy it again"
        ) from error
    return described, state


def load_matching(encoder: Encoder, state: dict[str, Tensor], source: str) -> None:
    """Load weights into an encoder; anything but a full match is an EegfmError."""
    own = distinct(encoder)
    fitting = [name for name, tensor in own.items() if name in state and state[name].shape == tensor.shape]
    odd = sorted((own.keys() ^ state.keys()) | (own.keys() - set(fitting)))
    if odd:
        raise EegfmError(
            f"{source}: {len(fitting)} of {len(own)} tensors match ({len(state)} in the file);"
            f" first that does not: {odd[0]}; expected weights of the same settings"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])


def distinct(model: nn.Module) -> dict[str, Tensor]:
    """Every tensor of a model once: tokenizers that blocks share have one name each block."""
    seen: dict[int, str] = {}
    state = model.state_dict(keep_vars=True)
    return {name: t.detach() for name, t in state.items() if seen.setdefault(t.data_ptr(), name) == name}
