"""Promises: AdamW's part is torch's AdamW, Muon's update is orthogonal, groups carry the recipe's rates."""

import pytest
import torch
from torch import nn

from pipeline.config.training import TrainingConfig
from pipeline.models.build import build
from pipeline.models.positions import POSITIONS
from pipeline.models.settings import TransformerSettings
from pipeline.training.groups import parameter_groups
from pipeline.training.optimiser import NEWTON_SCHULZ, NEWTON_SCHULZ_STEPS, MuonAdamW, orthogonalise

MATRICES = (nn.Linear, nn.Embedding)


def two_layers() -> tuple[nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    return nn.Linear(4, 6), nn.Linear(6, 3)


def groups_of(layers: tuple[nn.Linear, ...]) -> list[tuple[str, list[nn.Parameter]]]:
    return [(f"layer {number}", list(layer.parameters())) for number, layer in enumerate(layers)]


def test_adamw_is_torchs_adamw_to_the_bit() -> None:
    config = TrainingConfig(learning_rate=0.01, weight_decay=0.1, beta2=0.95)
    ours, theirs = two_layers(), two_layers()
    mine = MuonAdamW(parameter_groups(groups_of(ours), [], config), config.beta1, config.beta2)
    reference = torch.optim.AdamW(
        [
            {"params": [layer.weight for layer in theirs], "weight_decay": 0.1},
            {"params": [layer.bias for layer in theirs], "weight_decay": 0.0},
        ],
        lr=0.01,
        betas=(0.9, 0.95),
        fused=True,
    )
    for step in range(5):
        x = torch.full((2, 4), float(step + 1))
        for layers, optimizer in ((ours, mine), (theirs, reference)):
            optimizer.zero_grad()
            layers[1](layers[0](x)).square().sum().backward()
            optimizer.step()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a.weight, b.weight)
        assert torch.equal(a.bias, b.bias)


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    generator = torch.Generator().manual_seed(1)
    for shape in ((3, 8, 8), (2, 4, 16), (2, 16, 4)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape, generator=generator)))
        assert values.min() > 0.3
        assert values.max() < 1.3


def test_the_iteration_on_gram_matrices_is_muons_own_also_where_singular_values_are_tiny() -> None:
    generator = torch.Generator().manual_seed(1)
    for rows, columns in ((16, 64), (64, 16), (32, 32)):
        u, _, vt = torch.linalg.svd(torch.randn(2, rows, columns, generator=generator), full_matrices=False)
        update_NRC = (u * torch.logspace(0, -6, u.size(-1))) @ vt
        x_NRC = update_NRC.double()
        x_NRC = x_NRC / x_NRC.norm(dim=(-2, -1), keepdim=True)
        a, b, c = NEWTON_SCHULZ
        for _ in range(NEWTON_SCHULZ_STEPS):
            gram = x_NRC @ x_NRC.mT
            x_NRC = a * x_NRC + (b * gram + c * gram @ gram) @ x_NRC
        error = (orthogonalise(update_NRC) - x_NRC).norm() / x_NRC.norm()
        assert error < 1e-3


def test_under_autocast_the_iteration_runs_in_bf16_and_comes_close_to_fp32() -> None:
    """Lightning's step runs under it; powers of Gram matrices taken in bf16 would diverge."""
    generator = torch.Generator().manual_seed(1)
    for shape in ((2, 32, 64), (2, 64, 32), (2, 64, 64)):
        update_NRC = torch.randn(shape, generator=generator)
        exact = orthogonalise(update_NRC)
        with torch.autocast("cpu", torch.bfloat16):
            error = (orthogonalise(update_NRC) - exact).norm() / exact.norm()
        assert 0 < error < 0.03


