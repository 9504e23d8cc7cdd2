"""The network: encoder, heads, settings, weights on disk. Needs torch, numpy and safetensors alone."""

from eegfm.model.encoder import Encoder
from eegfm.model.heads import ClassifierHead, ReconstructionHead
from eegfm.model.layout import Layout, layout_of
from eegfm.model.presets import PRESETS, EncoderConfig, preset
from eegfm.model.pretrained import load_pretrained, save_pretrained

__all__ = [
    "PRESETS",
    "ClassifierHead",
    "Encoder",
    "EncoderConfig",
    "Layout",
    "ReconstructionHead",
    "layout_of",
    "load_pretrained",
    "preset",
    "save_pretrained",
]
