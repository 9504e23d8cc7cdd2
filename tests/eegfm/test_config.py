import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from eegfm.config import FinetuneConfig, PretrainConfig, dump_config, load_config, shipped_configs
from eegfm_lake.errors import UsageError

BASE = {"name": "run", "lock": "cohort", "steps": 10}


@pytest.fixture
def write(tmp_path):
    def write(data) -> str:
        path = tmp_path / "mine.yaml"
        path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
        return path

    return write


@pytest.mark.parametrize("name", shipped_configs("pretrain"))
def test_every_shipped_pretraining_config_loads_by_name(name):
    config = load_config(name, PretrainConfig)
    assert load_config(name.split("/")[1], PretrainConfig) == config


def test_the_three_pretraining_configs_are_shipped():
    assert {"pretrain/tiny_4s", "pretrain/tiny_30s", "pretrain/base_30s"} <= set(shipped_configs("pretrain"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epocs=3", "unknown key 'epocs' in override 'epocs=3'; did you mean 'epochs'?"),
        (
            "optimiser.lrr=3",
            "unknown key 'lrr' of optimiser in override 'optimiser.lrr=3'; did you mean 'lr'?",
        ),
        ("optimiser.lr=fast", "optimiser.lr in override 'optimiser.lr=fast' is 'fast'; expected a number"),
        ("steps=yes", "steps in override 'steps=yes' is True; expected a whole number"),
        ("steps=1.5", "steps in override 'steps=1.5' is 1.5; expected a whole number"),
        ("optimiser=", "optimiser in override 'optimiser=' is None; expected keys and values"),
        ("optimiser.lr=-1", "optimiser.lr in override 'optimiser.lr=-1' is -1; expected greater than 0"),
        ("reader.channels=3", "expected 'all' or 'common' or a list"),
        ("name.a=3", "override 'name.a=3': name holds 'run', which has no keys"),
        ("optimiser.betas.5=3", "optimiser.betas is a list of 2, '5' is no place in it"),
        ("epochs=3", "mine.yaml: give either epochs or steps"),
        ("objective.span_s=[3.0, 1.0]", "objective in mine.yaml: the shortest span comes first"),
        ("lr", "override 'lr' is not of the form a.b=c"),
        ("name=[", "override 'name=[': the value is not YAML"),
    ],
)
def test_a_wrong_override_is_one_line_that_names_key_value_and_expectation(write, override, message):
    with pytest.raises(UsageError) as caught:
        load_config(write(BASE), PretrainConfig, [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_key_in_a_file_names_the_file(write):
    with pytest.raises(UsageError, match=r"unknown key 'epocs' in mine\.yaml; did you mean 'epochs'\?"):
        load_config(write(BASE | {"epocs": 3}), PretrainConfig)


def test_a_misspelt_key_inside_a_list_is_suggested_from_the_lists_own_keys(write):
    data = {"name": "run", "lock": "cohort", "models": [{"name": "csbrain", "epocs": 3}]}
    with pytest.raises(UsageError, match=r"unknown key 'epocs' of models\.0 .* did you mean 'epochs'\?"):
        load_config(write(data), FinetuneConfig)


def test_a_missing_key_and_broken_yaml_and_a_doubled_key_are_explained(write):
    with pytest.raises(UsageError, match=r"mine\.yaml lacks the key 'lock'"):
        load_config(write({"name": "run", "steps": 1}), PretrainConfig)
    with pytest.raises(UsageError, match=r"mine\.yaml line 2: key 'name' is given twice"):
        load_config(write("name: a\nname: b\n"), PretrainConfig)
    with pytest.raises(UsageError, match=r"mine\.yaml line 2: expected"):
        load_config(write("name: [a\n"), PretrainConfig)
    with pytest.raises(UsageError, match=r"mine\.yaml: expected keys and values, found list"):
        load_config(write("- a\n"), PretrainConfig)


def test_an_unknown_config_suggests_a_shipped_one():
    with pytest.raises(
        UsageError, match=r"neither a file nor a shipped name; did you mean 'pretrain/tiny_4s'\?"
    ):
        load_config("tiny_4", PretrainConfig)


def test_overrides_reach_into_sections_and_lists_and_scientific_notation_is_a_number(write):
    overrides = [
        "optimiser.betas.1=0.95",
        "optimiser.lr=1e-3",
        "reader.band_hz=[8, 30]",
        "model.changes.depth=3",
    ]
    config = load_config(write(BASE), PretrainConfig, overrides)
    assert config.optimiser.betas == (0.9, 0.95)
    assert config.optimiser.lr == 1e-3
    assert config.reader.band_hz == (8.0, 30.0)
    assert config.model.changes == {"depth": 3}
    assert str(config.run_dir) == "runs/run"


@given(
    lr=st.floats(1e-9, 1.0),
    names=st.lists(st.sampled_from(["C3", "C4", "Cz", "no", "1e3", "null"]), min_size=1, unique=True),
    clip=st.none() | st.floats(0.1, 100),
)
def test_the_resolved_config_reads_back_as_itself(tmp_path_factory, lr, names, clip):
    config = PretrainConfig(
        **BASE, optimiser={"lr": lr}, reader={"channels": names, "clip": clip, "band_hz": [None, 40.0]}
    )
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(dump_config(config))
    assert load_config(path, PretrainConfig) == config
