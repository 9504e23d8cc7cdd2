from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from eegfm.model import FlattenHead, OfficialConfig, OfficialEncoder, official_layers, official_loss
from tests.eegfm.model import golden_cases as golden

torch.set_num_threads(1)

FLOAT32, FLOAT64 = torch.float32, torch.float64
DTYPES = (FLOAT32, FLOAT64)
# Of the largest output; two layouts of one product round differently in float32.
OUTPUT = {FLOAT32: 2.5e-6, FLOAT64: 1e-10}
LOSS = {FLOAT32: 1e-5, FLOAT64: 1e-10}
GRADIENT = {FLOAT32: 1e-5, FLOAT64: 1e-9}


@dataclass(frozen=True)
class Ran:
    """What one case gave in one precision, as float64 numbers."""

    out: np.ndarray
    stages: list[np.ndarray]
    loss: float
    aligned: float | None
    logits: np.ndarray | None
    grads: dict[str, Tensor | None]
    """Flat; None where a region has no electrode, in the released code as here."""


def config_of(case: str) -> OfficialConfig:
    built = golden.facts(case)["constructor"]
    return OfficialConfig(
        regions=built["brain_regions"],
        order=built["sorted_indices"],
        d_model=built["d_model"],
        depth=built["n_layer"],
        heads=built["nhead"],
        ff=built["dim_feedforward"],
        kernels=[width for (width,) in built["TemEmbed_kernel_sizes"]],
        reconstruct=golden.facts(case)["head"] is None,
    )


def encoder_of(case: str) -> OfficialEncoder:
    encoder = OfficialEncoder(config_of(case)).eval()
    for name, tensor in encoder.state_dict().items():
        tensor.copy_(torch.from_numpy(golden.weight(name, tuple(tensor.shape))))
    return encoder


def head_of(case: str) -> tuple[FlattenHead, dict[str, str]] | None:
    """The case's head, and the released name of each of its parameters."""
    described = golden.facts(case)["head"]
    if described is None:
        return None
    patches = golden.facts(case)["input"]["shape"][2]
    head = FlattenHead(config_of(case), patches, described[-1][1]).eval()
    released = described[0][0].split(".")[0]
    names = {name: name.replace("classifier", released) for name in head.state_dict()}
    for name, tensor in head.state_dict().items():
        tensor.copy_(torch.from_numpy(golden.weight(names[name], tuple(tensor.shape))))
    return head, names


def inputs_of(case: str, name: str | None = None) -> tuple[Tensor, Tensor | None]:
    told = golden.facts(case)
    x = torch.from_numpy(golden.signal(name or case, tuple(told["input"]["shape"])))
    if told["mask"] is None:
        return x, None
    return x, torch.from_numpy(golden.hidden(name or case, tuple(told["mask"]["shape"])))


def run(case: str, encoder: OfficialEncoder, head: tuple[FlattenHead, dict[str, str]] | None) -> Ran:
    dtype = encoder.proj_out[0].weight.dtype if len(encoder.proj_out) else next(encoder.parameters()).dtype
    x, mask = inputs_of(case)
    x = x.to(dtype)
    last: list[Tensor] = []
    hook = encoder.encoder.layers[-1].register_forward_hook(lambda *seen: last.append(seen[2]))
    out = encoder(x, mask)
    hook.remove()
    stages = [*stages_of(encoder, x, mask), last[0]]
    logits = aligned = None
    named = dict(encoder.named_parameters())
    if head is None:
        loss = official_loss(out, x, mask)
        aligned = official_loss(out, x, mask, encoder.config.order).item()
    else:
        logits = head[0](out)
        truth = torch.from_numpy(golden.labels(case, len(x), logits.shape[1]))
        loss = F.cross_entropy(logits, truth, label_smoothing=0.1)
        named |= {head[1][name]: parameter for name, parameter in head[0].named_parameters()}
    loss.backward()
    grads = {name: None if p.grad is None else p.grad.clone().flatten() for name, p in named.items()}
    return Ran(
        numbers(out),
        [numbers(stage) for stage in stages],
        loss.item(),
        aligned,
        None if logits is None else numbers(logits),
        grads,
    )


@torch.no_grad()
def stages_of(encoder: OfficialEncoder, x: Tensor, mask: Tensor | None) -> list[Tensor]:
    h = encoder.patch_embedding(x[:, encoder.order_C], mask)
    stages = [h]
    for tokenizer in (encoder.TemEmbedEEGLayer, encoder.BrainEmbedEEGLayer):
        stages.append(stages[-1] + tokenizer(stages[-1]))
    layer = encoder.encoder.layers[0]
    for branch in (layer.between_windows, layer.between_regions):
        stages.append(stages[-1] + branch(stages[-1]))
    return [*stages, layer(stages[2])]


