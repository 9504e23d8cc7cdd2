"""TUH EEG Corpus: clinical EEG of Temple University Hospital without labels, for pre-training.

Layout of v2.0: ``edf/000/aaaaaaaa/s001_2015/01_tcp_ar/aaaaaaaa_s001_t000.edf`` (group, person, session and its
date, reference, token). Folders 01 and 03 hold recordings against an averaged reference, 02 and 04 against
linked ears.
"""

import re
from pathlib import Path

from eegfm_etl.recipe import Job, Recipe, files_below
from eegfm_etl.recipes import tuh

_FILE = re.compile(tuh.TOKEN)
_FOLDERS = re.compile(rf"(?:^|/)\d{{3}}/[a-z\d]{{8}}/s\d{{3}}_\d{{4}}(?:_\d\d_\d\d)?/{tuh.MONTAGE}/[^/]+$")


def plan(root: Path) -> list[Job]:
    """Every recording in a group's folder: the parts of other TUH corpora below the same root are theirs."""
    return [
        tuh.tuh_job(
            root,
            rel,
            f"tueg/{match['person']}/{match['session']}/{match['token']}",
            match["person"],
            session=match["session"],
            run=match["token"],
            task="clinical",
        )
        for rel, match in files_below(root, _FILE)
        if _FOLDERS.search(rel)
    ]


RECIPE = Recipe(
    id="tueg",
    version="1",
    title="TUH EEG Corpus (TUEG)",
    people=None,
    hours=None,
    task="clinical EEG without labels",
    licence=tuh.LICENCE,
    citation=tuh.CITATION,
    access="agreement",
    verified=True,
    layout_source=(
        "https://braindecode.org/stable/generated/braindecode.datasets.TUH.html; folders and references: "
        "https://isip.piconepress.com/projects/nedc/data/tuh_eeg/tuh_eeg_seizure/v2.0.3/AAREADME.txt"
    ),
    namespace=tuh.NAMESPACE,
    plan=plan,
    apply_at=tuh.APPLY_AT,
    layout="edf/000/aaaaaaaa/s001_2015/01_tcp_ar/aaaaaaaa_s001_t000.edf",
)
