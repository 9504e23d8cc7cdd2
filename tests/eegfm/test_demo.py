"""The demo shows what it promises, and a second one does nothing twice."""

import time
from pathlib import Path

import pytest

from eegfm.config import FinetuneConfig, PretrainConfig, load_config
from eegfm.demo import LEFT_OUT, DemoResult, describe_result, run_demo


def _result(**changes) -> DemoResult:
    made_up = {
        "oracle": 0.9,
        "scores": [
            {"model": "csp_lda", "target_data": "past", "balanced_accuracy": 0.71, "people": 12},
            {"model": "CSBrain", "target_data": "none", "balanced_accuracy": 0.8, "people": 12},
        ],
        "csbrain": 0.8,
        "chance": 0.501,
        "left_out_correct": 30,
        "left_out_trials": 40,
        "report": Path("report.html"),
        "picture": Path("demo.png"),
    }
    return DemoResult(**(made_up | changes))


def test_the_margin_is_measured_from_one_half_to_the_oracle():
    assert _result().share_of_margin == pytest.approx(0.75)
    assert _result(csbrain=0.5).share_of_margin == 0
    assert _result(csbrain=0.9).share_of_margin == pytest.approx(1)


def test_the_table_goes_from_the_oracle_through_the_decoders_to_chance_and_says_simulated():
    lines = describe_result(_result()).splitlines()
    assert "simulated" in lines[0]
    assert [line.split()[0] for line in lines[2:-1]] == ["oracle", "CSBrain", "csp_lda", "chance"]
    assert "0.800" in lines[3]
    assert "75%" in lines[-1]


def test_the_shipped_configurations_agree_on_who_is_tested_and_left_out():
    finetune = load_config("finetune/demo", FinetuneConfig)
    assert f"sim/{LEFT_OUT}" not in finetune.protocol.test_people
    assert {person[4] for person in finetune.protocol.test_people} == {"A", "B", "C"}
    assert finetune.permutations == 20
    pretrain = load_config("pretrain/demo", PretrainConfig)
    assert pretrain.reader.reference == finetune.reader.reference
    assert pretrain.reader.bad == finetune.reader.bad


@pytest.mark.slow
def test_the_demo_decodes_unseen_people_and_a_second_one_does_nothing_twice(tmp_path):
    lines: list[str] = []
    first = run_demo(tmp_path, say=lines.append)
    assert 0.8 <= first.oracle <= 0.95
    assert first.share_of_margin >= 0.5
    assert abs(first.chance - 0.5) <= 0.03
    assert first.left_out_trials == 40
    assert first.left_out_correct >= 26  # binomial 95 % of 40 coins
    assert first.report.exists()
    assert first.picture.exists()

    made = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in (".html", ".png")]
    before = {path: path.stat().st_mtime_ns for path in made}
    again: list[str] = []
    started = time.monotonic()
    second = run_demo(tmp_path, say=again.append)
    assert time.monotonic() - started < 120
    assert second.scores == first.scores
    assert sum("already there" in line for line in again) == 6
    assert {path: path.stat().st_mtime_ns for path in made} == before
