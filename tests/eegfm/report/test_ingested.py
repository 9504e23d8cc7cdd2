"""The page of an ingest: everything that became of the files, in one file."""

import re
import shutil
from pathlib import Path

import pytest

from eegfm.cli import main
from eegfm.report.ingested import look
from eegfm_etl.run_log import logs_of
from eegfm_lake.errors import EegfmError
from eegfm_lake.table import Lake
from tests.etl.ingest_miniatures import write_corpus

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="module")
def ingested(tmp_path_factory) -> Path:
    """A folder with a lake of four recordings and three failures, and its page."""
    folder = tmp_path_factory.mktemp("ingested")
    write_corpus(folder / "source", people=2, seconds=20)
    whole = (folder / "source" / "S001" / "S001R04.edf").read_bytes()
    for person in (3, 4):
        (folder / "source" / f"S00{person}R04.edf").write_bytes(whole[: 1500 + 100 * person])
    (folder / "source" / "S005R04.edf").write_bytes(b"<html>404 <b>Not Found</b></html>")
    asked = ["--source", str(folder / "source"), "--lake", str(folder / "lake")]
    assert not main(["ingest", "eegmmidb", *asked, "--report", str(folder / "pages" / "page.html")])
    return folder


def test_the_page_counts_failures_by_reason_and_shows_quality_montages_methodology_and_throughput(
    ingested: Path,
):
    text = (ingested / "pages" / "page.html").read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href|data|action)="(?!#|data:)[^"]*"', text)
    assert not re.findall(r"url\((?!#)[^)]*\)|@import|<script", text)
    for name in ("quality", "spectra", "montages", "coverage", "effort"):
        assert f'id="{name}-figure' in text
    assert "4 recordings are in the lake, 3 files could not be read" in text
    assert "<code>S003R04.edf</code><br><code>S004R04.edf</code>" in text
    assert "Wadsworth Center, Albany" in text
    assert "ODC-BY-1.0" in text


def test_failures_that_differ_in_names_and_numbers_are_one_reason(ingested: Path):
    lake = Lake.open(ingested / "lake")
    found = look(lake, "eegmmidb", "eeg200", logs_of(lake.storage, "eegmmidb"))
    assert [(one.step, one.files, one.examples) for one in found.failed] == [
        ("read", 2, ("S003R04.edf", "S004R04.edf")),
        ("read", 1, ("S005R04.edf",)),
    ]
    assert found.failed[1].reason.startswith("it is a web page (HTML)")
    assert found.origins == {"template": 24}
    assert found.coverage["line_freq"] == {"declared": 4}
    assert [len(one.names) for one in found.montages] == [6]
    (ingest,) = found.ingests
    assert (ingest.done, ingest.failed, ingest.finished) == (4, 3, True)
    assert set(ingest.steps) == {"open", "harmonise", "describe", "store"}
    assert ingest.hours == pytest.approx(4 * 20 / 3600, rel=1e-3)


def test_with_nothing_left_to_do_only_the_page_is_drawn(ingested: Path, capsys):
    asked = ["--source", str(ingested / "source"), "--lake", str(ingested / "lake")]
    assert not main(["ingest", "eegmmidb", *asked, "--report", str(ingested / "again.html")])
    assert "nothing to do; the lake was not touched" in capsys.readouterr().out
    assert "4 not read this time: already in the lake" in (ingested / "again.html").read_text(
        encoding="utf-8"
    )


def test_a_lake_without_the_data_set_and_a_page_that_cannot_be_written_are_told_in_a_line(
    ingested: Path, capsys
):
    lake = Lake.open(ingested / "lake")
    with pytest.raises(EegfmError, match="holds nothing of tuab"):
        look(lake, "tuab", "eeg200", {})
    asked = ["--source", str(ingested / "source"), "--lake", str(ingested / "lake")]
    assert (
        main(["ingest", "eegmmidb", *asked, "--report", str(ingested / "lake" / "lake.json" / "x.html")]) == 1
    )
    assert "could not be written" in capsys.readouterr().err
    assert main(["ingest", "eegmmidb", *asked, "--list", "--report", "x.html"]) == 2


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium at /usr/bin/chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_in_a_browser_without_errors_requests_or_overflow(ingested: Path, scheme):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(color_scheme=scheme, viewport={"width": 1100, "height": 900})
        errors, requests = [], []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((ingested / "pages" / "page.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        browser.close()
    assert errors == []
    assert len(requests) == 1
