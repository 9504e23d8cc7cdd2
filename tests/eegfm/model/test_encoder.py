import json

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from eegfm.model import Encoder, ReconstructionHead, layout_of, preset
from eegfm_lake.errors import UsageError
from tests.eegfm.model.caps import CAP_19, CAP_22, CAP_64, eeg, positions

torch.set_num_threads(1)


def encoder(**changes) -> Encoder:
    torch.manual_seed(0)
    return Encoder(preset("tiny", 4, **changes)).eval()


@pytest.fixture(scope="module")
def tiny() -> Encoder:
    return encoder()


def close(a: torch.Tensor, b: torch.Tensor, within: float = 1e-5) -> bool:
    return (a - b).abs().max().item() <= within * max(1.0, b.abs().max().item())


def test_a_four_second_trial_of_64_electrodes_becomes_15_patches(tiny: Encoder):
    tokens = tiny(eeg(2, 64, 800), positions(CAP_64))
    assert tokens.shape == (2, 64, 15, 32)
    assert tiny.n_patches(800) == 15
    assert tokens.isfinite().all()


def test_patches_are_the_samples_themselves(tiny: Encoder):
    x = eeg(1, 2, 830)
    patches = tiny.patches(x)
    assert patches.shape == (1, 2, tiny.n_patches(830), 100)
    assert torch.equal(patches[0, 1, 3], x[0, 1, 150:250])


def test_permuting_channels_permutes_the_tokens(tiny: Encoder):
    x, where = eeg(2, 64, 800), positions(CAP_64)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    assert close(tiny(x[:, order], where[order]), tiny(x, where)[:, order])


def test_padding_channels_changes_nothing(tiny: Encoder):
    x, where = eeg(2, 19, 800), positions(CAP_19).expand(2, -1, -1)
    junk = torch.full((2, 5, 800), float("nan"))
    mask = torch.arange(24).expand(2, -1) < 19
    padded = tiny(torch.cat([x, junk], 1), torch.cat([where, where[:, :5]], 1), mask)
    assert close(padded[:, :19], tiny(x, where))
    assert (padded[:, 19:] == 0).all()


@pytest.mark.parametrize("attention", ["structured", "criss_cross", "dense"])
def test_a_batch_of_several_montages_equals_each_alone(attention: str):
    model = encoder(attention=attention)
    a, b = eeg(1, 22, 800, 1), eeg(1, 19, 800, 2)
    x = torch.zeros(2, 22, 800)
    x[0], x[1, :19] = a[0], b[0]
    where = torch.full((2, 22, 3), float("nan"))
    where[0], where[1, :19] = positions(CAP_22), positions(CAP_19)
    mask = torch.ones(2, 22, dtype=torch.bool)
    mask[1, 19:] = False
    both = model(x, where, mask)
    assert close(both[:1], model(a, positions(CAP_22)))
    assert close(both[1:, :19], model(b, positions(CAP_19)))


def test_samples_after_the_last_patch_are_not_read(tiny: Encoder):
    x = eeg(1, 4, 849)
    assert torch.equal(tiny(x, positions(CAP_22[:4])), tiny(x[..., :800], positions(CAP_22[:4])))


def test_one_electrode_is_enough(tiny: Encoder):
    assert tiny(eeg(3, 1, 800), positions(["Cz"])).isfinite().all()


def test_unknown_positions_are_read_and_stay_out_of_others_surroundings(tiny: Encoder):
    x = eeg(1, 6, 800)
    where = positions(["C3", "Cz", "C4", "Pz", "no such name", "no such name"])
    embedded = tiny.embedding(x, layout_of(where[None]), None)
    louder = x.clone()
    louder[:, 4] *= 50
    again = tiny.embedding(louder, layout_of(where[None]), None)
    changed = (embedded - again).abs().amax((0, 2, 3)) > 1e-6
    assert changed.tolist() == [False, False, False, False, True, False]
    assert tiny(x, torch.full((6, 3), float("nan"))).isfinite().all()


def test_a_loud_patch_changes_no_embedding_at_another_time():
    model = encoder(patch_samples=100, stride_samples=100)
    x = eeg(1, 22, 800)
    loud = x.clone()
    loud[:, 3, 200:300] *= 30
    layout = layout_of(positions(CAP_22)[None])
    changed = (model.embedding(x, layout, None) - model.embedding(loud, layout, None)).abs().amax(
        (0, 1, 3)
    ) > 1e-6
    assert changed.tolist() == [p == 2 for p in range(8)]


def test_a_hidden_patch_reaches_no_token(tiny: Encoder):
    x, where = eeg(2, 22, 800), positions(CAP_22)
    hidden = torch.rand(2, 22, 15, generator=torch.Generator().manual_seed(2)) < 0.4
    secret = x.clone()
    for b, c, p in hidden.nonzero().tolist():
        secret[b, c, p * 50 : p * 50 + 100] = 7.0
    assert torch.equal(tiny(x, where, None, hidden), tiny(secret, where, None, hidden))
    assert not torch.equal(tiny(x, where), tiny(secret, where))


def test_hiding_nothing_equals_no_mask(tiny: Encoder):
    x, where = eeg(1, 22, 849), positions(CAP_22)
    assert torch.equal(tiny(x, where, None, torch.zeros(1, 22, 15, dtype=torch.bool)), tiny(x, where))


def test_identity_reconstruction_has_no_loss():
    config = preset("tiny", 30, d_model=200, heads=4)
    head = ReconstructionHead(config)
    patches = Encoder(config).patches(eeg(1, 3, 6000))
    with torch.no_grad():
        head.out.weight.copy_(torch.eye(200))
        head.out.bias.zero_()
    assert (head(patches) - patches).abs().max() == 0


