"""Real runs on a tiny lake, made once: a pre-training run and, from its encoder, a fine-tuning run."""

import pytest

from eegfm_lake.cohort import freeze
from tests.lake.tiny import write_tiny_lake

WINDOWS = "SELECT recording_id, start, seconds FROM windows(4, 4) WHERE person < 'tiny/P03'"
TRIALS = "SELECT recording_id, start, seconds, label FROM trials('motor/imagery/*', 0, 4)"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    lake = write_tiny_lake(folder / "lake", people=6, runs=1, trials=8)
    freeze(lake, WINDOWS, name="windows")
    return folder


@pytest.fixture(scope="session")
def pretrained(tiny):
    from eegfm.config import PretrainConfig
    from eegfm.pretrain import pretrain

    config = PretrainConfig(
        name="pre",
        lock="windows",
        lake=str(tiny / "lake"),
        runs=str(tiny / "runs"),
        steps=4,
        log_steps=1,
        reconstructions=2,
        loader={"batch": 8, "workers": 0},
        validation={"every_steps": 2, "windows": 8, "people": 0.4},
    )
    return pretrain(config)


@pytest.fixture(scope="session")
def finetuned(tiny, pretrained):
    from eegfm.config import FinetuneConfig
    from eegfm.decode import finetune
    from eegfm_lake.table import Lake

    freeze(Lake.open(tiny / "lake"), TRIALS, name="trials")
    config = FinetuneConfig(
        name="fine",
        lock="trials",
        lake=str(tiny / "lake"),
        runs=str(tiny / "runs"),
        protocol={"folds": 3, "test_people": ["tiny/P03..P06"]},
        alignment={"uses": ["none", "past"]},
        models=[
            {"name": "csbrain", "label": "CSBrain", "epochs": 2, "model": {"checkpoint": str(pretrained)}},
            {"name": "csp_lda"},
            {"name": "band_power"},
        ],
        permutations=2,
    )
    return finetune(config)
