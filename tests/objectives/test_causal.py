"""The causal objective shifts by one and never counts padding."""

import torch

from pipeline.objectives.causal import windows_to_inputs_and_targets


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
