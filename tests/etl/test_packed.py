"""Recordings compressed with gzip: read like the file inside, within limits, or refused with what to do."""

import gzip
import hashlib
from pathlib import Path
from types import SimpleNamespace

import mne
import numpy as np
import pybv
import pytest
import scipy.io

from eegfm_etl import packed
from eegfm_etl.ingest import ingest
from eegfm_etl.process import harmonise_file
from eegfm_etl.source import SourceError
from eegfm_lake.signals import SignalReader
from eegfm_lake.storage import Storage
from eegfm_lake.table import Lake

from .format_miniatures import NAMES, RATE_HZ, smooth_uv, write_gdf, write_neuroscan
from .ingest_miniatures import write_edf


def pack(path: Path) -> Path:
    """Replace a file by its gzip."""
    there = path.with_name(path.name + ".gz")
    there.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return there


def stored(path: Path, folder: Path) -> tuple[dict, np.ndarray]:
    folder.mkdir()
    row, file = harmonise_file(path, folder)
    reader = SignalReader(Storage(str(folder)), file.path.name)
    assert [one.name for one in folder.iterdir()] == [file.path.name]
    return row, reader.read(0, reader.n_samples)


def write_set(path: Path, data_uv: np.ndarray, fdt: bool) -> Path:
    """Write EEGLAB's continuous recording, its samples inside or in an .fdt beside it."""
    fdt_name = f"{path.stem}.fdt"
    if fdt:
        data_uv.T.astype("<f4").tofile(path.with_name(fdt_name))
    fields = {"labels": np.array(NAMES, dtype=object)}
    chanlocs = np.array([(name,) for name in fields["labels"]], dtype=[("labels", object)])
    eeg = {
        "setname": "x", "nbchan": len(NAMES), "trials": 1, "pnts": data_uv.shape[1], "srate": RATE_HZ, "xmin": 0.0,
        "xmax": (data_uv.shape[1] - 1) / RATE_HZ, "data": fdt_name if fdt else data_uv.astype("f4"), "ref": "common",
        "chanlocs": chanlocs, "event": np.array([]), "epoch": np.array([]), "icawinv": np.array([]),
        "icasphere": np.array([]), "icaweights": np.array([]), "icaact": np.array([]), "times": np.array([]),
    }  # fmt: skip
    scipy.io.savemat(path, {"EEG": eeg})
    return path


@pytest.mark.parametrize("kind", ["edf", "EDF", "gdf", "cnt", "set", "fdt"])
def test_a_packed_recording_is_stored_as_the_file_inside_is(tmp_path, kind):
    write = {
        "edf": lambda: write_edf(tmp_path / "x.edf", cues=()),
        "EDF": lambda: write_edf(tmp_path / "X.EDF", cues=()),
        "gdf": lambda: write_gdf(tmp_path / "x.gdf", smooth_uv(1), "uV"),
        "cnt": lambda: write_neuroscan(tmp_path / "x.cnt", smooth_uv(1), 16),
        "set": lambda: write_set(tmp_path / "x.set", smooth_uv(1), fdt=False),
        "fdt": lambda: write_set(tmp_path / "x.set", smooth_uv(1), fdt=True),
    }
    path = write[kind]()
    plain, samples = stored(path, tmp_path / "plain")
    there = pack(path)
    if kind == "EDF":
        there = there.rename(there.with_suffix(".GZ"))
    row, same = stored(there, tmp_path / "packed")
    np.testing.assert_array_equal(same, samples)
    inside = plain["source"]
    assert row["source"]["format"] == inside["format"]
    assert row["source"]["path"] == there.name
    assert row["source"]["parts"] == inside["parts"] == (["x.fdt"] if kind == "fdt" else [])
    files = [there, *(tmp_path / part for part in inside["parts"])]
    assert row["source"]["sha256"] == hashlib.sha256(b"".join(one.read_bytes() for one in files)).hexdigest()
    assert row["source"]["bytes"] == sum(one.stat().st_size for one in files)
    unpacked_bytes = inside["bytes"] - sum(one.stat().st_size for one in files[1:])
    note = f"unpacked from gzip: {there.stat().st_size:,} bytes hold {unpacked_bytes:,}"
    assert row["source"]["notes"] == [*inside["notes"], note]
    assert row["events"] == plain["events"]


