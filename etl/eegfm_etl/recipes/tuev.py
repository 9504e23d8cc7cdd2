"""TUH EEG Events Corpus: six kinds of events, marked channel by channel.

The corpus' README: ``edf/train/aaaaaaar/aaaaaaar_00000001.edf`` and ``edf/eval/000/bckg_000_a_.edf``, each with a
``.rec`` of lines ``13,90.4,91.4,6``: channel of the ACNS TCP montage, start and stop in s, and kind. The
evaluation files name their people by numbers of their own: which of TUEG's people they are, the names do not tell.
"""

import math
import re
from pathlib import Path

from eegfm_etl.events import Event
from eegfm_etl.recipe import Job, Recipe, files_below, parts_of
from eegfm_etl.recipes import tuh

_FILE = re.compile(
    rf"{tuh.PERSON}_(?P<run>\d{{8}})\.edf|(?P<kind>[a-z]{{4}})_(?P<number>\d{{3}})_(?P<evalrun>a_\d*)\.edf"
)
_FOLDERS = re.compile(r"(?:^|/)(?P<split>train|eval)/[^/]+/[^/]+$")
_SPLITS = {"train": "train", "eval": "test"}
_KINDS = {
    "1": ("spsw", "epileptiform/spike_and_wave"),
    "2": ("gped", "epileptiform/gped"),
    "3": ("pled", "epileptiform/pled"),
    "4": ("eyem", "artifact/eye_movement"),
    "5": ("artf", "artifact/other"),
    "6": ("bckg", "background"),
}


def plan(root: Path) -> list[Job]:
    """Every recording below train or eval."""
    return [
        _job(root, rel, match, folders["split"])
        for rel, match in files_below(root, _FILE)
        if (folders := _FOLDERS.search(rel))
    ]


def _job(root: Path, rel: str, match: re.Match[str], split: str) -> Job:
    person = match["person"] or f"tuev_eval_{match['number']}"
    run = match["run"] or f"{match['kind']}_{match['evalrun']}".rstrip("_")
    marks = (root / rel).with_suffix(".rec")
    events, refused = _events(marks)
    return tuh.tuh_job(
        root,
        rel,
        f"tuev/{person.removeprefix('tuev_')}/{run}",
        person,
        run=run,
        task="clinical",
        official_split=_SPLITS[split],
        more_events=events,
        refused=refused,
        parts=parts_of(root, marks),
    )


def _events(marks: Path) -> tuple[tuple[Event, ...], str | None]:
    """Events of a .rec, or why it cannot be trusted."""
    if not marks.is_file():
        return (), None
    events = []
    for line in marks.read_text(encoding="latin-1").split():
        try:
            channel, start, stop, kind = line.split(",")
            text, label = _KINDS[kind]
            onset_s, length_s = float(start), float(stop) - float(start)
            if not (channel.isdigit() and 0 <= onset_s < math.inf and 0 <= length_s < math.inf):
                raise ValueError(line)
            events.append(Event(onset_s, length_s, label, kind, text, tuh.TCP_MONTAGE[int(channel)]))
        except (ValueError, KeyError, IndexError):
            expected = "channel 0 to 21, start, stop, kind 1 to 6"
            return (), f"{marks.name} is damaged: it holds {line[:30]!r} where {expected} was expected"
    return tuple(events), None


RECIPE = Recipe(
    id="tuev",
    version="1",
    title="TUH EEG Events Corpus (TUEV)",
    people=None,
    hours=None,
    task="spikes, periodic discharges, eye movements, artefacts, background",
    licence=tuh.LICENCE,
    citation=f"Harati et al., IEEE SPMB 2015, doi:10.1109/SPMB.2015.7405421; {tuh.CITATION}",
    access="agreement",
    verified=True,
    layout_source=(
        "https://isip.piconepress.com/projects/nedc/data/tuh_eeg/tuh_eeg_events/ (README of v2.0.1); "
        "https://braindecode.org/stable/generated/braindecode.datasets.TUHEvents.html"
    ),
    namespace=tuh.NAMESPACE,
    plan=plan,
    apply_at=tuh.APPLY_AT,
    layout="edf/train/aaaaaaar/aaaaaaar_00000001.edf, edf/eval/000/bckg_000_a_.edf, each with its .rec",
)
