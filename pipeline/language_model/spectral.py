"""Embeddings from the co-occurrence counts of a corpus: what a language model learns first, in seconds and without it.

The factorisation of a positive PMI matrix (Levy & Goldberg 2014, "Neural Word Embedding as Implicit Matrix
Factorization"; context smoothing: Levy, Goldberg & Dagan 2015, section 3.1) gives tokens that stand in like company
like vectors. Company is of two kinds: the few tokens around one say what a language model asks, those of the same
passage say what a text is about, which a classifier asks. A small network that starts there rather than from noise
saves most of its first steps.
"""

from collections.abc import Callable, Iterator
from math import lcm

import numpy as np
import torch
from scipy import sparse

from pipeline.linear.svd import truncated_svd
from pipeline.shards.read import TokenCorpus
from pipeline.text.specials import BOS

CHUNK_TOKENS = 1_000_000
COUNTED_TOKENS = 64_000_000  # every process of a run counts them anew at its start
PASSAGE = 512  # tokens of a document that count as one company
PASSAGE_TOKENS = 6_000_000  # that are counted in passages, at most: each pairs with some hundred others
NOISE = 0.1  # RMS of what the corpus says nothing about
MAP_WORTH = 100  # occurrences in the generic corpus that weigh as much as a mapped vector, at most
RIDGE = 0.01


def spectral_embeddings(
    corpus: TokenCorpus,
    dimensions: int,
    *,
    window: int = 4,
    passages: float = 0.0,
    smoothing: float = 0.75,
    max_tokens: int = 20_000_000,
    seed: int,
) -> np.ndarray:
    """Factorise the corpus's co-occurrences into token vectors: float32 (V, dimensions).

    Pairs within `window` tokens count 1/distance on either side and never across documents; pairs within a passage
    count once, however often or far apart. Of both the positive PMI is taken, contexts smoothed by the exponent, and
    the two matrices stand side by side at equal norms, that of the passages times `passages` (0: windows alone). The
    vectors are U sqrt(S) of the truncated SVD, each column's sign such that its largest entry is positive, scaled as
    a whole to unit RMS over the tokens seen. Tokens never seen, and dimensions beyond the rank of the matrix, get
    noise of RMS 0.1 from `seed`.

    Of a longer corpus `max_tokens` are counted, in chunks spread evenly. Memory follows the number of distinct pairs
    (about 2 GB at V = 8,192). Equal bytes for equal content and threads; other numbers of threads differ in rounding.
    """
    counts = cooccurrences(corpus, window, max_tokens)
    company = positive_pmi(counts, smoothing)
    if passages:
        about = positive_pmi(in_passages(corpus, PASSAGE, min(max_tokens, PASSAGE_TOKENS)), smoothing)
        company = _side_by_side(company, about, passages)
    left, strengths = truncated_svd(company, dimensions, seed)
    vectors = left * np.sqrt(strengths)
    seen = np.flatnonzero(counts.sum(axis=1))
    random = np.random.Generator(np.random.PCG64(seed))
    out = random.normal(0.0, NOISE, (corpus.vocabulary, dimensions)).astype(np.float32)
    if len(strengths):
        rms = np.sqrt(np.sum(vectors[seen] ** 2) / (len(seen) * dimensions))
        out[seen, : len(strengths)] = vectors[seen] / rms
    return out


