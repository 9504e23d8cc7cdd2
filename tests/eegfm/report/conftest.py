"""Real runs on a tiny lake, made once: a pre-training run and, from its encoder, a fine-tuning run."""

import pytest

from eegfm_lake.cohort import freeze
from tests.lake.tiny import write_tiny_lake

WINDOWS = "SELECT recording_id, start, seconds FROM windows(4, 4) WHERE person < 'tiny/P03'"


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