@pytest.mark.parametrize("shape", [(16, 8), (8, 16), (12, 12)], ids=str)
def test_muon_is_torchs_muon_but_for_the_rounding_of_bf16(shape: tuple[int, int]) -> None:
    """Nesterov's look ahead, the scale of tall matrices and the decay, over steps of ever new gradients."""
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(shape, generator=generator)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    config = TrainingConfig(optimizer="muon", muon_learning_rate=0.1, weight_decay=0.5)
    mine = MuonAdamW(parameter_groups([("layer", [ours])], [ours], config), config.beta1, config.beta2)
    reference = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.5, nesterov=True, adjust_lr_fn="original")
    for _ in range(6):
        ours.grad = torch.randn(shape, generator=generator)
        theirs.grad = ours.grad.clone()
        mine.step()
        reference.step()
    assert (ours - theirs).norm() < 0.02 * (theirs - start).norm()


def test_muon_moves_only_the_hidden_matrices() -> None:
    config = TrainingConfig(learning_rate=0.01, optimizer="muon", muon_learning_rate=0.5, weight_decay=0.0)
    layers = two_layers()
    groups = parameter_groups(groups_of(layers), [layers[0].weight], config)
    kinds = {group["kind"]: sum(p.numel() for p in group["params"]) for group in groups if group["kind"] == "muon"}
    assert kinds == {"muon": layers[0].weight.numel()}
    before = layers[0].weight.detach().clone()
    layers[1](layers[0](torch.ones(2, 4))).sum().backward()
    MuonAdamW(groups, 0.9, 0.99).step()
    # An update of rank one stays of rank one, its one singular value about 1, times the rate and the tall scale.
    moved = torch.linalg.svdvals(layers[0].weight.detach() - before)
    assert 0.5 * (6 / 4) ** 0.5 * 0.3 < moved[0] < 0.5 * (6 / 4) ** 0.5 * 1.3
    assert moved[1] < 1e-4


def test_each_group_trains_slower_than_the_one_above_by_the_discriminative_factor() -> None:
    layers = (*two_layers(), nn.Linear(3, 2))
    config = TrainingConfig(learning_rate=1.0, discriminative=2.6)
    rates = {group["name"]: group["peak"] for group in parameter_groups(groups_of(layers), [], config)}
    assert rates == {"layer 2": 1.0, "layer 1": 1 / 2.6, "layer 0": 1 / 2.6**2}


def test_frozen_parameters_are_left_out_and_vectors_are_not_decayed() -> None:
    layers = two_layers()
    layers[0].requires_grad_(False)
    groups = parameter_groups(groups_of(layers), [], TrainingConfig(learning_rate=1.0, weight_decay=0.3))
    assert {group["name"] for group in groups} == {"layer 1"}
    assert {group["params"][0].dim(): group["weight_decay"] for group in groups} == {2: 0.3, 1: 0.0}


@pytest.mark.parametrize("positions", POSITIONS)
def test_of_a_network_the_matrices_are_decayed_and_nothing_else(positions: str) -> None:
    """Transformer-XL's u and v are biases of queries, one vector for each head."""
    shape = {"layers": 2, "width": 32, "heads": 2, "feedforward": 64, "max_positions": 16}
    parts = {"qk_norm": True, "ngram_buckets": 7, "output_bias": True, "output_transform": True, "tied": False}
    network = build(TransformerSettings(**shape, **parts, positions=positions), 50, seed=1)
    groups = parameter_groups(network.layer_groups(), [], TrainingConfig(weight_decay=0.3))
    decayed = {id(parameter) for group in groups if group["weight_decay"] for parameter in group["params"]}
    matrices = {id(module.weight): name for name, module in network.named_modules() if isinstance(module, MATRICES)}
    assert decayed == matrices.keys()


def test_a_loaded_state_is_all_on_the_device_of_its_parameter() -> None:
    """torch and Lightning leave `step` where the state was saved, and the fused rule refuses two devices."""
    kept, there = torch.nn.Linear(4, 6), torch.nn.Linear(4, 6, device="meta")
    made = [
        MuonAdamW(parameter_groups([("layer", list(layer.parameters()))], [], TrainingConfig()), 0.9, 0.99)
        for layer in (kept, there)
    ]
    kept(torch.ones(2, 4)).sum().backward()
    made[0].step()
    made[1].load_state_dict(made[0].state_dict())
    assert {tensor.device.type for state in made[1].state.values() for tensor in state.values()} == {"meta"}
    assert {tensor.device.type for state in made[0].state.values() for tensor in state.values()} == {"cpu"}