def cooccurrences(corpus: TokenCorpus, window: int, max_tokens: int) -> sparse.csr_array:
    """Symmetric counts of token pairs, weighted 1/distance: (V, V) float64, in units that make them whole numbers.

    Whole numbers add up exactly, so the result does not depend on how the corpus is cut.
    """
    unit, shape = lcm(*range(1, window + 1)), (corpus.vocabulary, corpus.vocabulary)
    total = sparse.csr_array(shape, dtype=np.float64)
    for start, stop in _chunks(corpus.tokens, max_tokens):
        tokens = corpus.read(start, min(stop + window, corpus.tokens)).astype(np.int32)
        document = np.cumsum(tokens == BOS)
        left, right, weight = [], [], []
        for distance in range(1, window + 1):
            pairs = max(0, min(stop - start, len(tokens) - distance))
            together = document[:pairs] == document[distance : distance + pairs]
            left.append(tokens[:pairs][together])
            right.append(tokens[distance : distance + pairs][together])
            weight.append(np.full(len(left[-1]), unit // distance, dtype=np.float64))
        places = (np.concatenate(left), np.concatenate(right))
        total = total + sparse.coo_array((np.concatenate(weight), places), shape=shape).tocsr()
    return (total + total.T).tocsr()


def in_passages(corpus: TokenCorpus, passage: int, max_tokens: int) -> sparse.csr_array:
    """Passages that two different tokens share, each counted one over its distinct tokens: symmetric (V, V) float64.

    A passage is a stretch of so many tokens of one document, the last one of a document what is left.
    """
    shape = (corpus.vocabulary, corpus.vocabulary)
    total = sparse.csr_array(shape, dtype=np.float64)
    for start, stop in _chunks(corpus.tokens, max_tokens):
        tokens = corpus.read(start, stop).astype(np.int64)
        place = np.arange(len(tokens))
        begins = np.maximum.accumulate(np.where(tokens == BOS, place, 0))  # the chunk's first may begin in the middle
        cuts = (place - begins) % passage == 0
        rows = np.cumsum(cuts) - 1
        within = sparse.coo_array((np.ones(len(tokens)), (rows, tokens)), (rows[-1] + 1, corpus.vocabulary)).tocsr()
        within.data[:] = 1  # however often a token stands there
        share = sparse.diags_array(1 / np.diff(within.indptr))
        total = total + (within.T @ (share @ within)).tocsr()
    apart = total - sparse.diags_array(total.diagonal())
    apart = sparse.csr_array(apart)
    apart.eliminate_zeros()
    return apart


def positive_pmi(counts: sparse.csr_array, smoothing: float) -> sparse.csr_array:
    """max(0, log P(token, context) / (P(token) P'(context))), P' ~ count^smoothing: (V, V) float32."""
    pairs = counts.tocoo()
    frequency = np.asarray(counts.sum(axis=1), dtype=np.float64)
    context = frequency**smoothing
    # P(t, c) / (P(t) P'(c)) = count(t, c) / count(t) / P'(c); the grand total falls out.
    log_ratio = np.log(pairs.data * context.sum() / (frequency[pairs.row] * context[pairs.col]))
    keep = log_ratio > 0
    places = (pairs.row[keep], pairs.col[keep])
    return sparse.csr_array((log_ratio[keep].astype(np.float32), places), shape=counts.shape)


def align_embeddings(
    pretrained_VD: np.ndarray, spectral_VD: np.ndarray, generic: TokenCorpus, domain: TokenCorpus
) -> np.ndarray:
    """Move pretrained embeddings towards the domain, where it knows more of a token: float32 (V, D).

    spectral_VD: `spectral_embeddings` of the domain. A linear map takes that space to the pretrained one, by ridge
    regression over the tokens of both corpora, token v with the weight min(n_v, m_v, 100) for n_v occurrences in the
    generic corpus and m_v in the domain. The mapped vector then counts as min(m_v, 100) occurrences:

        new_v = (n_v pretrained_v + min(m_v, 100) mapped_v) / (n_v + min(m_v, 100))

    so that a token frequent in the generic corpus keeps its vector, one that only the domain knows takes the mapped
    one, and one that the domain lacks is untouched.

    The pretrained embeddings must be of a network that was trained on the generic corpus: n_v is counted there. Where
    that is empty the network is untrained, and its embeddings give way to the spectrum.
    """
    known, met = token_counts(generic), token_counts(domain)
    worth = np.minimum(met, MAP_WORTH)
    if not known.any():
        return spectral_VD.copy()
    mapped_VD = _ridge(spectral_VD, pretrained_VD, np.minimum(known, worth))(spectral_VD)
    new_VD = pretrained_VD.copy()
    seen = met > 0
    share = (worth / np.maximum(1, known + worth))[seen, None]
    new_VD[seen] = ((1 - share) * pretrained_VD[seen] + share * mapped_VD[seen]).astype(np.float32)
    return new_VD


def _side_by_side(one: sparse.csr_array, other: sparse.csr_array, weight: float) -> sparse.csr_array:
    """Both matrices as one, (V, 2V), each of norm one but for the weight of the second; the first alone if need be."""
    norms = [float(np.sqrt((matrix.data.astype(np.float64) ** 2).sum())) for matrix in (one, other)]
    if not all(norms):
        return one
    return sparse.csr_array(
        sparse.hstack([one / norms[0], other * (weight / norms[1])], format="csr", dtype=np.float32)
    )


def token_counts(corpus: TokenCorpus) -> np.ndarray:
    """Occurrences of each token: int64 (V,); of a longer corpus `COUNTED_TOKENS` are counted, spread evenly."""
    counts = np.zeros(corpus.vocabulary, dtype=np.int64)
    for start, stop in _chunks(corpus.tokens, COUNTED_TOKENS):
        counts += np.bincount(corpus.read(start, stop), minlength=corpus.vocabulary)
    return counts


def _chunks(tokens: int, max_tokens: int) -> Iterator[tuple[int, int]]:
    """Ends of the chunks to count: all of the corpus, or `max_tokens` of it spread evenly."""
    have, take = -(-tokens // CHUNK_TOKENS), -(-min(tokens, max_tokens) // CHUNK_TOKENS)
    for number in range(take):
        start = number * have // take * CHUNK_TOKENS
        yield start, min(start + CHUNK_TOKENS, tokens)


def _ridge(x_VD: np.ndarray, y_VD: np.ndarray, weight_V: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The affine map from x to y that is best over the weighted rows, as a function."""
    x, y, weight = (torch.from_numpy(np.asarray(each, dtype=np.float64)) for each in (x_VD, y_VD, weight_V))
    weight = weight[:, None] / weight.sum()
    x_mean, y_mean = (weight * x).sum(0), (weight * y).sum(0)
    gram = (x - x_mean).T @ (weight * (x - x_mean))
    penalty = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    matrix = torch.linalg.solve(gram + penalty, (x - x_mean).T @ (weight * (y - y_mean)))
    return lambda rows: ((torch.from_numpy(rows).double() - x_mean) @ matrix + y_mean).numpy()
