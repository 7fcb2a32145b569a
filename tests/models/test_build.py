"""Every name of the settings builds a network that learns, and equal seeds give equal networks."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch

from pipeline.config.read import load
from pipeline.models.attention import ATTENTIONS
from pipeline.models.build import build
from pipeline.models.feed_forward import ACTIVATIONS
from pipeline.models.norms import NORMS
from pipeline.models.positions import POSITIONS
from pipeline.models.residual import RESIDUALS
from pipeline.models.settings import TransformerSettings, settings_schema
from pipeline.objectives.cross_entropy import sum_cross_entropy

REGISTRIES = {
    "norm": NORMS,
    "placement": RESIDUALS,
    "positions": POSITIONS,
    "attention": ATTENTIONS,
    "activation": ACTIVATIONS,
}
CONFIGS = Path(__file__).parents[2] / "configs/model"


def parameters(settings: TransformerSettings, vocabulary: int) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(settings, vocabulary, seed=1).parameters())


def test_the_settings_name_exactly_what_there_is() -> None:
    hints = get_type_hints(TransformerSettings)
    for field, registry in REGISTRIES.items():
        assert set(get_args(hints[field])) == set(registry), field


SWITCHES = (
    "qk_norm",
    "bias",
    "tied",
    "zero_init",
    "scale_embeddings",
    "embedding_norm",
    "output_transform",
    "output_bias",
)
EVERY_NAME = [
    *((field, name) for field, registry in REGISTRIES.items() for name in registry),
    *((switch, value) for switch in SWITCHES for value in (True, False)),
    ("kv_heads", 1),
    ("head_width", 8),
    ("embedding_width", 16),
    ("ngram_buckets", 11),
]


@pytest.mark.parametrize(("field", "value"), EVERY_NAME)
def test_every_choice_learns_a_repeated_sequence(tiny, field, value) -> None:
    needs = {"positions": "none"} if field == "attention" else {}
    model = build(tiny(**{"dropout": 0.1, field: value} | needs), 20, seed=1).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    tokens_BT = torch.tensor([3, 14, 15, 9, 2, 6]).repeat(2, 4)[:, :21]
    losses = []
    for step in range(12):
        hidden_BTD = model(tokens_BT[:, :-1], seeds_B=torch.tensor([2 * step, 2 * step + 1]))
        read_NE = model.readout(hidden_BTD.flatten(0, 1))
        targets_N = tokens_BT[:, 1:].flatten()
        loss = sum_cross_entropy(read_NE, model.output_matrix(), targets_N, bias_V=model.output_bias) / 40
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_parameters_are_counted_exactly(tiny) -> None:
    D, F, V, T = 32, 64, 50, 24
    inner = 4 * D * D + 2 * D * F
    assert parameters(tiny(bias=False), V) == V * D + 2 * (inner + 2 * D + 2 * 16) + D
    assert parameters(tiny(bias=True), V) == V * D + 2 * (inner + 4 * D + 5 * D + F + 4 * 16) + 2 * D
    plain = tiny(bias=False, qk_norm=False)
    assert parameters(plain, V) == V * D + 2 * (inner + 2 * D) + D
    assert parameters(tiny(bias=False, qk_norm=False, tied=False), V) == parameters(plain, V) + V * D
    assert parameters(tiny(bias=False, qk_norm=False, positions="learned"), V) == parameters(plain, V) + T * D
    assert parameters(tiny(bias=False, qk_norm=False, activation="swiglu"), V) == parameters(plain, V) + 2 * D * F


def test_gpt2_small_is_the_size_of_gpt2() -> None:
    assert parameters(load(TransformerSettings, CONFIGS / "gpt2_small.yaml"), 50_257) == 124_439_808


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_shipped_file_says_its_true_size_in_its_first_line(path) -> None:
    words = path.read_text(encoding="utf-8").splitlines()[0].rstrip(".").split()
    said, vocabulary = words[words.index("M") - 1], int(words[-1].replace(",", ""))
    decimals = len(said.split(".")[1])
    assert words[0] == "#"
    assert said == f"{parameters(load(settings_schema, path), vocabulary) / 1e6:.{decimals}f}"


def test_equal_seeds_give_equal_networks_whatever_the_global_state(tiny) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build(tiny(positions="learned", tied=False), 50, seed=7).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again = build(tiny(positions="learned", tied=False), 50, seed=7).state_dict()
    other = build(tiny(positions="learned", tied=False), 50, seed=8).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embeddings.weight"], other["embeddings.weight"])
    assert not torch.equal(first["embeddings.weight"], first["output.weight"])


def test_weights_start_at_the_documented_scale() -> None:
    settings = TransformerSettings(
        layers=8, width=192, heads=3, feedforward=768, max_positions=500, positions="learned"
    )
    model = build(settings, 5000, seed=1)
    block = model.stack.blocks[3]
    expected = {
        model.embeddings: 192**-0.5,
        model.positions.table: 0.5 * 192**-0.5,
        block.attention.qkv: 0.02 * 2,  # GPT-2's at a quarter of its width
        block.feed_forward.up: 0.02 * 2,
        block.attention.out: 0.02 * 2 / 4,  # over sqrt(2 x 8 layers)
        block.feed_forward.down: 0.02 * 2 / 4,
    }
    for layer, std in expected.items():
        assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
        assert abs(layer.weight.mean().item()) < 5 * std / layer.weight.numel() ** 0.5
    assert all(not bias.any() for name, bias in model.named_parameters() if name.endswith("bias"))


def test_where_each_sum_is_normalised_the_last_matrices_start_as_the_others_do(tiny) -> None:
    """`placement: post` adds nothing up, so 18 layers do not make them smaller by 6 (Vaswani et al. 2017, 3.1)."""
    for placement, factor in (("post", 1), ("pre", 6), ("resi_dual", 6)):
        block = build(tiny(layers=18, placement=placement), 50, seed=1).stack.blocks[3]
        for layer in (block.attention.out, block.feed_forward.down):
            assert layer.weight.std().item() == pytest.approx(0.02 * (768 / 32) ** 0.5 / factor, rel=0.1)


def test_each_weight_has_one_name(tiny) -> None:
    for tied in (True, False):
        model = build(tiny(tied=tied), 50, seed=1)
        addresses = [weight.data_ptr() for weight in model.state_dict().values()]
        assert len(addresses) == len(set(addresses)) == len(list(model.parameters()))


IMPOSSIBLE = [
    ({"attention": "linear", "positions": "alibi"}, "never computes"),
    ({"attention": "performer", "positions": "t5"}, "never computes"),
    ({"attention": "fast_weight", "family": "encoder"}, "cannot see both sides"),
    ({"family": "encoder_decoder", "positions": "transformer_xl"}, "take t5"),
    ({"family": "encoder_decoder", "embedding_width": 16}, "one stack"),
    ({"family": "encoder_decoder", "ngram_buckets": 9}, "one stack"),
    ({"ngram_buckets": -1}, "at least 0"),
    ({"ngrams": 1}, "at least 2"),
    ({"ngram_width": 0}, "at least 1"),
    ({"share_layers": True}, "family: encoder"),
    ({"placement": "post", "zero_init": True}, "undo"),
    ({"heads": 2, "kv_heads": 3}, "multiple of `kv_heads: 3`"),
    ({"heads": 2, "head_width": 7}, "even head width"),
    ({"norm_epsilon": 0.0}, "above 0"),
]


@pytest.mark.parametrize(("changes", "reason"), IMPOSSIBLE)
def test_impossible_pairs_are_refused_with_the_reason(tiny, changes, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        tiny(**changes)


def test_shared_layers_have_the_weights_of_one(tiny) -> None:
    shared = tiny(family="encoder", share_layers=True, layers=6)
    assert parameters(shared, 50) == parameters(tiny(family="encoder", layers=1), 50)
    model, deeper = build(shared, 50, seed=1), build(tiny(family="encoder", share_layers=True, layers=7), 50, seed=1)
    tokens_BT = torch.arange(8)[None]
    assert not torch.allclose(model(tokens_BT), deeper(tokens_BT), atol=1e-3)  # and yet each is another pass
