"""Sequence to sequence: pairs are what the network and its loss need, and the original Transformer learns from them."""

import numpy as np
import pytest
import torch

from pipeline.language_model.beam import beam_search
from pipeline.language_model.generation import answer
from pipeline.models.build import build
from pipeline.models.encoder_decoder import EncoderDecoder
from pipeline.models.settings import TransformerSettings
from pipeline.objectives.cross_entropy import IGNORED, sum_cross_entropy
from pipeline.objectives.sequence_to_sequence import Pairs, pairs_of, sources_of
from pipeline.text.specials import BOS, EOS, PAD, SPECIALS

FIRST, SYMBOLS, LONGEST = len(SPECIALS), 5, 6
ORIGINAL = TransformerSettings(
    family="encoder_decoder", layers=1, width=32, heads=2, feedforward=64, max_positions=16, placement="post",
    positions="sinusoidal", activation="relu",
)  # fmt: skip


def loss_sum(network: EncoderDecoder, pairs: Pairs) -> torch.Tensor:
    hidden_BTD = network(pairs.inputs_BT, **pairs.sources._asdict())
    matrix_VD, targets_N = network.output_matrix(), pairs.targets_BT.flatten()
    return sum_cross_entropy(network.readout(hidden_BTD.flatten(0, 1)), matrix_VD, targets_N)


def test_targets_are_shifted_right_behind_bos_and_padding_asks_for_nothing() -> None:
    pairs = pairs_of([[7, 8], [9], []], [[11], [12, 13, 14], []])
    assert pairs.sources.source_BS.tolist() == [[7, 8, EOS], [9, EOS, PAD], [EOS, PAD, PAD]]
    assert pairs.sources.lengths_B.tolist() == [3, 2, 1]
    assert pairs.inputs_BT.tolist() == [[BOS, 11, PAD, PAD], [BOS, 12, 13, 14], [BOS, PAD, PAD, PAD]]
    assert pairs.targets_BT.tolist() == [
        [11, EOS, IGNORED, IGNORED],
        [12, 13, 14, EOS],
        [EOS, IGNORED, IGNORED, IGNORED],
    ]
    assert {part.dtype for part in (*pairs.sources, pairs.inputs_BT, pairs.targets_BT)} == {torch.int64}


def test_the_loss_of_a_batch_is_the_sum_of_its_pairs_alone() -> None:
    """So padding on either side is seen by nobody."""
    network = build(ORIGINAL, FIRST + SYMBOLS, seed=1)
    sources = [[106, 107, 108, 109], [110], [108, 106]]
    targets = [[107], [110, 109, 108, 107, 106], [106, 108]]
    alone = [loss_sum(network, pairs_of([s], [t])).item() for s, t in zip(sources, targets, strict=True)]
    assert loss_sum(network, pairs_of(sources, targets)).item() == pytest.approx(sum(alone), rel=1e-5)


@pytest.mark.slow
def test_copying_is_learnt_to_exact_match_by_greedy_and_by_beam_search() -> None:
    """On sequences that training has not seen."""
    random = np.random.Generator(np.random.PCG64(1))

    def draw(count: int) -> list[list[int]]:
        lengths = random.integers(1, LONGEST + 1, count)
        return [random.integers(FIRST, FIRST + SYMBOLS, length).tolist() for length in lengths]

    held_out = [sequence for sequence in draw(80) if len(sequence) > 2]
    network = build(ORIGINAL, FIRST + SYMBOLS, seed=1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3, betas=(0.9, 0.98), weight_decay=0.0)
    steps, warm_up = 400, 40  # post-norm needs the warm-up
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, (steps - step) / (steps - warm_up))
    )
    for _ in range(steps):
        sequences = [sequence for sequence in draw(32) if sequence not in held_out]
        pairs = pairs_of(sequences, sequences)
        loss = loss_sum(network, pairs) / (pairs.targets_BT != IGNORED).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    given = {**sources_of(held_out)._asdict(), "tokens": LONGEST + 2}
    assert answer(network, **given) == held_out
    found = beam_search(network, **given, beams=3)
    assert [best.tokens for best in found] == held_out
    assert all(best.log_probability > -0.3 for best in found)
