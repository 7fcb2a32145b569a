"""Promise: a network fills a gap with the token that stands there, whichever objective has taught it."""

import pytest
import torch

from pipeline.language_model.gaps import fill_mask
from pipeline.language_model.losses import PredictionLosses
from pipeline.models.build import build
from pipeline.models.settings import TransformerSettings
from pipeline.objectives.registry import objective
from pipeline.text.specials import SPECIALS

FIRST, CIRCLE = len(SPECIALS), 10


def circle(start: torch.Tensor, length: int) -> torch.Tensor:
    """Tokens that count up modulo ten."""
    return FIRST + (start + torch.arange(length)) % CIRCLE


@pytest.mark.parametrize("name", ["masked", "hybrid"])
def test_an_encoder_fills_a_gap_with_the_token_that_stands_there(name: str) -> None:
    """By the state before it where the hybrid objective has taught, by its own where the masked one has."""
    settings = TransformerSettings(layers=2, width=32, heads=2, feedforward=64, max_positions=32, family="encoder")
    network = build(settings, FIRST + CIRCLE, seed=1)
    losses = PredictionLosses(network, objective(name, vocabulary=FIRST + CIRCLE, mask_rate=0.2))
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    random = torch.Generator().manual_seed(1)
    for _ in range(150):
        windows_BT1 = circle(torch.randint(CIRCLE, (32, 1), generator=random), 17)
        seeds_B = torch.randint(2**62, (32,), generator=random)
        optimizer.zero_grad()
        (losses.loss_sum(windows_BT1, seeds_B) / (32 * losses.targets(16))).backward()
        optimizer.step()
    text = circle(torch.tensor(3), 12).tolist()
    best, *_ = fill_mask(network.eval(), text[:6], text[7:], shifted=name == "hybrid")
    assert best.tokens == text[6:7]
    assert best.probability > 0.8
