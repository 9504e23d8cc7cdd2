"""What the command line decides."""

from dataclasses import dataclass

WINDOWS = ((19, 30, 4), (64, 4, 8))
QUICK_WINDOWS = ((19, 5, 2), (64, 4, 2))


@dataclass(frozen=True)
class Options:
    """What the command line decides.

    Parameters
    ----------
    rounds
        Times that every step is timed.
    threads
        Of torch.
    device
        Where the part ``gpu`` runs.
    quick
        Small models on small windows: does it run?
    compiled
        Ours with compiled blocks too.
    """

    rounds: int = 6
    threads: int = 2
    device: str = "cpu"
    quick: bool = False
    compiled: bool = False

    @property
    def size(self) -> str:
        """Preset of ours in the comparisons."""
        return "tiny" if self.quick else "base"

    @property
    def windows(self) -> tuple[tuple[int, int, int], ...]:
        """Electrodes, seconds, batch."""
        return QUICK_WINDOWS if self.quick else WINDOWS
