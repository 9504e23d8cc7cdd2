"""BCI Competition IV, data set 2b: nine people imagine the movement of the left or the right hand.

Layout and event codes: Leeb et al., https://www.bbci.de/competition/iv/desc_2b.pdf. Five sessions a person:
``B0101T.gdf`` and ``B0102T.gdf`` without feedback, ``B0103T.gdf`` with it, to train; ``B0104E.gdf`` and
``B0105E.gdf`` to evaluate, whose cues say "unknown" (783); the true labels are a ``classlabel`` in ``B0104E.mat``.
Three bipolar derivations whose second electrodes are nowhere listed, and three EOG channels.
"""

import re
from pathlib import Path

from eegfm_etl.recipe import Job, Person, Recipe, files_below
from eegfm_etl.recipes import graz

_FILE = re.compile(r"B0(?P<person>[1-9])(?P<session>0[1-3]T|0[45]E)\.(?P<kind>gdf|mat)", re.IGNORECASE)
_CHANNELS = ("C3", "Cz", "C4", "EOG:ch01", "EOG:ch02", "EOG:ch03")
LABELS = {
    **graz.LABELS,
    "781": "feedback/continuous",
    "1077": "artifact/eye_movement/horizontal",
    "1078": "artifact/eye_movement/vertical",
    "1079": "artifact/eye_movement/rotation",
    "1081": "artifact/blink",
}
_METHODOLOGY = (
    *graz.METHODOLOGY,
    ("reference", "bipolar", "declared"),
    ("ground", "Fz", "declared"),
    ("cue_modality", "visual and auditory", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every session's GDF, at any depth."""
    found = files_below(root, _FILE)
    published = graz.true_labels(root, [rel for rel, match in found if match["kind"].lower() == "mat"])
    labels: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}
    for rel, match in found:
        if rel in published:
            labels.setdefault((match["person"], match["session"].upper()), (rel, published[rel]))
    return [
        _job(root, rel, match["person"], match["session"].upper(), labels)
        for rel, match in found
        if match["kind"].lower() == "gdf"
    ]


def _job(
    root: Path,
    rel: str,
    person: str,
    session: str,
    labels: dict[tuple[str, str], tuple[str, tuple[str, ...]]],
) -> Job:
    published = labels.get((person, session)) if session.endswith("E") else None
    feedback = "without feedback" if session in ("01T", "02T") else "with feedback"
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"bci_iv_2b/B0{person}/{session}",
        person=Person(f"B0{person}", handedness="right"),
        session=session,
        task="imagery",
        labels=LABELS,
        in_order=graz.in_order(published[1]) if published else {},
        names=_CHANNELS,
        methodology=(
            *_METHODOLOGY,
            ("protocol", f"imagery of left or right hand, {feedback}", "declared"),
        ),
        line_freq_hz=50.0,
        hardware_band=(0.5, 100.0),
        official_split="train" if session.endswith("T") else "test",
        parts=(published[0],) if published else (),
    )


RECIPE = Recipe(
    id="bci_iv_2b",
    version="1",
    title="BCI Competition IV data set 2b: left and right hand, three bipolar channels",
    people=9,
    hours=None,
    task="left and right hand, imagined",
    licence="CC-BY-ND-4.0",
    citation=(
        "Leeb et al., IEEE Transactions on Neural Systems and Rehabilitation Engineering 15(4):473-482, 2007; "
        "Tangermann et al., Frontiers in Neuroscience 6:55, 2012"
    ),
    access="open",
    verified=True,
    layout_source="https://www.bbci.de/competition/iv/desc_2b.pdf",
    namespace="bci_iv_2b",
    plan=plan,
    within_person=True,
    apply_at="https://www.bbci.de/competition/iv/",
    layout="B0101T.gdf … B0905E.gdf, B0104E.mat … with the true labels",
)
