"""Fill the lake from a data set: plan, process, commit.

Workers turn files into signal files and rows; the driver alone commits the rows, so a recording is visible
whole or not at all, and the same command goes on where an earlier one ended, however it ended.
"""

import re
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from eegfm_etl import provenance, recipes
from eegfm_etl.account import Account, account_of, print_account
from eegfm_etl.cluster import SchedulerLostError, Workers, check_workers
from eegfm_etl.downloads.fetching import source_root
from eegfm_etl.effort import warnings_of
from eegfm_etl.plan import Plan, jobs_of, make_plan
from eegfm_etl.process import (
    Outcome,
    channel_report,
    disk_is_full,
    harmonise_file,
    process_file,
)
from eegfm_etl.progress import IngestProgress, counted
from eegfm_etl.recipe import Job, Recipe
from eegfm_etl.row import Stamp, failure_row
from eegfm_etl.run_log import RunLog
from eegfm_etl.runners import outcomes
from eegfm_etl.said import IngestReport, say_plan, say_report
from eegfm_etl.workplace import sweep
from eegfm_lake import schema
from eegfm_lake.errors import EegfmError, UsageError
from eegfm_lake.gc import IngestMark
from eegfm_lake.storage import Storage
from eegfm_lake.table import KnownSource, Lake

__all__ = ["IngestReport", "channel_report", "harmonise_file", "ingest", "process_file"]

_COMMIT_ROWS = 20
_COMMIT_S = 5.0


def ingest(
    lake_uri: str | Path,
    recipe_id: str,
    *,
    source: str | Path | None = None,
    only: Sequence[str] = (),
    workers: Workers = 0,
    scheduler: str | None = None,
    retry_failed: bool = False,
    rehash: bool = False,
    list_only: bool = False,
    progress: bool = True,
    profile: str = "eeg200",
    params: Mapping[str, str] | None = None,
) -> IngestReport:
    """Read a data set's files, harmonise them and put them into the lake.

    Parameters
    ----------
    lake_uri
        Folder or ``s3://bucket/prefix``; made where there is none.
    recipe_id
        A data set of ``eegfm datasets``.
    source
        Folder that holds the files; None downloads them to ``data/sources/<id>`` where the recipe can.
    only
        Globs over the path below the source, with or without its suffix; a file that matches any is taken.
    workers
        Processes; 0 works in this one; (least, most) starts as many as the work needs.
    scheduler
        Address of a running Dask scheduler instead.
    retry_failed
        Whether files that failed before are tried again.
    rehash
        Whether files of known path and size are hashed to see if they have changed.
    list_only
        Whether to say what would be read, and read nothing.
    progress
        Whether to print.
    profile
        Which chain: one of `eegfm_lake.schema.PROFILES`.
    params
        What the recipe takes beside its folder; a generic recipe also takes ``name``, the id of the data set.

    Returns
    -------
    IngestReport

    Raises
    ------
    UsageError
        Where the data set, the source or a pattern names nothing.
    EegfmError
        Where the lake cannot be written (disk full …) or the ingest was interrupted; what was done is
        committed. So where a Dask scheduler is lost.
    """
    started = time.monotonic()
    console = Console(quiet=not progress, stderr=False)
    recipe = recipes.find(recipe_id)
    _check(profile)
    check_workers(workers, scheduler)
    root = source_root(recipe, source, only, list_only, console, dict(params or {}))
    storage = Storage(lake_uri)
    recipe, given = _named(recipe, root, dict(params or {}))
    jobs = jobs_of(recipe, root, only, given)
    plan = make_plan(jobs, _known(storage, recipe.id, profile), retry_failed=retry_failed, rehash=rehash)
    say_plan(console, recipe, plan, len(jobs), list_only)
    skipped = dict(plan.skipped)
    if list_only or not (plan.jobs or plan.rivals):
        listed = tuple(job.rel for job in plan.jobs) if list_only else ()
        account = None if list_only else _account(recipe, root, storage, profile, console)
        took = time.monotonic() - started
        return IngestReport(0, skipped, 0, took, 0.0, listed, account=account, dataset=recipe.id)
    ingest_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    stamp = _stamp(recipe, recipe_id, ingest_id)
    lake = Lake.open(storage, create=True)
    sweep()
    with IngestMark(lake, ingest_id) as mark, RunLog(storage, ingest_id) as log:
        log.write(
            "start",
            recipe=recipe.id,
            version=recipe.version,
            source=str(root),
            jobs=len(plan.jobs),
            skipped=skipped,
        )
        committer = Committer(lake, mark, log)
        _run(plan, stamp, storage.uri, profile, workers, scheduler, committer, console)
        log.write(
            "end", done=committer.done, failed=len(committer.failures), seconds=time.monotonic() - started
        )
    report = IngestReport(
        committer.done, skipped, len(committer.failures), time.monotonic() - started, committer.hours,
        failures=tuple(committer.failures), ingest_id=ingest_id, log=log.path,
        account=_account(recipe, root, storage, profile, console),
        failed_steps=dict(committer.failed_steps), dataset=recipe.id,
    )  # fmt: skip
    say_report(console, report)
    return report


