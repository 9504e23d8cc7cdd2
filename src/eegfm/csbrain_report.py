"""What of saved weights fitted a model, and which of its electrodes they have seen."""

from collections.abc import Iterable
from dataclasses import dataclass

from eegfm_lake import electrodes

SHOWN = 5


@dataclass(frozen=True)
class LoadReport:
    """What of a folder's weights found its place in a model.

    Attributes
    ----------
    source : str
        The folder or repository.
    matched, total : int
        Tensors loaded, and tensors of the model that were to be.
    missing : tuple of str
        Tensors of the model that the file lacks, or holds in another shape; they keep what they had.
    unused : tuple of str
        Tensors of the file that were not loaded.
    new : tuple of str
        Tensors that are new by design: the head where the number of outputs differs, all of a decoder but its
        encoder where the folder holds an encoder alone. They are in neither count.
    electrodes : tuple of str
        The model's electrodes, canonical where known; empty where it has no ``chs_info``.
    saved_electrodes : tuple of str or None
        Those that the weights were trained on; None where the folder does not say.
    positioned, n_chans : int
        Channels that have a position, and all.
    """

    source: str
    matched: int
    total: int
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    new: tuple[str, ...]
    electrodes: tuple[str, ...]
    saved_electrodes: tuple[str, ...] | None
    positioned: int
    n_chans: int

    @property
    def complete(self) -> bool:
        """Whether every tensor, of the model and of the file, found its counterpart."""
        return not self.missing and not self.unused

    @property
    def met(self) -> tuple[str, ...]:
        """The model's electrodes that the weights were trained on."""
        return tuple(name for name in self.electrodes if name in (self.saved_electrodes or ()))

    def __str__(self) -> str:
        parts = [f"{self.source}: {self.matched} of {self.total} tensors match"]
        for verb, names in (("missing", self.missing), ("unused", self.unused), ("new", self.new)):
            if names:
                parts.append(f"{verb}: {_few(names)}")
        if self.saved_electrodes is None:
            parts.append("the folder does not name its electrodes")
        else:
            others = [name for name in self.electrodes if name not in self.saved_electrodes]
            text = f"{len(self.met)} of {self.n_chans} electrodes were among its {len(self.saved_electrodes)}"
            parts.append(text + (f" (not {_few(others)})" if others else ""))
        parts.append(f"{self.positioned} of {self.n_chans} have positions")
        return "; ".join(parts)


def canonical(name: str) -> str:
    """Return the 10-05 name of a channel, or its own where it is none."""
    return electrodes.canonical(name) or name


def _few(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
