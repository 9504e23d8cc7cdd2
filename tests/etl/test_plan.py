from pathlib import Path

import pytest

from eegfm_etl import plan as planning
from eegfm_etl import provenance
from eegfm_etl.plan import jobs_of, make_plan
from eegfm_etl.recipes.eegmmidb import RECIPE
from eegfm_lake.errors import UsageError
from eegfm_lake.table import KnownSource

from .ingest_miniatures import write_corpus, write_edf


def known_from(jobs, *, failed: bool = False) -> dict[str, KnownSource]:
    """What a lake says once all these jobs have been committed."""
    found = {}
    for job in jobs:
        digest, size = provenance.sha256(job.path), provenance.size_bytes(job.path)
        found[job.rel] = KnownSource(digest, size, job.recording_id, failed, (digest,) if failed else ())
    return found


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_corpus(tmp_path, people=12, runs=(4, 8), seconds=1)
    return tmp_path


def test_patterns_match_with_and_without_suffix_and_any_of_several_counts(corpus: Path):
    def chosen(*only: str) -> int:
        return len(jobs_of(RECIPE, corpus, only))

    assert chosen() == 24
    assert chosen("S001/S001R04.edf") == chosen("S001/S001R04") == chosen("*S001R04") == 1
    assert chosen("S00?/*R04*") == 9
    assert chosen("*R04*", "S012/*") == 13


def test_a_source_without_files_of_the_data_set_says_what_was_expected(tmp_path: Path, corpus: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no file of eegmmidb was found .*physionet"):
        jobs_of(RECIPE, tmp_path / "empty", ())
    with pytest.raises(UsageError, match="is not a folder"):
        jobs_of(RECIPE, tmp_path / "absent", ())
    with pytest.raises(UsageError, match=r"none of the 24 files matches --only S9"):
        jobs_of(RECIPE, corpus, ("S9*",))


def test_what_the_lake_knows_is_skipped_without_reading_it(corpus: Path, monkeypatch: pytest.MonkeyPatch):
    jobs = jobs_of(RECIPE, corpus, ())
    known = known_from(jobs)
    read = []
    monkeypatch.setattr(planning.provenance, "sha256", lambda path: read.append(path) or "")
    plan = make_plan(jobs, known)
    assert plan.jobs == []
    assert plan.skipped == {planning.IN_LAKE: 24}
    assert read == []


def test_other_bytes_of_the_same_size_are_seen_with_rehash_alone(corpus: Path):
    jobs = jobs_of(RECIPE, corpus, ())
    known = known_from(jobs)
    changed = jobs[3].path
    data = bytearray(changed.read_bytes())
    data[-1] ^= 1
    changed.write_bytes(data)
    assert make_plan(jobs, known).jobs == []
    assert [job.path for job in make_plan(jobs, known, rehash=True).jobs] == [changed]


def test_a_file_of_another_size_is_read_again(corpus: Path):
    jobs = jobs_of(RECIPE, corpus, ())
    known = known_from(jobs)
    write_edf(jobs[0].path, seconds=2)
    assert make_plan(jobs, known).jobs == [jobs[0]]


def test_what_failed_is_tried_again_when_asked_or_when_its_bytes_have_changed(corpus: Path):
    jobs = jobs_of(RECIPE, corpus, ("S001/*",))
    known = known_from(jobs, failed=True)
    assert make_plan(jobs, known).skipped == {planning.FAILED_BEFORE: 2}
    assert make_plan(jobs, known, retry_failed=True).jobs == jobs
    jobs[0].path.write_bytes(jobs[0].path.read_bytes()[::-1])  # the same size
    assert make_plan(jobs, known).jobs == [jobs[0]]


def test_the_same_bytes_under_another_path_are_known(corpus: Path, tmp_path: Path):
    known = known_from(jobs_of(RECIPE, corpus, ()))
    jobs = jobs_of(RECIPE, corpus / "S001", ())
    assert make_plan(jobs, known).skipped == {planning.SAME_BYTES: 2}


def test_a_copy_is_skipped_and_a_rival_is_named(corpus: Path):
    original = corpus / "S001" / "S001R04.edf"
    copy, rival = corpus / "z" / "copy" / "S001R04.edf", corpus / "z" / "rival" / "S001R04.edf"
    for path in (copy, rival):
        path.parent.mkdir(parents=True)
    copy.write_bytes(original.read_bytes())
    write_edf(rival, seed=99, seconds=1)
    plan = make_plan(jobs_of(RECIPE, corpus, ()), {})
    assert len(plan.jobs) == 24
    assert plan.skipped == {planning.COPY: 1}
    ((refused, used),) = plan.rivals
    assert (refused.path, used.path) == (rival, original)
