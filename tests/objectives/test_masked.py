"""Masking hides exactly as many tokens as it says, in the published shares, and whole words where it should."""

import pytest
import torch

from pipeline.config.tokenizer import TokenizerConfig
from pipeline.objectives.cross_entropy import IGNORED
from pipeline.objectives.masked import Masked, Masking
from pipeline.objectives.noise import Purpose, bits, choose, fractions
from pipeline.objectives.words import LONGEST, choose_words, word_begins, words_of
from pipeline.text.specials import BOS, EOS, MASK, PAD, SPECIALS
from pipeline.text.tokenizer import encode, train
from tests.objectives.rows import VOCABULARY, seeds, windows

ORDINARY = len(SPECIALS)


def masked(rate: float = 0.15) -> Masked:
    return Masked(Masking(VOCABULARY, rate))


@pytest.mark.parametrize(("length", "rate", "count"), [(256, 0.15, 38), (20, 0.3, 6), (12, 0.15, 2), (3, 0.15, 1)])
def test_each_row_has_exactly_the_count_of_targets(length, rate, count) -> None:
    (example,) = masked(rate).examples(windows(16, length), seeds(16))
    assert (example.targets_BT != IGNORED).sum(dim=1).tolist() == [count] * 16
    assert masked(rate).targets(length) == count
    assert not example.causal
    assert not Masked.per_byte


def test_targets_are_the_tokens_in_their_own_places_and_the_others_are_untouched() -> None:
    windows_BT1 = windows(16, 64)
    (example,) = masked().examples(windows_BT1, seeds(16))
    tokens_BT, asked_BT = windows_BT1[:, :-1], example.targets_BT != IGNORED
    assert torch.equal(example.targets_BT[asked_BT], tokens_BT[asked_BT])
    assert torch.equal(example.inputs_BT[~asked_BT], tokens_BT[~asked_BT])


def test_special_tokens_are_never_hidden_and_a_row_of_few_others_gives_what_it_has() -> None:
    windows_BT1 = torch.full((8, 41), PAD)
    windows_BT1[:, ::2], windows_BT1[:, 1::4] = BOS, EOS
    windows_BT1[:, 7], windows_BT1[:, 11] = ORDINARY, ORDINARY + 1
    (example,) = masked(0.5).examples(windows_BT1, seeds(8))
    assert (example.targets_BT != IGNORED).nonzero()[:, 1].tolist() == [7, 11] * 8
    whole = Masking(VOCABULARY, 0.5, torch.arange(VOCABULARY) < ORDINARY)
    assert torch.equal(whole.places(windows_BT1[:, :-1], seeds(8)), example.targets_BT != IGNORED)


def test_8_of_10_become_mask_1_random_1_stays() -> None:
    windows_BT1 = windows(64, 400)
    (example,) = masked().examples(windows_BT1, seeds(64))
    asked_BT = example.targets_BT != IGNORED
    before, after = example.targets_BT[asked_BT], example.inputs_BT[asked_BT]
    total = len(before)
    others = after[(after != MASK) & (after != before)]
    # One random token in 200 is the one that was there.
    shares = {"mask": (after == MASK, 0.8), "random": ((after != MASK) & (after != before), 0.1 * 199 / 200)}
    for name, (is_so, share) in shares.items():
        bound = 4 * (total * share * (1 - share)) ** 0.5
        assert is_so.sum().item() == pytest.approx(total * share, abs=bound), name
    assert others.min() >= ORDINARY
    assert others.max() == VOCABULARY - 1
    assert len(others.unique()) > 150


def test_masking_equals_its_literal_description() -> None:
    windows_BT1, seeds_B = windows(4, 30), seeds(4)
    (example,) = masked(0.3).examples(windows_BT1, seeds_B)
    keys, kinds, tokens = (bits(seeds_B, purpose, 30).tolist() for purpose in (
        Purpose.PLACES, Purpose.KIND, Purpose.REPLACEMENT))  # fmt: skip
    for b in range(4):
        row = windows_BT1[b, :30].tolist()
        ordinary = [t for t in range(30) if row[t] >= ORDINARY]
        inputs, targets = list(row), [IGNORED] * 30
        for t in sorted(ordinary, key=lambda t: keys[b][t])[:9]:
            targets[t] = row[t]
            draw = (kinds[b][t] + 2**31) / 2**32
            if draw < 0.8:
                inputs[t] = MASK
            elif draw < 0.9:
                inputs[t] = ORDINARY + int((tokens[b][t] + 2**31) / 2**32 * (VOCABULARY - ORDINARY))
        assert example.inputs_BT[b].tolist() == inputs
        assert example.targets_BT[b].tolist() == targets


def test_every_place_is_chosen_equally_often() -> None:
    rows, places, count = 4000, 12, 3
    chosen = choose(torch.arange(rows), Purpose.PLACES, torch.ones(rows, places, dtype=torch.bool), count)
    expected, sd = rows * count / places, (rows * 0.25 * 0.75) ** 0.5
    assert (chosen.sum(dim=0) - expected).abs().max() < 4 * sd
    pairs = (chosen[:, None] & chosen[:, :, None]).sum(dim=0)[*torch.triu_indices(places, places, 1)]
    share = count * (count - 1) / places / (places - 1)
    assert (pairs - rows * share).abs().max() < 4.5 * (rows * share * (1 - share)) ** 0.5


