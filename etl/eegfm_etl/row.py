"""What of a file stands in the lake: its row of recordings, or of failures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eegfm_etl import provenance
from eegfm_etl.chain.harmonise import Harmonised
from eegfm_etl.events import Event, in_order, label_events
from eegfm_etl.readers import SourceError, SourceHeader
from eegfm_etl.recipe import Job, Person
from eegfm_etl.workplace import source_root
from eegfm_lake import schema

_OLDEST_KEPT = 89.0


@dataclass(frozen=True)
class Stamp:
    """What every row of one ingest has in common."""

    dataset: str
    namespace: str | None = None
    licence: str | None = None
    citation: str | None = None
    start_time_note: str | None = None
    ingest: Mapping[str, str | None] = field(default_factory=dict)  # id, time, recipe, version


def recording_row(
    path: Path, job: Job, stamp: Stamp, profile: str, header: SourceHeader, done: Harmonised
) -> dict[str, Any]:
    """Row of `schema.RECORDINGS` for a file that was harmonised."""
    person = job.person
    return {
        "recording_id": job.recording_id,
        "profile": profile,
        "dataset": stamp.dataset,
        "session": job.session,
        "task": job.task,
        "run": job.run,
        "person": f"{stamp.namespace}/{person.id}" if stamp.namespace and person.id else None,
        "same_as": list(person.same_as),
        "age": _age(person, schema.PROFILES[profile]),
        "sex": person.sex,
        "handedness": person.handedness,
        "diagnosis": person.diagnosis,
        "phenotype": None if person.phenotype is None else dict(person.phenotype),
        "source": _source(path, job, stamp, header, schema.PROFILES[profile]),
        "licence": stamp.licence,
        "citation": stamp.citation,
        "methodology": _methodology(job, header, done),
        "signal": {
            "file": str(done.signal_file.path),
            "rate": schema.PROFILES[profile].rate_hz,
            "samples": done.samples,
            "step": max(
                (one["step"] for one in done.channels if one["step"] is not None), default=schema.STEP_UV
            ),
        },
        "segments": done.segments,
        "duration_s": done.duration_s,
        "trailing_zeros_cut": done.trailing_zeros_cut,
        "chain": done.chain,
        "spectrum": done.spectrum,
        "ingest": dict(stamp.ingest),
        "channels": done.channels,
        "events": [dict(vars(event)) for event in _events(header, job)],
        "label": job.label,
        "target": job.target,
        "official_split": job.official_split,
        "blocks": done.blocks,
        "fingerprint": done.fingerprint,
    }


def failure_row(
    job: Job, stamp: Stamp, profile: str, step: str, reason: str, detail: str = ""
) -> dict[str, Any]:
    """Row of `schema.FAILURES` for a job."""
    try:
        digest = provenance.sha256(job.path)
    except SourceError:  # not even its bytes can be read; the reason says why
        digest = ""
    return {
        "path": job.rel,
        "sha256": digest,
        "dataset": stamp.dataset,
        "recording_id": job.recording_id,
        "profile": profile,
        "bytes": provenance.size_bytes(job.path),
        "step": step,
        "reason": reason,
        "detail": detail or None,
        "parts": _parts(job, provenance.parts(job.path)[job.path.is_file() :]),
        "ingest": dict(stamp.ingest),
    }


def _age(person: Person, profile: schema.Profile) -> float | None:
    """Give the age that is stored: above 89 it can tell who somebody is (45 CFR 164.514(b)(2)(i)(C))."""
    return profile.oldest if person.age is not None and person.age > _OLDEST_KEPT else person.age


def _source(
    path: Path, job: Job, stamp: Stamp, header: SourceHeader, profile: schema.Profile
) -> dict[str, Any]:
    capped = _age(job.person, profile) != job.person.age
    notes = [f"an age above {_OLDEST_KEPT:g} is stored as {profile.oldest:g}"] if capped else []
    return {
        "path": job.rel,
        "sha256": provenance.sha256(path),
        "bytes": provenance.size_bytes(path),
        "format": header.format,
        "reader": header.reader,
        "start_time": None,
        "start_time_note": stamp.start_time_note,
        "parts": _parts(job, [Path(part) for part in header.parts]),
        "notes": [*header.notes, *notes],
        "personal": [*header.personal, *(["exact age"] if capped else [])],
    }


def _parts(job: Job, parts: Sequence[Path]) -> list[str]:
    """Paths below the source's root; files elsewhere are named by their name alone."""
    root = source_root(job.path, job.rel)
    found = [one.relative_to(root).as_posix() if one.is_relative_to(root) else one.name for one in parts]
    return list(dict.fromkeys([*job.parts, *found]))


def _events(header: SourceHeader, job: Job) -> list[Event]:
    if job.events is not None:
        of_file = list(job.events)
    else:
        of_file = label_events(in_order(header.annotations, job.in_order), job.labels)
    return sorted([*of_file, *job.more_events], key=lambda event: event.onset_s)


def _methodology(job: Job, header: SourceHeader, done: Harmonised) -> list[dict[str, str]]:
    """List what the recipe declares, and over it what the file records and the chain detected."""
    found = {covariate: (value, origin) for covariate, value, origin in job.methodology}
    found |= {covariate: (value, "recorded") for covariate, value in header.recorded}
    if done.line_freq_hz is not None and done.line_freq_origin is not None:
        found["line_freq"] = (f"{done.line_freq_hz:g}", done.line_freq_origin)
    origin = "declared" if header.hardware_band is None else "recorded"
    low, high = header.hardware_band or job.hardware_band or (None, None)
    if low is not None:
        found["hardware_highpass"] = (f"{low:g}", origin)
    if high is not None:
        found["hardware_lowpass"] = (f"{high:g}", origin)
    return [
        {"covariate": name, "value": value, "origin": origin}
        for name, (value, origin) in sorted(found.items())
    ]
