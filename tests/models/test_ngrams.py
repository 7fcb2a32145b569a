"""Hashed n-grams: each token enters with its own embedding and those of the n-grams that end with it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pipeline.models.build import build
from pipeline.models.cache import Cache
from pipeline.models.ngrams import FACTOR, PRIME
from pipeline.models.settings import TransformerSettings
from pipeline.models.transformer import Transformer

Tiny = Callable[..., TransformerSettings]
BUCKETS = 37


def network(tiny: Tiny, **changes: object) -> Transformer:
    """With a table that is no longer zero, as after some steps."""
    model = build(tiny(ngram_buckets=BUCKETS, ngram_width=8, **changes), 50, seed=1).eval()
    assert isinstance(model, Transformer)
    assert model.ngrams is not None
    torch.nn.init.normal_(model.ngrams.table.weight, generator=torch.Generator().manual_seed(2))
    return model


def tokens(rows: int, length: int) -> Tensor:
    return torch.randint(0, 50, (rows, length), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("longest", [2, 3, 4])
def test_each_token_gets_the_rows_of_the_ngrams_that_end_with_it(tiny: Tiny, longest: int) -> None:
    model, row = network(tiny, ngrams=longest), tokens(1, 9)
    assert model.ngrams is not None
    expected = []
    for place in range(9):
        code, found = int(row[0, place]), torch.zeros(8)
        for back in range(1, longest):
            before = int(row[0, place - back]) if place >= back else 0
            code = (code * FACTOR + before + 1) % PRIME
            found = found + model.ngrams.table.weight[code % BUCKETS]
        expected.append(model.embeddings.weight[row[0, place]] + model.ngrams.out.weight @ found)
    scaled_TD = torch.stack(expected) * model.scale
    torch.testing.assert_close(model.embed(row, None)[0], scaled_TD)


def test_a_network_begins_as_one_without_them(tiny: Tiny) -> None:
    plain, row = build(tiny(), 50, seed=1).eval(), tokens(2, 12)
    with_them = build(tiny(ngram_buckets=BUCKETS), 50, seed=1).eval()
    with_them.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(with_them(row), plain(row))


def test_no_token_sees_a_later_one(tiny: Tiny) -> None:
    model, row = network(tiny, ngrams=3), tokens(1, 12)
    other = row.clone()
    other[0, 7:] = (other[0, 7:] + 1) % 50
    assert torch.equal(model(row)[:, :7], model(other)[:, :7])
    assert not torch.allclose(model(row)[:, 7:], model(other)[:, 7:])


@pytest.mark.parametrize("cuts", [[5, 1, 1, 5], [1] * 12])
def test_generation_knows_the_ngrams_across_its_steps(tiny: Tiny, cuts: list[int]) -> None:
    model, row, cache = network(tiny, ngrams=3), tokens(2, 12), Cache()
    parts = [model(part, cache=cache) for part in row.split(cuts, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(row))


def test_they_are_counted_and_belong_to_the_embeddings(tiny: Tiny) -> None:
    plain, model = build(tiny(), 50, seed=1), network(tiny)
    assert model.ngrams is not None
    more = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in plain.parameters())
    assert more == BUCKETS * 8 + 8 * 32
    first, members = model.layer_groups()[0]
    assert first == "embeddings"
    assert {id(parameter) for parameter in model.ngrams.parameters()} <= {id(parameter) for parameter in members}
    assert model.flops_per_token(16) == plain.flops_per_token(16) + 6 * 8 * 32
