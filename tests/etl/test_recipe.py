from pathlib import Path

import pytest

from eegfm_etl import recipes
from eegfm_etl.recipe import Job, Person, Recipe, files_below
from eegfm_etl.recipes.eegmmidb import RECIPE
from eegfm_lake.errors import EegfmError, UsageError


def test_every_recipe_is_found_by_its_id():
    assert recipes.find("eegmmidb") is RECIPE
    for recipe_id, recipe in recipes.RECIPES.items():
        assert recipe.id == recipe_id
        assert recipe.licence
        assert recipe.citation
        assert recipe.layout_source


def test_an_unknown_data_set_is_answered_with_the_closest_ones():
    with pytest.raises(UsageError, match=r"unknown data set 'eegmidb': did you mean eegmmidb"):
        recipes.find("eegmidb")
    with pytest.raises(UsageError, match=r"known are .*eegmmidb"):
        recipes.find("zzz")


def test_methodology_outside_the_vocabulary_is_refused():
    with pytest.raises(EegfmError, match=r"a\.edf: methodology \(mood, declared\) is outside the vocabulary"):
        Job(Path("a.edf"), "a.edf", "x/1", Person("1"), methodology=(("mood", "good", "declared"),))
    with pytest.raises(EegfmError, match="guessed"):
        Job(Path("a.edf"), "a.edf", "x/1", Person("1"), methodology=(("site", "here", "guessed"),))


def test_a_recipe_with_an_impossible_id_or_access_is_refused():
    facts = {name: getattr(RECIPE, name) for name in RECIPE.__dataclass_fields__}
    for wrong in ({"id": "Has Space"}, {"access": "free"}):
        with pytest.raises(EegfmError, match="recipe"):
            Recipe(**{**facts, **wrong})


def test_a_loop_of_links_does_not_catch_the_search(tmp_path: Path):
    import re

    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "a" / "x.edf").touch()
    assert [rel for rel, _ in files_below(tmp_path, re.compile(r".*\.edf"))] == ["a/x.edf"]


def test_a_folder_named_like_a_recording_is_listed_unless_the_recording_lies_in_it(tmp_path: Path):
    import re

    (tmp_path / "a.edf").mkdir()
    (tmp_path / "b.edf").mkdir()
    (tmp_path / "b.edf" / "b.edf").touch()
    assert [rel for rel, _ in files_below(tmp_path, re.compile(r".*\.edf"))] == ["a.edf", "b.edf/b.edf"]


def test_the_recipe_in_the_documentation_runs(tmp_path: Path):
    page = (Path(__file__).parents[2] / "docs" / "ingest.md").read_text()
    code = page.split("```python")[1].split("```")[0]
    names: dict = {}
    exec(code, names)
    (tmp_path / "VP07_2.EDF").touch()
    (job,) = names["RECIPE"].plan(tmp_path)
    assert job.recording_id == "mylab/07/2"
