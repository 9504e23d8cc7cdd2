"""Import torchaudio beside a CPU torch, as braindecode needs it to be importable."""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType


def import_torchaudio() -> ModuleType:
    """Import torchaudio, without its compiled parts where they cannot be loaded.

    Registries hold torchaudio as a CUDA build, whose libraries fail to load beside a CPU torch. Its own code runs
    without them when it finds none, so on that failure, and only then, it is told to look where there are none.
    braindecode uses its filters and its resampling, which are written in Python. Call this before braindecode is
    imported; a machine whose torchaudio loads is not touched.
    """
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        vars(sys.modules["torchaudio._extension.utils"])["_LIB_DIR"] = Path(os.devnull)
        return importlib.import_module("torchaudio")
