"""One source file to one row and one signal file: what a worker does."""

import errno
import os
import threading
import traceback
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from eegfm_etl.chain.harmonise import Segment, harmonise
from eegfm_etl.chain.samples import SampleSource
from eegfm_etl.channels import ChannelPlan, plan_channels
from eegfm_etl.effort import Effort
from eegfm_etl.packed import as_stored, readable
from eegfm_etl.readers import ReaderKilledError, ReaderProcess, SourceError, SourceHeader
from eegfm_etl.recipe import Job, Person, by_file_names
from eegfm_etl.row import Stamp, failure_row, recording_row
from eegfm_etl.source import CUT_OFF
from eegfm_etl.units import check, doubtful, settle
from eegfm_etl.workplace import scratch_folder, settle_in, source_root
from eegfm_lake import caps, schema
from eegfm_lake.errors import EegfmError
from eegfm_lake.signals import SignalFile, store_signal
from eegfm_lake.storage import Storage

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_NO_SPACE = os.strerror(errno.ENOSPC)
_local = threading.local()


@dataclass(frozen=True)
class Outcome:
    """What became of one job: a row of `schema.RECORDINGS`, or one of `schema.FAILURES`."""

    job: Job
    row: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None
    effort: Effort = field(default_factory=Effort)


def work(job: Job, stamp: Stamp, lake_uri: str, profile: str) -> Outcome:
    """Harmonise one file and store its signals; a file that cannot be read is an outcome, not an error.

    Raises
    ------
    EegfmError
        Where the lake cannot be written (full, read-only or out of reach), or this worker does not see what the
        driver sees. That is not the file's fault.
    """
    settle_in(os.fspath(source_root(job.path, job.rel)), lake_uri)
    effort = Effort()

    def failed(step: str, reason: str, detail: str) -> Outcome:
        return Outcome(
            job, failure=failure_row(job, stamp, profile, step, reason, detail), effort=effort.stopped()
        )

    with scratch_folder() as folder:
        try:
            row, signal_file = _process_again_if_killed(job, folder, profile, stamp, effort)
        except SourceError as error:
            return failed(error.step, error.reason, error.detail)
        except MemoryError:
            reason = f"{job.path.name} needs more memory to harmonise than this machine has free"
            return failed("memory", reason, traceback.format_exc())
        except (
            Exception
        ) as error:  # one odd file must not end an ingest of thousands; the row keeps the traceback
            if disk_is_full(error):
                raise
            known = isinstance(error, EegfmError)
            reason = str(error) if known else f"{job.path.name} could not be harmonised ({_one_line(error)})"
            return failed("harmonise", reason, traceback.format_exc())
        with effort.step("store"):
            row["signal"]["file"] = store_signal(Storage(lake_uri), stamp.dataset, signal_file)
    return Outcome(job, row=row, effort=effort.stopped())


def process_file(
    path: Path,
    job: Job,
    out_dir: Path,
    profile: str = "eeg200",
    *,
    stamp: Stamp,
    reader: ReaderProcess,
    effort: Effort | None = None,
) -> tuple[dict[str, Any], SignalFile]:
    """Harmonise one file.

    Parameters
    ----------
    path : Path
        The source.
    job : Job
        What the recipe knows of it.
    out_dir : Path
        Receives the signal file; the row's ``signal.file`` is its local path until it is stored.
    effort : Effort or None
        Receives the seconds that each step took.

    Returns
    -------
    tuple of dict and SignalFile
        A row in the shape of `eegfm_lake.schema.RECORDINGS`, and the signal file.

    Raises
    ------
    SourceError
        Where the file cannot become a recording.
    """
    if job.refused is not None:
        raise SourceError("read", job.refused)
    effort = effort or Effort()
    with ExitStack() as unpacked:
        with effort.step("open"):
            there = unpacked.enter_context(readable(path, out_dir))
            source = reader.open(there, job.ask)
        effort.reader_said(source.header.warnings, there.parent)
        header = as_stored(source.header, path, there)
        return _harmonised(path, job, source, header, out_dir, profile, stamp, effort)


def harmonise_file(
    path: str | Path,
    out_dir: str | Path,
    profile: str = "eeg200",
    labels: Mapping[str, str | None] | None = None,
) -> tuple[dict[str, Any], SignalFile]:
    """Harmonise any supported EEG file without a recipe, exactly as an ingest would.

    Parameters
    ----------
    path
        The file; `labels` maps its annotations to label paths.
    out_dir
        Existing folder that receives the signal file.

    Returns
    -------
    tuple of dict and SignalFile
        A row in the shape of `eegfm_lake.schema.RECORDINGS` and the signal file; `channel_report` says what
        became of every channel.

    Raises
    ------
    SourceError
        Where the file cannot be read, in words.
    """
    path = Path(path)
    job = Job(path, path.name, path.stem, Person(""), labels=labels or {})
    with ReaderProcess() as reader:
        return process_file(path, job, Path(out_dir), profile, stamp=Stamp("file"), reader=reader)


def channel_report(row: Mapping[str, Any]) -> list[str]:
    """One line a channel: what it is called now, its type, and why it was left out or is judged bad."""
    lines = []
    for channel in row["channels"]:
        renamed = "" if channel["name"] == channel["source_name"] else f" (source: {channel['source_name']})"
        reasons = f": {'; '.join(channel['reasons'])}" if channel["reasons"] else ""
        lines.append(f"{channel['name']}{renamed} {channel['type']}, {channel['status']}{reasons}")
    return lines


