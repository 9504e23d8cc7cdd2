"""CSBrain on disk, in the layout of the Hugging Face hub, and back; works without that package."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from eegfm.csbrain_official import sizes
from eegfm.csbrain_report import LoadReport, canonical
from eegfm.model import EncoderConfig
from eegfm.model.pretrained import CONFIG, WEIGHTS, distinct, read_folder, write_folder
from eegfm_lake.errors import EegfmError, MissingExtraError

if TYPE_CHECKING:
    from eegfm.csbrain_official import OfficialBody, OfficialPooling
    from eegfm.model.encoder import Encoder
    from eegfm.model.heads import Pooling

    _Module = nn.Module
else:
    _Module = object

HEAD = "final_layer."
ENCODER = "encoder."

log = logging.getLogger("eegfm")


class Pretrained(_Module):
    """Saving and loading, for a class with braindecode's mixin; takes the hub's own where that is installed.

    Attributes
    ----------
    load_report : LoadReport or None
        What the last loading found, None before the first.
    """

    _HUB_NOTES_TEMPLATE = """
    .. rubric:: Hugging Face Hub integration

    Folders are saved and loaded without it. With huggingface_hub (``pip install 'eegfm[hub]'``):

    .. code-block::

        from eegfm import {name}

        model.push_to_hub(repo_id="username/my-{name_lower}")
        model = {name}.from_pretrained("username/my-{name_lower}", n_outputs=4)
    """

    if TYPE_CHECKING:  # alone: TorchScript reads a class's annotations and does not know these types
        load_report: LoadReport | None
        encoder: Encoder | OfficialBody
        pooling: Pooling | OfficialPooling
        layout_montage_B: Tensor
        layout_positions_MC3: Tensor
        layout_known_MC: Tensor
        layout_present_MC: Tensor
        layout_region_MC: Tensor
        layout_area_MC: Tensor
        layout_pool_MRC: Tensor
        layout_occupied_MR: Tensor
        layout_neighbours_MCN: Tensor
        layout_near_MCN: Tensor
        layout_operators_MJCC: Tensor
        # What follows is the mixin's.
        n_chans: int
        n_outputs: int
        n_times: int
        sfreq: float
        input_window_seconds: float
        _chs_info: list[dict[str, Any]] | None
        _set_n_outputs: Callable[[int], None]
        get_config: Callable[[], dict[str, Any]]

        def __init_subclass__(cls, *, license: str) -> None: ...

    else:
        load_report = None

    def save_pretrained(self, save_directory: str | Path, **hub: Any) -> str | None:
        """Write the model to a folder, ``config.json`` and ``model.safetensors``, as the hub lays it out.

        Parameters
        ----------
        save_directory
            Created if need be.
        **hub
            Those of ``huggingface_hub.PyTorchModelHubMixin.save_pretrained``, such as ``push_to_hub``.

        Returns
        -------
        str or None
            The commit's address if it was pushed.
        """
        from_hub = getattr(super(), "save_pretrained", None)  # which ends in _save_pretrained below
        if from_hub is not None:
            return from_hub(save_directory, **hub)
        if hub:
            raise MissingExtraError("huggingface_hub", "hub")
        self._save_pretrained(save_directory)
        return None

    def _save_pretrained(self, save_directory: str | Path) -> None:
        save(self, save_directory)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        allow_partial: bool = False,
        map_location: str | torch.device = "cpu",
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        **model_kwargs: Any,
    ) -> Self:
        """Build a model from a folder or a repository, for any montage, window, rate and number of outputs.

        Parameters
        ----------
        pretrained_model_name_or_path
            A folder that :meth:`save_pretrained`, :func:`eegfm.model.save_pretrained` or a pre-training run
            wrote; else a repository of the hub, for which huggingface_hub must be installed.
        allow_partial
            Load what fits where not every tensor finds its counterpart.
        map_location
            Device of the model.
        revision, cache_dir, token, force_download, local_files_only
            As for ``huggingface_hub.snapshot_download``.
        **model_kwargs
            Arguments of this class; they win over those saved. An encoder alone says nothing of channels,
            windows and outputs: give them. ``n_times`` or ``input_window_seconds`` alone keep the saved rate,
            ``sfreq`` alone the saved seconds.

        Returns
        -------
        CSBrain
            In evaluation mode. ``load_report`` says what was loaded. The head is new where ``n_outputs`` differs.

        Raises
        ------
        eegfm_lake.errors.EegfmError
            If nothing is there, a file is damaged, or less than everything fits and ``allow_partial`` is False.
        """
        hub = {"revision": revision, "cache_dir": cache_dir, "token": token}
        hub |= {"force_download": force_download, "local_files_only": local_files_only}
        saved = open_saved(pretrained_model_name_or_path, **hub)
        model = cls(**arguments(saved, model_kwargs, signature(cls.__init__).parameters))
        load_saved(model, saved, allow_partial)
        return model.to(map_location).eval()


@dataclass(frozen=True)
class Saved:
    """A folder's contents: of a CSBrain, or of an encoder alone as pre-training leaves it."""

    source: str
    config: dict[str, Any]
    state: dict[str, Tensor]

    @property
    def encoder_alone(self) -> bool:
        """Whether only an encoder was saved."""
        return "encoder" in self.config

    @property
    def electrodes(self) -> tuple[str, ...] | None:
        """Canonical names of the electrodes that the weights were trained on, if the folder says."""
        if self.encoder_alone:
            names = self.config.get("electrodes")
        else:
            names = [ch.get("ch_name", "") for ch in self.config.get("chs_info") or []] or None
        return None if names is None else tuple(canonical(name) for name in names)


