import re
from pathlib import Path

import pytest

from eegfm_lake.cohort import freeze
from eegfm_lake.query import VIEWS, run_sql

PAGE = (Path(__file__).parents[2] / "docs" / "lake.md").read_text("utf8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("statement", [sql for sql in blocks("sql") if ":param" not in sql])
def test_every_query_of_the_page_answers(shared_lake, statement):
    assert run_sql(shared_lake, statement).num_rows > 0


def test_the_cohort_of_the_page_freezes(lake, tmp_path):
    (sql,) = (sql for sql in blocks("sql") if ":param" in sql)
    (tmp_path / "mine.sql").write_text(sql)
    frozen = freeze(lake, str(tmp_path / "mine.sql"), params={"limit": "24"})
    assert {row["people"] for row in frozen.counts} == {5}


def test_the_python_of_the_page_runs(lake, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "lake").symlink_to(lake.storage.uri)
    monkeypatch.chdir(tmp_path)
    freeze(lake, "SELECT recording_id, start, seconds FROM trials('motor', 0, 4)", name="imagery")
    names = {}
    for code in blocks("python"):
        exec(code, names)
    assert len(names["people"]) == 6
    assert names["samples_uv"].shape == (19, 800)


def test_the_page_names_every_view():
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(VIEWS)
