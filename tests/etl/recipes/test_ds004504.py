import json
from pathlib import Path

import mne
import numpy as np
import pytest

from .clinical_miniatures import TEN_TWENTY, ingested, methodology, stored

TABLE = "\n".join(
    "\t".join(row)
    for row in (
        ("participant_id", "Gender", "Age", "Group", "MMSE"),
        ("sub-001", "F", "57", "A", "16"),
        ("sub-050", "M", "68", "C", "30 "),
        ("sub-066", "M", "200", "F", "20"),
    )
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ds004504"
    info = mne.create_info(list(TEN_TWENTY), 500.0, "eeg")
    for place in ("sub-001", "sub-050", "sub-066", "derivatives/sub-001"):
        person = place.split("/")[-1]
        samples = np.random.default_rng(7).normal(scale=2e-5, size=(len(TEN_TWENTY), 2500))
        path = root / place / "eeg" / f"{person}_task-eyesclosed_eeg.set"
        path.parent.mkdir(parents=True)
        mne.export.export_raw(path, mne.io.RawArray(samples, info, verbose="error"), verbose="error")
    (root / "participants.tsv").write_text(TABLE)
    sidecar = {"TaskName": "eyesclosed", "EEGReference": "A1 and A2", "PowerLineFrequency": 50}
    (root / "sub-001" / "eeg" / "sub-001_task-eyesclosed_eeg.json").write_text(json.dumps(sidecar))
    (root / "sub-050" / "eeg" / "sub-050_task-eyesclosed_eeg.json").write_text("{")
    return root


def test_groups_ages_and_scores_come_from_participants_tsv(root: Path):
    rows = ingested(root, "ds004504")
    assert {name: (row["diagnosis"], row["age"], row["sex"]) for name, row in rows.items()} == {
        "ds004504/sub-001/eyesclosed": ("Alzheimer's disease", 57, "F"),
        "ds004504/sub-050/eyesclosed": ("healthy", 68, "M"),
        "ds004504/sub-066/eyesclosed": ("frontotemporal dementia", None, "M"),  # 200 is no age
    }
    assert dict(rows["ds004504/sub-050/eyesclosed"]["phenotype"]) == {"MMSE": "30"}
    assert {row["label"] for row in rows.values()} == {"rest/eyes_closed"}


def test_what_was_cleaned_by_ica_is_left_alone(root: Path):
    rows = ingested(root, "ds004504")
    assert {row["source"]["path"].split("/")[0] for row in rows.values()} == {"sub-001", "sub-050", "sub-066"}


def test_the_reference_is_what_a_sidecar_says_or_unknown(root: Path):
    rows = ingested(root, "ds004504")
    assert methodology(rows["ds004504/sub-001/eyesclosed"])["reference"] == "A1 and A2"
    assert "reference" not in methodology(rows["ds004504/sub-050/eyesclosed"])
    assert methodology(rows["ds004504/sub-050/eyesclosed"])["hardware_lowpass"] == "70"
    assert set(stored(rows["ds004504/sub-066/eyesclosed"]).values()) == {"eeg"}
