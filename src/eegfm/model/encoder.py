"""The encoder: samples and positions in, tokens out, for any montage.

Legend: B windows, C electrodes, T samples, P patches, S samples a patch, D width of a token.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from eegfm.model.attention import RegionAttention, TokenAttention, WindowAttention
from eegfm.model.condition import Condition
from eegfm.model.layout import Layout, layout_of, per_window
from eegfm.model.patches import PatchEmbedding, check_length, count, cut
from eegfm.model.position import PositionEmbedding
from eegfm.model.presets import EncoderConfig
from eegfm.model.recompute import made_again
from eegfm.model.tokenizer import SpatialTokenizer, TemporalTokenizer

BRANCH_START = 0.1


class Encoder(nn.Module):
    """Tokens of (electrode, patch) from EEG of any montage, any length, several montages in one batch.

    CSBrain's cross-scale tokenization and structured sparse attention (arXiv 2506.23075), with positions in place
    of electrode indices. Nothing in the weights depends on a cap, a data set or a number of patches.

    Parameters
    ----------
    config
        See :class:`eegfm.model.EncoderConfig` and :func:`eegfm.model.preset`.

    Attributes
    ----------
    checkpointing : bool
        Training keeps no activations of a block but its input, and computes them again in the backward pass: a
        fraction of the memory for a third more time. Off at first.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        activation = getattr(nn, config.activation)
        self.embedding = PatchEmbedding(config, activation)
        self.position = PositionEmbedding(config.d_model, config.stride_samples / config.rate_hz)
        self.condition = Condition(config) if config.condition else None
        self.tokenize_first = Tokenizers(config) if config.tokenizer == "first" else None
        self.blocks = nn.ModuleList(Block(config, activation) for _ in range(config.depth))
        if config.tokenizer == "shared":
            for block in self.blocks[1:]:
                block.tokenizers = self.blocks[0].tokenizers
        self.norm = nn.LayerNorm(config.d_model)
        self.checkpointing = False

    def forward(
        self,
        x_BCT: Tensor,
        positions_BC3: Tensor,
        channel_mask_BC: Tensor | None = None,
        patch_mask_BCP: Tensor | None = None,
        condition_BK: Tensor | None = None,
    ) -> Tensor:
        """Encode windows.

        Parameters
        ----------
        x_BCT
            Samples at ``config.rate_hz`` in units of 100 µV. Samples after the last full patch are not read.
        positions_BC3
            Electrode positions in metres (head frame), NaN where unknown; (C, 3) serves all windows.
        channel_mask_BC
            False for padding channels; None: all are real. Tokens of padding are zero.
        patch_mask_BCP
            True hides a patch: its samples and its spectrum reach no token.
        condition_BK
            Methodology of each window as numbers of ``config.condition``'s values, 0 for unknown; None: all unknown.
            An encoder without conditions does not look at it.

        Returns
        -------
        Tensor
            Tokens (B, C, P, D).

        Raises
        ------
        eegfm_lake.errors.UsageError
            If a window is shorter than a patch, or positions are not in metres.
        """
        layout = self.layout(positions_BC3, channel_mask_BC, x_BCT.shape[0])
        return self.encode(x_BCT, layout, patch_mask_BCP, condition_BK)

    @torch.jit.ignore
    @torch.compiler.disable
    def layout(self, positions_BC3: Tensor, channel_mask_BC: Tensor | None, batch: int) -> Layout:
        """Return the montages of a batch; cached by position."""
        if positions_BC3.ndim == 2:
            positions_BC3 = positions_BC3.expand(batch, -1, -1)
        return layout_of(positions_BC3, channel_mask_BC, max(self.config.scales))

    def encode(
        self,
        x_BCT: Tensor,
        layout: Layout,
        patch_mask_BCP: Tensor | None = None,
        condition_BK: Tensor | None = None,
    ) -> Tensor:
        """Encode windows whose layout is known; the part that compiles and exports."""
        if not torch.jit.is_scripting():
            check_length(x_BCT.shape[-1], self.config)
        h_BCPD = self.embedding(x_BCT, layout, patch_mask_BCP)
        where_MCPD = self.position(layout.positions_MC3, layout.known_MC, h_BCPD.shape[2])
        h_BCPD = h_BCPD + per_window(where_MCPD, layout.montage_B)
        if self.condition is not None:
            h_BCPD = self.condition(h_BCPD, condition_BK)
        if self.tokenize_first is not None:
            h_BCPD = self.tokenize_first(h_BCPD, layout)
        for block in self.blocks:
            if not torch.jit.is_scripting() and self.checkpointing:
                h_BCPD = checkpoint(block, h_BCPD, layout, use_reentrant=False)
            else:
                h_BCPD = block(h_BCPD, layout)
        present_BC = per_window(layout.present_MC, layout.montage_B)
        return self.norm(h_BCPD) * present_BC[:, :, None, None]

    @torch.jit.unused
    def compile_blocks(self) -> None:
        """Compile the blocks in place, once for all of them: they share their code, and graphs fit several shapes."""
        for block in self.blocks:
            block.compile(fullgraph=True)

    def patches(self, x_BCT: Tensor) -> Tensor:
        """Return the raw patches that reconstruction aims at, (B, C, P, S)."""
        check_length(x_BCT.shape[-1], self.config)
        return cut(x_BCT, self.config.patch_samples, self.config.stride_samples)

    def n_patches(self, n_times: int) -> int:
        """Return the number of patches in a window of ``n_times`` samples."""
        check_length(n_times, self.config)
        return count(n_times, self.config.patch_samples, self.config.stride_samples)


