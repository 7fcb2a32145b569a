"""Near-duplicates of held-out documents are found, in any script, and other documents are not."""

import random
import time

import numpy as np
import pytest

from pipeline.text import overlap
from pipeline.text.overlap import CHARACTERS, WORDS, HeldOut, near_repeats, ngrams

RANDOM = random.Random(1)


def sentence(words: int) -> list[str]:
    """Words that no other call returns in this order."""
    return [f"w{RANDOM.randrange(5000)}" for _ in range(words)]


def found(held_out: str, document: str, *, spaced: bool = True) -> bool:
    """Whether a corpus document counts as a near-duplicate of a held-out one, among others that do not."""
    others = [" ".join(sentence(200)) for _ in range(5)]
    index = HeldOut(ngrams([*others, held_out], spaced=spaced))
    result = index.near_duplicates(
        ngrams([" ".join(sentence(100)), document, "", " ".join(sentence(9))], spaced=spaced)
    )
    assert not result[[0, 2, 3]].any()
    return bool(result[1])


def test_a_copy_is_found_whatever_its_case_punctuation_and_spaces() -> None:
    words = sentence(60)
    assert found(" ".join(words), ", ".join(words).upper() + "!\n")


def test_a_document_that_holds_a_third_of_a_held_out_one_is_found() -> None:
    words = sentence(120)
    assert found(" ".join(words), " ".join(sentence(2000) + words[:60] + sentence(2000)))


def test_a_document_a_third_of_which_is_held_out_is_found() -> None:
    words = sentence(2000)
    assert found(" ".join(words), " ".join(words[500:540] + sentence(50)))


@pytest.mark.parametrize("order", [1, -1])
def test_a_held_out_document_that_another_quotes_is_found_in_whichever_order_they_stand(order: int) -> None:
    quoted = sentence(40)
    held_out = [" ".join(sentence(80) + quoted + sentence(80)), " ".join(quoted)][::order]
    corpus = [" ".join(sentence(500) + quoted + sentence(500)), " ".join(sentence(500))]
    index = HeldOut(ngrams(held_out))
    assert index.near_duplicates(ngrams(corpus)).tolist() == [True, False]


def test_a_held_out_document_of_one_refrain_is_found_where_it_stands_whole() -> None:
    text = " ".join(sentence(20) * 9)
    assert found(text, " ".join(sentence(600)) + " " + text)


def test_what_many_held_out_documents_share_is_counted_alike_in_any_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    footer = sentence(60)
    held_out = [" ".join(sentence(number) + footer) for number in range(0, 400, 8)]
    corpus = [" ".join(sentence(size) + footer[:many]) for size in (300, 900) for many in (0, 13, 30, 60)]
    index, grams = HeldOut(ngrams(held_out)), ngrams(corpus)
    expected = [False, False, True, True, False, False, True, True]
    for portion in (1, 20, 3000, 1_000_000):
        monkeypatch.setattr(overlap, "EXPANDED", portion)
        assert index.near_duplicates(grams).tolist() == expected


def test_one_shared_phrase_in_long_documents_is_not_enough() -> None:
    phrase = sentence(WORDS + 3)
    assert not found(" ".join(sentence(300) + phrase), " ".join(phrase + sentence(300)))


def test_fewer_words_than_an_n_gram_in_common_are_never_enough() -> None:
    phrase = sentence(WORDS - 1)
    assert not found(" ".join(phrase + sentence(5)), " ".join(sentence(5) + phrase))


def test_short_documents_are_compared_whole() -> None:
    assert found("Where is my parcel?", "where is MY parcel")
    assert not found("Where is my parcel?", "Where is my refund?")


def test_text_without_spaces_is_compared_by_characters() -> None:
    letters = [chr(RANDOM.randrange(0x4E00, 0x9FFF)) for _ in range(200)]
    held_out = "".join(letters)
    assert found(held_out, "，".join(held_out[:120]) + "。", spaced=False)
    assert not found(held_out, held_out[: CHARACTERS - 1] + "".join(letters[::-1]), spaced=False)


def test_korean_is_compared_by_words() -> None:
    words = [chr(RANDOM.randrange(0xAC00, 0xD7A3)) * 2 for _ in range(40)]
    assert found(" ".join(words), "\n".join(words) + ".")


def test_full_width_forms_and_ligatures_are_folded() -> None:
    words = sentence(20)
    assert found(" ".join(words) + " ﬁn", " ".join(words).translate({code: code + 0xFEE0 for code in range(48, 123)}))


def test_a_hash_does_not_depend_on_neighbours_or_batches() -> None:
    texts = [" ".join(sentence(40)) for _ in range(30)]
    together = ngrams(texts)
    for number, text in enumerate(texts):
        alone = ngrams([text])
        assert np.array_equal(alone.hashes, together.hashes[together.owners == number])
        assert alone.whole[0] == together.whole[number]


def test_nothing_is_held_out_by_nothing() -> None:
    grams = ngrams(["one document", ""])
    assert not HeldOut(ngrams([])).near_duplicates(grams).any()
    assert not HeldOut(ngrams([])).touched(grams).any()
    assert not HeldOut(grams).near_duplicates(ngrams(["", "!?"])).any()


def test_touching_is_wider_than_repeating() -> None:
    phrase = sentence(WORDS)
    index = HeldOut(ngrams([" ".join(sentence(300) + phrase)]))
    grams = ngrams([" ".join(phrase + sentence(300)), " ".join(sentence(300))])
    assert index.touched(grams).tolist() == [True, False]
    assert index.near_duplicates(grams).tolist() == [False, False]


def test_held_out_documents_that_train_repeats_are_counted_over_all_of_train() -> None:
    words = sentence(100)
    held_out = ngrams([" ".join(words), " ".join(sentence(100)), "short one", ""])
    train = [" ".join(words[:40]), " ".join(words[60:]), "Short one!"]
    assert HeldOut(held_out).repeated_in(held_out, train).tolist() == [True, False, True, False]


def test_near_repeats_are_the_later_ones() -> None:
    words = sentence(50)
    texts = [" ".join(words), " ".join(sentence(50)), " ".join(words[:45]), "Hi there", "hi, there!", "", "..."]
    assert near_repeats(ngrams(texts)).tolist() == [False, False, True, False, True, False, False]


@pytest.mark.slow
def test_the_search_keeps_up_with_reading() -> None:
    vocabulary = [f"word{number}" for number in range(20_000)]
    texts = [" ".join(RANDOM.choices(vocabulary, k=200)) for _ in range(10_000)]
    index = HeldOut(ngrams(texts[:2000]))
    started = time.process_time()
    assert index.near_duplicates(ngrams(texts)).sum() == 2000
    assert sum(map(len, texts)) / (time.process_time() - started) > 2_000_000  # characters a second
