"""A tokenizer that came along cuts text as it always did, with our special tokens before its own entries."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from pipeline.base.errors import UserError
from pipeline.interop.huggingface.vocabulary import Vocabulary
from pipeline.text import tokenizer as text_tokenizer
from pipeline.text.specials import BOS, EOS, MASK, PAD, SPECIALS
from tests.interop.huggingface.examples import (
    HARD,
    SHIFT,
    TEXTS,
    byte_level,
    roberta_like,
    sentence_bpe,
    unigram,
    word_piece,
)

KINDS = {made.__name__: made for made in (byte_level, roberta_like, word_piece, unigram, sentence_bpe)}


def shifted(folder: Path) -> Tokenizer:
    """What stage tokenizer writes, as the later stages read it."""
    path = folder / "shifted.json"
    path.write_text(Vocabulary(folder, SPECIALS).shifted(), encoding="utf-8")
    return text_tokenizer.load(path)


@pytest.mark.parametrize("kind", KINDS)
def test_text_is_cut_into_the_same_pieces(kind: str, tmp_path: Path) -> None:
    before = KINDS[kind](tmp_path / "tokenizer.json")
    after = shifted(tmp_path)
    assert after.get_vocab_size() == before.get_vocab_size() + SHIFT
    for text in TEXTS[:5]:
        expected = before.encode(text, add_special_tokens=False).ids
        assert expected
        (found,) = text_tokenizer.encode(after, [text])
        assert found.tolist() == [BOS, *(number + SHIFT for number in expected), EOS]


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_special_tokens_in_a_text_are_plain_text(kind: str, tmp_path: Path) -> None:
    before = KINDS[kind](tmp_path / "tokenizer.json")
    special = {number + SHIFT for number, token in before.get_added_tokens_decoder().items() if token.special}
    special -= {
        number + SHIFT for number in range(before.get_vocab_size()) if "unk" in before.id_to_token(number).lower()
    }
    special -= {number + SHIFT for number in range(before.get_vocab_size()) if before.id_to_token(number)[:3] == "<0x"}
    for tokens in text_tokenizer.encode(shifted(tmp_path), HARD):
        inner = tokens.tolist()[1:-1]
        assert min(inner, default=SHIFT) >= SHIFT
        assert not special & set(inner)


def test_the_same_name_twice_keeps_its_number_and_ours_comes_first(tmp_path: Path) -> None:
    roberta_like(tmp_path / "tokenizer.json")
    after = shifted(tmp_path)
    assert (after.token_to_id("<pad>"), after.token_to_id("<mask>")) == (PAD, MASK)
    assert after.token_to_id("<pad.original>") == SHIFT + 1
    assert after.token_to_id("<mask.original>") == after.get_vocab_size() - 1


def test_rows_are_found_by_meaning(tmp_path: Path) -> None:
    word_piece(tmp_path / "tokenizer.json")
    vocabulary = Vocabulary(tmp_path, SPECIALS)
    rows = vocabulary.rows_of({"<bos>": ("[START]", "[CLS]"), "<pad>": ("[PAD]",), "<mask>": ("nothing",)})
    assert rows[:4] == [0, 2, None, None]
    assert rows[4:] == [None] * (SHIFT - 4)


def test_a_tokenizer_that_has_our_specials_stays_as_it_is_but_for_its_template(tmp_path: Path) -> None:
    byte_level(tmp_path / "tokenizer.json")
    once = Vocabulary(tmp_path, SPECIALS).shifted()
    (tmp_path / "tokenizer.json").write_text(once, encoding="utf-8")
    assert Vocabulary(tmp_path, SPECIALS).shift == 0
    assert json.loads(Vocabulary(tmp_path, SPECIALS).shifted()) == json.loads(once)


def missing(path: Path) -> None:
    """A folder with the slow tokenizer's files alone."""


def strange(path: Path) -> None:
    path.write_text('{"model": {"kind": "none"}}', encoding="utf-8")


def with_holes(path: Path) -> None:
    Tokenizer(models.WordLevel({"a": 0, "b": 2}, unk_token="a")).save(str(path))


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (missing, "tokenizer.json: no such file; make it with `transformers`: `AutoTokenizer.from_pretrained(FOLDER)"),
        (strange, "tokenizer.json: is not a tokenizer of a known kind ('type'); fetch it again"),
        (with_holes, "tokenizer.json: its 2 entries are not numbered one by one from 0"),
    ],
)
def test_what_cannot_be_used_is_one_line(spoilt: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    spoilt(tmp_path / "tokenizer.json")
    with pytest.raises(UserError) as caught:
        Vocabulary(tmp_path, SPECIALS)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