def _harmonised(
    path: Path, job: Job, source: SampleSource, header: SourceHeader, out_dir: Path, profile: str, stamp: Stamp,
    effort: Effort,
) -> tuple[dict[str, Any], SignalFile]:  # fmt: skip
    _refuse_worse(path, job, header)
    job = by_file_names(job, header.names)
    units = [job.units.get(name, unit) for name, unit in zip(header.names, header.units, strict=True)]
    line_freq_hz, line_freq_origin = _line_freq(header, job)
    with effort.step("harmonise"):
        settled = settle(source, _channels(header, job), units, path.name)
        done = harmonise(
            settled.source,
            settled.channels,
            profile=schema.PROFILES[profile],
            segments=[Segment(*segment) for segment in header.segments],
            line_freq_hz=line_freq_hz,
            line_freq_origin=line_freq_origin,
            hardware_band=header.hardware_band or job.hardware_band,
            out=out_dir / "signal.parquet",
        )
    check(done.blocks, done.spectrum["before_uv2_hz"], units, path.name)
    done = replace(done, channels=doubtful(done.channels, dict(zip(header.names, units, strict=True))))
    header = replace(header, notes=(*header.notes, *settled.notes))
    with effort.step("describe"):  # hashing the source is most of it
        return recording_row(path, job, stamp, profile, header, done), done.signal_file


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is a disk without room or write permission."""
    while error is not None:
        # The table's engine passes on the system's words, not its number.
        if (isinstance(error, OSError) and error.errno in _FULL) or _NO_SPACE in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _process_again_if_killed(
    job: Job, folder: Path, profile: str, stamp: Stamp, effort: Effort
) -> tuple[dict[str, Any], SignalFile]:
    process = partial(process_file, job.path, job, folder, profile, stamp=stamp, effort=effort)
    try:
        return process(reader=_reader())
    except ReaderKilledError:
        return process(reader=_reader())


def _reader() -> ReaderProcess:
    """Return the worker's own reader: one a thread, for as long as the worker lives."""
    if not hasattr(_local, "reader"):
        _local.reader = ReaderProcess()
    return _local.reader


def _channels(header: SourceHeader, job: Job) -> list[ChannelPlan]:
    faults = dict(header.faults)
    channels = [
        _marked(one, faults.get(one.source_index, job.bad.get(one.source_name)))
        for one in _planned(header, job)
    ]
    if any(one.type == "eeg" and one.status != "dropped" for one in channels):
        return channels
    raise SourceError(
        "channels",
        f"{job.path.name}: none of its {len(header.names)} channels is EEG ({', '.join(header.names[:6])} …)",
    )


def _refuse_worse(path: Path, job: Job, header: SourceHeader) -> None:
    """Refuse a file that is cut off where the lake has the recording from a longer one."""
    cut = next((note for note in header.notes if note.startswith(CUT_OFF)), None)
    if job.whole_bytes is not None and cut is not None:
        raise SourceError(
            "read",
            f"{path.name} is {cut}; the lake has this recording from {job.whole_bytes:,} bytes, which stays: fetch the "
            "file again",
        )


def _planned(header: SourceHeader, job: Job) -> tuple[ChannelPlan, ...]:
    """Plan the channels under the names that the recipe gives them, and keep the file's beside these."""
    if job.names and len(job.names) != len(header.names):
        raise SourceError(
            "channels",
            f"{job.path.name} has {len(header.names)} channels ({', '.join(header.names[:6])} …), where the "
            f"data set's documentation lists {len(job.names)}; it is of another kind or damaged",
        )
    names = tuple(
        said or own for own, said in zip(header.names, job.names or [""] * len(header.names), strict=True)
    )
    now = dict(zip(header.names, names, strict=True))
    positions = {now.get(own, own): xyz for own, xyz in {**header.positions, **job.positions}.items()}
    overrides = {now.get(own, own): kind for own, kind in job.overrides.items()}
    return _plan(
        header.names,
        names,
        header.types,
        tuple((name, *xyz) for name, xyz in positions.items()),
        header.rates,
        tuple(overrides.items()),
        _cap(header, job),
    )


@lru_cache(maxsize=64)
def _plan(
    source_names: tuple[str, ...],
    names: tuple[str, ...],
    types: tuple[str, ...],
    positions: tuple[tuple[str, float, float, float], ...],
    rates: tuple[float, ...],
    overrides: tuple[tuple[str, str], ...],
    cap: str | None,
) -> tuple[ChannelPlan, ...]:
    """Plan channels; the next file of an archive mostly has the same."""
    measured = {name: (x, y, z) for name, x, y, z in positions}
    planned = plan_channels(names, types, measured, rates, dict(overrides), cap)
    return tuple(replace(one, source_name=source_names[one.source_index]) for one in planned)


def _cap(header: SourceHeader, job: Job) -> str | None:
    """Name the cap that the recipe or the file declares, where its electrodes are known by their numbers."""
    said = [value for covariate, value, _ in job.methodology if covariate == "cap"]
    said += [value for covariate, value in header.recorded if covariate == "cap"]
    return next((value for value in said if value in caps.caps()), None)


def _marked(channel: ChannelPlan, reason: str | None) -> ChannelPlan:
    """Mark what a sidecar calls bad; it is stored all the same."""
    if reason is None or channel.status == "dropped":
        return channel
    return replace(channel, status="bad", reasons=(*channel.reasons, reason))


def _line_freq(header: SourceHeader, job: Job) -> tuple[float | None, str | None]:
    if header.line_freq_hz is not None:
        return header.line_freq_hz, "recorded"
    return job.line_freq_hz, None if job.line_freq_hz is None else "declared"


def _one_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
