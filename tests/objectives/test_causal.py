"""The causal objective shifts by one and never counts padding."""

import torch

from pipeline.objectives.causal import Causal, windows_to_inputs_and_targets
from tests.objectives.rows import seeds, windows


def test_targets_are_the_tokens_that_follow() -> None:
    inputs_BT, targets_BT = windows_to_inputs_and_targets(torch.tensor([[5, 6, 7, 8]]))
    assert inputs_BT.tolist() == [[5, 6, 7]]
    assert targets_BT.tolist() == [[6, 7, 8]]


def test_a_pad_is_never_a_target_and_the_window_stays_as_it_was() -> None:
    window_BT1 = torch.tensor([[5, 6, 0, 0], [5, 6, 7, 0]])
    inputs_BT, targets_BT = windows_to_inputs_and_targets(window_BT1)
    assert targets_BT.tolist() == [[6, -1, -1], [6, 7, -1]]
    assert inputs_BT.tolist() == [[5, 6, 0], [5, 6, 7]]
    assert window_BT1.tolist() == [[5, 6, 0, 0], [5, 6, 7, 0]]


def test_every_token_but_the_first_is_asked_once_and_bits_per_byte_mean_something() -> None:
    windows_BT1, causal = windows(3, 20), Causal()
    (example,) = causal.examples(windows_BT1, seeds(3))
    assert example.causal
    assert example.rows_B.tolist() == [0, 1, 2]
    assert torch.equal(example.targets_BT, windows_BT1[:, 1:])
    assert causal.targets(20) == 20
    assert causal.per_byte
