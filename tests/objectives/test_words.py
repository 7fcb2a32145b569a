"""Words are found in the vocabulary of every kind of tokenizer, ours and those that come with a finished model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from pipeline.config.tokenizer import TokenizerConfig
from pipeline.objectives.words import word_begins, words_of
from pipeline.text.specials import SPECIALS
from pipeline.text.tokenizer import encode, load, train

TEXTS = [
    "the captain of the ship looked at the harbour and the harbour looked back",
    "sieben äpfel drei körbe und ein leiterwagen",
    "배가 항구를 떠났다 선장은 웃었다",
    "the cat sat there\n\tthe catalogue  was there too, and not (yet) sold!",
] * 4
SPECIAL = {"special_tokens": [*SPECIALS, "<unk>"], "show_progress": False}


def word_piece() -> Tokenizer:
    """As BERT's: what goes on with a word is marked."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=260, **SPECIAL))
    return tokenizer


def unigram() -> Tokenizer:
    """As T5's: what begins a word is marked, and the mark of a text's first word is stripped."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(TEXTS, trainers.UnigramTrainer(vocab_size=190, unk_token="<unk>", **SPECIAL))
    return tokenizer


def metaspace_bpe() -> Tokenizer:
    """As LLaMA's: the same marks, put there by a normaliser and taken away by a row of decoders."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = {**SPECIAL, "special_tokens": [*SPECIALS, "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]}
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=460, **special))
    tokenizer.pre_tokenizer = None
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def spelt(tokenizer: Tokenizer, text: str) -> list[list[str]]:
    """The words that are found in a text, each as its tokens without marks."""
    (tokens,) = encode(tokenizer, [text])
    inner = torch.from_numpy(tokens.astype("int64"))[1:-1]
    found: dict[int, list[str]] = {}
    for number, token in zip(words_of(word_begins(tokenizer)[inner][None])[0].tolist(), inner.tolist(), strict=True):
        found.setdefault(number, []).append(tokenizer.id_to_token(token).removeprefix("##").removeprefix("▁"))
    return list(found.values())


@pytest.mark.parametrize("make", [word_piece, unigram, metaspace_bpe])
def test_an_imported_tokenizers_words_are_those_between_the_spaces(make: Callable[[], Tokenizer]) -> None:
    tokenizer = make()
    text = "there the sieben cats looked at a harbour 항구를 und leider captains"
    words = spelt(tokenizer, text)
    assert ["".join(word) for word in words] == text.split()
    assert {1, 2} <= {len(word) for word in words}  # some of one token, some of several


def test_an_imported_tokenizers_punctuation_belongs_to_the_word_before_it() -> None:
    """Where its decoder puts no space before the sign; a bracket begins a word."""
    words = ["".join(word) for word in spelt(word_piece(), "the cat, (not sold)!")]
    assert words == ["the", "cat,", "(", "not", "sold", ")!"]


def test_every_token_of_a_byte_level_vocabulary_begins_a_word_as_it_does_when_decoded_alone(tmp_path: Path) -> None:
    """Bytes decode alike wherever they stand, halves of a character among them."""
    tokenizer = train(TEXTS, TokenizerConfig(vocabulary=480, min_frequency=2))
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    tokenizer = load(path)
    numbers = range(tokenizer.get_vocab_size())
    alone = tokenizer.decode_batch([[number] for number in numbers], skip_special_tokens=False)
    expected = [number < len(SPECIALS) or text[:1].isspace() for number, text in zip(numbers, alone, strict=True)]
    assert word_begins(tokenizer).tolist() == expected
    assert sum(expected) > len(SPECIALS) + 10
