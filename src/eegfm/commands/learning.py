"""``pretrain`` and ``finetune``: from a lock to a run folder."""

import argparse
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eegfm.commands.verb import Verb
from eegfm_lake.errors import EegfmError


def pretrain(options: argparse.Namespace) -> None:
    """Run `eegfm.pretrain.pretrain` and name its folder."""
    from eegfm.commands.progress import following
    from eegfm.config import PretrainConfig, load_config
    from eegfm.pretrain import pretrain as run_pretrain

    config = load_config(options.config, PretrainConfig, _overrides(options))
    folder = Path(config.runs) / config.name
    with _full_disk_explained(folder), following(folder):
        run_dir = run_pretrain(config)
    print(f"{run_dir}\nnext: eegfm report {run_dir}")


def finetune(options: argparse.Namespace) -> None:
    """Run `eegfm.decode.finetune`, print its table and name its folder."""
    from eegfm.commands.progress import following
    from eegfm.commands.tables import print_models
    from eegfm.config import FinetuneConfig, load_config
    from eegfm.decode import finetune as run_finetune

    config = load_config(options.config, FinetuneConfig, _overrides(options))
    folder = Path(config.runs) / config.name
    with _full_disk_explained(folder), following(folder):
        run_dir = run_finetune(config)
    print_models(run_dir)
    print(f"{run_dir}\nnext: eegfm report {run_dir}")


@contextmanager
def _full_disk_explained(folder: Path) -> Iterator[None]:
    """Name the run's folder where the disk is full: the system's error does not."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise EegfmError(
            f"{folder}: no space left on the device; free some and run the command again"
        ) from error


def _overrides(options: argparse.Namespace) -> list[str]:
    return [*options.overrides, f"lake={options.lake}"] if options.lake_given else list(options.overrides)


def _config_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG.yaml", help="a file, or the name of a shipped one")
    parser.add_argument("overrides", metavar="a.b=c", nargs="*", help="replace a value of the file")


VERBS = (
    Verb(
        "pretrain",
        "train an encoder on masked patches of a lock, without labels",
        pretrain,
        (
            "eegfm pretrain tiny_4s epochs=10",
            "eegfm pretrain mine.yaml model.preset=small optimiser.lr=3e-4",
        ),
        "The same command in the same run folder goes on from its last checkpoint.",
        _config_arguments,
    ),
    Verb(
        "finetune",
        "decode people never seen: the encoder and its baselines, scored person by person",
        finetune,
        (
            "eegfm finetune left_right workers=2",
            "eegfm finetune left_right_pretrained models.0.model.checkpoint=runs/tiny_4s/model",
        ),
        "Every row of the table says what was taken from the test person (target_data, target_labels).",
        _config_arguments,
    ),
)