class Tokenizers(nn.Module):
    """Temporal, then spatial cross-scale tokenization, each added to the residual stream."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.temporal = TemporalTokenizer(config)
        self.spatial = SpatialTokenizer(config)
        self.drop = BranchDropout(config.drop_prob)
        start_small(self.temporal.taps, self.spatial.project)

    def forward(self, h_BCPD: Tensor, layout: Layout) -> Tensor:
        """Return the residual stream with both contributions."""
        h_BCPD = self.drop(h_BCPD, self.temporal(h_BCPD))
        return self.drop(h_BCPD, self.spatial(h_BCPD, layout))


class Block(nn.Module):
    """Tokenization, attention along time, attention across the head, feed-forward: pre-norm residual branches."""

    def __init__(self, config: EncoderConfig, activation: type[nn.Module]) -> None:
        super().__init__()
        self.tokenizers = None if config.tokenizer == "first" else Tokenizers(config)
        self.windows = None if config.attention == "dense" else WindowAttention(config)
        self.regions = RegionAttention(config) if config.attention == "structured" else TokenAttention(config)
        hidden = round(config.d_model * config.ff_ratio)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(config.d_model),
            nn.Linear(config.d_model, hidden),
            activation(),
            nn.Linear(hidden, config.d_model),
        )
        self.drop = BranchDropout(config.drop_prob)
        start_small(
            self.windows.out if self.windows is not None else None, self.regions.out, self.feed_forward[-1]
        )

    def forward(self, h_BCPD: Tensor, layout: Layout) -> Tensor:
        """Return the residual stream after the block."""
        if self.tokenizers is not None:
            h_BCPD = self.tokenizers(h_BCPD, layout)
        if self.windows is not None:
            h_BCPD = self.drop(h_BCPD, self.windows(h_BCPD))
        h_BCPD = self.drop(h_BCPD, self.regions(h_BCPD, layout))
        return self.drop(h_BCPD, self._feed_forward(h_BCPD))

    def _feed_forward(self, h_BCPD: Tensor) -> Tensor:
        if torch.jit.is_scripting():
            return self.feed_forward(h_BCPD)
        norm, widen, activation, narrow = self.feed_forward
        return made_again(activation, made_again(norm, h_BCPD, widen), narrow)


def start_small(*last: nn.Module | None) -> None:
    """Let the last layers of residual branches begin at a tenth of their size.

    A network then begins as its patch embedding: the stream does not grow from block to block, and what is
    decoded from power is found in the first epochs (compare LayerScale, arXiv 2103.17239).
    """
    with torch.no_grad():
        for layer in last:
            if layer is not None:
                for parameter in layer.parameters():
                    parameter.mul_(BRANCH_START)


class BranchDropout(nn.Module):
    """Adds a branch to the residual stream; drops features of it, the same for all patches of an electrode.

    Independent dropout of each patch is averaged away by whatever pools over time, and drawing it costs as much
    as a matrix product.
    """

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(drop_prob)

    def forward(self, h_BCPD: Tensor, branch_BCPD: Tensor) -> Tensor:
        """Return the stream with the branch, some of whose features are zeroed while training."""
        if not self.training:
            return h_BCPD + branch_BCPD
        kept_BC1D = self.drop(torch.ones_like(branch_BCPD[:, :, :1]))
        return torch.addcmul(h_BCPD, branch_BCPD, kept_BC1D)
