"""The tokenizer's sample: bounded, drawn from all over the corpus, the same for the same seed."""

from pathlib import Path

import pytest

from pipeline.text.prepared import PreparedWriter, corpus_schema
from pipeline.text.sample import sample_blocks


def prepared(path: Path, texts: list[str]) -> Path:
    with PreparedWriter(path, corpus_schema()) as writer:
        for text in texts:
            writer.write(text)
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """1,000 documents of 10 bytes: "doc 000000" and so on."""
    return prepared(tmp_path / "corpus.parquet", [f"doc {number:06}" for number in range(1000)])


def test_a_sample_has_the_size_asked_for_and_comes_from_everywhere(corpus: Path) -> None:
    sample = list(sample_blocks([corpus], 2000, seed=1))
    assert len(sample) == 200
    assert sample == sorted(set(sample))
    for part in range(5):
        assert 20 < sum(f"doc {200 * part:06}" <= text < f"doc {200 * part + 200:06}" for text in sample) < 60


def test_a_small_corpus_is_taken_whole(corpus: Path) -> None:
    assert len(list(sample_blocks([corpus], 10_000, seed=1))) == 1000
    assert len(list(sample_blocks([corpus], 10**9, seed=1))) == 1000


def test_the_seed_decides(corpus: Path) -> None:
    one, again, other = (list(sample_blocks([corpus], 1000, seed)) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_sizes_are_bytes_of_utf8(tmp_path: Path) -> None:
    korean = prepared(tmp_path / "korean.parquet", ["한국어한"] * 100)  # 12 bytes each
    assert len(list(sample_blocks([korean], 600, seed=1))) == 50


def test_a_small_domain_is_not_drowned_by_a_large_corpus(corpus: Path, tmp_path: Path) -> None:
    domain = prepared(tmp_path / "domain.parquet", [f"DOM {number:06}" for number in range(50)])
    sample = list(sample_blocks([corpus, domain], 2000, seed=1))
    assert sum(text.startswith("DOM") for text in sample) == 50
    assert len(sample) == 200
    sample = list(sample_blocks([corpus, domain], 600, seed=1))
    assert sum(text.startswith("DOM") for text in sample) == 30


def test_a_long_document_is_sampled_in_blocks(tmp_path: Path) -> None:
    long = prepared(tmp_path / "long.parquet", ["word " * 200_000])
    sample = list(sample_blocks([long], 200_000, seed=1))
    assert abs(sum(map(len, sample)) - 200_000) < 2**16
