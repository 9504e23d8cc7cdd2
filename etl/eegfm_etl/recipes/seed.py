"""SEED: 15 people watch 15 film clips, three times each.

Layout: https://bcmi.sjtu.edu.cn/home/seed/seed.html. ``Preprocessed_EEG/1_20131027.mat`` holds one array a clip,
``djc_eeg1`` to ``djc_eeg15`` (62 channels × samples, 200 Hz, 0-75 Hz; what stands before ``_eeg`` differs between
people); all sessions show the clips in one order, whose emotions ``label.mat`` lists. ``ExtractedFeatures`` repeats
the file names and holds no EEG. The channels' order is that of ``channel-order.xlsx``.
"""

import re
from pathlib import Path

from eegfm_etl.recipe import Job, Person, Recipe, files_below
from eegfm_etl.source import ArrayLayout, Ask

_FILE = re.compile(r"(?P<person>\d{1,2})_(?P<date>20\d{6})\.mat", re.IGNORECASE)
CHANNELS = (
    "FP1", "FPZ", "FP2", "AF3", "AF4", "F7", "F5", "F3", "F1", "FZ", "F2", "F4", "F6", "F8", "FT7", "FC5",
    "FC3", "FC1", "FCZ", "FC2", "FC4", "FC6", "FT8", "T7", "C5", "C3", "C1", "CZ", "C2", "C4", "C6", "T8",
    "TP7", "CP5", "CP3", "CP1", "CPZ", "CP2", "CP4", "CP6", "TP8", "P7", "P5", "P3", "P1", "PZ", "P2", "P4",
    "P6", "P8", "PO7", "PO5", "PO3", "POZ", "PO4", "PO6", "PO8", "CB1", "O1", "OZ", "O2", "CB2",
)  # fmt: skip
CLIPS = ("1", "0", "-1", "-1", "0", "1", "-1", "0", "1", "1", "0", "-1", "0", "1", "-1")
LABELS = {"1": "emotion/positive", "0": "emotion/neutral", "-1": "emotion/negative"}
_LAYOUT = ArrayLayout(variable="*_eeg*", axes="channel time", channels=CHANNELS, rate_hz=200.0, unit="uV")
_METHODOLOGY = (
    ("site", "Shanghai Jiao Tong University", "declared"),
    ("country", "CN", "declared"),
    ("amplifier", "ESI NeuroScan", "declared"),
    ("protocol", "film clips", "declared"),
    ("cue_modality", "visual and auditory", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every file of Preprocessed_EEG; a person's sessions are counted by their dates."""
    found = [
        (rel, int(match["person"]), match["date"])
        for rel, match in files_below(root, _FILE)
        if "extractedfeatures" not in rel.lower()
    ]
    dates: dict[int, list[str]] = {}
    for _, person, date in found:
        dates.setdefault(person, []).append(date)
    return [_job(root, rel, person, sorted(dates[person]).index(date) + 1) for rel, person, date in found]


def _job(root: Path, rel: str, person: int, session: int) -> Job:
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"seed/{person:02d}/{Path(rel).stem}",
        person=Person(f"{person:02d}"),
        session=str(session),
        task="films",
        labels=LABELS,
        in_order={"trial": CLIPS},
        overrides={"CB1": "eeg", "CB2": "eeg"},
        methodology=_METHODOLOGY,
        line_freq_hz=50.0,
        hardware_band=(None, 75.0),
        ask=Ask(layout=_LAYOUT),
    )


RECIPE = Recipe(
    id="seed",
    version="1",
    title="SEED: film clips, three emotions",
    people=15,
    hours=None,
    task="films that are positive, neutral or negative",
    licence="agreement with BCMI",
    citation="Zheng and Lu, IEEE Transactions on Autonomous Mental Development 7(3):162-175, 2015",
    access="agreement",
    verified=True,
    layout_source="https://bcmi.sjtu.edu.cn/home/seed/seed.html",
    namespace="seed",
    plan=plan,
    start_time_note="absent: the files hold none (their names have the day)",
    apply_at="https://bcmi.sjtu.edu.cn/home/seed/",
    layout="Preprocessed_EEG/1_20131027.mat …",
)
