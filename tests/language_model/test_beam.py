"""Beam search: wide enough it finds the best answer there is; one beam is greedy; sources do not disturb each other."""

import itertools
import math

import pytest
import torch

from pipeline.language_model.beam import Hypothesis, beam_search, penalty
from pipeline.language_model.generation import answer
from pipeline.models.build import Network, build
from pipeline.models.settings import TransformerSettings
from pipeline.text.specials import BOS, EOS, SPECIALS
from tests.formal.networks import randomise

FIRST, WORDS, LONGEST = len(SPECIALS), 4, 3
V = FIRST + WORDS
SOURCES, LENGTHS = torch.tensor([[106, 107, 108], [109, 0, 0], [108, 106, 0]]), torch.tensor([3, 1, 2])
EVERYTHING = (WORDS + 1) ** LONGEST  # a beam that drops nothing


def network(seed: int = 1) -> Network:
    """Answers of any length are about equally good, so that the penalty decides."""
    shape = {"layers": 1, "width": 16, "heads": 2, "feedforward": 32, "max_positions": 12}
    made = build(TransformerSettings(**shape, family="encoder_decoder", tied=False, output_bias=True), V, seed)
    randomise(made, seed)
    with torch.no_grad():
        made.output_bias[:FIRST] = -8.0  # nearly all probability is of what may be written
        made.output_bias[EOS] = 0.5
    return made


@torch.no_grad()
def log_probabilities(model: Network, source_1S: torch.Tensor, written: list[list[int]]) -> list[float]:
    """log p of answers of one length, without a cache."""
    written_BT = torch.tensor(written)
    inputs_BT = torch.cat([torch.full((len(written), 1), BOS), written_BT[:, :-1]], dim=1)
    hidden_BTD = model(inputs_BT, source_BS=source_1S.expand(len(written), -1))
    log_p_BTV = model.unembed(hidden_BTD).double().log_softmax(dim=2)
    return log_p_BTV.take_along_dim(written_BT[:, :, None], dim=2).sum(dim=(1, 2)).tolist()


def best_of_all(model: Network, source_1S: torch.Tensor, exponent: float) -> Hypothesis:
    """Every answer there is: those that end, and those that are cut at the longest."""
    answers = [list(map(list, itertools.product(range(FIRST, V), repeat=n))) for n in range(LONGEST + 1)]
    groups = [[[*tokens, EOS] for tokens in answers[n]] for n in range(LONGEST)] + [answers[LONGEST]]
    found = []
    for group in groups:
        for written, total in zip(group, log_probabilities(model, source_1S, group), strict=True):
            tokens = [token for token in written if token != EOS]
            found.append(Hypothesis(tokens, total, total / ((5 + len(written)) / 6) ** exponent))
    assert len(found) == 1 + 4 + 16 + 64
    assert sum(math.exp(one.log_probability) for one in found) == pytest.approx(1, abs=0.05)
    return max(found, key=lambda one: one.score)


@pytest.mark.parametrize("exponent", [0.0, 0.6, 3.0])
def test_a_beam_that_drops_nothing_finds_the_best_of_all_answers(exponent: float) -> None:
    lengths = set()
    for seed in (1, 2, 3):
        model = network(seed)
        got = beam_search(model, SOURCES, lengths_B=LENGTHS, beams=EVERYTHING, tokens=LONGEST, length_penalty=exponent)
        for row, length in enumerate(LENGTHS.tolist()):
            expected = best_of_all(model, SOURCES[row : row + 1, :length], exponent)
            assert got[row].tokens == expected.tokens
            assert got[row].log_probability == pytest.approx(expected.log_probability, rel=1e-4)
            assert got[row].score == pytest.approx(expected.score, rel=1e-4)
            lengths.add(len(expected.tokens))
    assert len(lengths) > 1


def test_one_beam_is_greedy_whatever_the_penalty() -> None:
    for seed in range(1, 9):
        model = network(seed)
        greedy = answer(model, SOURCES, lengths_B=LENGTHS, tokens=8)
        for exponent in (0.0, 0.6, 2.0):
            found = beam_search(model, SOURCES, lengths_B=LENGTHS, beams=1, tokens=8, length_penalty=exponent)
            assert [one.tokens for one in found] == greedy


def test_an_answer_is_the_same_alone_and_among_other_sources() -> None:
    """Searches end at different times, and beams change places all the time."""
    model = network(2)
    together = beam_search(model, SOURCES, lengths_B=LENGTHS, beams=3, tokens=9)
    for row, length in enumerate(LENGTHS.tolist()):
        (alone,) = beam_search(model, SOURCES[row : row + 1, :length], beams=3, tokens=9)
        assert alone.tokens == together[row].tokens
        assert alone.score == pytest.approx(together[row].score, rel=1e-5)
        written = [*alone.tokens, EOS][:9]
        (expected,) = log_probabilities(model, SOURCES[row : row + 1, :length], [written])
        assert alone.log_probability == pytest.approx(expected, rel=1e-4)


def test_more_beams_find_better_answers_than_greedy_does() -> None:
    gains = []
    for seed in range(1, 9):
        one, eight = (
            beam_search(network(seed), SOURCES, lengths_B=LENGTHS, beams=beams, tokens=6, length_penalty=0.0)
            for beams in (1, 8)
        )
        gains += [after.score - before.score for before, after in zip(one, eight, strict=True)]
    assert sum(gain > 1e-6 for gain in gains) > 3
    assert sum(gains) > 0


def test_the_penalty_is_that_of_the_paper() -> None:
    assert penalty(1, 0.6) == 1
    assert penalty(7, 0.6) == pytest.approx(2**0.6)
    assert penalty(7, 0.0) == 1


@pytest.mark.parametrize("wrong", [{"beams": 0}, {"tokens": 0}, {"length_penalty": -0.1}, {"tokens": 13}])
def test_what_cannot_be_searched_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"beam|positions"):
        beam_search(network(), SOURCES, **{"tokens": 4, **wrong})