def numbers(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


@pytest.fixture(scope="module", params=golden.CASES)
def ran(request) -> tuple[str, dict[torch.dtype, Ran]]:
    case = request.param
    encoder, head = encoder_of(case), head_of(case)
    found = {}
    for dtype in DTYPES:
        for module in (encoder, *(head or ())[:1]):
            module.to(dtype).zero_grad()
        found[dtype] = run(case, encoder, head)
    return case, found


def tolerance(case: str, dtype: torch.dtype) -> float:
    # Case f has two regions of one electrode, whose values cancel most.
    return 4e-6 if case == "f" and dtype == FLOAT32 else OUTPUT[dtype]


def test_the_output_is_the_released_one(ran):
    case, found = ran
    figures, told = golden.figures(case), golden.facts(case)
    for dtype in DTYPES:
        out, allowed = found[dtype].out, tolerance(case, dtype) * told["output"]["max_abs"]
        assert list(out.shape) == told["output"]["shape"]
        thinned = out.reshape(-1)[:: told["strides"]["out_f64"]]
        assert np.abs(thinned - figures["out_f64"]).max() <= allowed
        if dtype == FLOAT32:
            assert np.abs(out - figures["out_f32"]).max() <= allowed


def test_every_stage_on_the_way_is_the_released_one(ran):
    case, found = ran
    for dtype in DTYPES:
        for caption, stage in zip(golden.CAPTIONS, found[dtype].stages, strict=True):
            told = golden.facts(case)["stages"][caption]
            assert list(stage.shape) == told["shape"]
            thinned = stage.reshape(-1)[:: golden.facts(case)["strides"][f"stage_{caption}"]]
            wrong = np.abs(thinned - golden.figures(case)[f"stage_{caption}"]).max()
            assert wrong <= tolerance(case, dtype) * told["max_abs"], caption


def test_losses_and_logits_are_the_released_ones(ran):
    case, found = ran
    told = golden.facts(case)["loss"]
    for dtype in DTYPES:
        assert found[dtype].loss == pytest.approx(told["float64"], rel=LOSS[dtype])
        if told["aligned_float64"] is not None:
            assert found[dtype].aligned == pytest.approx(told["aligned_float64"], rel=LOSS[dtype])
        if "logits_f64" in golden.figures(case):
            logits = golden.figures(case)["logits_f64"]
            allowed = {FLOAT32: 2e-5, FLOAT64: 1e-10}[dtype] * np.abs(logits).max()
            assert np.abs(found[dtype].logits - logits).max() <= allowed


def test_gradients_are_the_released_ones_in_size_and_direction(ran):
    case, found = ran
    told = golden.facts(case)["gradients"]
    largest = max(pair[0] for pair in told.values() if pair is not None)
    for name, pair in told.items():
        grads = {dtype: found[dtype].grads[name] for dtype in DTYPES}
        if pair is None:
            assert list(grads.values()) == [None, None], name
            continue
        along = torch.from_numpy(golden.direction(name, grads[FLOAT32].numel()))
        for dtype, grad in grads.items():
            allowed = GRADIENT[dtype] * max(pair[0], 1e-6 * largest)
            assert abs(grad.double().norm().item() - pair[0]) <= allowed, name
            assert abs(torch.dot(grad.double(), along).item() - pair[1]) <= 2 * allowed, name
    assert {dtype: found[dtype].grads.keys() for dtype in DTYPES} == dict.fromkeys(DTYPES, told.keys())


def test_four_steps_of_the_released_optimiser_end_where_it_does():
    told = golden.facts("b")["optimiser_steps"]
    encoder = encoder_of("b").double()
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=5e-4, weight_decay=5e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=400, eta_min=1e-5)
    for step, traced in enumerate(told["trace"]):
        x, mask = inputs_of("b", f"b.step{step}")
        loss = official_loss(encoder(x.double(), mask), x.double(), mask)
        optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        assert loss.item() == pytest.approx(traced["loss"], rel=1e-10)
        assert norm.item() == pytest.approx(traced["grad_norm_before_clip"], rel=1e-9)
        assert optimiser.param_groups[0]["lr"] == pytest.approx(traced["lr"], rel=1e-12)
        optimiser.step()
        schedule.step()
    for name, parameter in encoder.named_parameters():
        norm, projection = told["parameters_after"][name]
        value = parameter.detach().flatten()
        assert value.norm().item() == pytest.approx(norm, rel=1e-9)
        along = float(value.numpy() @ golden.direction(name, len(value)))
        assert abs(along - projection) <= 1e-9 * max(norm, 1.0), name


def test_inputs_masks_and_labels_are_bit_exact():
    for case in golden.CASES:
        told = golden.facts(case)
        x, mask = inputs_of(case)
        assert golden.digest(x.numpy()) == told["input"]["sha256"]
        if mask is not None:
            assert int(mask.sum()) == told["mask"]["ones"]
            stored = np.unpackbits(golden.figures(case)["mask_packed"])[: mask.numel()]
            assert np.array_equal(stored, mask.numpy().reshape(-1))
        if told["head"]:
            stored = golden.figures(case)["labels"]
            assert np.array_equal(golden.labels(case, len(x), told["head"][-1][1]), stored)


