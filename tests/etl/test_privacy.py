"""What a header says of the person stays out of the lake; what was left out is counted."""

import json
from datetime import date
from pathlib import Path

import edfio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eegfm_etl.ingest import ingest
from eegfm_etl.process import process_file
from eegfm_etl.readers import ReaderProcess, SourceError
from eegfm_etl.recipe import Job, Person
from eegfm_etl.row import Stamp
from eegfm_lake.table import Lake
from tests.etl.ingest_miniatures import CHANNELS, samples_uv, write_edf

# No syllable of a name may be a word that a lake holds anyway
names = st.text("QXZJVKWqxzjvkw", min_size=8, max_size=12)


def everything_in(lake: Lake) -> str:
    """All rows in words, and the bytes of every file: Parquet is compressed."""
    rows = [lake.recordings().to_pylist(), lake.failures().to_pylist()]
    files = [file for file in Path(lake.storage.uri).rglob("*") if file.is_file()]
    assert files
    return json.dumps(rows, default=str, ensure_ascii=False) + "".join(
        file.name + file.read_bytes().decode("latin-1") for file in files
    )


def with_names(path: Path, name: str) -> None:
    """Put a name into every field about a person of an EDF+ header."""
    edf = edfio.read_edf(path)
    edf.patient = edfio.Patient(
        code=name + "a", sex="F", birthdate=date(1931, 2, 3), name=name, additional=[name + "b"]
    )
    edf.recording = edfio.Recording(
        startdate=date(2001, 2, 3),
        hospital_administration_code=name + "c",
        investigator_technician_code=name + "d",
        equipment_code="BioSemi",
        additional=[name + "f"],
    )
    edf.write(path)
    assert path.read_bytes()[:256].count(name.encode()) >= 4


@given(names)
@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_of_an_edf_header_reaches_the_lake(tmp_path_factory, name):
    root = tmp_path_factory.mktemp("edf")
    whole = write_edf(root / "source" / "S001" / "S001R04.edf")
    broken = write_edf(root / "source" / "S002" / "S002R04.edf")
    dated = write_edf(root / "source" / "S003" / "S003R04.edf")
    for path in (whole, broken, dated):
        with_names(path, name)
    broken.write_bytes(broken.read_bytes()[:-20_000])
    header = bytearray(dated.read_bytes())
    header[168:176] = b"42.00.00"  # an error's words may quote the header
    dated.write_bytes(header)
    report = ingest(root / "lake", "eegmmidb", source=root / "source", progress=False)
    assert report.done >= 1
    assert report.failed >= 1
    found = everything_in(Lake.open(root / "lake"))
    assert name not in found
    assert "1931" not in json.dumps(Lake.open(root / "lake").recordings(["source", "phenotype"]).to_pylist())
    lines = [
        json.loads(line) for line in (root / "lake" / report.log.split("/lake/")[1]).read_text().splitlines()
    ]
    assert all("personal_fields_left_out" in line for line in lines if line["what"] == "recording")


@given(names)
@settings(max_examples=2, deadline=None)
def test_no_name_of_a_brainvision_header_reaches_a_row(tmp_path_factory, name):
    import pybv

    folder = tmp_path_factory.mktemp("vhdr")
    labels = [label.strip(".") for label in CHANNELS]
    data = samples_uv(0, 200.0, 20.0)
    pybv.write_brainvision(
        data=1e-6 * data, sfreq=200.0, ch_names=labels, fname_base="rec", folder_out=folder, overwrite=True
    )
    path = folder / "rec.vhdr"
    text = path.read_text(encoding="utf-8")
    text += "" if "[Comment]" in text else "\n[Comment]\n"
    text += f"\nSubject: {name}\nBirth date: 03.02.1931\nTechnician: {name}\n"
    path.write_text(text, encoding="utf-8")
    job = Job(path, path.name, "bv/P1/1", Person("P1"))
    with ReaderProcess() as reader:
        row, file = process_file(path, job, folder, stamp=Stamp("bv"), reader=reader)
    assert name not in json.dumps(row, default=str)
    assert name.encode() not in Path(file.path).read_bytes()


@pytest.mark.parametrize(
    ("age", "stored"), [(None, None), (4.5, 4.5), (89.0, 89.0), (89.5, 90.0), (103.0, 90.0)]
)
def test_an_age_above_89_is_stored_as_90_and_counted(tmp_path, age, stored):
    path = write_edf(tmp_path / "S001R04.edf")
    job = Job(path, path.name, "x/P1/1", Person("P1", age=age))
    with ReaderProcess() as reader:
        row, _ = process_file(path, job, tmp_path, stamp=Stamp("x"), reader=reader)
    assert row["age"] == stored
    capped = age is not None and age > 89
    assert ("exact age" in row["source"]["personal"]) == capped
    assert any("above 89" in note for note in row["source"]["notes"]) == capped
    assert str(age) not in json.dumps(row["source"]) or not capped


def test_a_file_that_cannot_be_read_names_no_person(tmp_path):
    path = write_edf(tmp_path / "S001R04.edf")
    with_names(path, "Qxzjvkwq")
    path.write_bytes(path.read_bytes()[:3000])
    job = Job(path, path.name, "x/P1/1", Person("P1"))
    with ReaderProcess() as reader, pytest.raises(SourceError) as failed:
        process_file(path, job, tmp_path, stamp=Stamp("x"), reader=reader)
    assert "Qxzjvkwq" not in failed.value.reason + failed.value.detail
