"""What a finished run leaves: the encoder with what it has seen, and reconstructions for the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from lightning_fabric import Fabric
from torch import Tensor

from eegfm.config import PretrainConfig
from eegfm.data import Batch, Window, WindowReader
from eegfm.data.loader import collate
from eegfm.model import EncoderConfig, save_pretrained
from eegfm.pretrain.record import write_atomic
from eegfm.pretrain.setup import Setup, model_folder, spread

LOOKED_THROUGH = 64  # windows, in search of some that share a montage


def save_model(config: PretrainConfig, setup: Setup, model: Any, *, steps: int, windows: int) -> None:
    """Write ``model/``: the encoder, and pretraining.json that says what it has seen.

    pretraining.json holds the lock's name and hash, every person seen under every known name (those that an
    earlier checkpoint had seen included), windows and steps, and the reader's operations.
    """
    folder = config.run_dir / "model"
    earlier = _earlier(config.model.checkpoint)
    seen = set(setup.people.seen).union(*(run["people"] for run in earlier))
    story = {
        "lock": {"name": setup.lock.name, "hash": setup.lock.hash},
        "people": sorted(seen),
        "windows": windows,
        "steps": steps,
        "seed": config.seed,
        "reader": config.reader.model_dump(mode="json"),
        "objective": config.objective.model_dump(mode="json"),
        "earlier": earlier,
    }
    described = {"lock_hash": setup.lock.hash, "electrodes": _electrodes(setup)}
    save_pretrained(folder, setup.model.encoder, extra=described)
    write_atomic(folder / "pretraining.json", json.dumps(story, indent=2, ensure_ascii=False))


def read_story(folder: Path) -> dict[str, Any]:
    """Return pretraining.json of a ``model/`` folder, empty where there is none."""
    path = folder / "pretraining.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


@torch.no_grad()
def save_reconstructions(config: PretrainConfig, setup: Setup, fabric: Fabric, model: Any) -> None:
    """Write reconstructions.npz: a few windows of one montage, of validation people where there are any.

    Keys: true_uv, predicted_uv (N, C, T), where a visible sample is predicted to be itself; hidden (N, C, P)
    bool; names (C,); positions (C, 3) in metres; windows (N,) rows of the lock; patch_samples,
    stride_samples, rate_hz.
    """
    people, encoder = setup.people, setup.model.encoder.config
    rows = people.valid_N if len(people.valid_N) else people.train_N
    windows = _of_one_montage(setup.reader, rows, config.reconstructions)
    batch = setup.objective.hide(collate(windows, None, setup.condition_RK)).to(fabric.device)
    model.eval()
    predicted_BCT = fill_hidden(model(batch), batch, encoder)
    unit_uv_B11 = batch.unit_uv_B[:, None, None]
    np.savez_compressed(
        config.run_dir / "reconstructions.npz",
        true_uv=(batch.x_BCT * unit_uv_B11).cpu().numpy(),
        predicted_uv=(predicted_BCT * unit_uv_B11).cpu().numpy(),
        hidden=batch.hidden.cpu().numpy(),
        names=np.array(windows[0].names),
        positions=windows[0].positions_C3,
        windows=batch.window_B.cpu().numpy(),
        patch_samples=encoder.patch_samples,
        stride_samples=encoder.stride_samples,
        rate_hz=encoder.rate_hz,
    )


def fill_hidden(predicted_BCPS: Tensor, batch: Batch, encoder: EncoderConfig) -> Tensor:
    """Return the batch with hidden samples replaced by their prediction.

    Returns
    -------
    Tensor (B, C, T)
        In the model's unit; the mean where hidden patches overlap, the truth where none lies.
    """
    hidden_BCP1 = batch.hidden[..., None].float()
    total_BCT, count_BCT = torch.zeros_like(batch.x_BCT), torch.zeros_like(batch.x_BCT)
    for patch in range(predicted_BCPS.shape[2]):
        start = patch * encoder.stride_samples
        span = slice(start, start + encoder.patch_samples)
        total_BCT[..., span] += predicted_BCPS[:, :, patch].float() * hidden_BCP1[:, :, patch]
        count_BCT[..., span] += hidden_BCP1[:, :, patch]
    return torch.where(count_BCT > 0, total_BCT / count_BCT.clamp(min=1), batch.x_BCT)


def _of_one_montage(reader: WindowReader, rows: np.ndarray, count: int) -> list[Window]:
    found = [reader.read(int(row)) for row in spread(rows, max(count, LOOKED_THROUGH))]
    first = found[0]
    alike = [w for w in found if w.names == first.names and w.x_CT.shape == first.x_CT.shape]
    return [alike[place] for place in spread(np.arange(len(alike)), count)]


def _electrodes(setup: Setup) -> list[str]:
    """Name the channels of the training windows."""
    config, table = setup.reader.config, setup.lock.channels
    if not isinstance(config.channels, str):
        return list(config.channels)
    trained = np.unique(setup.lock.windows["recording"].to_numpy()[setup.people.train_N])
    read_C = np.isin(table["recording"].to_numpy(), trained) & np.isin(
        table["type"].to_pylist(), config.types
    )
    return sorted(set(table["name"].filter(pa.array(read_C)).to_pylist()))


def _earlier(checkpoint: str | None) -> list[dict[str, Any]]:
    if checkpoint is None:
        return []
    story = read_story(model_folder(checkpoint))
    return [*story.pop("earlier", []), story] if story else []
