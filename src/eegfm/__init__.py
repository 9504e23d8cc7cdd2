"""From EEG archives to decoders that work on people never seen."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eegfm.csbrain import CSBrain

__version__ = "0.1.0"
__all__ = ["CSBrain"]


def __getattr__(name: str) -> Any:
    # braindecode takes seconds to import: only who asks for the class pays.
    if name == "CSBrain":
        from eegfm.csbrain import CSBrain

        return CSBrain
    raise AttributeError(f"module 'eegfm' has no attribute {name!r}")
