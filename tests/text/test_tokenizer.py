"""The tokenizer: any Unicode text comes back as it was, no text makes special tokens, equal text makes equal bytes."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers

from pipeline.base.errors import UserError
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.text import tokenizer as module
from pipeline.text.groups import ahead, grouped
from pipeline.text.specials import SPECIALS
from pipeline.text.tokenizer import BOS, EOS, MASK, PAD, blocks, encode, encoded, fingerprint, load, save, train

TEXTS = [
    "The cat sat on the mat, and the dog didn't.",
    "한국어 문장은 띄어쓰기가 있다. 고양이가 매트 위에 앉았다.",
    "猫坐在垫子上，狗没有。中文没有空格，所以一句话就是一个词。",
    "मैं हिन्दी बोलता हूँ",
    "def f(x):\n    return x  # 1234567",
] * 40


@pytest.fixture(scope="module")
def plain() -> Tokenizer:
    """A tokenizer that does not normalise."""
    return train(TEXTS, TokenizerConfig(vocabulary=700, normalize="none"))


def decoded(tokenizer: Tokenizer, tokens: np.ndarray) -> str:
    assert (tokens[0], tokens[-1]) == (BOS, EOS)
    return str(tokenizer.decode(tokens[1:-1].tolist(), skip_special_tokens=False))


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_unicode_text_comes_back_exactly(plain: Tokenizer, text: str) -> None:
    assert decoded(plain, encode(plain, [text])[0]) == text


@pytest.mark.parametrize(
    "text",
    [
        *TEXTS[:5],
        "",
        " ",
        "\n\n\n   \t",
        "\x00\x01\ufeff\uffff\U0010ffff",
        "e\u0301 é ﬁ Ａ ½",
        "👩\u200d👩\u200d👧 ❤️",
        "ACGT" * 1000,
        "a" * 1000 + " " * 1000 + "1" * 1000 + "!" * 1000,
        "".join(SPECIALS),
    ],
)
def test_texts_of_all_kinds_come_back_exactly(plain: Tokenizer, text: str) -> None:
    assert decoded(plain, encode(plain, [text])[0]) == text


def test_special_tokens_have_fixed_numbers(plain: Tokenizer) -> None:
    assert (PAD, BOS, EOS, MASK) == (0, 1, 2, 3)
    names = ["<pad>", "<bos>", "<eos>", "<mask>", "<cls>", "<sep>", *(f"<extra_{number}>" for number in range(100))]
    assert [plain.id_to_token(number) for number in range(106)] == names == list(SPECIALS)


def test_the_names_of_special_tokens_in_a_text_are_plain_text(plain: Tokenizer, tmp_path: Path) -> None:
    """Even where the tokenizer was trained on many of them, and after saving and loading."""
    hostile = ["a <bos> b <mask><extra_0>"] * 100
    for trained in (plain, train(hostile, TokenizerConfig(vocabulary=800))):
        save(trained, tmp_path / "tokenizer.json")
        for tokenizer in (trained, load(tmp_path / "tokenizer.json")):
            tokens = encode(tokenizer, ["<bos>x<eos><pad><mask><cls><sep><extra_7>"])[0]
            assert (tokens[1:-1] >= len(SPECIALS)).all()


def test_an_empty_text_is_an_empty_document(plain: Tokenizer) -> None:
    assert [tokens.tolist() for tokens in encode(plain, ["", ""])] == [[BOS, EOS], [BOS, EOS]]
    assert encode(plain, []) == []


def test_half_a_surrogate_pair_becomes_the_replacement_character(plain: Tokenizer) -> None:
    """JSON's escapes can hold one; no file can, so exact return is impossible, and a crash would lose the rest."""
    assert decoded(plain, encode(plain, ["a\ud800b"])[0]) == "a\ufffdb"
    train(["a\ud800b"], TokenizerConfig(vocabulary=400))


def test_tokens_are_as_small_as_the_vocabulary_allows(plain: Tokenizer) -> None:
    assert encode(plain, ["the"])[0].dtype == np.uint16


