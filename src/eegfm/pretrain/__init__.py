"""Masked-patch pre-training of the encoder from a lock."""

from eegfm.pretrain.loop import pretrain

__all__ = ["pretrain"]
