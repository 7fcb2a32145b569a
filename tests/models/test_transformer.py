"""The network as a whole: what a position may see, what its parts weigh, how they are grouped."""

import math

import pytest
import torch

from pipeline.models.build import build
from pipeline.models.cache import Cache
from pipeline.models.positions import POSITIONS
from pipeline.models.residual import RESIDUALS
from pipeline.models.settings import TransformerSettings

VOCABULARY = 50


def tokens(rows: int, length: int) -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(3))


def test_hidden_states_and_scores_have_the_promised_shapes(tiny) -> None:
    for tied in (True, False):
        model = build(tiny(tied=tied), VOCABULARY, seed=1)
        hidden_BTD = model(tokens(3, 7))
        assert hidden_BTD.shape == (3, 7, 32)
        assert model.unembed(hidden_BTD.flatten(0, 1)).shape == (21, VOCABULARY)
        assert model.output_matrix().shape == (VOCABULARY, 32)
        assert (model.output_matrix() is model.embeddings.weight) == tied


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_later_token_never_changes_an_earlier_state(tiny, positions) -> None:
    model = build(tiny(positions=positions), VOCABULARY, seed=1)
    tokens_BT = tokens(2, 12)
    changed_BT = tokens_BT.clone()
    changed_BT[:, 8:] = (changed_BT[:, 8:] + 1) % VOCABULARY
    before, after = model(tokens_BT), model(changed_BT)
    torch.testing.assert_close(before[:, :8], after[:, :8], atol=2e-6, rtol=1e-5)
    assert not torch.allclose(before[:, 8:], after[:, 8:], atol=1e-3)
    # Without the causal mask the same change is seen everywhere.
    assert not torch.allclose(model(tokens_BT, causal=False)[:, :8], model(changed_BT, causal=False)[:, :8], atol=1e-3)


@pytest.mark.parametrize("causal", [True, False])
def test_padding_on_the_right_changes_no_true_position(tiny, causal) -> None:
    model = build(tiny(), VOCABULARY, seed=1)
    tokens_BT, lengths_B = tokens(3, 12), torch.tensor([12, 5, 1])
    padded = model(tokens_BT, lengths_B=lengths_B, causal=causal)
    for row, length in enumerate(lengths_B.tolist()):
        alone = model(tokens_BT[row : row + 1, :length], causal=causal)
        torch.testing.assert_close(padded[row, :length], alone[0], atol=2e-6, rtol=1e-5)


def test_more_tokens_than_positions_are_refused_and_as_many_are_not(tiny) -> None:
    model = build(tiny(), VOCABULARY, seed=1)
    assert model(tokens(1, 24)).shape == (1, 24, 32)
    with pytest.raises(ValueError, match="25 tokens are more than the model's 24 positions"):
        model(tokens(1, 25))


@pytest.mark.parametrize("changes", [{}, {"tied": False, "bias": False}, {"positions": "learned", "norm": "rmsnorm"}])
def test_every_parameter_is_in_exactly_one_layer_group(tiny, changes) -> None:
    model = build(tiny(**changes), VOCABULARY, seed=1)
    groups = model.layer_groups()
    assert [name for name, _ in groups] == ["embeddings", "block 1", "block 2"]
    grouped = [id(parameter) for _, parameters in groups for parameter in parameters]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(parameter) for parameter in model.parameters()}
    last = {id(parameter) for parameter in groups[-1][1]}
    assert id(model.stack.norm.weight) in last
    assert (id(model.output_matrix()) in last) == (not model.settings.tied)


def test_hidden_matrices_are_the_two_dimensional_weights_of_the_blocks_alone(tiny) -> None:
    model = build(tiny(positions="learned", tied=False), VOCABULARY, seed=1)
    in_blocks = [parameter for name, parameter in model.named_parameters() if name.startswith("stack.blocks.")]
    expected = [parameter for parameter in in_blocks if parameter.dim() == 2]
    assert [id(matrix) for matrix in model.hidden_matrices()] == [id(parameter) for parameter in expected]
    assert len(expected) == 2 * 4  # qkv, out, up and down of each block


def test_training_flops_are_six_per_weight_and_twelve_l_t_d_for_attention(tiny) -> None:
    model = build(tiny(positions="learned", bias=True), VOCABULARY, seed=1)
    per_block = 4 * 32 * 32 + 2 * 32 * 64
    assert model.flops_per_token(10) == 6 * (2 * per_block + VOCABULARY * 32) + 12 * 2 * 10 * 32