def test_training_makes_the_same_bytes_with_any_number_of_threads_and_order_of_texts(tmp_path: Path) -> None:
    """Ties between pairs are many in so small a text; hash seeds differ from process to process."""
    command = (
        "import sys\n"
        "from pipeline.config.tokenizer import TokenizerConfig\n"
        "from pipeline.text.tokenizer import save, train\n"
        "texts = open(sys.argv[1], encoding='utf-8').read().split('|')[::int(sys.argv[3])]\n"
        "save(train(texts, TokenizerConfig(vocabulary=1000)), sys.argv[2])\n"
    )
    random = np.random.default_rng(0)
    words = ["".join(chr(97 + letter) for letter in random.integers(0, 8, 5)) for _ in range(400)]
    texts = "|".join(" ".join(random.choice(words, 50)) for _ in range(200))
    (tmp_path / "texts").write_text(texts, encoding="utf-8")
    found = set()
    for threads, order in (("1", "1"), ("1", "-1"), ("3", "1")):
        out = tmp_path / f"{threads}{order}.json"
        subprocess.run(
            [sys.executable, "-c", command, str(tmp_path / "texts"), str(out), order],
            env={**os.environ, "RAYON_NUM_THREADS": threads},
            check=True,
        )
        found.add(hashlib.sha256(out.read_bytes()).hexdigest())
        assert load(out).get_vocab_size() == 1000
    assert len(found) == 1


