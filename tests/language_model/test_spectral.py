"""Spectral embeddings find which tokens keep like company, repeat to the byte, and align to pretrained ones."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.language_model import spectral
from pipeline.language_model.spectral import (
    align_embeddings,
    cooccurrences,
    in_passages,
    positive_pmi,
    spectral_embeddings,
    token_counts,
)
from pipeline.linear.svd import truncated_svd
from pipeline.shards.read import TokenCorpus
from pipeline.shards.write import write_shards

VOCABULARY, CLASSES, MEMBERS = 120, 5, 20  # token 10 + 20 c + m is member m of class c; the last ten never occur


def planted(folder: Path, seed: int = 0, documents: int = 1000, first_member: int = 0) -> TokenCorpus:
    """Documents in which classes follow each other by rule and the members of a class are interchangeable."""
    random = np.random.default_rng(seed)

    def document() -> np.ndarray:
        classes = (np.cumsum(random.integers(1, 3, 60)) + random.integers(CLASSES)) % CLASSES
        return np.array([1, *(10 + MEMBERS * classes + random.integers(first_member, MEMBERS, 60)), 2])

    rows = [(document(), 1, 1) for _ in range(documents)]
    write_shards(folder, rows, vocabulary=VOCABULARY, tokenizer="abc", shard_tokens=20_000)
    return TokenCorpus(folder)


def write(folder: Path, *documents: list[int], vocabulary: int = 8) -> TokenCorpus:
    write_shards(folder, [(np.array(each), 1, 1) for each in documents], vocabulary=vocabulary, tokenizer="abc")
    return TokenCorpus(folder)


def of_one_class(vectors: np.ndarray) -> float:
    """Share of the planted tokens whose nearest neighbour by cosine is of their own class."""
    words = vectors[10 : 10 + CLASSES * MEMBERS]
    words = words / np.linalg.norm(words, axis=1, keepdims=True)
    nearness = words @ words.T - 2 * np.eye(len(words))
    return float(np.mean(np.argmax(nearness, axis=1) // MEMBERS == np.arange(len(words)) // MEMBERS))


def test_interchangeable_tokens_get_like_vectors(tmp_path: Path) -> None:
    corpus = planted(tmp_path / "train")
    vectors = spectral_embeddings(corpus, 8, seed=1)
    assert vectors.shape == (VOCABULARY, 8)
    assert vectors.dtype == np.float32
    assert of_one_class(vectors) > 0.98
    assert of_one_class(spectral_embeddings(corpus, 8, passages=1.0, seed=1)) > 0.9
    noise = np.random.default_rng(0).standard_normal(vectors.shape)
    assert of_one_class(noise) < 0.5


def test_seen_tokens_have_unit_rms_and_unseen_ones_small_noise(tmp_path: Path) -> None:
    corpus = planted(tmp_path / "train")
    vectors = spectral_embeddings(corpus, 8, seed=1)
    seen = token_counts(corpus) > 0
    assert np.sqrt(np.mean(vectors[seen] ** 2)) == pytest.approx(1, rel=1e-5)
    assert 0.05 < np.sqrt(np.mean(vectors[~seen] ** 2)) < 0.2
    assert (vectors[~seen] != spectral_embeddings(corpus, 8, seed=2)[~seen]).all()


def test_counting_the_tokens_of_a_long_corpus_reads_a_part_of_it(tmp_path: Path, monkeypatch) -> None:
    corpus = planted(tmp_path / "train")
    whole = token_counts(corpus)
    assert whole.sum() == corpus.tokens
    monkeypatch.setattr(spectral, "CHUNK_TOKENS", corpus.tokens // 100)
    monkeypatch.setattr(spectral, "COUNTED_TOKENS", corpus.tokens // 4)
    part = token_counts(corpus)
    assert corpus.tokens / 4 <= part.sum() < corpus.tokens / 3.5
    np.testing.assert_allclose(part / part.sum(), whole / whole.sum(), atol=0.02)


def test_pairs_count_one_over_their_distance_on_both_sides_within_a_document(tmp_path: Path) -> None:
    corpus = write(tmp_path / "train", [1, 3, 4, 5, 2], [1, 3, 3, 2])
    expected = np.zeros((8, 8))
    for document in ([1, 3, 4, 5, 2], [1, 3, 3, 2]):
        for one, left in enumerate(document):
            for two, right in enumerate(document):
                if 0 < abs(one - two) <= 3:
                    expected[left, right] += 1 / abs(one - two)
    counted = cooccurrences(corpus, window=3, max_tokens=1000).toarray() / 6
    np.testing.assert_allclose(counted, expected)


def test_counts_do_not_depend_on_how_the_corpus_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = planted(tmp_path / "train", documents=50)
    whole = cooccurrences(corpus, 4, 10**9).toarray()
    monkeypatch.setattr(spectral, "CHUNK_TOKENS", 97)
    assert (cooccurrences(corpus, 4, 10**9).toarray() == whole).all()


def test_a_long_corpus_is_counted_in_chunks_spread_over_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write(tmp_path / "train", *([1, token, token, 2] for token in (3, 4, 5, 6) for _ in range(100)))
    monkeypatch.setattr(spectral, "CHUNK_TOKENS", 40)
    counts = np.asarray(cooccurrences(corpus, 2, 400).sum(axis=1))
    full = np.asarray(cooccurrences(corpus, 2, 10**9).sum(axis=1))
    assert (counts[3:7] > 0).all()
    assert counts.sum() == pytest.approx(full.sum() / 4, rel=0.05)


def test_positive_pmi_is_the_published_formula(tmp_path: Path) -> None:
    """Levy, Goldberg & Dagan 2015, equation 3 in section 3.1, cut off at zero."""
    counts = cooccurrences(planted(tmp_path / "train", documents=20), 4, 10**9)
    dense = counts.toarray()
    p_pair, p_token = dense / dense.sum(), dense.sum(axis=1) / dense.sum()
    p_context = dense.sum(axis=0) ** 0.75 / (dense.sum(axis=0) ** 0.75).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.nan_to_num(np.maximum(0, np.log(p_pair / np.outer(p_token, p_context))), nan=0.0)
    np.testing.assert_allclose(positive_pmi(counts, 0.75).toarray(), expected, rtol=1e-5, atol=1e-6)


def test_the_factorisation_is_that_of_lapack(tmp_path: Path) -> None:
    """As far as the matrix has structure: beyond, strengths are nearly equal and directions mean nothing."""
    matrix = positive_pmi(cooccurrences(planted(tmp_path / "train"), 4, 10**9), 0.75)
    left, strengths = truncated_svd(matrix, 5, seed=1)
    u, s, _ = np.linalg.svd(matrix.toarray().astype(np.float64))
    np.testing.assert_allclose(strengths[:3], s[:3], rtol=1e-5)
    np.testing.assert_allclose(strengths, s[:5], rtol=1e-2)
    np.testing.assert_allclose(np.abs(np.diag(left.T @ u[:, :5]))[:3], 1, atol=1e-4)
    assert (left[np.abs(left).argmax(axis=0), np.arange(5)] > 0).all()


@pytest.mark.parametrize("documents", [[], [[1, 2]], [[1, 3, 2]], [[1, 3, 4, 5, 6, 7, 2]]])
def test_a_tiny_corpus_still_gives_finite_vectors_of_every_dimension(
    tmp_path: Path, documents: list[list[int]]
) -> None:
    """Fewer tokens, or a lower rank, than dimensions: the rest is noise, and no two tokens are equal."""
    vectors = spectral_embeddings(write(tmp_path / "train", *documents), 16, seed=1)
    assert vectors.shape == (8, 16)
    assert np.isfinite(vectors).all()
    assert (vectors.std(axis=0) > 0).all()
    assert len(np.unique(vectors, axis=0)) == 8


HASH = """
import sys, hashlib, torch
from pipeline.language_model.spectral import spectral_embeddings
from pipeline.shards.read import TokenCorpus
torch.set_num_threads(1)
print(hashlib.md5(spectral_embeddings(TokenCorpus(sys.argv[1]), 16, seed=1).tobytes()).hexdigest())
"""


def test_the_same_corpus_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    import torch

    corpus = planted(tmp_path / "train")
    command = [sys.executable, "-c", HASH, str(corpus.folder)]
    other = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        mine = spectral_embeddings(corpus, 16, seed=1)
        torch.set_num_threads(2)
        np.testing.assert_allclose(spectral_embeddings(corpus, 16, seed=1), mine, atol=1e-6)
    finally:
        torch.set_num_threads(threads)
    assert hashlib.md5(mine.tobytes()).hexdigest() == other


@pytest.fixture
def corpora(tmp_path: Path) -> tuple[TokenCorpus, TokenCorpus]:
    """A generic corpus that lacks the first ten members of each class, and a domain that has them all."""
    return planted(tmp_path / "generic", 1, first_member=10), planted(tmp_path / "domain", 2)


def pretrained_of(generic: TokenCorpus) -> np.ndarray:
    """The generic corpus's own vectors in a space turned away from the domain's."""
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((8, 8)))[0]
    return (spectral_embeddings(generic, 8, seed=1) @ turn).astype(np.float32)


def test_tokens_new_in_the_domain_join_their_class_and_known_ones_stay(
    corpora: tuple[TokenCorpus, TokenCorpus],
) -> None:
    generic, domain = corpora
    pretrained, vectors = pretrained_of(generic), spectral_embeddings(domain, 8, seed=1)
    aligned = align_embeddings(pretrained, vectors, generic, domain)
    assert aligned.dtype == np.float32
    assert of_one_class(pretrained) < 0.8  # the members that the generic corpus lacks are noise
    assert of_one_class(aligned) > 0.98
    known, met = token_counts(generic), token_counts(domain)
    often = known > 1000
    share = 100 / (known[often] + 100)
    moved = np.linalg.norm(aligned - pretrained, axis=1)[often] / np.linalg.norm(pretrained, axis=1)[often]
    assert often.any()
    assert (moved < 2 * share).all()
    assert (aligned[met == 0] == pretrained[met == 0]).all()


def test_without_a_generic_corpus_the_noise_of_an_untrained_network_gives_way(
    tmp_path: Path, corpora: tuple[TokenCorpus, TokenCorpus]
) -> None:
    _, domain = corpora
    empty = write(tmp_path / "none", vocabulary=VOCABULARY)
    vectors = spectral_embeddings(domain, 8, seed=1)
    untrained = np.random.default_rng(5).standard_normal(vectors.shape).astype(np.float32)
    assert (align_embeddings(untrained, vectors, empty, domain) == vectors).all()


def test_tokens_of_one_passage_count_once_whatever_lies_between(tmp_path: Path) -> None:
    corpus = write(tmp_path / "train", [1, 3, 4, 4, 2], [1, 5, 2])
    expected = np.zeros((8, 8))
    for passage in ({1, 3, 4}, {4, 2}, {1, 5, 2}):
        for one in passage:
            for other in passage - {one}:
                expected[one, other] += 1 / len(passage)
    np.testing.assert_allclose(in_passages(corpus, 3, 1000).toarray(), expected)


def test_tokens_of_one_subject_get_like_vectors_though_they_never_meet_in_a_window(tmp_path: Path) -> None:
    """Each document speaks of one of two subjects, between words that all share; subjects differ in nothing near."""
    random = np.random.default_rng(1)

    def document() -> list[int]:
        subject = random.integers(2)
        said = [int(token) for _ in range(6) for token in (10 + 10 * subject + random.integers(10), *[3, 4, 5, 6, 7])]
        return [1, *said, 2]

    corpus = write(tmp_path / "train", *(document() for _ in range(400)), vocabulary=32)

    def parted(vectors: np.ndarray) -> float:
        words = vectors[10:30] / np.linalg.norm(vectors[10:30], axis=1, keepdims=True)
        nearness = words @ words.T - 2 * np.eye(20)
        return float(np.mean(nearness.argmax(axis=1) // 10 == np.arange(20) // 10))

    assert parted(spectral_embeddings(corpus, 8, passages=1.0, seed=1)) > 0.95
    assert parted(spectral_embeddings(corpus, 8, seed=1)) < 0.8