def save(model: Pretrained, folder: str | Path) -> None:
    """Write config.json and model.safetensors.

    The configuration is the model's own, its window and its encoder's settings resolved: what a preset chose by
    the window's length stays when the window changes.
    """
    config = model.get_config()
    config |= {"n_times": model.n_times, "sfreq": model.sfreq, "input_window_seconds": None}
    config["encoder_config"] = sizes(model.encoder.config)
    for ch in config.get("chs_info") or []:
        if "loc" in ch:  # JSON has no NaN
            ch["loc"] = [x if np.isfinite(x) else None for x in np.asarray(ch["loc"], float).tolist()]
    write_folder(folder, config, model)


def open_saved(source: str | Path, **hub: Any) -> Saved:
    """Read a local folder (or a run that holds one in ``model/``), else a repository of the hub.

    Parameters
    ----------
    source
        Folder, or ``owner/name``.
    **hub
        Passed on to ``huggingface_hub.snapshot_download``: revision, cache_dir, token, force_download,
        local_files_only.

    Raises
    ------
    EegfmError
        If nothing of the kind is there, a file is absent or damaged, or it is no folder and huggingface_hub is
        not installed.
    """
    folder = Path(source)
    if folder.is_dir() and not (folder / CONFIG).exists() and (folder / "model" / CONFIG).exists():
        folder = folder / "model"
    return Saved(str(source), *read_folder(folder if folder.is_dir() else _download(str(source), hub)))


def _download(repository: str, options: dict[str, Any]) -> Path:
    try:
        from huggingface_hub import errors, snapshot_download
    except ModuleNotFoundError as error:
        raise EegfmError(
            f"{repository}: found no such folder, and huggingface_hub, which fetches repositories, is not"
            " installed; give a folder, or run: pip install 'eegfm[hub]'"
        ) from error
    try:
        return Path(snapshot_download(repository, allow_patterns=[CONFIG, WEIGHTS], **options))
    except (
        errors.HfHubHTTPError,
        errors.LocalEntryNotFoundError,
        errors.HFValidationError,
        OSError,
    ) as error:
        reason = str(error).strip().splitlines()[0]
        raise EegfmError(
            f"{repository}: found neither a folder here nor a repository of the hub ({reason});"
            f" expected one that holds {CONFIG} and {WEIGHTS}"
        ) from error