def test_a_fresh_network_reads_unit_rms_and_scores_with_unit_variance() -> None:
    settings = TransformerSettings(layers=2, width=64, heads=2, feedforward=128, max_positions=64)
    model = build(settings, 2000, seed=1)
    tokens_BT = torch.randint(0, 2000, (8, 64), generator=torch.Generator().manual_seed(3))
    read = model.embeddings(tokens_BT) * math.sqrt(64)
    assert read.square().mean().sqrt().item() == pytest.approx(1, abs=0.02)
    assert model.unembed(model(tokens_BT)).std().item() == pytest.approx(1, abs=0.1)


def test_with_zero_init_a_fresh_block_changes_nothing(tiny) -> None:
    model = build(tiny(zero_init=True, positions="none"), VOCABULARY, seed=1)
    tokens_BT = tokens(2, 6)
    expected = model.stack.norm(model.embeddings(tokens_BT) * math.sqrt(32))
    assert torch.equal(model(tokens_BT), expected)
    assert not torch.allclose(build(tiny(positions="none"), VOCABULARY, seed=1)(tokens_BT), expected, atol=1e-2)


@pytest.mark.parametrize("changes", [{}, {"norm": "rmsnorm", "activation": "squared_relu"}, {"positions": "learned"}])
def test_bf16_autocast_stays_close_to_fp32(tiny, changes) -> None:
    model = build(tiny(dropout=0.1, **changes), VOCABULARY, seed=1)
    tokens_BT, seeds_B = tokens(4, 20), torch.arange(4)
    exact = model(tokens_BT, seeds_B=seeds_B)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(tokens_BT, seeds_B=seeds_B)
    assert rounded.dtype == torch.float32  # the residual stream and the last norm
    assert (rounded - exact).square().mean().sqrt() < 0.02
    assert not torch.equal(rounded, exact)


def test_drop_mult_scales_every_rate(tiny) -> None:
    model = build(tiny(dropout=0.4, embedding_dropout=0.2), VOCABULARY, seed=1)
    tokens_BT, seeds_B = tokens(2, 6), torch.arange(2)
    model.set_drop_mult(0)
    assert torch.equal(model(tokens_BT, seeds_B=seeds_B), model(tokens_BT))
    model.set_drop_mult(0.5)
    half = build(tiny(dropout=0.2, embedding_dropout=0.1), VOCABULARY, seed=1)
    assert torch.equal(model(tokens_BT, seeds_B=seeds_B), half(tokens_BT, seeds_B=seeds_B))
    with pytest.raises(ValueError, match="not below 1"):
        model.set_drop_mult(2.5)


@pytest.mark.slow
def test_the_network_compiles_as_one_graph(tiny) -> None:
    """No graph break, with dropout and a padding mask; the code generator itself would need a C++ compiler."""
    model = build(tiny(dropout=0.1, norm="rmsnorm", activation="squared_relu"), VOCABULARY, seed=1).train()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    given = {"lengths_B": torch.tensor([3, 9]), "causal": False, "seeds_B": torch.arange(2)}
    torch.testing.assert_close(compiled(tokens(2, 9), **given), model(tokens(2, 9), **given))


@pytest.mark.parametrize("placement", RESIDUALS)
@pytest.mark.parametrize("positions", POSITIONS)
def test_reading_in_parts_with_a_cache_is_reading_at_once(tiny, positions, placement) -> None:
    model = build(tiny(positions=positions, placement=placement, kv_heads=1), VOCABULARY, seed=1)
    tokens_BT, cache = tokens(3, 12), Cache()
    cuts = ((0, 4), (4, 5), (5, 6), (6, 9), (9, 12))
    parts = [model(tokens_BT[:, start:stop], cache=cache) for start, stop in cuts]
    torch.testing.assert_close(torch.cat(parts, 1), model(tokens_BT), atol=1e-5, rtol=1e-4)
    cache.select(torch.tensor([2, 2, 0]))
    more = model(torch.tensor([[1], [2], [3]]), cache=cache)
    whole = model(torch.cat([tokens_BT[[2, 2, 0]], torch.tensor([[1], [2], [3]])], 1))
    torch.testing.assert_close(more[:, 0], whole[:, -1], atol=1e-5, rtol=1e-4)