@pytest.mark.parametrize("split", [False, True])
def test_a_packed_fif_is_read_without_unpacking_it_again_for_every_piece(tmp_path, split):
    info = mne.create_info(list(NAMES), RATE_HZ, "eeg")
    raw = mne.io.RawArray(smooth_uv(1, 700.0) * 1e-6, info, verbose="error")
    raw.save(tmp_path / "x_raw.fif", verbose="error")
    raw.save(
        tmp_path / "y_raw.fif.gz", split_size="2MB" if split else "2GB", buffer_size_sec=1, verbose="error"
    )
    _, samples = stored(tmp_path / "x_raw.fif", tmp_path / "plain")
    parts = sorted(tmp_path.glob("y_raw.fif-*.gz"))
    row, same = stored(tmp_path / "y_raw.fif.gz", tmp_path / "packed")
    np.testing.assert_array_equal(same, samples)
    assert row["source"]["parts"] == [one.name for one in parts]
    assert bool(parts) == split
    assert row["source"]["notes"][-1].startswith("unpacked from gzip")


def test_a_folder_of_packed_recordings_is_read_and_what_cannot_be_says_why(tmp_path, monkeypatch):
    root, scratch = tmp_path / "archive", tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    pack(write_edf(root / "whole.edf"))
    cut = pack(write_edf(root / "cut.edf"))
    cut.write_bytes(cut.read_bytes()[:-2000])
    (root / "lies.edf.gz").write_bytes(b"no gzip at all" * 100)
    (root / "other.edf.gz").write_bytes(gzip.compress(b"<html>log in</html>"))
    (root / "flipped.bdf.gz").write_bytes(cut.read_bytes()[:500] + bytes(500) + cut.read_bytes()[1000:])
    pybv.write_brainvision(
        data=smooth_uv(3) * 1e-6, sfreq=RATE_HZ, ch_names=list(NAMES), fname_base="v", folder_out=root
    )
    pack(root / "v.vhdr")
    (root / "twice.edf.gz.gz").write_bytes(gzip.compress(b"x"))
    report = ingest(str(tmp_path / "lake"), "folder", source=root, progress=False)
    assert report.account.unexplained == []
    (row,) = Lake.open(str(tmp_path / "lake")).recordings(["source", "recording_id"]).to_pylist()
    assert row["recording_id"] == "archive/whole.edf.gz"
    reasons = {rel: fate.reason for rel, fate in report.account.fates.items() if fate.reason}
    assert "cut off" in reasons["cut.edf.gz"]
    assert "no gzip file" in reasons["lies.edf.gz"]
    assert "web page" in reasons["other.edf.gz"]
    assert "cannot be unpacked" in reasons["flipped.bdf.gz"]
    assert "unpack it first" in reasons["v.vhdr.gz"]
    assert "unpack it first" in reasons["twice.edf.gz.gz"]
    assert list(scratch.iterdir()) == []


def test_a_file_made_to_fill_the_disk_is_refused_when_it_passes_the_limit(tmp_path):
    bomb = tmp_path / "bomb.edf.gz"
    with gzip.open(bomb, "wb") as file:
        for _ in range(66):
            file.write(bytes(2**20))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(
        SourceError, match=r"more than 67,108,864 bytes, the limit for its .*unpack it yourself"
    ):
        harmonise_file(bomb, out)
    assert list(out.iterdir()) == []


def test_a_recording_larger_than_the_free_room_is_refused_before_the_disk_is_full(tmp_path, monkeypatch):
    there = pack(write_edf(tmp_path / "x.edf"))
    monkeypatch.setattr(packed.shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000))
    with pytest.raises(SourceError, match="TMPDIR") as caught:
        harmonise_file(there, tmp_path)
    assert caught.value.step == "memory"
