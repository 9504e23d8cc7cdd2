"""Published CSBrain weights into the released network: by name, counted, never in part without being asked."""

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from eegfm.model.official import OfficialEncoder
from eegfm.model.official_config import OfficialConfig
from eegfm_lake.errors import EegfmError, UsageError

PREFIXES = ("module.", "backbone.")
HEADS = ("classifier.", "feed_forward.", "head.", "sequence_encoder.")
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
NESTED = ("state_dict", "model_state_dict", "model")


@dataclass(frozen=True)
class OfficialReport:
    """What of a file found its place.

    Attributes
    ----------
    source
        The file.
    matched, total
        Tensors of the encoder that were filled, and all that it has.
    missing
        Names of the encoder that the file does not hold.
    mismatched
        Names in both, with another shape: ``name (found, expected)``.
    unexpected
        Names of the file that the encoder does not have, the head's aside.
    head
        Names of a fine-tuned model's head; they are not loaded.
    """

    source: str
    matched: int
    total: int
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]
    unexpected: tuple[str, ...]
    head: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Every tensor of the encoder was filled, and the file holds no stranger."""
        return self.matched == self.total and not self.unexpected

    @property
    def fine_tuned(self) -> bool:
        """The file is a fine-tuned model's: it has a head and no reconstruction layer."""
        return bool(self.head) and all(name.startswith("proj_out.") for name in self.missing)

    def __str__(self) -> str:
        said = [f"{self.source}: {self.matched} of {self.total} tensors match"]
        if self.fine_tuned:
            said.append(
                f"a fine-tuned model: {len(self.head)} tensors of its head are not loaded"
                + (", and it has no proj_out" if self.missing else "")
            )
        for what, names in (
            ("missing", self.missing),
            ("of another shape", self.mismatched),
            ("unexpected", self.unexpected),
        ):
            if names:
                said.append(f"{len(names)} {what}, the first {names[0]}")
        return "; ".join(said)


def load_official(
    path: str | Path, config: OfficialConfig | None = None, *, allow_partial: bool = False
) -> tuple[OfficialEncoder, OfficialReport]:
    """Build the released network and fill it with published weights.

    Parameters
    ----------
    path
        A safetensors file, a torch file of tensors (read with ``weights_only=True``: nothing in it is executed), or
        a folder that holds one such file.
    config
        Its settings; the published pre-trained model's by default. The region table does not change any shape, so
        one file fits every table.
    allow_partial
        Keep initial values where the file has none.

    Returns
    -------
    OfficialEncoder
    OfficialReport

    Raises
    ------
    EegfmError
        If the file is damaged or holds anything but tensors, or if not every tensor finds its counterpart; the
        message has the number matched and the total.
    UsageError
        If the file is absent, or a folder does not hold exactly one.
    """
    encoder = OfficialEncoder(config or OfficialConfig())
    return encoder, load_official_weights(encoder, path, allow_partial=allow_partial)


def load_official_weights(
    encoder: OfficialEncoder, path: str | Path, *, allow_partial: bool = False
) -> OfficialReport:
    """Fill an existing network; see :func:`load_official`. Nothing is changed where an error is raised."""
    file = weights_file(Path(path))
    state = strip_prefixes(read_tensors(file), str(file))
    own = encoder.state_dict()
    fitting = [name for name, tensor in own.items() if name in state and state[name].shape == tensor.shape]
    strangers = [name for name in state if name not in own]
    head = tuple(name for name in strangers if name.startswith(HEADS))
    if not encoder.config.reconstruct:
        strangers = [name for name in strangers if not name.startswith("proj_out.")]
    report = OfficialReport(
        source=str(file),
        matched=len(fitting),
        total=len(own),
        missing=tuple(name for name in own if name not in state),
        mismatched=tuple(
            f"{name} (found {tuple(state[name].shape)}, expected {tuple(tensor.shape)})"
            for name, tensor in own.items()
            if name in state and state[name].shape != tensor.shape
        ),
        unexpected=tuple(name for name in strangers if name not in head),
        head=head,
    )
    if not fitting or not (report.complete or allow_partial):
        raise EegfmError(f"{report}; expected {_remedy(report)}")
    with torch.no_grad():
        for name in fitting:
            own[name].copy_(state[name])
    return report


def weights_file(path: Path) -> Path:
    """Return the file meant: the path itself, or the one file of weights in a folder."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise UsageError(f"{path}: found nothing there, expected a file of weights ({', '.join(SUFFIXES)})")
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise UsageError(f"{path}: found {names}, expected exactly one file of weights; name the file")
    return found[0]


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Read a file of named tensors without executing anything in it."""
    try:
        found = (
            load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
        )
    except (SafetensorError, UnpicklingError, BadZipFile, EOFError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:120]
        raise EegfmError(
            f"{file}: no safetensors and no torch file of tensors alone ({reason}); save the state_dict again"
        ) from error
    state = _innermost(found)
    odd = next((name for name, value in state.items() if not isinstance(value, Tensor)), None)
    if odd is not None or not state:
        raise EegfmError(
            f"{file}: found {'no tensors' if odd is None else repr(odd)}, expected named tensors"
        )
    return state


def strip_prefixes(state: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """Take ``module.`` and ``backbone.`` off the names; two tensors of one name are an error."""
    stripped: dict[str, Tensor] = {}
    for name, tensor in state.items():
        bare = name
        while bare.startswith(PREFIXES):
            bare = bare.split(".", 1)[1]
        if bare in stripped:
            raise EegfmError(f"{source}: found two tensors named {bare} without their prefixes, expected one")
        stripped[bare] = tensor
    return stripped


def _innermost(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        return {}
    key = next((key for key in NESTED if isinstance(found.get(key), dict)), None)
    return found if key is None else found[key]


def _remedy(report: OfficialReport) -> str:
    if not report.matched:
        return "weights of the released CSBrain"
    if report.fine_tuned:
        return "all: build with reconstruct=False, or pass allow_partial=True to keep the initial proj_out"
    return "all, and no others: check depth, width and kernels, or pass allow_partial=True"