def test_the_residual_stream_does_not_explode_with_depth():
    model = encoder(depth=12)
    layout = layout_of(positions(CAP_22)[None])
    sizes = []
    hooks = [b.register_forward_hook(lambda m, i, o: sizes.append(o.std().item())) for b in model.blocks]
    model.encode(eeg(1, 22, 800), layout)
    assert len(hooks) == 12
    assert sizes[-1] < 4 * sizes[0]


@pytest.mark.parametrize("tokenizer", ["layer", "shared", "first"])
@pytest.mark.parametrize("attention", ["structured", "criss_cross", "dense"])
def test_every_variant_sends_gradients_to_all_its_weights(tokenizer: str, attention: str):
    model = encoder(tokenizer=tokenizer, attention=attention).train()
    hidden = torch.zeros(2, 4, 15, dtype=torch.bool)
    hidden[:, 0, 3] = True
    where = positions(["C3", "C1", "C4", "no such name"])
    model(eeg(2, 4, 800), where, None, hidden).square().mean().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize("off", [{"conv_filters": 0}, {"mix_filters": 0}, {"spectrum_hz": 0}])
def test_parts_can_be_switched_off(off: dict):
    assert encoder(**off)(eeg(1, 22, 800), positions(CAP_22)).isfinite().all()


def test_bf16_autocast_stays_near_float32(tiny: Encoder):
    x, where = eeg(2, 22, 800), positions(CAP_22)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = tiny(x, where).float()
    exact = tiny(x, where)
    assert (rounded - exact).square().mean().sqrt() < 0.05 * exact.std()


def test_a_window_shorter_than_a_patch_is_refused(tiny: Encoder):
    with pytest.raises(UsageError, match=r"99 samples.*patch of 100"):
        tiny(eeg(1, 2, 99), positions(["C3", "C4"]))


def test_positions_in_millimetres_are_refused(tiny: Encoder):
    with pytest.raises(UsageError, match="expected metres"):
        tiny(eeg(1, 2, 800), positions(["C3", "C4"]) * 1000)


def test_settings_survive_json():
    config = preset("base", 30)
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_misspelt_setting_names_the_right_one():
    with pytest.raises(UsageError, match="did you mean 'd_model'"):
        preset("tiny", 4, dmodel=3)
    with pytest.raises(UsageError, match="tiny, small, base, large"):
        preset("huge")


def test_presets_have_their_stated_sizes():
    counts = {
        name: sum(p.numel() for p in Encoder(preset(name, 4)).parameters())
        for name in ("tiny", "small", "base")
    }
    assert counts == COUNTS


COUNTS = {"tiny": 47_100, "small": 632_918, "base": 9_608_933}


@pytest.mark.slow
def test_compiled_without_graph_breaks_equals_eager(tiny: Encoder):
    layout = layout_of(positions(CAP_22)[None])
    x = eeg(1, 22, 800)
    compiled = torch.compile(tiny.encode, backend="aot_eager", fullgraph=True)
    assert close(compiled(x, layout), tiny.encode(x, layout), 1e-4)


@pytest.mark.slow
def test_inductor_equals_eager(tiny: Encoder):
    layout = layout_of(positions(CAP_22)[None])
    x = eeg(1, 22, 800)
    assert close(torch.compile(tiny.encode)(x, layout), tiny.encode(x, layout), 1e-4)


def test_checkpointing_keeps_less_and_changes_no_gradient():
    x, where = eeg(2, 22, 800), positions(CAP_22)
    gradients, kept = [], []
    for checkpointing in (False, True):
        model = encoder(depth=4).train()
        model.checkpointing = checkpointing
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, to=sizes: to.append(t.numel()) or t, lambda t: t
        ):
            torch.manual_seed(1)
            loss = model(x, where).square().mean()
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
        kept.append(sum(sizes))
    assert torch.allclose(gradients[0], gradients[1], atol=1e-7)
    assert kept[1] < 0.5 * kept[0]


@pytest.mark.slow
def test_windows_of_one_length_share_eight_graphs_whatever_their_montages_and_none_breaks():
    graphs = CompileCounterWithBackend("eager")
    model = encoder(depth=2)
    for block in model.blocks:
        block.compile(backend=graphs, fullgraph=True)
    rng = np.random.default_rng(0)
    sizes = [(4, 64, 1), (4, 19, 1), (4, 22, 3), (3, 64, 2), (4, 7, 4), (4, 1, 1), (4, 12, 4), (1, 64, 1)]
    for batch, channels, montages in [*sizes, (4, 33, 2), (2, 2, 1)]:
        caps = [positions([CAP_64[i] for i in rng.permutation(64)[:channels]]) for _ in range(montages)]
        where = torch.stack([caps[b % montages] for b in range(batch)])
        model(eeg(batch, channels, 800), where).mean().backward()
    assert 1 <= graphs.frame_count <= 8


@pytest.mark.parametrize("depth", [2, 12])
def test_a_network_begins_close_to_its_patch_embedding_however_deep(depth: int):
    x, where = eeg(2, 19, 800), positions(CAP_19)
    moved = []
    for seed in range(8):
        torch.manual_seed(seed)
        encoder = Encoder(preset("tiny", 4, depth=depth)).eval()
        layout = encoder.layout(where, None, 2)
        start = encoder.embedding(x, layout, None)
        start = start + encoder.position(layout.positions_MC3, layout.known_MC, 15)
        end = start
        for block in encoder.blocks:
            end = block(end, layout)
        moved.append(((end - start).std() / start.std()).item())
    assert 0 < sum(moved) / len(moved) < 0.12 * depth**0.5  # with neighbours in every kernel
