"""Decoding people never seen: one interface for every decoder, protocols over people, scores, predictions.

``finetune`` runs a comparison, ``predict_windows`` uses its decoders on new samples.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eegfm.decode.comparison import finetune
    from eegfm.decode.decoders import Decoder, load_decoder
    from eegfm.decode.predict import predict_windows

__all__ = ["Decoder", "finetune", "load_decoder", "predict_windows"]

_HOMES = {
    "Decoder": "decoders",
    "finetune": "comparison",
    "load_decoder": "decoders",
    "predict_windows": "predict",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"eegfm.decode.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'eegfm.decode' has no attribute {name!r}")
