"""TUH EEG Slowing Corpus: ten-second stretches of slowing, seizure and background.

von Weltin et al. 2017; v2.0: ``edf/aaaaaaju/s005_2010_10_05/01_tcp_ar/aaaaaaju_s005_t000.edf`` with ``.tse_agg``: a
line ``version = tse_v1.0.0``, then lines of start and stop in s, kind and confidence.
"""

import re
from pathlib import Path

from eegfm_etl.events import Event
from eegfm_etl.recipe import Job, Recipe, files_below, parts_of
from eegfm_etl.recipes import tuh

_FILE = re.compile(tuh.TOKEN)
# One level less than TUEG's tree, which has the group's folder before the person's.
_FOLDERS = re.compile(rf"(?:^|(?:^|/)edf/)[a-z\d]{{8}}/s\d{{3}}_\d{{4}}(?:_\d\d_\d\d)?/{tuh.MONTAGE}/[^/]+$")
_KINDS = {"bckg": "background", "seiz": "seizure", "slow": "slowing"}
_LINE = re.compile(r"(?P<start>\d+(?:\.\d+)?)\s+(?P<stop>\d+(?:\.\d+)?)\s+(?P<kind>\w+)\s+[\d.]+")


def plan(root: Path) -> list[Job]:
    """Every recording in a person's folder directly below the root or ``edf``."""
    return [_job(root, rel, match) for rel, match in files_below(root, _FILE) if _FOLDERS.search(rel)]


def _job(root: Path, rel: str, match: re.Match[str]) -> Job:
    edf = root / rel
    marks = next(
        (path for suffix in (".tse_agg", ".tse") if (path := edf.with_suffix(suffix)).is_file()), None
    )
    events, refused = _events(marks) if marks else ((), None)
    return tuh.tuh_job(
        root,
        rel,
        f"tusl/{match['person']}/{match['session']}/{match['token']}",
        match["person"],
        session=match["session"],
        run=match["token"],
        task="clinical",
        more_events=events,
        refused=refused,
        parts=parts_of(root, marks),
    )


def _events(marks: Path) -> tuple[tuple[Event, ...], str | None]:
    """Events of a .tse_agg, or why it cannot be trusted. A kind that is not listed is an event without a path."""
    lines = [line.strip() for line in marks.read_text(encoding="latin-1").splitlines()]
    lines = [line for line in lines if line and not line.startswith(("version", "#"))]
    events = []
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None or float(match["stop"]) < float(match["start"]):
            return (
                (),
                f"{marks.name} is damaged: {line[:40]!r} where start, stop, kind, confidence were expected",
            )
        onset_s = float(match["start"])
        label = _KINDS.get(match["kind"])
        events.append(Event(onset_s, float(match["stop"]) - onset_s, label, None, match["kind"], None))
    return tuple(events), None


RECIPE = Recipe(
    id="tusl",
    version="1",
    title="TUH EEG Slowing Corpus (TUSL)",
    people=None,
    hours=None,
    task="slowing, seizure, background",
    licence=tuh.LICENCE,
    citation=f"von Weltin et al., IEEE SPMB 2017, doi:10.1109/SPMB.2017.8257018; {tuh.CITATION}",
    access="agreement",
    verified=True,
    layout_source=(
        "von Weltin et al. 2017, doi:10.1109/SPMB.2017.8257018; the tree and the label files as public readers take "
        "them: https://github.com/935963004/NeuroLM"
    ),
    namespace=tuh.NAMESPACE,
    plan=plan,
    apply_at=tuh.APPLY_AT,
    layout="edf/aaaaaaju/s005_2010_10_05/01_tcp_ar/aaaaaaju_s005_t000.edf, each with its .tse_agg",
)
