"""The console script, run as people run it: real processes on a tiny lake."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from eegfm.cli import build_parser, main
from eegfm.commands import STAGES
from eegfm.commands.reference import reference
from tests.lake.tiny import write_tiny_lake

ROOT = Path(__file__).parents[2]
EEGFM = Path(sys.executable).with_name("eegfm")
VERBS = [verb for verbs in STAGES.values() for verb in verbs]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "lake"
    write_tiny_lake(path, people=4, runs=1, trials=6)
    return path


def run(*arguments, lake=None, cwd=None, **environment):
    command = [str(EEGFM), *map(str, arguments), *(["--lake", str(lake)] if lake else [])]
    env = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=120, check=False)


def refusal(capsys, *arguments):
    """Exit status and the one line on stderr of a verb run in this process."""
    status = main([str(argument) for argument in arguments])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("eegfm: error: ")
    return status, lines[0]


def test_help_returns_in_under_a_second_and_lists_every_verb():
    started = time.perf_counter()
    helped = run("--help")
    assert time.perf_counter() - started < 1.0
    assert helped.returncode == 0
    for verb in VERBS:
        assert re.search(rf"^  {verb.name}\s+{re.escape(verb.summary)}$", helped.stdout, re.MULTILINE)


def test_help_imports_nothing_heavy():
    heavy = {"torch", "numpy", "pyarrow", "mne", "duckdb", "rich", "pydantic", "matplotlib"}
    code = f"import sys, eegfm.cli; eegfm.cli.build_parser(); print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_has_examples_that_parse_and_a_documented_function(verb):
    assert verb.run.__doc__
    assert verb.examples
    for example in verb.examples:
        import shlex

        words = shlex.split(re.sub(r"\s{2,}\(.*\)$|\s>.*$", "", example))
        options, left_over = build_parser().parse_known_args(words[1:])
        assert options.verb == verb.name
        assert not left_over


def test_the_documentation_of_the_command_line_is_its_help():
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference()


def test_sql_answers_in_every_format(lake, tmp_path):
    statement = "SELECT person, recordings FROM people ORDER BY person"
    table = run("sql", statement, lake=lake).stdout
    assert table.splitlines()[0].split() == ["person", "recordings"]
    rows = list(csv.DictReader(io.StringIO(run("sql", statement, "--format", "csv", lake=lake).stdout)))
    assert rows == [{"person": f"tiny/P0{i}", "recordings": "1"} for i in range(1, 5)]
    listed = json.loads(run("sql", statement, "--format", "json", lake=lake).stdout)
    assert [row["person"] for row in listed] == [row["person"] for row in rows]
    out = tmp_path / "people.parquet"
    assert run("sql", statement, "--format", "parquet", "--out", out, lake=lake).returncode == 0
    assert pq.read_table(out).to_pylist() == listed


def test_sql_without_a_statement_shows_views_columns_and_examples_that_run(lake):
    helped = run("sql", lake=lake).stdout
    assert re.search(r"^events$", helped, re.MULTILINE)
    assert re.search(r"^  onset_s +DOUBLE$", helped, re.MULTILINE)
    examples = re.findall(r'^    eegfm sql "(.+)"$', helped, re.MULTILINE)
    assert examples
    for statement in examples:
        answered = run("sql", statement, lake=lake)
        assert answered.returncode == 0, answered.stderr


def test_the_lake_is_named_by_option_else_variable_else_the_default(lake, tmp_path):
    count = ("sql", "SELECT count(*) AS n FROM recordings", "--format", "csv")
    assert run(*count, lake=lake, EEGFM_LAKE="/nowhere").stdout == "n\n4\n"
    assert run(*count, EEGFM_LAKE=str(lake)).stdout == "n\n4\n"
    missing = run(*count, cwd=tmp_path, EEGFM_LAKE="")
    assert missing.returncode == 2
    assert "data/lake" in missing.stderr


def test_show_prints_a_recording_for_people_and_draws_it(lake, tmp_path):
    shown = run("show", "tiny/P01/R1", "--png", tmp_path / "p.png", "--html", tmp_path / "p.html", lake=lake)
    assert shown.returncode == 0, shown.stderr
    for heading in ("methodology", "chain", "quality", "events", "channels", "head"):
        assert re.search(rf"^{heading}$", shown.stdout, re.MULTILINE)
    assert "motor/imagery/left_fist" in shown.stdout
    assert "Cz (declared)" in shown.stdout
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert "http" not in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_cohort_prints_windows_and_people_per_label_and_is_found_again(lake, tmp_path):
    query = tmp_path / "fists.sql"
    query.write_text(
        "SELECT recording_id, start, seconds, label FROM trials('motor/imagery/*', 0, 4)", encoding="utf-8"
    )
    first, second = run("cohort", query, lake=lake), run("cohort", query, lake=lake)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("wrote ")
    assert second.stdout == first.stdout.replace("wrote", "found", 1)
    counts = [line.split() for line in first.stdout.splitlines() if "motor/imagery" in line]
    assert len(counts) == 2
    assert all("4" in words and "12" in words for words in counts)  # people, windows


def test_cohort_without_a_query_lists_the_library(lake):
    listed = run("cohort", lake=lake).stdout
    for name in ("pretrain_30s", "pretrain_4s", "eegmmidb_left_right", "reference_known"):
        assert re.search(rf"^{name}\b", listed, re.MULTILINE)


def test_datasets_and_doctor_say_what_is_there():
    assert re.search(r"^eegmmidb +109 ", run("datasets").stdout, re.MULTILINE)
    examined = run("doctor").stdout
    assert all(f"[{extra}]" in examined for extra in ("lake", "etl", "decode", "report"))
    assert re.search(r"^device +\S", examined, re.MULTILINE)
    assert re.search(r"^torchaudio +\d", examined, re.MULTILINE)


def test_gc_counts_without_removing(lake):
    before = sorted(lake.rglob("*.parquet"))
    collected = run("gc", "--dry-run", lake=lake)
    assert collected.returncode == 0, collected.stderr
    assert "would remove 0" in collected.stdout
    assert sorted(lake.rglob("*.parquet")) == before


def test_an_unknown_verb_or_data_set_suggests_the_right_one(capsys, lake, tmp_path):
    assert refusal(capsys, "ingst") == (
        2,
        'eegfm: error: unknown verb "ingst"; did you mean "ingest"? (eegfm --help lists all 12)',
    )
    status, line = refusal(capsys, "ingest", "eegmidb", "--lake", tmp_path / "new")
    assert status == 2
    assert "did you mean eegmmidb?" in line


def test_an_empty_source_is_wrong_use(capsys, tmp_path):
    status, line = refusal(capsys, "ingest", "eegmmidb", "--source", tmp_path, "--lake", tmp_path / "lake")
    assert status == 2
    assert str(tmp_path) in line
    assert not (tmp_path / "lake").exists()


def test_an_ingest_of_which_nothing_became_a_recording_fails_and_says_where_to_read_why(capsys, tmp_path):
    (tmp_path / "S001R04.edf").touch()
    into = tmp_path / "lake"
    status, line = refusal(capsys, "ingest", "eegmmidb", "--source", tmp_path, "--lake", into)
    assert status == 1
    assert "no file became a recording, 1 failed" in line
    assert f'FROM failures" --lake {into}' in line


def test_part_of_a_recording_s_name_finds_it(capsys, lake):
    status, line = refusal(capsys, "show", "p01", "--lake", lake)
    assert status == 2
    assert "did you mean tiny/P01/R1?" in line


def test_sql_with_a_typo_suggests_the_right_column(capsys, lake):
    status, line = refusal(capsys, "sql", "SELECT persn FROM recordings", "--lake", lake)
    assert status == 2
    assert "person" in line


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE recordings",
        "COPY (SELECT 1) TO '{lake}/recordings/x.csv'",
        "WITH x AS (COPY (SELECT 1) TO '{lake}/x.csv') SELECT 1",
        "SELECT * FROM read_blob('{lake}/lake.json')",
        "SELECT 1; SELECT 2",
    ],
)
def test_sql_that_is_no_select_over_the_views_is_refused_and_changes_nothing(capsys, lake, statement):
    before = {path: path.stat().st_mtime_ns for path in lake.rglob("*")}
    status, _ = refusal(capsys, "sql", statement.format(lake=lake), "--lake", lake)
    assert status == 2
    assert {path: path.stat().st_mtime_ns for path in lake.rglob("*")} == before


def test_a_cohort_without_windows_is_refused(capsys, lake, tmp_path):
    query = tmp_path / "none.sql"
    query.write_text("SELECT recording_id, start, seconds FROM windows(4, 4) WHERE person = 'nobody'")
    status, line = refusal(capsys, "cohort", query, "--lake", lake)
    assert status in (1, 2)
    assert "window" in line


def test_a_misspelt_key_of_a_config_is_answered_with_the_right_one(capsys, lake, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("name: x\nlock: y\nsteps: 5\noptimizer: {lr: 0.1}\n")
    status, line = refusal(capsys, "pretrain", config, "--lake", lake)
    assert status == 2
    assert "optimizer" in line
    assert "optimiser" in line


def test_a_run_folder_that_is_none_says_what_was_expected(capsys, tmp_path):
    status, line = refusal(capsys, "report", tmp_path)
    assert status == 1
    assert "run.json" in line


def test_debug_adds_the_traceback_and_keeps_the_line(lake):
    failed = run("sql", "SELECT persn FROM recordings", "--debug", lake=lake)
    assert failed.returncode == 2
    assert "Traceback" in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("eegfm: error: ")


def test_an_option_may_stand_before_overrides(capsys, lake, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("name: x\nlock: y\nsteps: 5\n")
    status, line = refusal(capsys, "pretrain", config, "--lake", lake, "steps=many")
    assert status == 2
    assert "steps" in line
    status, line = refusal(capsys, "pretrain", config, "--steps", "3")
    assert (status, "--steps" in line) == (2, True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_one_line(capsys, lake):
    status, line = refusal(
        capsys, "sql", "SELECT 1 AS x", "--format", "csv", "--out", "/dev/full", "--lake", lake
    )
    assert status == 1
    assert "/dev/full: no space left on the device; free some" in line


def test_a_closed_pipe_is_no_failure(lake):
    command = f"{EEGFM} sql 'SELECT * FROM channels' --format csv --lake {lake} | head -1"
    piped = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert piped.stdout.startswith("recording_id") or "," in piped.stdout
    assert piped.stderr == ""
