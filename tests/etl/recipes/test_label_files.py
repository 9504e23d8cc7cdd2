"""Whatever a label file holds, a plan is made, and every event it gives has a time and a length."""

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm_etl import recipes

from .clinical_miniatures import write_edf

# Recipe, recording, label file, and pieces of which such a file consists.
CASES = {
    "tuev": (
        "edf/train/aaaaaaar/aaaaaaar_00000001.edf",
        "edf/train/aaaaaaar/aaaaaaar_00000001.rec",
        ["1", "3.5", ",", "\n", "-1", "nan", "inf", "6", "x", "²"],
    ),
    "tusl": (
        "edf/aaaaaaju/s005_2010_10_05/01_tcp_ar/aaaaaaju_s005_t000.edf",
        "edf/aaaaaaju/s005_2010_10_05/01_tcp_ar/aaaaaaju_s005_t000.tse_agg",
        ["version = tse_v1.0.0", "0.0 10.0 bckg 1.0", "\n", "10.0", "1.2.3", " ", "slow", "1.0", "é"],
    ),
    "chb_mit": (
        "chb01/chb01_03.edf",
        "chb01/chb01-summary.txt",
        [
            *(
                "File Name: chb01_03.edf",
                "\n",
                "Number of Seizures in File: 1",
                "Seizure Start Time: 2 seconds",
            ),
            *("Seizure End Time: 3 seconds", "Seizure 2 Start Time: 1.2.3 seconds", "File Name:", "²"),
        ],
    ),
    "siena": (
        "PN00/PN00-1.edf",
        "PN00/Seizures-list-PN00.txt",
        [
            *("Seizure n 1", "\n", "File name: PN00-1.edf", "Seizure start time: 00.00.02", "99.99.99", "0"),
            *("Seizure end time: 00.00.03", "Seizure end time:", "File name: PN00", "File name:", "\u0663"),
        ],
    ),
    "isruc": ("subgroupI/7/7.edf", "subgroupI/7/7_1.txt", ["0", "5", "\n", "x", "é", " "]),
    "sleep_edf": (
        "SC4001E0-PSG.edf",
        "SC4001EC-Hypnogram.edf",
        ["0       ", "1", " " * 60, "EDF Annotations ", "+0\x14\x14\x00", "+30\x1530\x14Sleep stage W\x14"],
    ),
}


@pytest.mark.parametrize("recipe_id", CASES)
def test_no_label_file_stops_a_plan(recipe_id: str):
    recording, labels, pieces = CASES[recipe_id]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_edf(root / recording, ["EEG FP1-REF", "EEG FP2-REF"], rate_hz=100, seconds=4)

        @settings(max_examples=60, deadline=None)
        @given(st.lists(st.one_of(st.sampled_from(pieces), st.text(max_size=5)), max_size=12))
        def planned(chosen):
            (root / labels).write_text("".join(chosen), encoding="utf-8", errors="replace")
            (job,) = recipes.find(recipe_id).plan(root)
            for event in job.more_events:
                assert math.isfinite(event.onset_s)
                assert event.onset_s >= 0
                assert event.duration_s is not None
                assert 0 <= event.duration_s < math.inf
            assert job.refused is None or job.more_events == ()

        planned()
