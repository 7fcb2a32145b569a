"""Training and inference are Algorithms 11-15 of Phuong & Hutter 2022: same losses, same steps, same tokens.

The transcription differentiates by finite differences and reads the whole sequence again for each new token; the
library has its own gradients of the loss (`sum_cross_entropy`) and a cache.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.language_model.generation import answer, generate
from pipeline.language_model.losses import nats, read
from pipeline.language_model.sampling import Sampling
from pipeline.objectives.causal import Causal
from pipeline.objectives.cross_entropy import IGNORED
from pipeline.objectives.example import Example
from pipeline.objectives.masked import Masked, Masking
from pipeline.objectives.spans import Spans
from pipeline.text.specials import BOS, EOS, MASK, SEP, SPECIALS
from tests.formal import literal, literal_loops, weights
from tests.formal.networks import BERT, GPT, ORIGINAL, random_network, shape

V = 12
WITH_WORDS = len(SPECIALS) + 10
ETA = 0.1
TINY = {"layers": 1, "width": 4, "heads": 2, "feedforward": 6, "max_positions": 5}
Rows = list[list[int]]


def sentences(rows: int, length: int, seed: int) -> Rows:
    """Random tokens of a vocabulary of V, neither <pad> nor <mask>."""
    return np.random.Generator(np.random.PCG64(seed)).integers(SEP + 1, V, (rows, length)).tolist()


def words(rows: int, length: int) -> Rows:
    """Random tokens of a vocabulary of WITH_WORDS that are not special."""
    return np.random.Generator(np.random.PCG64(1)).integers(len(SPECIALS), WITH_WORDS, (rows, length)).tolist()


def loss_sum(network: nn.Module, example: Example) -> Tensor:
    """Sum of -log p over all targets of an example, as the pipeline's training has it."""
    return nats(network, example, read(network, example, torch.zeros(len(example.inputs_BT), dtype=torch.int64)))


def next_tokens(xs: Rows) -> Example:
    """The causal objective."""
    (example,) = Causal().examples(torch.tensor(xs), torch.zeros(len(xs), dtype=torch.int64))
    return example


def translated(zs: Rows, xs: Rows) -> Example:
    """Sequence to sequence: the true tokens go in, one place to the right."""
    return next_tokens(xs)._replace(source_BS=torch.tensor(zs))


def masked_tokens(xs: Rows, masked_BT: Tensor) -> Example:
    """The masked objective where every token in these places becomes MASK, as in the paper."""
    x_BT = torch.tensor(xs)
    inputs_BT, targets_BT = x_BT.masked_fill(masked_BT, MASK), x_BT.masked_fill(~masked_BT, IGNORED)
    return Example(torch.arange(len(xs)), inputs_BT, targets_BT, causal=False)


def descend(network: nn.Module, examples: list[Example]) -> None:
    """One step of plain gradient descent for each."""
    optimizer = torch.optim.SGD(network.parameters(), lr=ETA)
    for example in examples:
        optimizer.zero_grad()
        loss_sum(network, example).backward()
        optimizer.step()


def assert_same_parameters(got: tuple, expected: tuple, before: tuple) -> None:
    """Training has led both to the same place, away from where they were."""
    for mine, theirs in zip(literal_loops.numbers(got), literal_loops.numbers(expected), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5)
    assert not np.allclose(got.W_e, before.W_e, atol=1e-3)


# Losses.


def test_11_the_loss_of_an_encoder_decoder() -> None:
    network = random_network(shape(**ORIGINAL), V)
    theta = weights.encoder_decoder(network)
    zs, xs = sentences(3, 9, seed=1), sentences(3, 6, seed=2)
    expected = sum(literal_loops.ed_loss(z, x, theta) for z, x in zip(zs, xs, strict=True))
    assert loss_sum(network, translated(zs, xs)).item() == pytest.approx(expected, rel=1e-5)


def test_11_the_loss_of_span_corruption_is_that_of_writing_the_spans_after_bos() -> None:
    network = random_network(shape(**ORIGINAL), WITH_WORDS)
    theta = weights.encoder_decoder(network)
    windows_BT1 = torch.tensor(words(3, 13))
    (example,) = Spans(rate=0.4, span_length=2.0).examples(windows_BT1, torch.tensor([5, 6, 7]))
    rows = zip(example.source_BS.tolist(), example.targets_BT.tolist(), strict=True)
    expected = sum(literal_loops.ed_loss(z, [BOS, *spans], theta) for z, spans in rows)
    assert loss_sum(network, example).item() == pytest.approx(expected, rel=1e-5)


def test_12_the_loss_of_masked_tokens() -> None:
    network = random_network(shape(**BERT), V)
    theta = weights.encoder(network)
    xs, masked = sentences(3, 8, seed=1), [[0, 5], [7], []]
    masked_BT = torch.tensor([[t in places for t in range(8)] for places in masked])
    expected = sum(literal_loops.e_loss(x, places, MASK, theta) for x, places in zip(xs, masked, strict=True))
    assert loss_sum(network, masked_tokens(xs, masked_BT)).item() == pytest.approx(expected, rel=1e-5)


def test_12_the_masked_objective_asks_for_the_hidden_tokens_whatever_stands_in_their_place() -> None:
    """BERT's 8 of 10 masks, 1 of 10 random tokens, 1 of 10 left: the one point where practice and paper differ."""
    network = random_network(shape(**BERT), WITH_WORDS)
    theta = weights.encoder(network)
    windows_BT1 = torch.tensor(words(4, 13))
    (example,) = Masked(Masking(WITH_WORDS, rate=0.5)).examples(windows_BT1, torch.tensor([5, 6, 7, 8]))
    assert set(example.inputs_BT[example.targets_BT != IGNORED].tolist()) > {MASK}
    expected = 0.0
    for x, targets in zip(example.inputs_BT.tolist(), example.targets_BT.tolist(), strict=True):
        P = literal.e_transformer(x, theta)
        expected -= sum(np.log(P[target, t]) for t, target in enumerate(targets) if target != IGNORED)
    assert loss_sum(network, example).item() == pytest.approx(expected, rel=1e-5)


