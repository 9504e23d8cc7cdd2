"""The network: encoder, heads, settings, weights on disk. Needs torch, numpy and safetensors alone."""

from eegfm.model.encoder import Encoder
from eegfm.model.heads import ClassifierHead, ReconstructionHead
from eegfm.model.layout import Layout, layout_of
from eegfm.model.official import FlattenHead, OfficialEncoder, official_loss
from eegfm.model.official_config import OfficialConfig
from eegfm.model.official_load import OfficialReport, load_official, load_official_weights
from eegfm.model.official_tables import OfficialTable, official_table, official_tables
from eegfm.model.presets import PRESETS, EncoderConfig, preset
from eegfm.model.pretrained import load_pretrained, save_pretrained

__all__ = [
    "PRESETS",
    "ClassifierHead",
    "Encoder",
    "EncoderConfig",
    "FlattenHead",
    "Layout",
    "OfficialConfig",
    "OfficialEncoder",
    "OfficialReport",
    "OfficialTable",
    "ReconstructionHead",
    "layout_of",
    "load_official",
    "load_official_weights",
    "load_pretrained",
    "official_loss",
    "official_table",
    "official_tables",
    "preset",
    "save_pretrained",
]
