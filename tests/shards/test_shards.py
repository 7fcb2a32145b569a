"""Token shards give back what was written, hold it in the documented bytes, and never a damaged corpus."""

import errno
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import UserError
from pipeline.shards.read import TokenCorpus
from pipeline.shards.write import write_shards

VOCABULARY = 500


@pytest.fixture
def documents() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, VOCABULARY, length) for length in (5, 2, 9, 1, 40, 7, 3)]


def write(folder: Path, documents: list[np.ndarray], vocabulary: int = VOCABULARY, shard_tokens: int = 10) -> None:
    rows = [(tokens, 3 * len(tokens), 2 * len(tokens)) for tokens in documents]
    write_shards(folder, iter(rows), vocabulary=vocabulary, tokenizer="abc", shard_tokens=shard_tokens)


@pytest.mark.parametrize("shard_tokens", [1, 10, 1000])
def test_documents_come_back_whatever_the_size_of_a_shard(
    tmp_path: Path, documents: list[np.ndarray], shard_tokens: int
) -> None:
    write(tmp_path / "train", documents, shard_tokens=shard_tokens)
    corpus = TokenCorpus(tmp_path / "train")
    assert len(corpus) == corpus.documents == len(documents)
    assert corpus.lengths().tolist() == [len(tokens) for tokens in documents]
    for number, tokens in enumerate(documents):
        assert corpus.document(number).tolist() == tokens.tolist()
        assert corpus.document(number).dtype == np.int64
    corpus.verify()


def test_the_corpus_reads_as_one_run_of_tokens_across_shard_borders(
    tmp_path: Path, documents: list[np.ndarray]
) -> None:
    write(tmp_path / "train", documents)
    corpus, whole = TokenCorpus(tmp_path / "train"), np.concatenate(documents)
    assert len(corpus.index.shards) > 2
    for start in range(len(whole) + 1):
        for stop in range(start, len(whole) + 1):
            assert corpus.read(start, stop).tolist() == whole[start:stop].tolist()
    with pytest.raises(IndexError):
        corpus.read(0, len(whole) + 1)
    with pytest.raises(IndexError):
        corpus.document(len(documents))


def test_the_index_counts_tokens_documents_bytes_and_characters(tmp_path: Path, documents: list[np.ndarray]) -> None:
    write(tmp_path / "train", documents)
    corpus, tokens = TokenCorpus(tmp_path / "train"), sum(map(len, documents))
    assert (corpus.tokens, corpus.text_bytes, corpus.characters) == (tokens, 3 * tokens, 2 * tokens)
    assert (corpus.vocabulary, corpus.tokenizer) == (VOCABULARY, "abc")


@pytest.mark.parametrize(("vocabulary", "dtype"), [(65_536, "<u2"), (65_537, "<u4")])
def test_tokens_are_little_endian_and_as_small_as_the_vocabulary_allows(
    tmp_path: Path, vocabulary: int, dtype: str
) -> None:
    tokens = np.array([0, 1, 258, vocabulary - 1])
    write(tmp_path / "train", [tokens], vocabulary)
    assert (tmp_path / "train/tokens-00000.bin").read_bytes() == tokens.astype(dtype).tobytes()
    assert TokenCorpus(tmp_path / "train").document(0).tolist() == tokens.tolist()


def test_equal_documents_make_equal_bytes(tmp_path: Path, documents: list[np.ndarray]) -> None:
    write(tmp_path / "one", documents)
    write(tmp_path / "two", documents)
    files = [{file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert files[0] == files[1]


def test_a_corpus_without_documents_is_a_corpus(tmp_path: Path) -> None:
    write(tmp_path / "train", [])
    corpus = TokenCorpus(tmp_path / "train")
    assert (corpus.tokens, corpus.documents) == (0, 0)
    assert corpus.lengths().tolist() == corpus.read(0, 0).tolist() == []
    corpus.verify()


def test_a_copy_in_another_process_opens_its_own_maps(tmp_path: Path, documents: list[np.ndarray]) -> None:
    write(tmp_path / "train", documents)
    content = pickle.dumps(TokenCorpus(tmp_path / "train"))
    assert len(content) < 1000  # a path, not the tokens
    assert pickle.loads(content).document(2).tolist() == documents[2].tolist()


def test_a_failure_while_writing_leaves_the_old_corpus_in_place(tmp_path: Path, documents: list[np.ndarray]) -> None:
    write(tmp_path / "train", documents)

    def full_disk() -> object:
        yield documents[0], 1, 1
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="disk is full"):
        write_shards(tmp_path / "train", full_disk(), vocabulary=VOCABULARY, tokenizer="abc")  # type: ignore[arg-type]
    assert TokenCorpus(tmp_path / "train").documents == len(documents)
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def index_without_shards(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "shards": []}))


def index_of_the_future(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("tokens-00001.bin", cut),
        ("tokens-00001.bin", Path.unlink),
        ("ends-00000.npy", cut),
        ("ends-00000.npy", Path.unlink),
        ("ends-00000.npy", lambda path: path.write_bytes(b"")),
        ("index.json", cut),
        ("index.json", Path.unlink),
        ("index.json", lambda path: path.write_text("[]")),
        ("index.json", lambda path: path.write_text("{}")),
        ("index.json", index_without_shards),
        ("index.json", index_of_the_future),
    ],
)
def test_opening_names_a_damaged_file_in_one_line_and_says_what_to_run(
    tmp_path: Path, documents: list[np.ndarray], name: str, damage: object
) -> None:
    write(tmp_path / "train", documents)
    damage(tmp_path / "train" / name)  # type: ignore[operator]
    with pytest.raises(UserError) as caught:
        TokenCorpus(tmp_path / "train")
    message = str(caught.value)
    assert name in message
    assert "dvc repro" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["tokens-00000.bin", "ends-00000.npy"])
def test_verify_finds_one_flipped_bit(tmp_path: Path, documents: list[np.ndarray], name: str) -> None:
    write(tmp_path / "train", documents)
    corpus = TokenCorpus(tmp_path / "train")
    flip(tmp_path / "train" / name)
    with pytest.raises(UserError, match=f"{name}: is damaged"):
        corpus.verify()
