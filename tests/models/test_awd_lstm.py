"""AWD-LSTM: the published network, with a state that can be carried."""

import math
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.config.read import load
from pipeline.models.awd_lstm import AWDLSTM
from pipeline.models.cache import Cache
from pipeline.models.settings import LSTMSettings
from pipeline.models.weights import initialise

CONFIGS = Path(__file__).parents[2] / "configs/model"
VOCABULARY = 50


def tiny(**changes: Any) -> LSTMSettings:
    return LSTMSettings(backbone="lstm", **{"layers": 3, "width": 16, "hidden": 24, **changes})


def make(seed: int = 1, **changes: Any) -> AWDLSTM:
    model = AWDLSTM(tiny(**changes), VOCABULARY)
    initialise(model, seed)
    return model.train()


def tokens(rows: int, length: int) -> Tensor:
    return torch.randint(0, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("vocabulary", "published"), [(33_278, 33_556_078), (10_000, 24_221_600)])
def test_it_has_the_size_of_the_published_one(vocabulary: int, published: int) -> None:
    """Merity et al. 2018, tables 2 and 1: 33M for WikiText-2, 24M for the Penn Treebank."""
    settings = load(LSTMSettings, CONFIGS / "awd_lstm.yaml")
    with torch.device("meta"):
        model = AWDLSTM(settings, vocabulary)
    assert sum(parameter.numel() for parameter in model.parameters()) == published


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_it_is_a_stack_of_torch_lstms_between_tied_embeddings(layers: int) -> None:
    model = make(layers=layers).eval()
    tokens_BT = tokens(4, 9)
    x_BTD = model.embeddings.weight[tokens_BT] * math.sqrt(16)
    widths = [16, *[24] * (layers - 1), 16]
    for layer, (inputs, width) in zip(model.layers, pairwise(widths), strict=True):
        plain = nn.LSTM(inputs, width, batch_first=True)
        plain.load_state_dict(
            {
                "weight_ih_l0": layer.input.weight,
                "weight_hh_l0": layer.recurrent.weight,
                "bias_ih_l0": layer.input.bias,
                "bias_hh_l0": layer.recurrent.bias,
            }
        )
        x_BTD = plain(x_BTD)[0]
    hidden_BTD = model(tokens_BT, seeds_B=torch.arange(4))
    torch.testing.assert_close(hidden_BTD, x_BTD)
    scores = model.unembed(hidden_BTD.flatten(0, 1))
    torch.testing.assert_close(scores, x_BTD.flatten(0, 1) @ model.embeddings.weight.T + model.output_bias)
    assert model.readout(hidden_BTD) is hidden_BTD


def test_the_kernel_computes_the_equations_in_its_docstring() -> None:
    model = make(layers=1)
    layer = model.layers[0]
    x_BTD = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))
    nn.init.normal_(layer.input.bias, generator=torch.Generator().manual_seed(2))
    h_BH, c_BH, states = torch.zeros(2, 16), torch.zeros(2, 16), []
    for x_BD in x_BTD.unbind(1):
        i, f, g, o = (layer.input(x_BD) + layer.recurrent(h_BH)).chunk(4, dim=-1)
        c_BH = f.sigmoid() * c_BH + i.sigmoid() * g.tanh()
        h_BH = o.sigmoid() * c_BH.tanh()
        states.append(h_BH)
    torch.testing.assert_close(layer(x_BTD, None, None), torch.stack(states, dim=1))


def test_on_a_cpu_the_layers_stay_in_fp32_under_autocast() -> None:
    """Where bf16 would be slower, and a carried state coarser."""
    model, tokens_BT, cache = make(), tokens(2, 5), Cache()
    plain = model(tokens_BT)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model(tokens_BT, cache=cache), plain)
    assert {part.dtype for state in cache.states.values() for part in state} == {torch.float32}


def test_untied_output_embeddings_are_others() -> None:
    model = make(tied=False)
    assert model.output_matrix() is not model.embeddings.weight
    assert not torch.equal(model.output_matrix(), model.embeddings.weight)
    tied = make()
    assert tied.output_matrix() is tied.embeddings.weight


def test_weights_start_from_the_seed_alone_with_the_variance_of_the_original() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    model = AWDLSTM(tiny(width=96, hidden=128), 2000)
    initialise(model, 7)
    again = AWDLSTM(tiny(width=96, hidden=128), 2000)
    initialise(again, 7)
    other = AWDLSTM(tiny(width=96, hidden=128), 2000)
    initialise(other, 8)
    assert torch.equal(torch.get_rng_state(), before)
    first, second, third = (each.state_dict() for each in (model, again, other))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[name], third[name]) for name in first if name.endswith("weight"))
    assert not any(first[name].any() for name in first if name.endswith("bias"))
    assert (model.embeddings.weight * model.scale).std().item() == pytest.approx(1, rel=0.01)
    for layer, width in zip(model.layers, (128, 128, 96), strict=True):
        uniform_std = 2 / math.sqrt(width) / math.sqrt(12)
        assert layer.input.weight.std().item() == pytest.approx(uniform_std, rel=0.02)
        assert layer.recurrent.weight.std().item() == pytest.approx(uniform_std, rel=0.02)


