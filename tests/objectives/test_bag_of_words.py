"""Promise: the mean state of a document's first part is asked for the words of the rest, whatever stands beside it."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.models.build import Network, build
from pipeline.models.settings import TransformerSettings
from pipeline.objectives.bag_of_words import CUTS, FREQUENT, SHORTEST, BagOfWords
from pipeline.objectives.noise import Purpose, fractions
from pipeline.text.specials import BOS, SPECIALS
from tests.objectives.rows import VOCABULARY, seeds

LENGTH = 64
COUNTS_V = torch.arange(VOCABULARY) * 7 % 90


@pytest.fixture(scope="module")
def network() -> Network:
    settings = TransformerSettings(layers=1, width=16, heads=2, feedforward=32, max_positions=LENGTH)
    return build(settings, VOCABULARY, seed=3).eval()


def rows(number: int) -> Tensor:
    """Rows of three parts of documents: 20 tokens, some twice; too few tokens; 34."""
    tokens_BT = torch.randint(len(SPECIALS), VOCABULARY, (number, LENGTH), generator=torch.Generator().manual_seed(2))
    tokens_BT[:, 10:20] = tokens_BT[:, :10]
    tokens_BT[:, [20, 30]] = BOS
    return tokens_BT


def loss(network: Network, tokens_BT: Tensor, seeds_B: Tensor) -> Tensor:
    return BagOfWords(COUNTS_V).loss_sum(network, network(tokens_BT), tokens_BT, seeds_B)


@torch.no_grad()
def test_equals_its_literal_description(network: Network) -> None:
    tokens_BT, seeds_B = rows(3), seeds(3)
    hidden_BTD = network(tokens_BT)
    share_V = (COUNTS_V + 1) / (COUNTS_V + 1).sum()
    worth = [0.0 if v < len(SPECIALS) else min(1.0, math.sqrt(FREQUENT / share_V[v])) for v in range(VOCABULARY)]
    prior_V = torch.tensor([float(share_V[v]) * worth[v] + 1e-9 for v in range(VOCABULARY)]).log()
    expected = 0.0
    for row, (tokens, hidden_TD) in enumerate(zip(tokens_BT.tolist(), hidden_BTD, strict=True)):
        begins = [0, *(place for place, token in enumerate(tokens) if token == BOS and place)]
        for number, (start, stop) in enumerate(zip(begins, [*begins[1:], LENGTH], strict=True)):
            if stop - start < SHORTEST:
                continue
            fraction = float(fractions(seeds_B[row : row + 1], Purpose.CUTS, LENGTH)[0, number])
            cut = start + max(1, int((stop - start) * (CUTS[0] + (CUTS[1] - CUTS[0]) * fraction)))
            mean_D = hidden_TD[start:cut].mean(dim=0)
            scores_V = network.output_matrix() @ network.readout(F.layer_norm(mean_D, mean_D.shape)[None])[0]
            log_V = torch.log_softmax(scores_V + prior_V, dim=0)
            words = {token for token in tokens[cut:stop] if worth[token]}
            total = sum(worth[word] for word in words)
            expected -= (stop - start) * sum(worth[word] / total * float(log_V[word]) for word in words)
    assert float(loss(network, tokens_BT, seeds_B)) == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_a_row_is_asked_the_same_whatever_rows_stand_beside_it(network: Network) -> None:
    tokens_BT, seeds_B = rows(40), seeds(40)
    together = loss(network, tokens_BT, seeds_B)
    alone = torch.stack([loss(network, *row) for row in zip(tokens_BT.split(1), seeds_B.split(1), strict=True)]).sum()
    assert float(together) == pytest.approx(float(alone), rel=1e-5)


@torch.no_grad()
def test_documents_too_short_to_cut_are_left_out(network: Network) -> None:
    tokens_BT = rows(2)
    tokens_BT[:, :: SHORTEST - 1] = BOS
    assert float(loss(network, tokens_BT, seeds(2))) == 0


def test_what_a_text_is_about_is_learnt() -> None:
    """Two topics with words of their own: having read a part, the network expects the topic's other words."""
    settings = TransformerSettings(layers=1, width=16, heads=2, feedforward=32, max_positions=LENGTH)
    network = build(settings, VOCABULARY, seed=3)
    generator = torch.Generator().manual_seed(1)
    half = (VOCABULARY - len(SPECIALS)) // 2
    topics_B1 = torch.randint(0, 2, (64, 1), generator=generator)
    tokens_BT = len(SPECIALS) + half * topics_B1 + torch.randint(0, half, (64, LENGTH), generator=generator)
    words, optimizer = BagOfWords(torch.ones(VOCABULARY)), torch.optim.Adam(network.parameters(), 0.01)
    losses = []
    for _ in range(40):
        found = words.loss_sum(network, network(tokens_BT), tokens_BT, seeds(64)) / tokens_BT.numel()
        found.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(found.detach()))
    # Who does not know the topic cannot do better than ln(2 x half); who knows it, ln(half).
    assert losses[0] > math.log(2 * half)
    assert losses[-1] < math.log(half) + 0.2