@pytest.mark.parametrize(("which", "case", "count"), [("default", "a", 295), ("small", "e", 117)])
def test_names_shapes_and_weights_are_the_released_ones(which: str, case: str, count: int):
    told = golden.shapes(which)
    state = encoder_of(case).state_dict()
    assert len(state) == count
    assert {name: list(tensor.shape) for name, tensor in state.items()} == {
        name: entry["shape"] for name, entry in told.items()
    }
    assert all(golden.digest(state[name].numpy())[:16] == told[name]["sha256"] for name in told)


def test_the_default_model_has_the_released_size_and_costs_what_it_costs():
    encoder = OfficialEncoder(OfficialConfig()).eval()
    assert sum(p.numel() for p in encoder.parameters()) == 8_902_000
    with FlopCounterMode(display=False) as counted:
        encoder(torch.zeros(1, 19, 30, 200))
    assert counted.get_total_flops() <= 1.05 * 12.18e9


def test_layers_begin_as_copies_in_attention_and_differ_in_linear_layers():
    torch.manual_seed(0)
    first, second = OfficialEncoder(OfficialConfig(depth=2)).encoder.layers
    assert torch.equal(first.inter_window_attn.in_proj_weight, second.inter_window_attn.in_proj_weight)
    assert not torch.equal(first.linear1.weight, second.linear1.weight)
    spread = first.linear1.weight.std().item()
    assert spread == pytest.approx((2 / 800) ** 0.5, rel=0.02)


def true_time(encoder: OfficialEncoder) -> None:
    def along_patches(h: Tensor) -> Tensor:
        image = h.flatten(0, 1).transpose(1, 2)[..., None]
        return (
            torch.cat([conv(image) for conv in tokenizer.convs], 1)[..., 0].transpose(1, 2).reshape(h.shape)
        )

    tokenizer = encoder.TemEmbedEEGLayer
    tokenizer.forward = along_patches


def masked_padding(encoder: OfficialEncoder) -> None:
    for layer in encoder.encoder.layers:
        attend = layer.inter_window_attn.forward

        def masked(z: Tensor, attend=attend) -> Tensor:
            added = torch.zeros(len(z), 1, 1, z.shape[1])
            added[torch.arange(len(z)) % 5 >= 2, ..., -1] = float("-inf")  # 12 patches: 3 of 15 are padding
            return attend(z, added)

        layer.inter_window_attn.forward = masked


def tanh_gelu(encoder: OfficialEncoder) -> None:
    for module in encoder.modules():
        if isinstance(module, nn.GELU):
            module.approximate = "tanh"


def no_region_mask(encoder: OfficialEncoder) -> None:
    for layer in encoder.encoder.layers:
        layer.closed_CC.zero_()


def input_order(encoder: OfficialEncoder) -> None:
    encoder.order_C = encoder.order_C.sort().values


def norm_by_patch(encoder: OfficialEncoder) -> None:
    def each(x: Tensor, mask: Tensor) -> Tensor:
        x = torch.where((mask != 0)[..., None], embedding.mask_encoding, x)
        wave = embedding.proj_in(x.reshape(-1, 1, 1, x.shape[-1])).reshape(x.shape)
        h = wave + embedding.spectral_proj(torch.fft.rfft(x, norm="forward").abs())
        return h + embedding.positional_encoding(h.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    embedding = encoder.patch_embedding
    embedding.forward = each


def open_ring(encoder: OfficialEncoder) -> None:
    tokenizer = encoder.BrainEmbedEEGLayer
    released, ring = tokenizer.forward, official_layers.ring_frames

    def zeros(h: Tensor, reach: int = 2) -> Tensor:
        padded = F.pad(h, [0, 0, 0, 0, reach, reach])
        return torch.cat([padded[:, j : j + h.shape[1]] for j in range(2 * reach + 1)], -1)

    def opened(h: Tensor) -> Tensor:
        official_layers.ring_frames = zeros
        try:
            return released(h)
        finally:
            official_layers.ring_frames = ring

    tokenizer.forward = opened


@pytest.mark.parametrize(
    "mistake",
    [true_time, masked_padding, tanh_gelu, no_region_mask, input_order, norm_by_patch, open_ring],
)
def test_a_plausible_correction_would_be_noticed(mistake):
    encoder = encoder_of("e")
    mistake(encoder)
    with torch.no_grad():
        out = encoder(*inputs_of("e"))
    moved = (
        np.abs(numbers(out) - golden.figures("e")["out_f32"]).max() / golden.facts("e")["output"]["max_abs"]
    )
    assert moved > 5 * OUTPUT[FLOAT32]
