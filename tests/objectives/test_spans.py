"""Span corruption loses nothing: source and target together are the text."""

from itertools import pairwise

import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.config.suitable import MOST_SPANS, unspannable
from pipeline.objectives.example import Example
from pipeline.objectives.noise import Purpose
from pipeline.objectives.spans import FIRST_SENTINEL, Spans, _divide
from pipeline.text.specials import BOS, SENTINELS, SPECIALS
from tests.objectives.rows import seeds, windows

SENTINEL_NUMBERS = range(FIRST_SENTINEL, FIRST_SENTINEL + SENTINELS)


def corrupted(windows_BT1: torch.Tensor, spans: Spans | None = None) -> Example:
    (example,) = (spans or Spans()).examples(windows_BT1, seeds(len(windows_BT1)))
    return example


def restored(source: list[int], target: list[int]) -> list[int]:
    """The text: each sentinel of the source gives way to what the target has behind it."""
    spans: dict[int, list[int]] = {}
    for token in target:
        if token in SENTINEL_NUMBERS:
            last = spans.setdefault(token, [])
        else:
            last.append(token)
    return [token for part in source for token in (spans[part] if part in SENTINEL_NUMBERS else [part])]


@pytest.mark.parametrize("length", [2, 3, 12, 150])
@pytest.mark.parametrize(("rate", "span_length"), [(0.15, 3.0), (0.5, 3.0), (0.15, 1.0), (0.5, 1.5), (0.9, 2.0)])
def test_the_text_comes_back_exactly(length, rate, span_length) -> None:
    spans = Spans(rate, span_length)
    windows_BT1 = windows(8, length)
    example = corrupted(windows_BT1, spans)
    for source, target, window in zip(example.source_BS, example.targets_BT, windows_BT1, strict=True):
        assert restored(source.tolist(), target.tolist()) == window[:-1].tolist()


def test_lengths_are_those_of_the_paper() -> None:
    """512 tokens at 15 % and spans of 3: 77 tokens in 26 spans (Raffel et al. 2020, 3.1.4)."""
    example = corrupted(windows(8, 512))
    assert example.source_BS.shape == (8, 512 - 77 + 26)
    assert example.targets_BT.shape == example.inputs_BT.shape == (8, 77 + 26 + 1)
    assert Spans().targets(512) == 104
    assert example.causal
    assert not Spans.per_byte


def test_each_sentinel_stands_for_one_span_in_order_and_one_more_ends_the_target() -> None:
    example = corrupted(windows(8, 200))
    spans = Spans().counts(200).spans
    for source, target in zip(example.source_BS.tolist(), example.targets_BT.tolist(), strict=True):
        expected = [*SENTINEL_NUMBERS][:spans]
        assert [token for token in source if token in SENTINEL_NUMBERS] == expected
        assert [token for token in target if token in SENTINEL_NUMBERS] == [*expected, FIRST_SENTINEL + spans]
        assert target[0] == FIRST_SENTINEL
        assert target[-1] == FIRST_SENTINEL + spans
        # Spans have a token at least, and so has the text between them and before the first.
        for row in (source, target):
            assert not any(one in SENTINEL_NUMBERS and other in SENTINEL_NUMBERS for one, other in pairwise(row))
        assert source[0] not in SENTINEL_NUMBERS


def test_the_decoder_reads_its_targets_one_late_from_bos_on() -> None:
    example = corrupted(windows(8, 50))
    assert example.inputs_BT[:, 0].tolist() == [BOS] * 8
    assert torch.equal(example.inputs_BT[:, 1:], example.targets_BT[:, :-1])


def test_a_row_is_written_as_by_hand() -> None:
    """The paper's figure 2: "Thank you <X> me to your party <Y> week", "<X> for inviting <Y> last <Z>"."""

    class Figure(Spans):
        def _taken(self, seeds_B: torch.Tensor, length: int) -> torch.Tensor:
            return torch.tensor([[0, 0, 1, 1, 0, 0, 0, 0, 1, 0]], dtype=torch.bool)

    thank, you, for_, inviting, me, to, your, party, last, week, after = range(len(SPECIALS), len(SPECIALS) + 11)
    window = torch.tensor([[thank, you, for_, inviting, me, to, your, party, last, week, after]])
    example = corrupted(window, Figure())
    x, y, z = SENTINEL_NUMBERS[:3]
    assert example.source_BS.tolist() == [[thank, you, x, me, to, your, party, y, week]]
    assert example.targets_BT.tolist() == [[x, for_, inviting, y, last, z]]
    assert example.inputs_BT.tolist() == [[BOS, x, for_, inviting, y, last]]


def test_every_division_is_equally_likely() -> None:
    rows = 5000
    lengths = _divide(torch.arange(rows), Purpose.GAP_LENGTHS, 6, 3)
    assert lengths.sum(dim=1).tolist() == [6] * rows
    assert lengths.min() == 1
    found, times = lengths.unique(dim=0, return_counts=True)
    assert len(found) == 10  # ways to write 6 as a sum of 3 numbers
    assert (times - rows / 10).abs().max() < 4.5 * (rows * 0.1 * 0.9) ** 0.5


def test_other_rows_lose_other_spans() -> None:
    example = corrupted(windows(1, 100).repeat(20, 1))
    assert len(example.source_BS.unique(dim=0)) == 20


@pytest.mark.parametrize(("rate", "span_length"), [(0.15, 3.0), (0.5, 1.0)])
def test_too_long_a_window_says_how_long_it_may_be(rate, span_length) -> None:
    spans = Spans(rate, span_length)
    with pytest.raises(UserError, match="at most") as caught:
        spans.targets(100_000)
    longest = int(str(caught.value).split()[-1])
    corrupted(windows(2, longest), spans)
    with pytest.raises(UserError, match=f"at most {longest}$"):
        spans.examples(windows(2, longest + 1), seeds(2))


def test_one_token_cannot_be_corrupted() -> None:
    with pytest.raises(UserError, match="a `length` of 2 at least"):
        Spans().targets(1)


def test_checking_counts_the_sentinels_that_tokenizers_have() -> None:
    assert MOST_SPANS == SENTINELS - 1


@pytest.mark.parametrize(("rate", "span_length", "length"), [(0.15, 3.0, 200), (0.5, 1.0, 120), (0.9, 2.0, 50)])
def test_checking_counts_the_tokens_that_the_decoder_reads(rate, span_length, length) -> None:
    read = corrupted(windows(2, length), Spans(rate, span_length)).inputs_BT.size(1)
    assert unspannable(rate, span_length, length, read) is None
    assert f"the decoder writes {read} tokens" in (unspannable(rate, span_length, length, read - 1) or "")
