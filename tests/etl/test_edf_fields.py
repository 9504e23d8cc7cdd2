import datetime as dt
import tempfile
from pathlib import Path

import edfio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eegfm_etl.demographics import age_years, sex_letter, table
from eegfm_etl.edf_fields import edf_fields

from .recipes.clinical_miniatures import write_edf


@pytest.fixture
def edf(tmp_path: Path) -> Path:
    patient = edfio.Patient(
        code="aaaaaaaa", sex="F", birthdate=dt.date(1977, 1, 1), name="Somebody", additional=["Age:38"]
    )
    labels = ("EEG FP1-REF", "EEG FP2-REF")
    return write_edf(
        tmp_path / "a.edf", labels, rate_hz=100, seconds=7, start="2015-03-04 23:59:58", patient=patient
    )


def test_clock_length_labels_age_and_sex_are_read_and_names_are_not(edf: Path):
    fields = edf_fields(edf)
    assert fields is not None
    assert fields.start == dt.datetime(2015, 3, 4, 23, 59, 58)
    assert (fields.duration_s, fields.labels) == (7, ("EEG FP1-REF", "EEG FP2-REF"))
    assert (fields.age, fields.sex, fields.whole) == (38, "F", True)
    assert "Somebody" not in repr(fields)


def test_a_cut_file_is_not_whole_and_another_file_is_no_edf(edf: Path):
    content = edf.read_bytes()
    edf.write_bytes(content[:-1])
    cut = edf_fields(edf)
    assert cut is not None
    assert not cut.whole
    for other in (b"", b"<!DOCTYPE html>" * 50, content[:200]):
        edf.write_bytes(other)
        assert edf_fields(edf) is None
    assert edf_fields(edf.with_name("absent.edf")) is None
    assert edf_fields(edf.parent) is None


@given(st.binary(min_size=248, max_size=900))
def test_no_header_stops_a_plan(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.edf"
        path.write_bytes(b"0       " + content)
        fields = edf_fields(path)
    assert fields is not None
    assert fields.age is None or 0 <= fields.age <= 120


@pytest.mark.parametrize(
    ("text", "age"),
    [("38", 38), ("1.5", 1.5), (" 7", 7), ("M", None), ("", None), (None, None), ("999", None), ("-1", None)],
)
def test_an_age_is_a_number_that_people_reach_or_unknown(text, age):
    assert age_years(text) == age
    assert age_years("nan") is None


def test_sexes_are_written_in_one_way():
    assert [sex_letter(text) for text in ("f", "Female", "M", " male ", "X", "", None)] == [
        *("F", "F", "M", "M"),
        *(None, None, None),
    ]


def test_a_table_is_read_whatever_its_encoding_and_padding(tmp_path: Path):
    path = tmp_path / "people.csv"
    path.write_bytes("\ufeffid, town \n1, Besan\u00e7on\n\n2,\n".encode())
    assert table(path) == [{"id": "1", "town": "Besan\u00e7on"}, {"id": "2", "town": ""}]
    path.write_bytes("id;town\n1;K\u00f6ln\n".encode("latin-1"))
    assert table(path, ";") == [{"id": "1", "town": "K\u00f6ln"}]
    assert table(tmp_path / "absent.csv") == []
