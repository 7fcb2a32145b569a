"""The encoder-decoder: what its decoder may see, its cache, its groups, and the encoder that a classifier takes."""

import pytest
import torch

from pipeline.models.build import build
from pipeline.models.cache import Cache
from pipeline.models.encoder_decoder import EncoderDecoder
from pipeline.models.residual import RESIDUALS

VOCABULARY = 50


@pytest.fixture
def model(tiny) -> EncoderDecoder:
    return build(tiny(family="encoder_decoder", positions="t5"), VOCABULARY, seed=1)


def tokens(rows: int, length: int, seed: int = 3) -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(seed))


def test_a_target_token_sees_those_before_it_and_all_of_the_source(model: EncoderDecoder) -> None:
    source_BS, inputs_BT = tokens(2, 9), tokens(2, 6, seed=4)
    before = model(inputs_BT, source_BS=source_BS)
    later_BT, source_changed_BS = inputs_BT.clone(), source_BS.clone()
    later_BT[:, 4] = (later_BT[:, 4] + 1) % VOCABULARY
    source_changed_BS[:, -1] = (source_changed_BS[:, -1] + 1) % VOCABULARY
    after = model(later_BT, source_BS=source_BS)
    torch.testing.assert_close(after[:, :4], before[:, :4], atol=2e-6, rtol=1e-5)
    assert not torch.allclose(after[:, 4:], before[:, 4:], atol=1e-3)
    assert ((model(inputs_BT, source_BS=source_changed_BS) - before).abs().amax(-1) > 1e-5).all()


def test_padding_of_the_source_changes_nothing(model: EncoderDecoder) -> None:
    source_BS, inputs_BT, lengths_B = tokens(2, 9), tokens(2, 6, seed=4), torch.tensor([9, 5])
    padded = model(inputs_BT, source_BS=source_BS, lengths_B=lengths_B)
    alone = model(inputs_BT[1:], source_BS=source_BS[1:, :5])
    torch.testing.assert_close(padded[1], alone[0], atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("placement", RESIDUALS)
@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary", "alibi", "t5", "none"])
def test_writing_token_by_token_with_a_cache_is_teacher_forcing(tiny, positions, placement) -> None:
    model = build(tiny(family="encoder_decoder", positions=positions, placement=placement), VOCABULARY, seed=1)
    source_BS, inputs_BT, lengths_B = tokens(2, 9), tokens(2, 6, seed=4), torch.tensor([9, 5])
    memory, cache = model.encode(source_BS, lengths_B=lengths_B), Cache()
    parts = [model.decode(inputs_BT[:, t : t + 1], memory, cache=cache) for t in range(6)]
    expected = model(inputs_BT, source_BS=source_BS, lengths_B=lengths_B)
    torch.testing.assert_close(torch.cat(parts, 1), expected, atol=1e-5, rtol=1e-4)


def test_every_parameter_is_in_one_group_from_input_to_output(model: EncoderDecoder) -> None:
    names = [name for name, _ in model.layer_groups()]
    blocks = ["encoder block 1", "encoder block 2", "decoder block 1", "decoder block 2"]
    assert names == ["embeddings", *blocks]
    grouped = [id(p) for _, group in model.layer_groups() for p in group]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in model.parameters()}


def test_embeddings_are_one_tensor_on_both_sides_and_at_the_output(model: EncoderDecoder) -> None:
    assert model.output_matrix() is model.input_embeddings().weight is model.encoder.embeddings.weight
    assert [name for name in model.state_dict() if "embeddings" in name] == ["encoder.embeddings.weight"]


def test_dropout_differs_between_encoder_and_decoder(tiny) -> None:
    settings = tiny(family="encoder_decoder", positions="none", embedding_dropout=0.5)
    model = build(settings, VOCABULARY, seed=1).train()
    same = torch.zeros(1, 24, dtype=torch.int64)
    kept = [
        dropout(torch.ones(1, 24, 32), torch.tensor([7])) for dropout in (model.encoder.dropout, model.decoder_dropout)
    ]
    assert not torch.equal(*kept)
    first, again = (model(same, source_BS=same, seeds_B=torch.tensor([7])) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, model(same, source_BS=same, seeds_B=torch.tensor([8])))


def test_the_encoder_reads_for_a_classifier(model: EncoderDecoder) -> None:
    reader = model.reader()
    assert reader.settings.family == "encoder"
    assert torch.equal(reader(tokens(2, 7)), model.encode(tokens(2, 7)).hidden_BSD)


def test_training_flops_count_both_stacks(model: EncoderDecoder) -> None:
    D, F, T = 32, 64, 10
    weights = 2 * (4 * D * D + 2 * D * F) + 2 * (8 * D * D + 2 * D * F) + VOCABULARY * D
    assert model.flops_per_token(T) == 6 * weights + 2 * 3 * 12 * T * D


def test_with_qk_norm_no_attention_depends_on_how_long_queries_and_keys_are(tiny) -> None:
    """Cross-attention is normed as self-attention is: matrices three times as large give the same scores."""
    settings = tiny(family="encoder_decoder", positions="t5", bias=False)
    source_BS, inputs_BT = tokens(2, 9), tokens(2, 6, seed=4)
    outs = []
    for factor in (1.0, 3.0):
        model = build(settings, VOCABULARY, seed=1)
        with torch.no_grad():
            for block in model.decoder_stack.blocks:
                block.cross_attention.q.weight.mul_(factor)
                keys = block.cross_attention.kv.weight[: settings.key_heads * settings.key_width]
                keys.mul_(factor)
        outs.append(model(inputs_BT, source_BS=source_BS))
    torch.testing.assert_close(*outs, atol=1e-4, rtol=1e-4)
