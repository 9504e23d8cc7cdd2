"""What this installation can do: versions, device, and what each missing extra would give."""

import importlib.metadata
import importlib.util
import platform
import textwrap

from eegfm import __version__

EXTRAS: dict[str, tuple[str, tuple[str, ...]]] = {
    "lake": ("SQL, cohorts and the table of recordings", ("deltalake", "duckdb")),
    "etl": (
        "reading raw files into the lake, predicting from them, the simulated corpus",
        (
            "mne",
            "mne_bids",
            "dask",
            "distributed",
            "edfio",
            "pybv",
            "eeglabio",
            "pooch",
            "psutil",
            "pymatreader",
            "requests",
            "threadpoolctl",
            "urllib3",
            "antio",
            "curryreader",
            "defusedxml",
            "h5py",
            "mffpy",
            "neo",
            "pandas",
            "pyxdf",
            "scipy",
        ),
    ),
    "decode": (
        "fine-tuning, baselines, eegfm.CSBrain inside braindecode and scikit-learn",
        ("braindecode", "sklearn", "pyriemann", "skorch", "moabb"),
    ),
    "hub": ("CSBrain fetched from and pushed to the Hugging Face hub", ("huggingface_hub",)),
    "report": ("the HTML page of a run, pictures of recordings", ("jinja2", "matplotlib", "mne")),
}
"""extra: what it gives, and the packages that it brings (import names)."""

BARE = ("torch", "numpy", "pyarrow", "pydantic", "yaml", "safetensors", "lightning_fabric", "rich")
_DISTRIBUTIONS = {
    "yaml": "PyYAML",
    "sklearn": "scikit-learn",
    "mne_bids": "mne-bids",
    "lightning_fabric": "lightning-fabric",
}


def examine(lake: str | None = None) -> list[str]:
    """Look at the installation.

    Parameters
    ----------
    lake : str, optional
        A lake to look at too.

    Returns
    -------
    list of str
        Lines to print.
    """
    lines = [
        f"eegfm {__version__}, Python {platform.python_version()}, {platform.platform()}",
        "",
        _line("bare install", "pre-training from a lock"),
        _line("", _versions(BARE)),
    ]
    for extra in EXTRAS:
        lines += _extra_lines(extra)
    lines += ["", _line("device", _device()), _line("torchaudio", _torchaudio())]
    if lake is not None:
        lines.append(_line("lake", _lake(lake)))
    return lines


def extra_of(package: str) -> str | None:
    """Name the extra that brings a package (by import name), None for a package that no extra brings."""
    return next((extra for extra, (_, packages) in EXTRAS.items() if package in packages), None)


def _extra_lines(extra: str) -> list[str]:
    gives, packages = EXTRAS[extra]
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if not missing:
        return [_line(f"[{extra}]", gives), _line("", _versions(packages))]
    remedy = f"missing: {', '.join(missing)}; pip install 'eegfm[{extra}]' would give it"
    return [_line(f"[{extra}]", f"NOT {gives}"), _line("", remedy)]


def _line(name: str, words: str) -> str:
    return textwrap.fill(words, 100, initial_indent=name.ljust(14), subsequent_indent=" " * 14)


def _versions(packages: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {_version(name)}" for name in packages)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(_DISTRIBUTIONS.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        name, memory = torch.cuda.get_device_name(0), torch.cuda.get_device_properties(0).total_memory
        return f"{torch.cuda.device_count()} × {name}, {memory / 2**30:.0f} GiB (CUDA {torch.version.cuda})"
    if torch.backends.mps.is_available():
        return "Apple GPU (mps)"
    built = "built for CUDA, but no GPU answers" if torch.version.cuda else "CPU build of torch"
    return f"CPU, {torch.get_num_threads()} threads ({built})"


def _torchaudio() -> str:
    if importlib.util.find_spec("torchaudio") is None:
        return "absent (comes with braindecode; only eegfm[decode] needs it)"
    from eegfm.torchaudio_cpu import import_torchaudio

    import_torchaudio()
    import torchaudio

    compiled = getattr(torchaudio, "_extension", None)
    if compiled is not None and getattr(compiled, "_IS_TORCHAUDIO_EXT_AVAILABLE", False):
        return f"{torchaudio.__version__}, whole"
    lost = "linked to CUDA; nothing that eegfm needs is lost"
    return f"{torchaudio.__version__}, without its compiled library ({lost})"


def _lake(uri: str) -> str:
    if importlib.util.find_spec("deltalake") is None:
        return f"{uri} (eegfm[lake] is needed to look inside)"
    from eegfm_lake.errors import EegfmError
    from eegfm_lake.table import Lake

    try:
        table = Lake.open(uri).recordings(columns=["dataset", "duration_s"])
    except EegfmError as error:
        return str(error)
    hours = sum(table["duration_s"].to_pylist()) / 3600
    datasets = len(set(table["dataset"].to_pylist()))
    return f"{uri}: {table.num_rows} recordings of {datasets} data sets, {hours:.1f} h"
