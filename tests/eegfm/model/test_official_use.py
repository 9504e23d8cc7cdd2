import json
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from eegfm.model import (
    FlattenHead,
    OfficialConfig,
    OfficialEncoder,
    load_official,
    load_official_weights,
    official_loss,
    official_table,
    official_tables,
)
from eegfm_lake.errors import EegfmError, UsageError
from tests.eegfm.model import golden_cases as golden

torch.set_num_threads(1)

SMALL = {"d_model": 50, "depth": 2, "heads": 5, "ff": 60}
PUBLISHED = {
    "bcic2020_speech": "speech",
    "mental_arithmetic": "stress",
    "chbmit": "chb",
    "physionet_ft_frontal": "physio_fixed",
    "physionet_ft_temporal": "physio_fixed_b",
}


def small(seed: int = 0, **changes) -> OfficialEncoder:
    torch.manual_seed(seed)
    return OfficialEncoder(OfficialConfig(**(SMALL | changes))).eval()


def same(a: OfficialEncoder, b: OfficialEncoder) -> bool:
    theirs = b.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in a.state_dict().items() if name in theirs)


def write(path, state: dict[str, Tensor], prefix: str = ""):
    state = {prefix + name: tensor.clone() for name, tensor in state.items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "module.backbone."])
def test_published_names_load_with_any_of_their_prefixes(tmp_path, suffix: str, prefix: str):
    trained = small(1)
    path = write(tmp_path / f"CSBrain{suffix}", trained.state_dict(), prefix)
    encoder, report = load_official(path, OfficialConfig(**SMALL))
    assert same(encoder, trained)
    assert report.complete
    assert report.matched == report.total == len(trained.state_dict())
    assert f"{report.total} of {report.total} tensors match" in str(report)


def test_a_folder_with_one_file_of_weights_is_enough(tmp_path):
    write(tmp_path / "a.pth", small(1).state_dict())
    assert load_official(tmp_path, OfficialConfig(**SMALL))[1].complete
    write(tmp_path / "b.safetensors", small(1).state_dict())
    with pytest.raises(UsageError, match=r"found a\.pth, b\.safetensors, expected exactly one"):
        load_official(tmp_path, OfficialConfig(**SMALL))
    with pytest.raises(UsageError, match="found nothing there"):
        load_official(tmp_path / "c.pth")


def test_one_file_fits_every_region_table(tmp_path):
    path = write(tmp_path / "w.safetensors", small(1).state_dict())
    for name in official_tables():
        encoder, report = load_official(path, OfficialConfig.of(name, **SMALL))
        assert report.complete
        assert encoder(torch.zeros(1, len(encoder.config.regions), 3, 50)).isfinite().all()


def test_a_part_is_refused_unless_asked_for_and_then_counted(tmp_path):
    state = small(1).state_dict()
    state.pop("encoder.layers.1.norm3.bias")
    state["proj_out.0.weight"] = torch.zeros(3, 3)
    path = write(tmp_path / "w.pth", state)
    encoder = small(2)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    total = len(before)
    with pytest.raises(EegfmError, match=rf"{total - 2} of {total} tensors match; 1 missing"):
        load_official_weights(encoder, path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())
    report = load_official_weights(encoder, path, allow_partial=True)
    assert (report.matched, report.total) == (total - 2, total)
    assert report.missing == ("encoder.layers.1.norm3.bias",)
    assert report.mismatched == ("proj_out.0.weight (found (3, 3), expected (50, 50))",)
    assert torch.equal(encoder.proj_out[0].weight, before["proj_out.0.weight"])
    assert torch.equal(encoder.encoder.layers[1].linear1.weight, state["encoder.layers.1.linear1.weight"])


def test_a_deeper_model_is_not_cut_down_in_silence(tmp_path):
    path = write(tmp_path / "w.pth", small(1, depth=3).state_dict())
    with pytest.raises(EegfmError, match=r"unexpected, the first encoder\.layers\.2\..*check depth"):
        load_official(path, OfficialConfig(**SMALL))


