"""The page of a real run: complete, self-contained, and quiet in a browser."""

import re
import shutil
from pathlib import Path

import pytest

from eegfm.report import write_report
from eegfm.report.run import load_run
from eegfm_lake.errors import EegfmError

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="module")
def pretrain_page(pretrained):
    return write_report(pretrained)


def test_the_page_refers_to_nothing_outside_itself(pretrain_page):
    text = pretrain_page.read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href|data|action)="(?!#|data:)[^"]*"', text)
    assert not re.findall(r"url\((?!#)[^)]*\)|@import|<script", text)


def test_a_pretraining_page_shows_curves_reconstructions_montages_spectra_and_gaps(pretrain_page):
    text = pretrain_page.read_text(encoding="utf-8")
    for name in ("pretraining", "reconstructions", "montages", "spectra"):
        assert f'id="{name}-figure' in text
    assert "unknown" in text[text.index('id="methodology"') :]
    assert "µV" in text
    assert "CC0-1.0" in text


def test_simulated_data_says_so(pretrain_page):
    text = pretrain_page.read_text(encoding="utf-8")
    assert text.index('class="simulated"') < text.index("<nav>")


def test_a_run_whose_lock_is_gone_is_still_reported(pretrained, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(pretrained, moved)
    info = (moved / "run.json").read_text()
    (moved / "run.json").write_text(re.sub(r'"path": "[^"]*"', '"path": "/nowhere/lock"', info))
    text = write_report(moved).read_text(encoding="utf-8")
    assert "could not be read" in text
    assert 'id="pretraining-figure' in text


def test_a_folder_that_is_no_run_is_an_error_in_one_line(tmp_path):
    with pytest.raises(EegfmError, match=r"run\.json"):
        load_run(tmp_path)


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium at /usr/bin/chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_in_a_browser_without_errors_or_requests(pretrain_page, scheme):
    from playwright.sync_api import sync_playwright

    said, asked = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(pretrain_page.as_uri(), wait_until="load")
        ink = page.evaluate("getComputedStyle(document.body).color")
        widths = page.evaluate(
            "[...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().width)"
        )
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [pretrain_page.as_uri()]
    assert (max(map(int, re.findall(r"\d+", ink)[:3])) > 128) == (scheme == "dark")
    assert widths
    assert min(widths) > 100
    assert overflow <= 0
