"""Annotations that lie beside a recording, in a file of their own."""

from pathlib import Path

import mne
import pytest

from eegfm_etl.formats import open_source
from eegfm_etl.source import Ask, SourceError

from .format_miniatures import smooth_uv, write_gdf


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_gdf(tmp_path / "x.gdf", smooth_uv(1), "uV")


def test_annotations_beside_a_recording_are_its_events(recording, tmp_path):
    beside = tmp_path / "x-annot.fif"
    mne.Annotations([1.0, 3.0], [0.5, 0.0], ["blink", "cue"]).save(beside, verbose="error")
    header = open_source(recording, Ask(annotations=(str(beside),))).header
    assert header.annotations == ((1.0, 0.5, "blink"), (2.0, 0.004, "769"), (3.0, 0.0, "cue"))
    assert "2 annotations are from x-annot.fif" in header.notes
    assert str(beside) in header.parts


def test_damaged_annotations_are_refused_in_words_and_the_detail_has_the_readers(recording, tmp_path):
    beside = tmp_path / "x-annot.fif"
    beside.write_bytes(b"\0\0\0\x64" + bytes(40))
    with pytest.raises(SourceError, match=r"x-annot\.fif: it cannot be read as annotations") as refused:
        open_source(recording, Ask(annotations=(str(beside),)))
    assert "Traceback" in refused.value.detail
