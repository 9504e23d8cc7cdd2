"""TUH Abnormal EEG Corpus: whole recordings that a neurologist called normal or abnormal.

https://isip.piconepress.com/projects/nedc/data/tuh_eeg/tuh_eeg_abnormal/v3.0.1/AAREADME.txt:
``edf/eval/abnormal/01_tcp_ar/aaaaamye_s001_t000.edf``. Older releases lay folders of people and sessions between.
"""

import re
from pathlib import Path

from eegfm_etl.recipe import Job, Recipe, files_below
from eegfm_etl.recipes import tuh

_FILE = re.compile(tuh.TOKEN)
_FOLDERS = re.compile(rf"(?:^|/)(?P<split>train|eval)/(?P<label>normal|abnormal)/{tuh.MONTAGE}/")
_SPLITS = {"train": "train", "eval": "test"}


def plan(root: Path) -> list[Job]:
    """Every recording below train or eval, normal or abnormal."""
    return [
        tuh.tuh_job(
            root,
            rel,
            f"tuab/{match['person']}/{match['session']}/{match['token']}",
            match["person"],
            session=match["session"],
            run=match["token"],
            task="clinical",
            label=f"clinical/{folders['label']}",
            official_split=_SPLITS[folders["split"]],
        )
        for rel, match in files_below(root, _FILE)
        if (folders := _FOLDERS.search(rel))
    ]


RECIPE = Recipe(
    id="tuab",
    version="1",
    title="TUH Abnormal EEG Corpus (TUAB)",
    people=None,
    hours=None,
    task="normal or abnormal clinical EEG",
    licence=tuh.LICENCE,
    citation=f"López, Automated Identification of Abnormal EEGs, Temple University, 2017; {tuh.CITATION}",
    access="agreement",
    verified=True,
    layout_source=(
        "https://isip.piconepress.com/projects/nedc/data/tuh_eeg/tuh_eeg_abnormal/v3.0.1/AAREADME.txt"
    ),
    namespace=tuh.NAMESPACE,
    plan=plan,
    apply_at=tuh.APPLY_AT,
    layout="edf/train|eval/normal|abnormal/01_tcp_ar/aaaaamye_s001_t000.edf",
)
