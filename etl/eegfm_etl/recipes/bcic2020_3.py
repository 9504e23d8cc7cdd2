"""2020 International BCI Competition, track 3: fifteen people imagine saying one of five phrases.

Layout: https://osf.io/pq7vb/ and Jeong et al., Frontiers in Human Neuroscience 16:898300, 2022. ``Training set``,
``Validation set`` and ``Test set`` each hold ``Data_Sample01.mat`` … ``15``: a BBCI struct ``epo_train``,
``epo_validation`` or ``epo_test`` with ``x`` (time × channel × trial, µV), ``y`` (one-hot), ``clab``, ``fs`` 256. The
test's files are of version 7.3 and have no labels: these stand in ``Track3_Answer Sheet_Test.xlsx``, from the fourth
row on in the columns C, E, G … of the people 1, 2, 3 ….
"""

import re
import zipfile
import zlib
from pathlib import Path
from xml.etree import ElementTree

from eegfm_etl import bids_tables
from eegfm_etl.recipe import Job, Person, Recipe, files_below
from eegfm_etl.source import ArrayLabels, ArrayLayout, Ask

_FILE = re.compile(r"Data_Sample(?P<person>\d{2})\.mat", re.IGNORECASE)
_SHEET = re.compile(r".*Answer[ _]Sheet.*\.xlsx", re.IGNORECASE)
_SETS = {"training": ("train", "train"), "validation": ("validation", "valid"), "test": ("test", "test")}
_FIRST_ROW = 4
_SHEET_BYTES = 16 * 2**20
LABELS = {
    "1": "speech/imagined/hello",
    "2": "speech/imagined/help_me",
    "3": "speech/imagined/stop",
    "4": "speech/imagined/thank_you",
    "5": "speech/imagined/yes",
}
_METHODOLOGY = (
    ("site", "Korea University", "declared"),
    ("country", "KR", "declared"),
    ("protocol", "imagined speech", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every person's file of each set; the set is told by the folder's name."""
    sheets = files_below(root, _SHEET)
    sheet = sheets[0][0] if sheets else None
    answers = {} if sheet is None else read_answers(root / sheet)
    jobs = []
    for rel, match in files_below(root, _FILE):
        found = re.search(r"(training|validation|test)[ _-]*set", rel.lower())
        if found is not None:
            true_labels = answers.get(int(match["person"]), ()) if found[1] == "test" else ()
            jobs.append(_job(root, rel, match["person"], *_SETS[found[1]], true_labels, sheet))
    return jobs


def read_answers(path: Path) -> dict[int, tuple[str, ...]]:
    """Read the test's classes by person, first trial to last, from the competition's answer sheet.

    Nobody's where it is no such sheet.
    """
    try:
        with zipfile.ZipFile(path) as book:
            member = book.getinfo("xl/worksheets/sheet1.xml")
            if member.file_size > _SHEET_BYTES:
                return {}
            cells = ElementTree.fromstring(book.read(member)).findall(".//{*}c")
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error, ElementTree.ParseError):
        return {}
    answers: dict[int, list[tuple[int, str]]] = {}
    for cell in cells:
        place = re.fullmatch(r"([A-Z]+)(\d+)", cell.get("r", ""))
        value = bids_tables.number(cell.findtext("{*}v"))
        if place is None or value is None or cell.get("t") == "s" or int(place[2]) < _FIRST_ROW:
            continue
        person, rest = divmod(_column(place[1]) - 1, 2)
        if rest == 0 and person >= 1:  # C, E, G …
            answers.setdefault(person, []).append((int(place[2]), f"{value:g}"))
    return {person: tuple(label for _, label in sorted(rows)) for person, rows in answers.items()}


def _column(letters: str) -> int:
    """Count columns from one: ``A`` is 1, ``AA`` 27."""
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number


def _job(
    root: Path, rel: str, person: str, name: str, split: str, true_labels: tuple[str, ...], sheet: str | None
) -> Job:
    layout = ArrayLayout(
        variable=f"epo_{name}.x",
        axes="time channel trial",
        channels=(),
        rate_hz=256.0,
        unit="uV",
        names=f"epo_{name}.clab",
        labels=() if split == "test" else (ArrayLabels(f"epo_{name}.y"),),
    )
    unlabelled = split == "test" and sheet is not None and not true_labels
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"bcic2020_3/{person}/{split}",
        person=Person(person),
        task="imagined_speech",
        run=split,
        labels=LABELS,
        in_order={"trial": true_labels} if true_labels else {},
        methodology=_METHODOLOGY,
        line_freq_hz=60.0,
        official_split=split,
        ask=Ask(layout=layout),
        parts=(sheet,) if true_labels and sheet else (),
        refused=f"{sheet} has no labels of person {person}: it is damaged" if unlabelled else None,
    )


RECIPE = Recipe(
    id="bcic2020_3",
    version="1",
    title="2020 BCI Competition track 3: imagined speech",
    people=15,
    hours=None,
    task="five phrases, imagined: hello, help me, stop, thank you, yes",
    licence="not stated; see https://osf.io/pq7vb/",
    citation="Jeong et al., Frontiers in Human Neuroscience 16:898300, 2022",
    access="open",
    verified=True,
    layout_source="https://osf.io/pq7vb/",
    namespace="bcic2020_3",
    plan=plan,
    within_person=True,
    apply_at="https://osf.io/pq7vb/",
    layout="Training set/, Validation set/, Test set/ with Data_Sample01.mat …; Test set/Track3_Answer Sheet_Test.xlsx",
)
