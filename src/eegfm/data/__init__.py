"""Lock → windows → batches."""

from eegfm.data.loader import Batch, Loader
from eegfm.data.operations import UNIT_UV, Window, read_array
from eegfm.data.reader import MontageWindows, WindowReader, read_windows

__all__ = [
    "UNIT_UV",
    "Batch",
    "Loader",
    "MontageWindows",
    "Window",
    "WindowReader",
    "read_array",
    "read_windows",
]
