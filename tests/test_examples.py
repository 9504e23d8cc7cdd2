"""The examples, run as their users run them, on a tiny lake."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from eegfm_lake.cohort import freeze
from tests.lake.tiny import write_tiny_lake

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
QUERY = "SELECT recording_id, start, seconds, label FROM trials('motor/imagery/*', 0, 4)"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    lake = write_tiny_lake(folder / "lake", people=4, runs=1, trials=8)
    (folder / "fists.sql").write_text(QUERY)
    return folder, str(freeze(lake, QUERY, name="fists").path)


def run(name, *arguments, cwd):
    script = next(path for path in EXAMPLES if path.stem == name)
    done = subprocess.run(
        [sys.executable, script, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.stem)
def test_an_example_fits_on_a_screen_and_says_how_to_run_it(script):
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert f"python examples/{script.name}" in ast.get_docstring(ast.parse(text))


def test_a_cohort_is_asked_looked_at_and_plotted(tiny):
    folder, _ = tiny
    said = run("cohort_in_python", "lake", "fists.sql", "C3", "cohort.png", cwd=folder)
    assert "motor/imagery/left_fist: 16 windows of 4 people" in said
    assert (folder / "cohort.png").read_bytes().startswith(b"\x89PNG")


def test_csbrain_is_fine_tuned_and_scored_person_by_person(tiny):
    folder, lock = tiny
    said = run("finetune_csbrain", lock, "", "2", cwd=folder)
    assert re.search(r"^tiny/P01: [01]\.\d{3}$", said, re.MULTILINE)
    assert re.search(r"^people never seen: balanced accuracy [01]\.\d{3}$", said, re.MULTILINE)


def test_csbrain_works_inside_braindecode_and_scikit_learn(tiny):
    folder, lock = tiny
    said = run("braindecode_sklearn", lock, "1", cwd=folder)
    scores = [float(word) for word in said.rpartition(":")[2].split()]
    assert len(scores) == 2
    assert all(0 <= score <= 1 for score in scores)


def test_csbrain_goes_through_moabbs_cross_subject_evaluation(tmp_path):
    said = run("moabb_cross_subject", "fake", "results", "", "1", cwd=tmp_path)
    assert re.findall(r"^person (\d): ROC AUC [01]\.\d{3}$", said, re.MULTILINE) == ["1", "2", "3"]
    assert re.search(r"^people never seen: ROC AUC [01]\.\d{3}$", said, re.MULTILINE)
    assert list((tmp_path / "results").rglob("*.hdf5"))