def test_uniform_numbers_stay_between_0_and_1() -> None:
    numbers = fractions(torch.arange(1000), Purpose.SAMPLE, 1000)
    assert numbers.min() > 0
    assert numbers.max() < 1
    assert numbers.double().mean().item() == pytest.approx(0.5, abs=4 * (1 / 12 / numbers.numel()) ** 0.5)


def whole_words(begins_V: torch.Tensor, tokens_BT: torch.Tensor, rate: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(chosen places, number of the word of each token)."""
    masking = Masking(len(begins_V), rate, begins_V)
    return masking.places(tokens_BT, seeds(len(tokens_BT))), words_of(begins_V[tokens_BT])


def test_words_are_hidden_whole_and_the_count_is_not_passed() -> None:
    begins_V = torch.arange(VOCABULARY) % 3 == 0  # a third of the tokens begin a word
    begins_V[:ORDINARY] = True
    tokens_BT = windows(64, 200)[:, :-1]
    places_BT, words_BT = whole_words(begins_V, tokens_BT, 0.15)
    for places, words, tokens in zip(places_BT, words_BT, tokens_BT, strict=True):
        hidden = words[places].unique()
        assert torch.equal(torch.isin(words, hidden) & (tokens >= ORDINARY), places)
    # Words of one token are frequent here, so every row can be filled.
    assert places_BT.sum(dim=1).tolist() == [30] * 64


def test_words_are_hidden_whole_where_text_is_read_backward_too() -> None:
    begins_V = torch.arange(VOCABULARY) % 4 != 0
    begins_V[:ORDINARY] = True
    tokens_BT = windows(64, 200)[:, :-1]
    places_BT = Masking(VOCABULARY, 0.15, begins_V, reverse=True).places(tokens_BT, seeds(64))
    words_BT = words_of(begins_V[tokens_BT.flip(1)]).flip(1)  # as they stand in the text
    for places, words, tokens in zip(places_BT, words_BT, tokens_BT, strict=True):
        assert torch.equal(torch.isin(words, words[places].unique()) & (tokens >= ORDINARY), places)


def test_words_are_taken_in_random_order_where_they_fit() -> None:
    """Literal: go through the words in the order of their keys, skip one that is too long for what is left."""
    generator = torch.Generator().manual_seed(3)
    begins_BT = torch.rand(32, 60, generator=generator) < 0.25
    begins_BT[:, 0] = True
    words_BT, allowed_BT = words_of(begins_BT), torch.rand(32, 60, generator=generator) < 0.9
    chosen_BT = choose_words(seeds(32), words_BT, allowed_BT, 13)
    keys = bits(seeds(32), Purpose.PLACES, 60).tolist()
    short = 0
    for b in range(32):
        words = words_BT[b].tolist()
        places: list[int] = []
        for word in sorted(range(60), key=lambda word: keys[b][word]):
            its = [t for t in range(60) if words[t] == word and allowed_BT[b, t]]
            if len(places) + len(its) <= 13:
                places += its
        assert chosen_BT[b].nonzero()[:, 0].tolist() == sorted(places)
        short += len(places) < 13
    assert short < 32


def test_a_long_run_without_spaces_is_cut_into_words_that_can_be_hidden() -> None:
    begins_V = torch.arange(VOCABULARY) < ORDINARY
    tokens_BT = torch.full((16, 100), ORDINARY)
    places_BT, words_BT = whole_words(begins_V, tokens_BT, 0.24)
    assert words_BT[0].bincount().tolist() == [LONGEST] * 12 + [4]
    assert set(places_BT.sum(dim=1).tolist()) <= {20, 24}
    short_BT, _ = whole_words(begins_V, tokens_BT[:, :20], 0.15)  # fewer tokens than the longest word are wanted
    assert set(short_BT.sum(dim=1).tolist()) <= {2, 3}


def test_words_begin_at_white_space_and_at_special_tokens() -> None:
    texts = ["the cats\u3000sat there\nthe catalogue was there\n"] * 20
    tokenizer = train(texts, TokenizerConfig(vocabulary=420, min_frequency=2))
    begins_V = word_begins(tokenizer)
    assert begins_V[:ORDINARY].all()
    assert len(begins_V) == tokenizer.get_vocab_size()
    (tokens,) = encode(tokenizer, [" the cats'\u3000there\ncatalogue 고양이"])
    words = words_of(begins_V[torch.from_numpy(tokens.astype("int64"))][None])[0].tolist()
    spelt: dict[int, list[int]] = {}
    for word, token in zip(words, tokens.tolist(), strict=True):
        spelt.setdefault(word, []).append(token)
    decoded = [tokenizer.decode(word, skip_special_tokens=False) for word in spelt.values()]
    assert decoded[:5] == ["<bos>", " the", " cats'", "\u3000there", "\ncatalogue"]
