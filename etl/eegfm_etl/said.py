"""What an ingest says: before it begins, and at its end."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console

from eegfm_etl.account import Account
from eegfm_etl.plan import Plan
from eegfm_etl.progress import counted
from eegfm_etl.recipe import Recipe

_FAILURES_SHOWN = 10
_LISTED = 40


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Attributes
    ----------
    dataset
        Its id in the lake.
    done, failed
        Files that became recordings, and files that could not.
    skipped
        Reason to number of files.
    seconds, hours
        Time it took; hours of EEG it added.
    listed
        With ``list_only``: paths below the source's root that would be read.
    failures, failed_steps
        (path, reason) of every failed file; step of `eegfm_lake.schema.FAILURE_STEPS` to number of files.
    ingest_id, log
        None where there was nothing to do: then nothing was written either.
    account
        What became of every file, where the recipe reads whatever it finds.
    """

    done: int
    skipped: dict[str, int]
    failed: int
    seconds: float
    hours: float
    listed: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()
    ingest_id: str | None = None
    log: str | None = None
    failed_steps: Mapping[str, int] = field(default_factory=dict)
    dataset: str = ""
    account: Account | None = None


def say_plan(console: Console, recipe: Recipe, plan: Plan, found: int, list_only: bool) -> None:
    """Say how many files there are, how many are read, and why the others are not."""
    console.print(
        f"{recipe.id}: {counted(found, 'file')}, {len(plan.jobs):,} to read{_why(plan.skipped)}",
        highlight=False,
    )
    if list_only:
        # To a terminal its beginning, to a pipe or a file everything.
        shown = plan.jobs[:_LISTED] if console.is_terminal else plan.jobs
        for job in shown:
            console.print(f"  {job.rel} → {job.recording_id}", highlight=False, soft_wrap=True, markup=False)
        if len(shown) < len(plan.jobs):
            console.print(
                f"  … and {len(plan.jobs) - len(shown):,} more (a pipe gets them all)", highlight=False
            )
    elif not (plan.jobs or plan.rivals):
        console.print("nothing to do; the lake was not touched", highlight=False)


def say_report(console: Console, report: IngestReport) -> None:
    """Say what became of them, with the first failures and their reasons."""
    console.print(
        f"{counted(report.done, 'recording')} ({report.hours:,.2f} h of EEG) in {report.seconds:,.1f} s, "
        f"{report.failed:,} failed{_by_step(report.failed_steps)}; log: {report.log}",
        highlight=False,
        soft_wrap=True,
    )
    for path, reason in report.failures[:_FAILURES_SHOWN]:
        console.print(f"  failed {path}: {reason}", highlight=False, soft_wrap=True, markup=False)
    if len(report.failures) > _FAILURES_SHOWN:
        console.print(f"  … and {len(report.failures) - _FAILURES_SHOWN:,} more", highlight=False)


def _by_step(steps: Mapping[str, int]) -> str:
    most_first = sorted(steps.items(), key=lambda one: (-one[1], one[0]))
    return f" ({', '.join(f'{step}: {n:,}' for step, n in most_first)})" if steps else ""


def _why(skipped: Counter[str]) -> str:
    return "".join(f", {n:,} skipped: {reason}" for reason, n in skipped.items())