def arguments(saved: Saved, changes: dict[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Return CSBrain's arguments: those saved, with the caller's changes.

    New channels replace the old ones. Of the window's length and rate, what is not given stays: ``n_times`` or
    ``input_window_seconds`` alone keep the rate, ``sfreq`` alone keeps the seconds.

    Raises
    ------
    EegfmError
        If the configuration has a setting that this version does not know.
    """
    changes = {key: value for key, value in changes.items() if value is not None}
    own = _of_encoder(saved.config) if saved.encoder_alone else _of_model(saved.config)
    if strange := sorted(own.keys() - set(known)):
        raise EegfmError(
            f"{saved.source}: {CONFIG} has the setting {strange[0]!r}, which this version of eegfm does not"
            " know; take the version that wrote it"
        )
    if changes.keys() & {"n_chans", "chs_info"}:
        own = {key: value for key, value in own.items() if key not in ("n_chans", "chs_info")}
    timing = changes.keys() & {"n_times", "sfreq", "input_window_seconds"}
    if timing:
        n_times, sfreq = own.pop("n_times", None), own.pop("sfreq", None)
        own.pop("input_window_seconds", None)
        if timing == {"sfreq"} and n_times and sfreq:
            own["input_window_seconds"] = n_times / sfreq
        elif "sfreq" not in timing and len(timing) == 1:
            own["sfreq"] = sfreq
    if "preset" in changes:
        own.pop("encoder_config", None)
    return own | changes


def _of_encoder(config: dict[str, Any]) -> dict[str, Any]:
    settings = EncoderConfig.from_dict(config["encoder"])
    return {
        "encoder_config": settings.to_dict(),
        "drop_prob": settings.drop_prob,
        "activation": getattr(nn, settings.activation),
    }


def _of_model(config: dict[str, Any]) -> dict[str, Any]:
    own = {key: value for key, value in config.items() if key not in ("format", "braindecode_version")}
    if isinstance(activation := own.get("activation"), str):
        own["activation"] = getattr(nn, activation.rpartition(".")[2])
    if own.get("chs_info"):
        own["chs_info"] = [
            ch | ({"loc": np.array(ch["loc"], float)} if ch.get("loc") is not None else {})
            for ch in own["chs_info"]
        ]
    return own


def load_weights(model: Pretrained, path: str | Path, allow_partial: bool = False) -> LoadReport:
    """Load a folder's weights into a model that exists.

    Parameters
    ----------
    model
        The head is loaded if the folder has one of as many outputs, and else left as it is.
    path
        A folder that ``CSBrain.save_pretrained``, ``eegfm.model.save_pretrained`` or a pre-training run wrote.
    allow_partial
        Load what fits where not everything does.

    Returns
    -------
    LoadReport
        Kept as ``model.load_report``, and logged at level INFO.

    Raises
    ------
    EegfmError
        If not every tensor finds its counterpart, unless ``allow_partial``; if none does, always.
    """
    return load_saved(model, open_saved(path), allow_partial)


def load_saved(model: Pretrained, saved: Saved, allow_partial: bool = False) -> LoadReport:
    """Load what :func:`open_saved` has read; see :func:`load_weights`."""
    own, state = distinct(model), saved.state
    if saved.encoder_alone:
        state = {ENCODER + name: tensor for name, tensor in state.items()}
        new = [name for name in own if not name.startswith(ENCODER)]
    elif saved.config.get("n_outputs") != model.n_outputs:
        state = {name: tensor for name, tensor in state.items() if not name.startswith(HEAD)}
        new = [name for name in own if name.startswith(HEAD)]
    else:
        new = []
    wanted = [name for name in own if name not in new]
    fitting = [name for name in wanted if name in state and state[name].shape == own[name].shape]
    names = [str(ch.get("ch_name", "")) for ch in model._chs_info or []]
    report = LoadReport(
        source=saved.source,
        matched=len(fitting),
        total=len(wanted),
        missing=tuple(name for name in wanted if name not in fitting),
        unused=tuple(name for name in state if name not in fitting),
        new=tuple(new),
        electrodes=tuple(canonical(name) for name in names),
        saved_electrodes=saved.electrodes,
        positioned=int(model.layout_known_MC.sum()),
        n_chans=model.n_chans,
    )
    if not fitting or not (report.complete or allow_partial):
        remedy = "" if allow_partial else "; allow_partial=True loads what fits"
        raise EegfmError(f"{report}; expected weights of the same settings{remedy}")
    with torch.no_grad():
        for name in fitting:
            own[name].copy_(state[name])
    model.load_report = report
    log.info("%s", report)
    return report
