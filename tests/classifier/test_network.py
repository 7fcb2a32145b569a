"""Promises of the network: chunks, padding, neighbours and passes never show in a document's scores; BPT3C."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.classifier.network import CHUNK_SEED, ClassifierNetwork, classifier_network
from pipeline.models.build import build
from tests.classifier.small import CONFIG, SETTINGS, VOCABULARY, documents, network

LENGTHS = (1, 5, 8, 9, 14, 15, 20, 33, 64)
DROPPING = replace(SETTINGS, dropout=0.2, embedding_dropout=0.1)


def literal_pooled(model: ClassifierNetwork, tokens: np.ndarray, seed: int | None = None) -> Tensor:
    """What the network's `pooled` is to give for one document, written down as a loop over its chunks."""
    reading = model.reading
    states, start, number = [], 0, 0
    while True:
        chunk = torch.from_numpy(tokens[start : start + reading.chunk_tokens].astype(np.int64))[None]
        seeds = None if seed is None else torch.tensor([seed]) + torch.tensor([number]) * CHUNK_SEED
        every_layer = model.pool_layers == "all"
        hidden_TD = model.backbone(chunk, causal=reading.causal, seeds_B=seeds, every_layer=every_layer)[0]
        states.append(hidden_TD if number == 0 else hidden_TD[reading.overlap :])
        if start + reading.chunk_tokens >= len(tokens):
            break
        start, number = start + reading.chunk_tokens - reading.overlap, number + 1
    hidden_TD = torch.cat(states)
    assert len(hidden_TD) == len(tokens)
    pools = {"last": hidden_TD[-1], "max": hidden_TD.amax(0), "mean": hidden_TD.mean(0)}
    layers = [layer_D for name in model.pooling for layer_D in pools[name].split(SETTINGS.width)]
    return torch.cat([F.layer_norm(layer_D, (len(layer_D),)) for layer_D in layers])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("overlap", [0, 2, 7])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("pool_layers", ["last", "all"])
def test_a_batch_in_chunks_gives_what_a_loop_over_documents_and_chunks_gives(
    causal: bool, overlap: int, training: bool, pool_layers: str
) -> None:
    model = network(DROPPING, causal=causal, overlap=overlap, pool_layers=pool_layers).train(training)
    batch = documents(*LENGTHS)
    seeds_B = torch.arange(len(batch)) * 1234567 if training else None
    pooled_BP = model.pooled(*model.reading.batch(batch), seeds_B)
    for row, tokens in enumerate(batch):
        expected_P = literal_pooled(model, tokens, None if seeds_B is None else int(seeds_B[row]))
        torch.testing.assert_close(pooled_BP[row], expected_P, atol=1e-5, rtol=0)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("pooling", [("last", "max", "mean"), ("mean",), ("max", "last")])