def test_a_fine_tuned_file_is_named_as_such(tmp_path):
    trained = small(1, reconstruct=False)
    head = FlattenHead(trained.config, 3, 2)
    state = {f"backbone.{name}": tensor for name, tensor in trained.state_dict().items()}
    path = write(tmp_path / "w.pth", state | head.state_dict())
    with pytest.raises(EegfmError, match=r"a fine-tuned model: 6 tensors of its head.*reconstruct=False"):
        load_official(path, OfficialConfig(**SMALL))
    encoder, report = load_official(path, OfficialConfig(**SMALL), allow_partial=True)
    assert report.fine_tuned
    assert report.missing == ("proj_out.0.weight", "proj_out.0.bias")
    assert same(trained, encoder)
    encoder, report = load_official(path, OfficialConfig(**SMALL, reconstruct=False))
    assert report.complete
    assert len(report.head) == 6


def test_a_pre_trained_file_fits_a_model_without_reconstruction(tmp_path):
    trained = small(1)
    path = write(tmp_path / "w.pth", trained.state_dict(), "module.")
    encoder, report = load_official(path, OfficialConfig(**SMALL, reconstruct=False))
    assert report.complete
    x = torch.randn(2, 19, 4, 50)
    assert torch.equal(trained.proj_out(encoder.eval()(x)), trained(x))


def test_files_of_anything_but_tensors_are_refused_and_never_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"weights": Trap()}, tmp_path / "trap.pth")
    (tmp_path / "half.safetensors").write_bytes(b"half a fi")
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"epoch": 3}, tmp_path / "epoch.pth")
    torch.save({}, tmp_path / "empty.pth")
    for name, says in (
        ("trap.pth", "no torch file of tensors alone"),
        ("half.safetensors", "no safetensors"),
        ("text.pth", "no torch file"),
        ("epoch.pth", "found 'epoch', expected named tensors"),
        ("empty.pth", "found no tensors"),
    ):
        with pytest.raises(EegfmError, match=says):
            load_official(tmp_path / name, OfficialConfig(**SMALL))
    assert not (tmp_path / "sprung").exists()


def test_weights_of_another_network_are_refused_even_in_part(tmp_path):
    path = write(tmp_path / "w.pth", {"stranger.weight": torch.zeros(2)})
    with pytest.raises(EegfmError, match=r"0 of \d+ tensors match.*weights of the released CSBrain"):
        load_official(path, OfficialConfig(**SMALL), allow_partial=True)
    twice = write(tmp_path / "t.pth", {"norm": torch.zeros(2), "module.norm": torch.zeros(2)})
    with pytest.raises(EegfmError, match="two tensors named norm"):
        load_official(twice, OfficialConfig(**SMALL))


def test_what_the_design_cannot_read_is_refused_with_the_reason():
    encoder = small()
    x = torch.randn(2, 19, 3, 50)
    padded = torch.ones(2, 19, dtype=torch.bool)
    assert torch.equal(encoder(x, channel_mask_BC=padded), encoder(x))
    padded[1, 18] = False
    for wrong, arguments, says in (
        (x[:, :18], {}, "found 18 electrodes, expected the 19 of its table"),
        (torch.cat([x, x], 1), {}, "found 38 electrodes"),
        (x[..., :40], {}, "found patches of 40 samples, expected 50"),
        (x.flatten(2), {}, "cut windows into patches"),
        (x[:, :, :0], {}, "without a patch"),
        (x, {"mask_BCP": torch.ones(2, 19, 4)}, r"mask of shape \(2, 19, 4\)"),
        (x, {"channel_mask_BC": padded}, "no missing electrode"),
    ):
        with pytest.raises(UsageError, match=says):
            encoder(wrong, **arguments)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"regions": (0, 1, 5), "order": (0, 1, 2)}, "found region code 5, expected 0 to 4"),
        ({"regions": (0, -1, 4), "order": (1, 0, 2)}, "found region code -1"),
        ({"regions": (), "order": ()}, "found region code none"),
        ({"regions": (0, 1, 0), "order": (0, 1, 2)}, "found region 0 after 1 at place 2"),
        ({"regions": (0, 1, 0), "order": (0, 2, 2)}, "no permutation of the 3 electrodes"),
        ({"regions": (0, 1, 0), "order": (0, 2)}, "an order of 2 entries"),
        ({"electrodes": ("Cz",)}, "found 1 electrode names, expected 19"),
        ({"d_model": 64, "heads": 4}, "expected a multiple of 25"),
        ({"d_model": 0}, "expected a multiple of 25"),
        ({"heads": 7}, "a multiple of heads=7"),
        ({"kernels": (1, 2)}, "odd kernel widths"),
        ({"kernels": (3, 1)}, "ascending"),
        ({"window_patches": 0}, "at least 1"),
    ],
)
def test_settings_that_the_released_code_cannot_have_are_refused(changes, says: str):
    with pytest.raises(UsageError, match=says):
        OfficialConfig(**changes)