def test_a_cache_counts_towards_the_positions(tiny) -> None:
    model, cache = build(tiny(), VOCABULARY, seed=1), Cache()
    model(tokens(1, 20), cache=cache)
    with pytest.raises(ValueError, match="25 tokens are more"):
        model(tokens(1, 5), cache=cache)


def test_a_family_says_which_way_it_reads_unless_told(tiny) -> None:
    for family, causal in (("decoder", True), ("encoder", False)):
        model = build(tiny(family=family), VOCABULARY, seed=1)
        assert torch.equal(model(tokens(2, 9)), model(tokens(2, 9), causal=causal))
        assert not torch.allclose(model(tokens(2, 9)), model(tokens(2, 9), causal=not causal), atol=1e-3)


def test_a_prefix_is_seen_from_everywhere_and_the_rest_from_behind(tiny) -> None:
    model = build(tiny(), VOCABULARY, seed=1)
    tokens_BT, prefix_B = tokens(2, 10), torch.tensor([4, 7])
    read = model(tokens_BT, prefix_B=prefix_B)
    for row, length in enumerate(prefix_B.tolist()):
        alone = model(tokens_BT[row : row + 1, :length], causal=False)  # what follows is not seen from the prefix
        torch.testing.assert_close(read[row, :length], alone[0], atol=2e-6, rtol=1e-5)
        changed_BT = tokens_BT.clone()
        changed_BT[row, -1] = (changed_BT[row, -1] + 1) % VOCABULARY
        torch.testing.assert_close(model(changed_BT, prefix_B=prefix_B)[row, :-1], read[row, :-1])


def test_fewer_heads_of_keys_equal_as_many_that_repeat(tiny) -> None:
    few, many = build(tiny(heads=4, kv_heads=2), VOCABULARY, seed=1), build(tiny(heads=4), VOCABULARY, seed=2)
    state = few.state_dict()
    for name in [name for name in state if ".qkv." in name]:
        q, k, v = state[name].split((32, 16, 16))
        k, v = (part.unflatten(0, (2, 8)).repeat_interleave(2, 0).flatten(0, 1) for part in (k, v))
        state[name] = torch.cat([q, k, v])
    many.load_state_dict(state)
    torch.testing.assert_close(few(tokens(2, 9)), many(tokens(2, 9)), atol=1e-6, rtol=1e-5)


def test_the_placements_are_their_equations(tiny) -> None:
    """residual.py's three lines, by hand, on one block's sub-layers."""
    tokens_BT = tokens(2, 6)
    for placement in RESIDUALS:
        model = build(tiny(placement=placement, layers=1, positions="none"), VOCABULARY, seed=1)
        block, x = model.stack.blocks[0], model.embed(tokens_BT, None)
        for parameter in (p for name, p in model.named_parameters() if "norm" in name):
            parameter.data.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(1))
        captured = {}
        block.attention.register_forward_pre_hook(lambda _, given, kept=captured: kept.update(context=given[1]))
        found = model(tokens_BT)

        def attention(x, block=block, kept=captured):
            return block.attention(x, kept["context"])

        first, second, last = block.attention_residual.norm, block.feed_forward_residual.norm, model.stack.norm
        if placement == "pre":
            x = x + attention(first(x))
            expected = last(x + block.feed_forward(second(x)))
        elif placement == "post":
            x = first(x + attention(x))
            expected = second(x + block.feed_forward(x))
        else:
            update = attention(x)
            x, dual = first(x + update), x + update
            update = block.feed_forward(x)
            expected = second(x + update) + last(dual + update)
        torch.testing.assert_close(found, expected)


def test_the_way_out_of_a_reader_is_gone(tiny) -> None:
    changes = {"tied": False, "output_transform": True, "output_bias": True, "family": "encoder"}
    model = build(tiny(**changes), VOCABULARY, seed=1)
    hidden_BTD = model(tokens(2, 5))
    reader = model.reader()
    assert torch.equal(reader(tokens(2, 5)), hidden_BTD)
    grouped = {id(p) for _, group in reader.layer_groups() for p in group}
    assert grouped == {id(p) for p in reader.parameters()}
    assert not [name for name, _ in reader.named_parameters() if name.startswith(("transform", "output"))]