def test_neighbours_and_padding_never_change_a_document(causal: bool, pooling: tuple[str, ...]) -> None:
    model = network(DROPPING, causal=causal, pooling=pooling, head_dropout=(0.4, 0.1)).train()
    batch = documents(*LENGTHS)
    seeds_B = torch.arange(len(batch)) + 99
    together_BC = model(*model.reading.batch(batch), seeds_B)
    for row, tokens in enumerate(batch):
        alone_1C = model(*model.reading.batch([tokens]), seeds_B[row : row + 1])
        torch.testing.assert_close(together_BC[row], alone_1C[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("causal", [True, False])
def test_what_stands_in_the_padding_never_shows(causal: bool) -> None:
    model = network(causal=causal).eval()
    tokens_BT, lengths_B = model.reading.batch(documents(20, 5, 11))
    filled_BT = torch.where(torch.arange(tokens_BT.size(1)) < lengths_B[:, None], tokens_BT, VOCABULARY - 1)
    assert not torch.equal(filled_BT, tokens_BT)
    torch.testing.assert_close(model(filled_BT, lengths_B), model(tokens_BT, lengths_B), atol=1e-6, rtol=0)


def test_pooled_features_are_of_one_scale() -> None:
    """A head trains all its inputs at one rate, so mean, max and last must not differ in size."""
    pooled_BP = network().pooled(*network().reading.batch(documents(*LENGTHS)))
    torch.testing.assert_close(pooled_BP.view(-1, 32).std(dim=1, correction=0), torch.ones(27), atol=1e-3, rtol=0)


def test_bpt3c_sends_gradients_through_the_last_chunks_alone_and_early_ones_still_count() -> None:
    """Tokens that stand in early chunks alone get no gradient (Howard & Ruder 2018, 3.3), yet they move the scores."""
    model = network(overlap=0, gradient_chunks=2).eval()
    tokens = np.arange(6, 6 + 30).astype(np.uint16)  # 4 chunks of distinct tokens: 8, 8 | 8, 6
    tokens_BT, lengths_B = model.reading.batch([tokens])
    inputs: list[Tensor] = []
    hook = model.backbone.register_forward_hook(lambda _, args, output: inputs.append(args[0]))
    logits_BC = model(tokens_BT, lengths_B)
    hook.remove()
    assert sum(chunk.numel() for chunk in inputs) == 30
    logits_BC.square().sum().backward()
    moved = model.backbone.embeddings.weight.grad.abs().sum(dim=1)
    assert (moved[tokens[:16].astype(int)] == 0).all(), "no gradient through the first two chunks"
    assert (moved[tokens[16:].astype(int)] > 0).all(), "gradients through the last two"
    other_BT = tokens_BT.clone()
    other_BT[0, 3] = 50
    assert (model(other_BT, lengths_B) - logits_BC).abs().max() > 1e-3, "the first chunk is read"


def test_bpt3c_changes_gradients_and_no_score() -> None:
    batch = documents(*LENGTHS)
    few, all_chunks = network(gradient_chunks=1), network(gradient_chunks=100)
    scores = [model(*model.reading.batch(batch)) for model in (few, all_chunks)]
    torch.testing.assert_close(scores[0], scores[1], atol=1e-5, rtol=0)
    for model, logits_BC in zip((few, all_chunks), scores, strict=True):
        logits_BC.square().sum().backward()
        assert model.backbone.embeddings.weight.grad.isfinite().all()
    difference = few.backbone.embeddings.weight.grad - all_chunks.backbone.embeddings.weight.grad
    assert difference.abs().max() > 1e-3


def test_gradients_under_autocast_do_not_get_lost_behind_the_chunks_without() -> None:
    """Autocast keeps a weight's cast; made where gradients are off, it would cut the backbone off from the loss."""
    gradients = []
    for enabled in (False, True):
        model = network(gradient_chunks=1)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits_BC = model(*model.reading.batch(documents(40, 33)))
        assert logits_BC.dtype == torch.float32
        logits_BC.square().sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    assert F.cosine_similarity(*gradients, dim=0) > 0.98


def test_a_document_that_fits_takes_one_pass() -> None:
    model = network().eval()
    calls: list[Tensor] = []
    model.backbone.register_forward_hook(lambda _, args, output: calls.append(args[0]))
    model(*model.reading.batch(documents(3, 5, 7)))
    assert [tuple(call.shape) for call in calls] == [(3, 7)]


def test_only_shorter_chunks_are_padded() -> None:
    model = network(overlap=0).eval()
    calls: list[Tensor] = []
    model.backbone.register_forward_hook(lambda _, args, output: calls.append(args[0]))
    with torch.no_grad():
        model(*model.reading.batch(documents(64, 3, 12)))
    assert sorted(tuple(call.shape) for call in calls) == [(2, 4), (9, 8)]


def test_dropout_is_the_documents_own_and_acts_in_training_alone() -> None:
    model = network(DROPPING).train()
    batch = model.reading.batch(documents(20, 20, 9))
    seeds_B = torch.tensor([1, 2, 3])
    assert torch.equal(model(*batch, seeds_B), model(*batch, seeds_B))
    assert not torch.allclose(model(*batch, seeds_B), model(*batch, seeds_B + 5))
    assert torch.equal(model(*batch), model.eval()(*batch, seeds_B))


def test_chunks_of_a_document_drop_different_elements() -> None:
    model = network(DROPPING, overlap=0).train()
    seen: list[Tensor] = []
    model.backbone.register_forward_hook(lambda _, args, output: seen.append(output))
    tokens = np.tile(np.arange(6, 14), 2).astype(np.uint16)  # the same chunk twice
    model(*model.reading.batch([tokens]), torch.tensor([7]))
    first, second = torch.cat(seen)
    assert not torch.allclose(first, second)


def test_layer_groups_hold_every_parameter_once_from_input_to_head() -> None:
    model = network()
    groups = model.layer_groups()
    assert [name for name, _ in groups] == ["embeddings", "block 1", "block 2", "head"]
    grouped = [id(parameter) for _, parameters in groups for parameter in parameters]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters())


def test_a_new_head_finds_every_class_equally_likely_and_is_the_same_for_the_same_seed() -> None:
    made = [classifier_network(build(SETTINGS, VOCABULARY, seed=1), CONFIG, classes=4) for _ in range(2)]
    assert made[0].classes == 4
    assert (made[0](*made[0].reading.batch(documents(5, 20))) == 0).all()
    for one, other in zip(made[0].parameters(), made[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_linear_head_has_one_layer() -> None:
    model = network(head_width=0, head_dropout=(0.1,))
    assert {name for name, _ in model.head.named_parameters()} == {"output.weight", "output.bias"}
    assert model(*model.reading.batch(documents(5, 20))).shape == (2, 3)


def test_chunks_longer_than_the_models_positions_are_refused_in_one_line() -> None:
    with pytest.raises(UserError, match=r"chunk_tokens: 33.*max_positions: 32"):
        network(chunk_tokens=33)


def test_a_network_that_cannot_see_both_sides_is_refused_in_one_line() -> None:
    """For a model whose config `ulmfit check` has not seen, such as one given to the estimator."""
    with pytest.raises(UserError, match=r"`causal: false`.*`positions: t5`.*write `causal: auto`"):
        network(replace(SETTINGS, positions="t5"), causal=False)


def test_documents_beyond_the_cap_are_refused() -> None:
    model = network()
    with pytest.raises(ValueError, match="max_tokens"):
        model(torch.ones(1, 65, dtype=torch.int64), torch.tensor([65]))
