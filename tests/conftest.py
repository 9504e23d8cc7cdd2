"""Fixtures that every test may use: the shared real recordings, laid out once a checkout."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("EEGFM_SHARED", ROOT.parent / "shared" / "eeg"))


def _unpacked(name: str) -> Path:
    if not (SHARED / "unpack").exists():
        pytest.skip(f"real recordings are absent: {SHARED} (set EEGFM_SHARED to the folder that holds them)")
    target = ROOT / "data" / "shared"
    if not (target / name).exists():
        scratch = target / f".{name}-{os.getpid()}"
        scratch.mkdir(parents=True)
        subprocess.run([SHARED / "unpack", scratch, name], check=True, capture_output=True)
        try:
            (scratch / name).rename(target / name)
        except OSError:  # another test process was faster; its copy is as good
            if not (target / name).exists():
                raise
    return target / name


@pytest.fixture(scope="session")
def eegmmidb_dir() -> Path:
    """PhysioNet EEG Motor Movement/Imagery: 126 original EDF+ files of 39 people."""
    return _unpacked("eegmmidb")


@pytest.fixture(scope="session")
def eegmat_dir() -> Path:
    """PhysioNet mental arithmetic: 36 people, rest and task."""
    return _unpacked("eegmat")


@pytest.fixture(scope="session")
def zoo_dir() -> Path:
    """160 odd files of 25 formats."""
    return _unpacked("zoo")


@pytest.fixture(scope="session")
def ds004362_dir() -> Path:
    """BIDS sidecars of all 1,526 eegmmidb recordings, without signals."""
    return _unpacked("ds004362")


@pytest.fixture(scope="session")
def uci_eeg_dir() -> Path:
    """UCI EEG Database, original text: 2 people, 3 conditions, 10 trials each."""
    return _unpacked("uci_eeg")