def test_13_the_loss_of_a_decoder() -> None:
    network = random_network(shape(**GPT), V)
    xs = sentences(3, 8, seed=1)
    expected = sum(literal_loops.d_loss(x, weights.decoder(network)) for x in xs)
    assert loss_sum(network, next_tokens(xs)).item() == pytest.approx(expected, rel=1e-5)


# Gradients and steps.


def test_11_training_of_an_encoder_decoder() -> None:
    """The encoder learns through the decoder's attention to it, one matrix in three places; sinusoids stand still."""
    network = random_network(shape(**ORIGINAL, **TINY, tied=True, positions="sinusoidal"), V)
    theta, before = weights.encoder_decoder(network), weights.encoder_decoder(network)
    zs, xs = sentences(1, 4, seed=1), sentences(1, 3, seed=2)
    literal_loops.ed_training(zs, xs, theta, epochs=1, eta=ETA, fixed=[theta.W_p])
    descend(network, [translated([z], [x]) for z, x in zip(zs, xs, strict=True)])
    assert_same_parameters(weights.encoder_decoder(network), theta, before)


def test_12_training_on_masked_tokens() -> None:
    network = random_network(shape(**BERT, **TINY), V)
    theta, before = weights.encoder(network), weights.encoder(network)
    xs, p_mask = sentences(2, 5, seed=1), 0.4
    uniform_BT = np.random.Generator(np.random.PCG64(3)).random((2, 5))
    uniform = iter(uniform_BT.flatten().tolist())
    literal_loops.e_training(xs, theta, 1, ETA, p_mask, MASK, lambda: next(uniform))
    masked_BT = torch.from_numpy(uniform_BT < p_mask)
    assert 0 < masked_BT.sum() < 10
    descend(network, [masked_tokens([x], masked_T[None]) for x, masked_T in zip(xs, masked_BT, strict=True)])
    assert_same_parameters(weights.encoder(network), theta, before)


@pytest.mark.parametrize("tied", [True, False])
def test_13_training_of_a_decoder(tied: bool) -> None:
    network = random_network(shape(**GPT, **TINY, tied=tied), V)
    theta, before = weights.decoder(network), weights.decoder(network)
    xs = sentences(2, 5, seed=1)
    literal_loops.d_training(xs, theta, epochs=1, eta=ETA)
    descend(network, [next_tokens([x]) for x in xs])
    assert_same_parameters(weights.decoder(network), theta, before)


# Inference.

# The pipeline never writes a special token but the one that ends a text; the paper draws from all.
POSSIBLE = np.array([1.0 if v >= len(SPECIALS) or v == EOS else 0.0 for v in range(WITH_WORDS)])
# Almost greedy in the paper, where tau is above 0; the network's own distribution; one sharpened.
temperatures = pytest.mark.parametrize("tau", [0, 1.0, 0.6])


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """The same uniform numbers for the library, which asks for them by position, and the transcription, in order."""
    fixed = np.random.Generator(np.random.PCG64(7)).random(20)
    monkeypatch.setattr(
        "pipeline.language_model.sampling._uniform",
        lambda seed, position, samples_B: torch.full((len(samples_B),), fixed[position], dtype=torch.float64),
    )
    return iter(fixed.tolist())


@temperatures
@pytest.mark.parametrize("seed", [2, 5])
def test_14_inference_of_a_decoder(tau: float, seed: int, numbers: Iterator[float]) -> None:
    """Reading each token once, with a cache, continues a prompt as reading everything again for each token does."""
    network = random_network(shape(**GPT), WITH_WORDS, seed)
    (prompt,), count = words(1, 4), 9
    theta = weights.decoder(network)
    expected = literal_loops.d_inference(prompt, theta, count, tau or 1e-3, lambda: next(numbers), POSSIBLE)
    (got,) = generate(network, prompt, tokens=count, sampling=Sampling(temperature=tau))
    assert got == (expected[: expected.index(EOS)] if EOS in expected else expected)
    assert len(set(got)) > 2


@temperatures
@pytest.mark.parametrize("seed", [1, 12])
def test_15_inference_of_an_encoder_decoder(tau: float, seed: int, numbers: Iterator[float]) -> None:
    """The source is read once, each token of the answer once."""
    network = random_network(shape(**ORIGINAL), WITH_WORDS, seed)
    (z,), longest = words(1, 9), 12
    theta = weights.encoder_decoder(network)
    expected = literal_loops.ed_inference(z, theta, tau or 1e-3, lambda: next(numbers), POSSIBLE, BOS, EOS, longest)
    (got,) = answer(network, torch.tensor([z]), tokens=longest - 1, sampling=Sampling(temperature=tau))
    assert [BOS, *got, *expected[len(got) + 1 :]] == expected
    assert expected[len(got) + 1 :] == ([EOS] if EOS in expected else [])
    assert len(set(got)) > 2


def test_14_sampling_follows_the_distribution_that_the_temperature_makes() -> None:
    """q is p^(1 / tau) over its sum: the shares of evenly spaced uniform numbers show it."""
    p, tau = np.array([0.5, 0.3, 0.2]), 0.5
    evenly = iter((np.arange(3800) + 0.5) / 3800)
    drawn = [literal_loops.sample(p, tau, lambda: next(evenly)) for _ in range(3800)]
    assert np.bincount(drawn).tolist() == [2500, 900, 400]  # squares of 5, 3, 2 out of 38