def test_it_learns_a_repeated_sequence_with_all_dropouts_on() -> None:
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    tokens_BT = torch.tensor([3, 14, 15, 9, 2, 6]).repeat(4, 6)
    losses = []
    for step in range(40):
        model.begin_step(step)
        hidden_BTD = model(tokens_BT[:, :-1], seeds_B=torch.arange(4) + 4 * step)
        loss = nn.functional.cross_entropy(model.unembed(hidden_BTD.flatten(0, 1)), tokens_BT[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_it_reads_one_way_and_says_so() -> None:
    model = make()
    tokens_BT = tokens(2, 12)
    torch.testing.assert_close(model(tokens_BT, causal=True), model(tokens_BT))
    torch.testing.assert_close(model(tokens_BT)[:, :5], model(tokens_BT[:, :5], lengths_B=torch.tensor([5, 5])))
    for how in ({"causal": False}, {"prefix_B": torch.tensor([1, 2])}):
        with pytest.raises(ValueError, match="reads one way"):
            model(tokens_BT, **how)


def test_more_tokens_than_settings_allow_are_refused_but_not_more_in_several_reads() -> None:
    model, cache = make(max_positions=6), Cache()
    with pytest.raises(ValueError, match="7 tokens are more than the model's 6 positions"):
        model(tokens(1, 7))
    for _ in range(3):
        assert model(tokens(1, 6), cache=cache).shape == (1, 6, 16)
    assert cache.length == 18


@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_is_in_exactly_one_layer_group(tied: bool) -> None:
    model = make(tied=tied)
    groups = model.layer_groups()
    assert [name for name, _ in groups] == ["embeddings", "layer 1", "layer 2", "layer 3"]
    grouped = [id(parameter) for _, parameters in groups for parameter in parameters]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(parameter) for parameter in model.parameters()}


def test_a_reader_has_only_what_a_classifier_trains() -> None:
    model, tokens_BT = make(tied=False), tokens(2, 5)
    hidden_BTD = model(tokens_BT)
    reader = model.reader()
    assert torch.equal(reader(tokens_BT), hidden_BTD)
    assert reader.input_embeddings() is model.embeddings
    reader(tokens_BT).sum().backward()
    assert all(parameter.grad is not None for parameter in reader.parameters())
    grouped = {id(parameter) for _, parameters in reader.layer_groups() for parameter in parameters}
    assert grouped == {id(parameter) for parameter in reader.parameters()}


def test_floating_point_operations_are_six_per_weight_of_a_matrix() -> None:
    model = make()
    matrices = sum(p.numel() for name, p in model.named_parameters() if "bias" not in name)
    assert model.flops_per_token(10) == model.flops_per_token(1000) == 6 * matrices
    assert {matrix.dim() for matrix in model.hidden_matrices()} == {2}
    assert len(model.hidden_matrices()) == 6


@pytest.mark.parametrize("stem", ["awd_lstm", "awd_lstm_small"])
def test_each_shipped_file_says_its_true_size_in_its_first_line(stem: str) -> None:
    path = CONFIGS / f"{stem}.yaml"
    words = path.read_text(encoding="utf-8").splitlines()[0].rstrip(".").split()
    with torch.device("meta"):
        model = AWDLSTM(load(LSTMSettings, path), int(words[-1].replace(",", "")))
    assert words[words.index("M") - 1] == f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}"


# The carried state.


@pytest.mark.parametrize("cuts", [(12,), (5, 7), (1, 1, 10), (1,) * 12])
def test_a_text_read_in_parts_gives_the_states_of_the_whole(cuts: tuple[int, ...]) -> None:
    model, cache = make().eval(), Cache()
    tokens_BT = tokens(3, 12)
    parts = [model(part, cache=cache) for part in tokens_BT.split(cuts, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(tokens_BT))
    assert cache.length == 12
    assert {part.shape for state in cache.states.values() for part in state} == {(3, 24), (3, 16)}


def test_gradients_flow_through_a_carried_state_until_it_is_detached() -> None:
    model, tokens_BT = make(), tokens(2, 8)
    for detached in (False, True):
        cache = Cache()
        inputs = model.embeddings.weight.detach().requires_grad_()
        model.embeddings.weight = nn.Parameter(inputs)
        model(tokens_BT[:1, :4] * 0 + 7, cache=cache)
        if detached:
            cache.states = {layer: tuple(part.detach() for part in state) for layer, state in cache.states.items()}
        model(tokens_BT[:1, 4:] * 0 + 9, cache=cache).sum().backward()
        assert model.embeddings.weight.grad[9].any()
        assert model.embeddings.weight.grad[7].any() != detached


def test_rows_of_a_cache_are_those_of_the_batch() -> None:
    model, cache, tokens_BT = make().eval(), Cache(), tokens(3, 8)
    model(tokens_BT[:, :5], cache=cache)
    rows = torch.tensor([2, 0, 2])
    cache.select(rows)
    torch.testing.assert_close(model(tokens_BT[rows, 5:], cache=cache), model(tokens_BT)[rows, 5:])


def test_settings_are_ulmfits_by_default() -> None:
    shipped = asdict(load(LSTMSettings, CONFIGS / "awd_lstm.yaml"))
    ours = asdict(replace(LSTMSettings(backbone="lstm"), embedding_dropout=0.02))
    assert shipped == ours
