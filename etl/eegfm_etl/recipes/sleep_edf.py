"""Sleep-EDF Database Expanded of PhysioNet: whole days at home (cassette) and nights in hospital (telemetry).

https://physionet.org/content/sleep-edfx/1.0.0/: ``SC4ssNE0-PSG.edf`` and ``ST7ssNJ0-PSG.edf`` (ss the person, N the
night), each with a ``…-Hypnogram.edf`` whose last letter before the hyphen names the scorer. Scored by
Rechtschaffen and Kales: stages 3 and 4 are both N3 here; movement and ``?`` are events without a path.
"""

import csv
import re
from functools import cache, partial
from importlib.resources import files
from pathlib import Path

from eegfm_etl.demographics import age_years, sex_letter
from eegfm_etl.downloads.manifests import physionet
from eegfm_etl.events import Event
from eegfm_etl.hypnogram import edf_epochs, sleep_period
from eegfm_etl.recipe import Job, Person, Recipe, files_below, parts_of
from eegfm_lake.errors import EegfmError

_FILE = re.compile(r"(?P<study>SC4|ST7)(?P<person>\d\d)(?P<night>\d)[A-Z]\d-PSG\.edf")
_STUDIES = {"SC4": "cassette", "ST7": "telemetry"}
_PROTOCOLS = {
    "SC4": "about 20 h at home; published results keep the event protocol/sleep_period, half an hour around sleep",
    "ST7": "night in hospital; published results keep the event protocol/sleep_period, half an hour around sleep",
}
# In the cassette study this channel is the envelope of the EMG at 1 Hz, no EMG.
_OVERRIDES = {"SC4": {"EMG submental": "other"}, "ST7": {}}


def plan(root: Path) -> list[Job]:
    """Every …-PSG.edf at any depth, with the hypnogram beside it."""
    return [_job(root, rel, match) for rel, match in files_below(root, _FILE)]


def _job(root: Path, rel: str, match: re.Match[str]) -> Job:
    path, study, night = root / rel, match["study"], match["night"]
    person = f"{study}{match['person']}"
    hypnograms = sorted(path.parent.glob(f"{person}{night}??-Hypnogram.edf"))
    events, refused = _events(hypnograms, path)
    known = _people().get(f"{person}{night}", {})
    drug = (("medication", known["drug"].lower(), "declared"),) if known.get("drug") else ()
    return Job(
        path=path,
        rel=rel,
        recording_id=f"sleep_edf/{person}/night{night}",
        person=Person(person, age=age_years(known.get("age")), sex=sex_letter(known.get("sex"))),
        session=f"night{night}",
        task=f"sleep_{_STUDIES[study]}",
        run="PSG",
        overrides=_OVERRIDES[study],
        methodology=(
            ("reference", "bipolar", "declared"),
            ("country", "NL", "declared"),
            ("protocol", _PROTOCOLS[study], "declared"),
            *drug,
        ),
        line_freq_hz=50.0,
        more_events=events,
        refused=refused,
        parts=parts_of(root, *hypnograms),
    )


def _events(hypnograms: list[Path], path: Path) -> tuple[tuple[Event, ...], str | None]:
    """Epochs and the stretch around sleep, or why the scoring cannot be used."""
    if not hypnograms:
        return (), None
    if len(hypnograms) > 1:
        return (), f"{path.name} has {len(hypnograms)} hypnograms beside it: keep the one that belongs to it"
    try:
        epochs = edf_epochs(hypnograms[0], path)
    except EegfmError as error:
        return (), str(error)
    period = sleep_period(epochs)
    return (*epochs, *((period,) if period else ())), None


@cache
def _people() -> dict[str, dict[str, str]]:
    """Age, sex and drug by person and night: MNE's copy of the set's SC-subjects.xls and ST-subjects.xls."""
    folder = files("mne") / "datasets" / "sleep_physionet"
    found = {}
    for name, column in (("age_records.csv", "fname"), ("temazepam_records.csv", "fname_PSG")):
        for row in csv.DictReader((folder / name).read_text(encoding="utf-8").splitlines()):
            found[row[column][:6]] = row
    return found


RECIPE = Recipe(
    id="sleep_edf",
    version="1",
    title="Sleep-EDF Database Expanded (PhysioNet)",
    people=100,
    hours=None,
    task="sleep stages",
    licence="ODC-BY-1.0",
    citation="Kemp et al., IEEE TBME 47(9):1185-1194, 2000; Goldberger et al., Circulation 101(23):e215-e220, 2000",
    access="open",
    verified=True,
    layout_source=(
        "https://physionet.org/content/sleep-edfx/1.0.0/; "
        "https://mne.tools/stable/generated/mne.datasets.sleep_physionet.age.fetch_data.html"
    ),
    namespace="sleep_edf",
    plan=plan,
    download=partial(physionet, "https://physionet.org/files/sleep-edfx/1.0.0/"),
    layout="sleep-cassette/SC4001E0-PSG.edf with SC4001EC-Hypnogram.edf, sleep-telemetry/ST7011J0-PSG.edf …",
)