def test_settings_survive_json():
    config = OfficialConfig.of("physionet_ft_temporal", **SMALL)
    assert OfficialConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_region_tables_are_the_published_ones():
    published = json.loads((golden.GOLDEN / "montages.json").read_text())
    published.pop("_about")
    for name in official_tables():
        told, table = published[PUBLISHED.get(name, name)], official_table(name)
        assert [electrode.removesuffix("-REF") for electrode in told["channels"]] == list(table.electrodes)
        assert told["brain_regions"] == list(table.regions)
        assert told["sorted_indices"] == list(table.order)
    consistent = {name for name, told in published.items() if "sorted_indices" in told}
    assert consistent == {PUBLISHED.get(name, name) for name in official_tables()}
    with pytest.raises(UsageError, match=r"unknown region table 'physio'; there are .*pretrain"):
        official_table("physio")


def test_the_output_is_in_the_networks_order_and_the_mask_counts_in_it():
    encoder = small()
    x, mask = torch.randn(1, 19, 3, 50), torch.zeros(1, 19, 3)
    mask[0, 1, 2] = 1
    changed = x.clone()
    changed[0, encoder.config.order[1], 2] += 1
    assert torch.equal(encoder(x, mask), encoder(changed, mask))
    assert not torch.allclose(encoder(x), encoder(changed))


def test_the_released_loss_asks_most_electrodes_for_another_ones_patch():
    order = official_table("pretrain").order
    x = torch.randn(4, 19, 5, 50)
    mask = torch.randint(0, 2, (4, 19, 5))
    perfect = x[:, list(order)]
    assert official_loss(perfect, x, mask, order).item() == 0
    assert official_loss(perfect, x, mask).item() > 1
    fixed = [place for place, electrode in enumerate(order) if place == electrode]
    assert official_loss(perfect[:, fixed], x[:, fixed]).item() == 0
    assert len(fixed) == 4


def test_a_network_of_the_released_kind_learns_at_another_width():
    encoder = small().train()
    x = torch.randn(2, 19, 7, 50)
    mask = torch.rand(2, 19, 7) < 0.5
    official_loss(encoder(x, mask), x, mask).backward()
    still = [name for name, p in encoder.named_parameters() if p.grad is None]
    assert still == ["patch_embedding.mask_encoding"]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_scripted_exported_and_pickled_networks_give_the_same():
    encoder = small(order=(1, 0, 2, 3), regions=(0, 0, 2, 4)).requires_grad_(False)
    x, mask = torch.randn(2, 4, 7, 50), torch.rand(2, 4, 7) < 0.5
    expected = encoder(x, mask)
    assert torch.allclose(torch.jit.script(encoder)(x, mask), expected, atol=1e-5)
    assert torch.allclose(torch.export.export(encoder, (x, mask)).module()(x, mask), expected, atol=1e-5)
    assert torch.equal(pickle.loads(pickle.dumps(encoder))(x, mask), expected)
