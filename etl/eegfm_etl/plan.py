"""Which files an ingest will read, and why it leaves the others alone."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eegfm_etl import provenance
from eegfm_etl.recipe import Job, Recipe, wanted
from eegfm_etl.source import SourceError
from eegfm_lake.errors import UsageError
from eegfm_lake.table import KnownSource

IN_LAKE = "already in the lake"
SAME_BYTES = "already in the lake from another path"
FAILED_BEFORE = "failed before (--retry-failed tries again)"
COPY = "a copy of another file of this source"


@dataclass(frozen=True)
class Plan:
    """What to do, what not and why, and which files claim a recording that another file is."""

    jobs: list[Job]
    skipped: Counter[str]
    rivals: list[tuple[Job, Job]]  # (refused, the one that is used instead)


def jobs_of(
    recipe: Recipe, source: Path, only: Sequence[str], params: Mapping[str, str] | None = None
) -> list[Job]:
    """List the recipe's jobs below a source root that match any of the patterns (all, without patterns).

    A pattern is a glob over the path below the root, with or without its suffix; ``*`` also matches ``/``.
    `params` go to the recipe's plan.

    Raises
    ------
    UsageError
        Where the root is no folder, holds none of the recipe's files, or no file matches; where the recipe takes
        no such parameter.
    """
    if not source.is_dir():
        raise UsageError(
            f"--source {source} is not a folder; name the folder that holds the files of {recipe.id}"
        )
    params = dict(params or {})
    known = [*recipe.params, *(["dataset"] if recipe.generic else [])]
    if unknown := sorted(set(params) - set(known)):
        raise UsageError(
            f"{recipe.id} takes no --param {unknown[0]}; it takes {', '.join(recipe.params) or 'none'}"
        )
    jobs = recipe.plan(source, **params)
    if not jobs:
        raise UsageError(
            f"no file of {recipe.id} was found below {source}; "
            f"the recipe expects the layout of {recipe.layout_source}"
        )
    chosen = [job for job in jobs if wanted(job.rel, only)]
    if not chosen:
        raise UsageError(
            f"none of the {len(jobs)} files matches --only {' '.join(only)}; the first is {jobs[0].rel}"
        )
    return chosen


def make_plan(
    jobs: Iterable[Job], known: Mapping[str, KnownSource], *, retry_failed: bool = False, rehash: bool = False
) -> Plan:
    """Leave out what the lake knows already.

    A file of known path and size is taken for known without reading it, unless `rehash`; one that failed
    before, and one of another size, is hashed.
    """
    plan = Plan([], Counter(), [])
    by_recording = {one.recording_id: one for one in known.values() if not one.failed}
    claimed: dict[str, Job] = {}
    for job in sorted(jobs, key=lambda job: (job.rel.count("/"), job.rel)):
        if reason := _reason_to_skip(job, known.get(job.rel), by_recording, retry_failed, rehash):
            plan.skipped[reason] += 1
            claimed.setdefault(job.recording_id, job)
            continue
        rival = claimed.setdefault(job.recording_id, job)
        if rival is job:
            plan.jobs.append(_beside_the_lake(job, by_recording.get(job.recording_id)))
        elif _digest(rival) == _digest(job):
            plan.skipped[COPY] += 1
        else:
            plan.rivals.append((job, rival))
    plan.jobs.sort(key=lambda job: job.rel)
    return plan


def _reason_to_skip(
    job: Job,
    known: KnownSource | None,
    by_recording: Mapping[str | None, KnownSource],
    retry_failed: bool,
    rehash: bool,
) -> str | None:
    size = provenance.size_bytes(job.path)
    if known is None:
        twin = by_recording.get(job.recording_id)
        return SAME_BYTES if twin and twin.bytes == size and twin.sha256 == _digest(job) else None
    if not known.failed and known.bytes == size and not rehash:
        return IN_LAKE
    digest = _digest(job)
    if not known.failed and known.sha256 == digest:
        return IN_LAKE
    if digest in known.failed_sha256:
        return None if retry_failed else FAILED_BEFORE
    return None


def _beside_the_lake(job: Job, there: KnownSource | None) -> Job:
    """Note where the lake holds the recording from more bytes than the file has now."""
    if there is None or there.bytes is None or there.bytes <= provenance.size_bytes(job.path):
        return job
    return replace(job, whole_bytes=there.bytes)


def _digest(job: Job) -> str:
    """SHA-256 of the job's bytes; empty where it cannot be read, as its failure row will have it."""
    try:
        return provenance.sha256(job.path)
    except SourceError:
        return ""