@dataclass
class Committer:
    """The one committer of an ingest: rows in batches, the mark kept alive, the log written along."""

    lake: Lake
    mark: IngestMark
    log: RunLog
    done: int = 0
    hours: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)
    _rows: list[dict[str, Any]] = field(default_factory=list)
    failed_steps: Counter[str] = field(default_factory=Counter)
    _failed_rows: list[dict[str, Any]] = field(default_factory=list)
    _committed: float = field(default_factory=time.monotonic)

    def take(self, outcome: Outcome | None) -> None:
        """Take what became of a job (None: some seconds passed) and commit when it is time to."""
        if outcome is not None and outcome.row is not None:
            self._rows.append(outcome.row)
            self.log.write(
                "recording",
                path=outcome.job.rel,
                recording_id=outcome.job.recording_id,
                hours=round(outcome.row["duration_s"] / 3600, 6),
                bytes=outcome.row["source"]["bytes"],
                **outcome.effort.facts(),
                warnings=warnings_of(outcome.row),
                personal_fields_left_out=len(outcome.row["source"]["personal"]),
            )
        elif outcome is not None and outcome.failure is not None:
            self._failed_rows.append(outcome.failure)
            self.log.write(
                "failure",
                path=outcome.job.rel,
                step=outcome.failure["step"],
                reason=outcome.failure["reason"],
                bytes=outcome.failure["bytes"],
                **outcome.effort.facts(),
            )
        pending = len(self._rows) + len(self._failed_rows)
        if pending >= _COMMIT_ROWS or time.monotonic() - self._committed > _COMMIT_S:
            self.commit()

    def commit(self) -> None:
        """Make everything taken so far visible."""
        self._committed = time.monotonic()
        self.mark.beat()
        if self._rows:
            self.lake.commit_recordings(self._rows)
            self.done += len(self._rows)
            self.hours += sum(row["duration_s"] for row in self._rows) / 3600
            self._rows.clear()
        if self._failed_rows:
            self.lake.commit_failures(self._failed_rows)
            self.failures += [(row["path"], row["reason"]) for row in self._failed_rows]
            self.failed_steps.update(row["step"] for row in self._failed_rows)
            self._failed_rows.clear()