def test_a_saved_tokenizer_encodes_as_before_and_its_fingerprint_is_its_content(
    plain: Tokenizer, tmp_path: Path
) -> None:
    save(plain, tmp_path / "one.json")
    loaded = load(tmp_path / "one.json")
    save(loaded, tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert fingerprint(tmp_path / "one.json") == hashlib.sha256((tmp_path / "two.json").read_bytes()).hexdigest()
    for one, two in zip(encode(plain, TEXTS[:5]), encode(loaded, TEXTS[:5]), strict=True):
        assert one.tolist() == two.tolist()


def test_a_small_text_makes_a_smaller_vocabulary() -> None:
    tokenizer = train(["ab ab ab"], TokenizerConfig(vocabulary=8192))
    assert 106 + 256 < tokenizer.get_vocab_size() < 106 + 256 + 5
    assert train([], TokenizerConfig()).get_vocab_size() == 106 + 256


@pytest.mark.parametrize("vocabulary", [362, 363, 450])
def test_the_vocabulary_is_never_larger_than_asked(vocabulary: int) -> None:
    assert train(TEXTS, TokenizerConfig(vocabulary=vocabulary)).get_vocab_size() == vocabulary


@pytest.mark.parametrize(
    ("normalize", "lowercase", "text", "back"),
    [
        ("none", False, "e\u0301 ﬁ Ａ", "e\u0301 ﬁ Ａ"),
        ("nfc", False, "e\u0301 ﬁ Ａ", "é ﬁ Ａ"),
        ("nfkc", False, "e\u0301 ﬁ Ａ", "é fi A"),
        ("nfc", True, "ÀB ﬁ", "àb ﬁ"),
    ],
)
def test_normalisation_follows_the_config_and_travels_with_the_file(
    tmp_path: Path, normalize: str, lowercase: bool, text: str, back: str
) -> None:
    config = TokenizerConfig(vocabulary=400, normalize=normalize, lowercase=lowercase)  # type: ignore[arg-type]
    save(train(TEXTS, config), tmp_path / "tokenizer.json")
    tokenizer = load(tmp_path / "tokenizer.json")
    assert decoded(tokenizer, encode(tokenizer, [text])[0]) == back


def test_words_keep_the_marks_on_their_letters(plain: Tokenizer) -> None:
    """A vowel sign is a mark in Unicode: a border before it would forbid every merge across it."""
    pieces = [piece for piece, _ in plain.pre_tokenizer.pre_tokenize_str("मैं हिन्दी, don't")]
    assert len(pieces) == 5  # two words, a comma, "don", "'t"


LONG = "one two  three\n\n four, 한국어 문장. 中文没有空格 " * 40


@pytest.mark.parametrize("size", [20, 37, 100])
def test_blocks_of_a_long_text_make_the_same_tokens(
    plain: Tokenizer, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    expected = plain.encode(LONG, add_special_tokens=False).ids
    assert "".join(blocks(LONG, size)) == LONG
    assert max(len(block) for block in blocks(LONG, size)) <= size
    cut = [token for block in blocks(LONG, size) for token in plain.encode(block, add_special_tokens=False).ids]
    assert cut == expected
    monkeypatch.setattr(module, "GROUP_CHARACTERS", 50)
    assert encode(plain, ["", LONG, "the cat"])[1][1:-1].tolist() == expected


def test_a_tokenizer_that_begins_each_text_with_a_character_begins_each_block_with_one_more() -> None:
    """As LLaMA's: the one difference that blocks make."""
    words = {name: number for number, name in enumerate([*SPECIALS, "▁", "a"])}
    llama = Tokenizer(models.BPE(words, [], unk_token="<pad>"))
    llama.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    text = "a a " * 20_000
    more = len(list(blocks(text))) - 1
    assert more
    whole = llama.encode(text, add_special_tokens=False).ids
    assert len(encode(llama, [text])[0][1:-1]) == len(whole) + more


def test_a_stream_of_texts_comes_back_in_order_before_it_is_read_whole(
    plain: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GROUP_CHARACTERS", 50_000)
    texts = ["the cat", "", LONG * 70, "", *["a dog and a cat " * 1000] * 20]
    assert len(list(blocks(texts[2]))) > 1
    expected = [plain.encode(text, add_special_tokens=False).ids for text in texts]
    read: list[str] = []

    def stream() -> Iterator[str]:
        for text in texts:
            read.append(text)
            yield text

    found = encoded(plain, stream())
    first = next(found)
    assert len(read) < len(texts)
    pairs = [first, *found]
    assert [text for text, _ in pairs] == texts
    assert [tokens[1:-1].tolist() for _, tokens in pairs] == expected
    assert all((tokens[0], tokens[-1]) == (BOS, EOS) for _, tokens in pairs)


@pytest.mark.parametrize("text", ["", "a", "ab", "x" * 95, " " * 95, " x" * 45, "\n".join("abc" * 30)])
def test_blocks_lose_nothing(text: str) -> None:
    cut = list(blocks(text, 10))
    assert "".join(cut) == text
    assert all(0 < len(block) <= 10 for block in cut)


@pytest.mark.slow
def test_a_document_of_50_megabytes_without_a_space_is_encoded(plain: Tokenizer) -> None:
    text = "中文没有空格" * (50_000_000 // 18)
    assert decoded(plain, encode(plain, [text])[0]) == text


def test_groups_are_consecutive_and_bounded() -> None:
    texts = ["a" * 4, "b" * 4, "c" * 30, "", "d"]
    assert list(grouped(iter(texts), 8)) == [texts[:2], texts[2:3], texts[3:]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        ("", "is damaged"),
        ('{"version": "1.0"', "is damaged"),
        (Tokenizer.from_str(train([], TokenizerConfig()).to_str().replace("<mask>", "<other>")).to_str(), "<mask>"),
    ],
)
def test_a_missing_damaged_or_foreign_file_is_one_line(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=says) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_made_ahead_comes_in_order_and_its_errors_come_through() -> None:
    def half(number: int) -> int:
        if number % 2:
            raise UserError(f"{number} is odd")
        return number // 2

    def broken() -> Iterator[int]:
        yield from (2, 4)
        raise UserError("no third")

    assert list(ahead(half, (2, 4, 6, 8))) == [1, 2, 3, 4]
    assert list(ahead(half, ())) == []
    three = ahead(half, (2, 4, 5))
    assert [next(three), next(three)] == [1, 2]
    with pytest.raises(UserError, match="5 is odd"):
        next(three)
    with pytest.raises(UserError, match="no third"):
        list(ahead(half, broken()))
