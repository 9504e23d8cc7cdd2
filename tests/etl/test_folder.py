"""The recipe for any folder: what is a recording, what belongs to one, and the account of every file."""

import shutil
from pathlib import Path

import numpy as np
import pybv
import pytest

from eegfm_etl.ingest import ingest
from eegfm_etl.inventory import take_inventory
from eegfm_etl.recipes.folder import plan
from eegfm_lake.errors import UsageError
from eegfm_lake.query import run_sql
from eegfm_lake.table import Lake

from .format_miniatures import NAMES, RATE_HZ, smooth_uv, write_neuralynx
from .ingest_miniatures import write_edf


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two people, a BrainVision recording of three files, a hypnogram, documents, and things that are no EEG."""
    root = tmp_path / "archive"
    write_edf(root / "p1" / "s1" / "rest_1.edf", seed=1)
    write_edf(root / "p2" / "s1" / "rest_1.edf", seed=2)
    pybv.write_brainvision(
        data=smooth_uv(3) * 1e-6,
        sfreq=RATE_HZ,
        ch_names=list(NAMES),
        fname_base="night",
        folder_out=root / "p2",
    )
    write_neuralynx(root / "p2" / "deep", smooth_uv(4, channels=2, rate_hz=2000.0), {})
    (root / "p1" / "s1" / "rest_1.json").write_text("{}")
    (root / "README").write_text("Who, what, when.\n")
    (root / "README.txt").write_text("EEG of two people.\nEyes open.\n")
    (root / "participants.tsv").write_text("id\tage\np1\t20\n")
    (root / "people.csv").write_text("id,sex\np1,F\np2,M\n")
    (root / "page.edf").write_text("<html>log in</html>")
    (root / "notes.bin").write_bytes(bytes(range(32)))
    (root / "p1" / "gone.edf").symlink_to("nowhere.edf")
    (root / "p1" / "loop").symlink_to("..")
    return root


def test_a_recording_is_one_job_whatever_its_files(tree):
    found = take_inventory(tree)
    assert {entry.rel: entry.parts for entry in found.entries} == {
        "notes.bin": (),
        "p1/gone.edf": (),
        "p1/s1/rest_1.edf": (),
        "p2/deep": ("p2/deep/Cz.ncs", "p2/deep/Fz.ncs"),
        "p2/night.vhdr": ("p2/night.eeg", "p2/night.vmrk"),
        "p2/s1/rest_1.edf": (),
        "page.edf": (),
    }
    assert set(found.others) == {
        "README",
        "README.txt",
        "participants.tsv",
        "people.csv",
        "p1/s1/rest_1.json",
    }


def test_every_file_of_a_folder_is_in_the_account(tree, tmp_path):
    report = ingest(str(tmp_path / "lake"), "folder", source=tree, progress=False)
    table = {what: (heads, files) for what, heads, files in report.account.table()}
    assert table["recordings"] == (4, 3)
    assert table["parts of recordings"] == (0, 4)
    assert table["failed: read"] == (3, 3)
    assert sum(files for _, files in table.values()) == report.account.files == 15
    assert report.account.fates["p2/night.eeg"].of == "p2/night.vhdr"
    assert "web page" in report.account.fates["page.edf"].reason
    assert (report.done, report.failed) == (4, 3)
    lake = Lake.open(str(tmp_path / "lake"))
    rows = run_sql(lake, "SELECT recording_id, person, source_parts FROM recordings ORDER BY 1").to_pylist()
    assert [row["recording_id"] for row in rows] == [
        "archive/p1/s1/rest_1.edf",
        "archive/p2/deep",
        "archive/p2/night.vhdr",
        "archive/p2/s1/rest_1.edf",
    ]
    assert {row["person"] for row in rows} == {None}
    assert rows[2]["source_parts"] == ["p2/night.eeg", "p2/night.vmrk"]


def test_a_second_run_does_nothing_and_gives_the_same_account(tree, tmp_path):
    first = ingest(str(tmp_path / "lake"), "folder", source=tree, progress=False)
    again = ingest(str(tmp_path / "lake"), "folder", source=tree, progress=False)
    assert (again.done, again.failed) == (0, 0)
    assert again.account == first.account


def test_a_pattern_says_whose_recording_it_is(tree):
    jobs = plan(tree, "mine", pattern="{person}/{session}/{task}_{run}.edf")
    assert [(job.recording_id, job.person.id, job.session, job.task, job.run) for job in jobs] == [
        ("mine/p1/s1/rest/1", "p1", "s1", "rest", "1"),
        ("mine/p2/s1/rest/1", "p2", "s1", "rest", "1"),
    ]
    assert [job.person.id for job in plan(tree, "mine", pattern="{person}/**.edf")] == ["p1", "p1", "p2"]


def test_what_matches_no_pattern_is_listed_as_not_read(tree, tmp_path):
    report = ingest(
        str(tmp_path / "lake"),
        "folder",
        source=tree,
        params={"pattern": "{person}/{session}/*.edf"},
        progress=False,
    )
    assert (report.done, report.failed) == (2, 0)
    assert "page.edf" in report.account.unexplained


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"pattern": "{person}/{subject}.edf"}, "{subject} is no field"),
        ({"pattern": "*.edf"}, "needs {person}"),
        ({"columns": "C3,C4", "rate": "250"}, "--param unit=… is missing"),
        ({"columns": "C3,C4", "rate": "fast", "unit": "uV"}, "rate=fast must be a number"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(tree, params, words):
    with pytest.raises(UsageError, match=words.replace("{", r"\{").replace("}", r"\}")):
        plan(tree, "mine", **params)


def test_a_link_out_of_the_folder_is_not_followed_unless_asked(tree, tmp_path):
    outside = write_edf(tmp_path / "elsewhere" / "rest.edf", seed=9)
    (tree / "p1" / "linked.edf").symlink_to(outside)
    (job,) = (job for job in plan(tree, "mine") if job.rel == "p1/linked.edf")
    assert "outside the folder" in job.refused
    (job,) = (job for job in plan(tree, "mine", links="follow") if job.rel == "p1/linked.edf")
    assert job.refused is None


def test_a_hypnogram_beside_its_recording_is_its_annotations(tree):
    recording = write_edf(tree / "sleep" / "SC4001E0-PSG.edf", cues=())
    header = recording.read_bytes()
    hypnogram = tree / "sleep" / "SC4001EC-Hypnogram.edf"
    alone = bytearray(header[:252] + b"1   " + b"EDF Annotations ".ljust(256))
    hypnogram.write_bytes(bytes(alone))
    (entry,) = (entry for entry in take_inventory(tree).entries if entry.rel.startswith("sleep"))
    assert entry.rel == "sleep/SC4001E0-PSG.edf"
    assert entry.annotations == ("sleep/SC4001EC-Hypnogram.edf",)
    recording.unlink()
    (entry,) = (entry for entry in take_inventory(tree).entries if entry.rel.startswith("sleep"))
    assert entry.rel == "sleep/SC4001EC-Hypnogram.edf"


def test_a_table_of_a_declared_layout_becomes_a_recording(tmp_path):
    root = tmp_path / "tables"
    root.mkdir()
    np.savetxt(root / "a.csv", smooth_uv(1).T, delimiter=",", fmt="%g")
    shutil.copy(root / "a.csv", root / "b.csv")
    (root / "people.csv").write_text("id,sex\na,F\n")
    params = {"columns": "Fz,Cz,Pz,", "rate": "250", "unit": "uV", "name": "mine"}
    report = ingest(str(tmp_path / "lake"), "folder", source=root, params=params, progress=False)
    assert (report.done, report.failed) == (2, 0)
    rows = Lake.open(str(tmp_path / "lake")).recordings(["channels", "source"]).to_pylist()
    assert [channel["name"] for channel in rows[0]["channels"]] == ["Fz", "Cz", "Pz"]
    assert "declared" in rows[0]["source"]["notes"][0]