def _run(
    plan: Plan, stamp: Stamp, lake_uri: str, profile: str, workers: Workers, scheduler: str | None,
    committer: Committer, console: Console,
) -> None:  # fmt: skip
    for job, used in plan.rivals:
        committer.take(_rival(job, used, stamp, profile))
    total_bytes = sum(provenance.size_bytes(job.path) for job in plan.jobs)
    with IngestProgress(console, stamp.dataset, len(plan.jobs), total_bytes) as bar:
        work = outcomes(
            plan.jobs, stamp, lake_uri, profile,
            workers=workers, scheduler=scheduler, on_workers=bar.workers,
        )  # fmt: skip
        try:
            with closing(work):
                for outcome in work:
                    committer.take(outcome)
                    _advance(bar, outcome)
            committer.commit()
        except KeyboardInterrupt:
            committer.commit()
            raise EegfmError(f"interrupted: {_kept(committer)}") from None
        except SchedulerLostError as error:
            committer.commit()
            raise EegfmError(f"{error}: {_kept(committer)}") from error
        except (EegfmError, OSError) as error:
            if not disk_is_full(error):
                committer.commit()
                raise
            _commit_if_it_fits(committer, error)
            words = str(error).partition(";")[0]
            raise EegfmError(f"disk full ({words}): free space; {_kept(committer)}") from error


def _advance(bar: IngestProgress, outcome: Outcome | None) -> None:
    if outcome is None:
        bar.tick()
    elif outcome.row is not None:
        bar.advance(outcome.row["duration_s"] / 3600, False, outcome.row["source"]["bytes"])
    elif outcome.failure is not None:
        bar.advance(0.0, True, outcome.failure["bytes"])


def _kept(committer: Committer) -> str:
    return (
        f"{counted(committer.done, 'recording')} of this run {'is' if committer.done == 1 else 'are'} in the lake; "
        "the same command goes on with the rest"
    )


def _commit_if_it_fits(committer: Committer, full: BaseException) -> None:
    try:
        committer.commit()
    except (EegfmError, OSError) as error:  # no room for the table either: these files come again next time
        full.add_note(f"what was done last was not committed: {error}")


def _rival(job: Job, used: Job, stamp: Stamp, profile: str) -> Outcome:
    reason = (
        f"{job.rel} and {used.rel} both claim to be {job.recording_id} and differ; {used.rel} is used: "
        "remove the wrong one, or choose with --only"
    )
    return Outcome(job, failure=failure_row(job, stamp, profile, "plan", reason))


def _check(profile: str) -> None:
    if profile not in schema.PROFILES:
        raise UsageError(f"unknown profile {profile!r}; known are {', '.join(schema.PROFILES)}")


def _named(recipe: Recipe, root: Path, params: dict[str, str]) -> tuple[Recipe, dict[str, str]]:
    """Give a generic recipe the id of the data set that it reads: ``name``, else made of the folder's name."""
    if not recipe.generic:
        return recipe, params
    about: Mapping[str, Any] = {} if recipe.describe is None else recipe.describe(root)
    of_folder = re.sub(r"[^a-z0-9_-]+", "_", root.name.lower()).strip("_-")
    name = params.pop("name", None) or of_folder or recipe.id
    namespace = params.pop("namespace", name)
    return replace(recipe, id=name, namespace=namespace, **about), {**params, "dataset": name}


def _account(recipe: Recipe, root: Path, storage: Storage, profile: str, console: Console) -> Account | None:
    if not recipe.accounts_for_every_file:
        return None
    account = account_of(root, Lake.open(storage), recipe.id, profile)
    print_account(console, account)
    return account


def _known(storage: Storage, dataset: str, profile: str) -> dict[str, KnownSource]:
    try:
        lake = Lake.open(storage)
    except UsageError:  # no lake yet: it is made when there is something to put in
        return {}
    known = lake.known_sources(dataset, profile)
    stored = {entry.rel for entry in storage.list(f"signals/{dataset}")}
    # A recording whose signals are gone is read again: that is how a lock gets them back.
    return {path: one for path, one in known.items() if one.signal_file is None or one.signal_file in stored}


def _stamp(recipe: Recipe, recipe_id: str, ingest_id: str) -> Stamp:
    return Stamp(
        dataset=recipe.id,
        namespace=recipe.namespace,
        licence=recipe.licence,
        citation=recipe.citation,
        start_time_note=recipe.start_time_note,
        ingest={
            "id": ingest_id,
            "time": datetime.now(UTC).isoformat(timespec="microseconds"),
            "recipe": recipe_id,
            "version": recipe.version,
        },
    )
