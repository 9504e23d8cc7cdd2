"""The encoder's settings: one frozen dataclass, four named sizes."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from typing import Any

from eegfm_lake.errors import UsageError

SHORT_WINDOW_S = 5.0
ATTENTIONS = ("structured", "criss_cross", "dense")
TOKENIZERS = ("layer", "shared", "first")
Vocabulary = tuple[tuple[str, tuple[str, ...]], ...]
"""Covariates of the methodology, each with its values."""


@dataclass(frozen=True)
class EncoderConfig:
    """Everything that decides the encoder's shape; JSON-able, and stored beside its weights.

    Parameters
    ----------
    d_model, depth, heads
        Width of a token, number of blocks, attention heads.
    ff_ratio
        Width of the feed-forward layer over ``d_model``.
    patch_samples, stride_samples
        Length of a patch and the step between patches, in samples at ``rate_hz``.
    rate_hz
        Sampling rate of what the encoder reads.
    window_patches
        Patches a window: attention between windows joins patches that hold the same place in theirs.
    scales
        Kernel widths of the cross-scale tokenizers, odd and ascending; widths of their outputs halve.
    tokenizer
        ``layer``: every block has its own, ``shared``: one for all blocks, ``first``: once, before them.
    attention
        ``structured`` (between windows, between regions), ``criss_cross`` (all patches of an electrode, all
        electrodes of a patch) or ``dense`` (every token with every token).
    conv_filters
        Filters of the convolutional stack over a patch; 0 switches the stack off.
    mix_filters
        Virtual electrodes built around every electrode; 0 switches the linear spatial mix off.
    spectrum_hz
        Highest frequency of the spectral features; 0 switches them off.
    drop_prob
        Dropout of each residual branch.
    activation
        Name of a class of ``torch.nn``.
    condition
        Covariates of the methodology that condition the tokens, each with the values that it may have, as a mapping or
        as pairs; kept sorted, so that their order says nothing. Empty switches the condition off.
    condition_drop
        Share of a window's covariates that are read as unknown while training.
    """

    d_model: int = 200
    depth: int = 12
    heads: int = 8
    ff_ratio: float = 4.0
    patch_samples: int = 200
    stride_samples: int = 200
    rate_hz: float = 200.0
    window_patches: int = 5
    scales: tuple[int, ...] = (1, 3, 5)
    tokenizer: str = "layer"
    attention: str = "structured"
    conv_filters: int = 16
    mix_filters: int = 6
    spectrum_hz: float = 75.0
    drop_prob: float = 0.1
    activation: str = "GELU"
    condition: Vocabulary = ()
    condition_drop: float = 0.2

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", tuple(self.scales))
        object.__setattr__(self, "condition", _vocabulary(self.condition))
        for wrong, found, expected in (
            (self.d_model % self.heads != 0, f"d_model={self.d_model}", f"a multiple of heads={self.heads}"),
            (
                self.patch_samples % self.stride_samples != 0,
                f"patch_samples={self.patch_samples}",
                f"a multiple of stride_samples={self.stride_samples}",
            ),
            (self.attention not in ATTENTIONS, f"attention={self.attention!r}", " or ".join(ATTENTIONS)),
            (self.tokenizer not in TOKENIZERS, f"tokenizer={self.tokenizer!r}", " or ".join(TOKENIZERS)),
            (
                not self.scales or any(k % 2 == 0 or k < 1 for k in self.scales),
                f"scales={self.scales}",
                "odd kernel widths",
            ),
            (
                self.d_model < 2 ** len(self.scales),
                f"d_model={self.d_model}",
                f"at least {2 ** len(self.scales)} for {len(self.scales)} scales",
            ),
            (
                self.conv_filters == 0 and self.spectrum_hz == 0,
                "conv_filters=0 and spectrum_hz=0",
                "one of them on",
            ),
            (
                not 0 <= self.condition_drop < 1,
                f"condition_drop={self.condition_drop}",
                "a share from 0 to below 1",
            ),
        ):
            if wrong:
                raise UsageError(f"EncoderConfig: found {found}, expected {expected}")

    @property
    def scale_widths(self) -> tuple[int, ...]:
        """Output widths of the tokenizers' scales: d/2, d/4, ..., the last takes the rest."""
        widths = [self.d_model >> (i + 1) for i in range(len(self.scales) - 1)]
        return (*widths, self.d_model - sum(widths))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-able values."""
        condition = {name: list(values) for name, values in self.condition}
        return asdict(self) | {"scales": list(self.scales), "condition": condition}

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> "EncoderConfig":
        """Build from ``to_dict``'s result; an unknown key is a UsageError that suggests the right one."""
        check_keys(settings)
        return cls(**settings)


def _vocabulary(given: Mapping[str, Iterable[str]] | Iterable[tuple[str, Iterable[str]]]) -> Vocabulary:
    """Sort covariates by name and their values, so that equal vocabularies give equal weights a meaning."""
    pairs = list(given.items() if isinstance(given, Mapping) else given)
    if any(isinstance(pair, str) or isinstance(pair[1], str) for pair in pairs):
        raise UsageError(
            f"EncoderConfig: found condition={given!r}, expected every covariate with its values"
        )
    return tuple((name, tuple(sorted(set(values)))) for name, values in sorted(dict(pairs).items()))


PRESETS: dict[str, EncoderConfig] = {
    "tiny": EncoderConfig(d_model=32, depth=2, heads=4, ff_ratio=2.0, conv_filters=8, mix_filters=4),
    "small": EncoderConfig(d_model=96, depth=4, heads=6, ff_ratio=2.0, conv_filters=16, mix_filters=6),
    "base": EncoderConfig(d_model=200, depth=12, heads=8, ff_ratio=4.0, conv_filters=25, mix_filters=8),
    "large": EncoderConfig(d_model=1024, depth=24, heads=16, ff_ratio=4.0, conv_filters=64, mix_filters=16),
}


def preset(name: str, window_s: float | None = None, **changes: Any) -> EncoderConfig:
    """Return a named size, its patches cut for windows of ``window_s`` seconds.

    Windows of at most 5 s get patches of 0.5 s every 0.25 s in attention windows of three, so that a 4-second
    trial has 15 patches and attention between windows five keys; longer ones, or ``None``, patches of 1 s.

    Parameters
    ----------
    name
        ``tiny``, ``small``, ``base`` or ``large``.
    window_s
        Length of the windows that the encoder will read.
    **changes
        Any field of :class:`EncoderConfig`; they win.

    Raises
    ------
    UsageError
        For an unknown name or field; it suggests the nearest one.
    """
    if name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}; there are {', '.join(PRESETS)}")
    check_keys(changes)
    short = window_s is not None and window_s <= SHORT_WINDOW_S
    cut = {"patch_samples": 100, "stride_samples": 50, "window_patches": 3} if short else {}
    return replace(PRESETS[name], **(cut | changes))


def check_keys(settings: dict[str, Any]) -> None:
    """Raise a UsageError for the first key that is no field of EncoderConfig."""
    known = [f.name for f in fields(EncoderConfig)]
    for key in settings:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"EncoderConfig has no setting {key!r}; {hint}")
