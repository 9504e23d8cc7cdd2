"""BCI Competition IV, data set 2a: nine people imagine the movement of a hand, the feet or the tongue.

Layout, montage and event codes: Brunner et al., https://www.bbci.de/competition/iv/desc_2a.pdf. Two sessions a
person, on two days: ``A01T.gdf`` to train, ``A01E.gdf`` to evaluate, 288 trials each. The evaluation's cues say
"unknown" (783); the true labels were published after the competition, a ``classlabel`` in ``A01E.mat``. BNCI
Horizon (001-2014) gives the same sessions as MATLAB cells, one a run, with the labels inside, also named
``A01T.mat``; where both are there the GDF is taken. A04T has only one calibration block.
"""

import re
from pathlib import Path

from eegfm_etl.recipe import Job, Person, Recipe, files_below
from eegfm_etl.recipes import graz
from eegfm_etl.source import ArrayLabels, ArrayLayout, Ask

_FILE = re.compile(r"A0(?P<person>[1-9])(?P<session>[TE])\.(?P<kind>gdf|mat)", re.IGNORECASE)
_SPLITS = {"T": "train", "E": "test"}
CUE_AFTER_S = 2.0  # from the trial's start
_CUE_S = 1.25

# Figure 3 of the description, in the order of the files; these name five of the 22 ("EEG-Fz", "EEG", "EEG", …).
MONTAGE = (
    "Fz", "FC3", "FC1", "FCz", "FC2", "FC4", "C5", "C3", "C1", "Cz", "C2", "C4", "C6", "CP3", "CP1", "CPz",
    "CP2", "CP4", "P1", "Pz", "P2", "POz", "EOG-left", "EOG-central", "EOG-right",
)  # fmt: skip
LABELS = {
    **graz.LABELS,
    "771": "motor/imagery/both_feet",
    "772": "motor/imagery/tongue",
    "1072": "artifact/eye_movement",
    "class 1": "motor/imagery/left_hand",
    "class 2": "motor/imagery/right_hand",
    "class 3": "motor/imagery/both_feet",
    "class 4": "motor/imagery/tongue",
    "rejected 0": None,
    "rejected 1": "artifact/rejected_trial",
}
_METHODOLOGY = (
    *graz.METHODOLOGY,
    ("reference", "left mastoid", "declared"),
    ("ground", "right mastoid", "declared"),
    ("electrode", "Ag/AgCl", "declared"),
    ("protocol", "imagery of left hand, right hand, both feet or tongue", "declared"),
    ("cue_modality", "visual and auditory", "declared"),
)


def plan(root: Path) -> list[Job]:
    """Every session, from its GDF where there is one, else from its MATLAB file."""
    gdf: dict[tuple[str, str], str] = {}
    mat: dict[tuple[str, str], str] = {}
    true_labels: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}
    files = files_below(root, _FILE)
    published = graz.true_labels(root, [rel for rel, match in files if match["kind"].lower() == "mat"])
    for rel, match in files:
        key = (match["person"], match["session"].upper())
        if match["kind"].lower() == "gdf":
            gdf.setdefault(key, rel)
        elif rel in published:
            true_labels.setdefault(key, (rel, published[rel]))
        else:
            mat.setdefault(key, rel)
    for key, (rel, labels) in true_labels.items():
        if not labels and key not in gdf:  # damaged, and perhaps the session itself: its reader says why
            mat.setdefault(key, rel)
    return [
        _job(root, rel, person, session, true_labels.get((person, session)))
        for (person, session), rel in sorted((mat | gdf).items())
    ]


def _job(
    root: Path, rel: str, person: str, session: str, true_labels: tuple[str, tuple[str, ...]] | None
) -> Job:
    is_gdf = rel.lower().endswith(".gdf")
    for_cues = true_labels if is_gdf and session == "E" else None
    layout = ArrayLayout(
        variable="data.X",
        axes="time channel",
        channels=MONTAGE,
        rate_hz=250.0,
        unit="uV",
        labels=(
            ArrayLabels("data.y", "data.trial", shift_s=CUE_AFTER_S, duration_s=_CUE_S, prefix="class "),
            ArrayLabels("data.artifacts", "data.trial", prefix="rejected "),
        ),
    )
    return Job(
        path=root / rel,
        rel=rel,
        recording_id=f"bci_iv_2a/A0{person}/{session}",
        person=Person(f"A0{person}"),
        session=session,
        task="imagery",
        labels=LABELS,
        in_order=graz.in_order(for_cues[1]) if for_cues else {},
        names=MONTAGE,
        methodology=_METHODOLOGY,
        line_freq_hz=50.0,
        hardware_band=(0.5, 100.0),
        official_split=_SPLITS[session],
        ask=Ask() if is_gdf else Ask(layout=layout),
        parts=(for_cues[0],) if for_cues else (),
    )


RECIPE = Recipe(
    id="bci_iv_2a",
    version="1",
    title="BCI Competition IV data set 2a: four classes of motor imagery",
    people=9,
    hours=None,
    task="left hand, right hand, both feet and tongue, imagined",
    licence="CC-BY-ND-4.0",
    citation=(
        "Brunner et al., BCI Competition 2008 - Graz data set A; "
        "Tangermann et al., Frontiers in Neuroscience 6:55, 2012"
    ),
    access="open",
    verified=True,
    layout_source="https://www.bbci.de/competition/iv/desc_2a.pdf",
    namespace="bci_iv_2a",
    plan=plan,
    within_person=True,
    apply_at="https://www.bbci.de/competition/iv/ or https://bnci-horizon-2020.eu/database/data-sets (001-2014)",
    layout="A01T.gdf, A01E.gdf, A01E.mat with the true labels; or BNCI Horizon's A01T.mat, A01E.mat",
)
