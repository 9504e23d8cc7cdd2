"""Settings of the released CSBrain: one montage, one number for patch and width."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eegfm.model.official_tables import LOBES, OfficialTable, official_table
from eegfm_lake.errors import UsageError

RATE_HZ = 200.0
FILTERS, FRAME, STEP = 25, 49, 25


@dataclass(frozen=True)
class OfficialConfig:
    """Everything that decides the released network's shape; JSON-able. The defaults are the published model's.

    Parameters
    ----------
    regions
        Lobe code of every electrode in input order, 0 to 4 (see ``official_tables``).
    order
        Input electrodes in the order in which the network holds them: regions ascending, each contiguous.
    d_model
        Width of a token and samples of a patch at 200 Hz: one number in this design, a multiple of 25.
    depth, heads, ff
        Number of layers, attention heads, width of the feed-forward layer.
    kernels
        Kernel widths of the temporal tokenizer, odd and ascending. The spatial one always has 1, 3 and 5.
    window_patches
        Patches a window of the inter-window attention.
    drop_prob
        Dropout of spectrum, attention weights, attention and feed-forward branches.
    reconstruct
        Keep the last linear layer, ``proj_out``. Fine-tuned models have none.
    electrodes
        Names in input order, for whoever checks them; empty for none.

    Raises
    ------
    UsageError
        If the table is inconsistent or the sizes are such as the released code cannot have.
    """

    regions: tuple[int, ...] = official_table("pretrain").regions
    order: tuple[int, ...] = official_table("pretrain").order
    d_model: int = 200
    depth: int = 12
    heads: int = 8
    ff: int = 800
    kernels: tuple[int, ...] = (1, 3, 5)
    window_patches: int = 5
    drop_prob: float = 0.1
    reconstruct: bool = True
    electrodes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("regions", "order", "kernels", "electrodes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_table()
        for wrong, found, expected in (
            (
                self.d_model < FILTERS or self.d_model % FILTERS != 0,
                f"d_model={self.d_model}",
                f"a multiple of {FILTERS}: {FILTERS} filters at every {STEP}th sample of a patch are its width",
            ),
            (self.d_model % self.heads != 0, f"d_model={self.d_model}", f"a multiple of heads={self.heads}"),
            (
                not self.kernels or any(k < 1 or k % 2 == 0 for k in self.kernels),
                f"kernels={self.kernels}",
                "odd kernel widths",
            ),
            (list(self.kernels) != sorted(self.kernels), f"kernels={self.kernels}", "ascending widths"),
            (self.window_patches < 1, f"window_patches={self.window_patches}", "at least 1"),
        ):
            if wrong:
                raise UsageError(f"OfficialConfig: found {found}, expected {expected}")

    def _check_table(self) -> None:
        regions, order = self.regions, self.order
        odd = [code for code in regions if code not in range(len(LOBES))]
        if odd or not regions:
            raise UsageError(
                f"OfficialConfig: found region code {odd[0] if odd else 'none'}, expected 0 to 4: the released weights"
                " have five regions, and an electrode of a sixth would silently count as zeros"
            )
        if sorted(order) != list(range(len(regions))):
            raise UsageError(
                f"OfficialConfig: found an order of {len(order)} entries that is no permutation of the"
                f" {len(regions)} electrodes, expected every electrode once"
            )
        held = [regions[i] for i in order]
        if held != sorted(held):
            at = next(k for k in range(1, len(held)) if held[k] < held[k - 1])
            raise UsageError(
                f"OfficialConfig: found region {held[at]} after {held[at - 1]} at place {at} of the order, expected"
                " regions ascending and contiguous: the network reads a region as a slice"
            )
        if self.electrodes and len(self.electrodes) != len(regions):
            raise UsageError(
                f"OfficialConfig: found {len(self.electrodes)} electrode names, expected {len(regions)} or none"
            )

    @classmethod
    def of(cls, table: str | OfficialTable, **changes: Any) -> "OfficialConfig":
        """Return the published sizes with a region table, by name or given; ``changes`` are fields and win."""
        found = official_table(table) if isinstance(table, str) else table
        return cls(**{**asdict(found), **changes})

    @property
    def slices(self) -> dict[int, tuple[int, int]]:
        """First and last-plus-one place of every region that has electrodes, in the network's order."""
        held = [self.regions[i] for i in self.order]
        return {code: (held.index(code), held.index(code) + held.count(code)) for code in sorted(set(held))}

    def widths(self, kernels: Sequence[int]) -> list[int]:
        """Output widths of a tokenizer's kernels: d/2, d/4, ..., the last takes the rest."""
        widths = [self.d_model >> (i + 1) for i in range(len(kernels) - 1)]
        return [*widths, self.d_model - sum(widths)]

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-able values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> "OfficialConfig":
        """Build from ``to_dict``'s result."""
        return cls(**settings)
