"""What the log of an ingest says of each file: also what a library's reader warned of."""

import json
from pathlib import Path

from eegfm_etl.effort import Effort
from eegfm_etl.ingest import ingest

from .ingest_miniatures import write_brainvision_folder


def test_what_a_reader_warned_of_is_in_the_log(tmp_path):
    (path,) = write_brainvision_folder(tmp_path / "source", 1)
    with path.with_suffix(".vmrk").open("a") as file:
        file.write("Mk9=Stimulus,S  9,900000,1,0\n")  # after the end
    report = ingest(str(tmp_path / "lake"), "folder", source=tmp_path / "source", progress=False)
    lines = [json.loads(line) for line in Path(report.log).read_text().splitlines()]
    (line,) = (line for line in lines if "recording_id" in line)
    assert any("Omitted 1 annotation" in words for words in line["reader_said"])
    assert str(tmp_path) not in json.dumps(line)


def test_a_warning_about_a_person_or_a_date_is_kept_out_of_the_log():
    effort = Effort()
    effort.reader_said(
        ["/a/b/x.eeg is odd", "Unable to process birthdate of 1899-13-01", "Patient Anna"], Path("/a/b")
    )
    assert effort.facts()["reader_said"] == ["x.eeg is odd"]
    assert "reader_said" not in Effort().facts()
