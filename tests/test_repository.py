"""What the repository promises about itself: README, contributing, packaging, continuous integration."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from eegfm.cli import build_parser
from eegfm.configfile import find
from eegfm_lake.errors import EegfmError

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def shell_lines(text):
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def inline_commands(text):
    return re.findall(r"`(eegfm [a-z]+[^`]*)`", text)


def targets():
    return re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "command", [c for c in shell_lines(README) if c.startswith("eegfm")] + inline_commands(README)
)
def test_every_eegfm_command_of_the_readme_parses(command):
    words = shlex.split(command.replace("VERB", "sql"))[1:]
    if words == ["sql", "--help"]:
        return
    options, left_over = build_parser().parse_known_args(words)
    assert not left_over
    assert options.verb == words[0]


def test_the_readme_names_configurations_and_cohorts_that_are_shipped():
    commands = [shlex.split(line) for line in shell_lines(README) if line.startswith("eegfm")]
    cohorts = {path.stem for path in (ROOT / "lake/eegfm_lake/cohorts").glob("*.sql")}
    assert {words[2] for words in commands if words[1] == "cohort"} <= cohorts
    for words in commands:
        if words[1] in ("pretrain", "finetune"):
            assert find(words[2], words[1]).is_file()


def test_the_readme_opens_with_the_picture_and_the_two_commands():
    first_screen = "\n".join(README.splitlines()[:16])
    assert re.search(r"!\[.+\]\(docs/images/demo\.png\)", first_screen)
    assert "make demo" in first_screen
    assert "make test" in first_screen


def test_make_targets_of_the_readme_exist_and_every_target_says_what_it_does():
    named = re.findall(r"\bmake ([a-z-]+)\b", " ".join(shell_lines(README)))
    assert named
    assert set(named) <= set(targets())
    wanted = [
        "setup",
        "ingest",
        "cohort",
        "pretrain",
        "finetune",
        "report",
        "demo",
        "test",
        "test-all",
        "lint",
        "bench",
    ]
    assert set(wanted) <= set(targets())


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_alone_lists_the_targets():
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in targets():
        assert target in listed


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
    ],
)
def test_links_inside_the_repository_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert ((ROOT / page).parent / link).exists(), link


def test_contributing_fits_on_a_page():
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 60


def test_the_version_is_the_same_everywhere():
    import eegfm

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["version"] == eegfm.__version__ == str(citation["version"])
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_constraints_pin_torch_and_every_direct_dependency():
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {normal(line.split("==")[0]) for line in constraints.splitlines() if "==" in line}
    assert "torch==2.13.0" in constraints
    asked = PROJECT["dependencies"] + [
        need for needs in PROJECT["optional-dependencies"].values() for need in needs
    ]
    names = {normal(re.match(r"[A-Za-z0-9_.-]+", need)[0]) for need in asked} - {"eegfm"}
    assert names <= pinned


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_doctor_knows_every_package_of_the_extras():
    from eegfm.doctor import _DISTRIBUTIONS, EXTRAS

    for extra, (_, packages) in EXTRAS.items():
        needs = PROJECT["optional-dependencies"][extra]
        asked = {normal(re.match(r"[A-Za-z0-9_.-]+", need)[0]) for need in needs} - {"eegfm"}
        known = {normal(_DISTRIBUTIONS.get(package, package)) for package in packages}
        assert asked - {"dask"} <= known | {"distributed"}


def test_continuous_integration_runs_the_readmes_test_command():
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
    assert script.rstrip().endswith("make test")
    assert "set -euo pipefail" in script


@pytest.mark.slow
def test_the_wheel_holds_configs_cohorts_sql_electrodes_and_the_page(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling is not installed: make setup installs it")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    configs = {f"eegfm/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob("configs/*/*.yaml")}
    lake = {path.relative_to(ROOT / "lake").as_posix() for path in (ROOT / "lake").rglob("*.sql")}
    assert configs
    assert configs | lake | {"eegfm_lake/electrodes.csv", "eegfm/report/page.html"} <= held
    assert not any(name.startswith(("lake/", "etl/", "tests/", "data/")) for name in held)


def test_errors_of_the_project_have_one_root():
    import eegfm_lake.errors as errors

    for name, kind in vars(errors).items():
        if name.endswith("Error"):
            assert issubclass(kind, EegfmError)
