"""The benchmark of the encoder: what it compares with, how it fits growth, and that it runs, part by part."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.append(str(BENCHMARKS))

from model_speed.cases import Case, patches, prepare  # noqa: E402
from model_speed.growth import exponent  # noqa: E402
from model_speed.racing import gflop_of  # noqa: E402
from model_speed.report import RELEASED_GFLOP, verdict  # noqa: E402


def test_the_released_network_multiplies_no_more_than_its_architecture_asks_for():
    assert gflop_of(Case("official", 19, 30)) == pytest.approx(RELEASED_GFLOP, rel=0.01)


@given(power=st.floats(-3, 3), factor=st.floats(0.01, 100))
def test_the_exponent_of_a_power_law_is_its_power(power, factor):
    sizes = [4, 8, 15, 30, 60]
    values = [factor * size**power for size in sizes]
    assert exponent(sizes, values) == pytest.approx(power, abs=1e-6)
    assert exponent(sizes, [None, *values[1:]], 3) == pytest.approx(power, abs=1e-6)


@pytest.mark.parametrize(
    "case",
    [
        Case("ours", 19, 4, 2, size="tiny", short=True),
        Case("ours", 24, 6, 4, size="tiny", attention="dense", checkpointing=True, micro=2),
        Case("ours", 19, 5, 1, size="tiny", task="classify"),
        Case("official", 64, 4, 1, size="tiny"),
        Case("official", 64, 4, 1, size="tiny", training=False),
    ],
    ids=lambda case: f"{case.label} {case.windows}",
)
def test_a_timed_step_leaves_no_gradient_to_the_next(case):
    model, step = prepare(case)
    step()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training == case.training


def test_short_windows_have_fifteen_patches_by_default_and_four_at_equal_tokens():
    assert patches(Case(channels=64, seconds=4, short=True)) == 15
    assert patches(Case(channels=64, seconds=4)) == patches(Case("official", 64, 4)) == 4


@pytest.mark.parametrize(
    ("relation", "value", "met"),
    [("≥", 1.6, "yes"), ("≥", 1.4, "**no**"), ("≤", 1.4, "yes"), ("≤", 1.6, "**no**"), ("≥", "no GPU", "")],
)
def test_a_target_is_met_on_its_side_of_the_bound_and_open_where_nothing_was_measured(relation, value, met):
    assert verdict("speed", relation, value, "1.5")[-1] == met


@pytest.mark.slow
def test_a_quick_run_writes_the_table_and_finds_its_parts_again(tmp_path):
    def run(*arguments):
        command = [
            sys.executable,
            BENCHMARKS / "bench_model.py",
            "--quick",
            "--threads",
            "1",
            "--rounds",
            "1",
        ]
        return subprocess.run(
            [*command, "--runs", tmp_path, "--results", tmp_path / "table", *arguments],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )

    first = run("--parts", "floors,base,growth,gpu")
    table = (tmp_path / "table" / "model.md").read_text(encoding="utf-8")
    assert table in first.stdout
    assert "| 64 × 4 | training | ours, tiny, 0.5-s patches | 2 |" in table
    assert (tmp_path / "table" / "growth.png").read_bytes().startswith(b"\x89PNG")
    again = run("--parts", "base,growth")
    assert again.stderr.count(": found in ") == 2
    assert (tmp_path / "table" / "model.md").read_text(encoding="utf-8") == table
