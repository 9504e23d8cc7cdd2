"""The page and the picture of a real fine-tuning run."""

import re

import numpy as np
import pyarrow.compute as pc
import pytest

from eegfm.report import write_overview_png, write_report
from eegfm.report.figures_people import confusion
from eegfm.report.models import tables
from eegfm.report.run import load_run


@pytest.fixture(scope="module")
def page(finetuned):
    return write_report(finetuned).read_text(encoding="utf-8")


def test_a_finetuning_page_shows_people_tables_confusion_and_the_encoders_pretraining(page):
    for name in ("people", "confusion", "pretraining", "reconstructions", "montages", "spectra"):
        assert f'id="{name}-figure' in page
    assert "Pre-training of the encoder" in page


def test_rows_that_took_different_data_stand_in_different_tables(page):
    titles = re.findall(r"<h3>(Target data: [a-z]+)", page)
    assert titles == ["Target data: past", "Target data: none"]
    assert page.count("runs on permuted labels") == 2


def test_confusion_is_the_mean_over_people_of_their_shares(finetuned):
    run = load_run(finetuned)
    row, classes = tables(run)[0].rows[0], list(run.classes)
    shares = confusion(run.predictions, row, classes)
    assert shares.sum(axis=1) == pytest.approx(1)
    # Every person has as many trials of either class: the diagonal's mean is the mean balanced accuracy.
    assert np.trace(shares) / len(classes) == pytest.approx(row.measures["balanced_accuracy"])


def test_scores_of_the_table_are_those_that_the_run_computed(finetuned):
    run = load_run(finetuned)
    overall = run.scores.filter(pc.is_null(run.scores["person"])).to_pylist()
    for row in (row for table in tables(run) for row in table.rows):
        theirs = [
            score["balanced_accuracy"]
            for score in overall
            if (score["model"], score["target_data"], score["split"]) == (row.model, row.target_data, "test")
        ]
        assert row.measures["balanced_accuracy"] == pytest.approx(np.mean(theirs))


def test_the_overview_is_one_picture(finetuned, tmp_path):
    out = write_overview_png(finetuned, tmp_path / "images" / "demo.png")
    assert out.read_bytes().startswith(b"\x89PNG")
    assert out.stat().st_size > 50_000
