"""A prefix is given, never asked for; what follows it is asked whole."""

import pytest
import torch

from pipeline.objectives.cross_entropy import IGNORED
from pipeline.objectives.noise import Purpose, bits
from pipeline.objectives.prefix import Prefix
from tests.objectives.rows import seeds, windows


def test_prefix_tokens_are_never_targets_and_all_others_are() -> None:
    windows_BT1 = windows(100, 16)
    (example,) = Prefix().examples(windows_BT1, seeds(100))
    assert example.causal
    assert example.prefix_B is not None
    for prefix, targets, window in zip(example.prefix_B, example.targets_BT, windows_BT1, strict=True):
        asked = torch.cat([torch.tensor([False]), targets != IGNORED])  # the window's tokens that are targets
        assert not asked[:prefix].any()
        assert asked[prefix:].all()
        assert torch.equal(targets[targets != IGNORED], window[prefix:])
    assert torch.equal(example.inputs_BT, windows_BT1[:, :-1])


@pytest.mark.parametrize("length", [2, 5, 16])
def test_prefixes_of_every_length_are_equally_likely(length) -> None:
    rows = 3000
    (example,) = Prefix().examples(windows(rows, length), seeds(rows))
    assert example.prefix_B is not None
    times = example.prefix_B.bincount(minlength=length)
    assert times[0] == 0
    assert len(times) == length
    expected = rows / (length - 1)
    assert (times[1:] - expected).abs().max() <= 4 * expected**0.5


@pytest.mark.parametrize(("length", "mean"), [(1, 1.0), (2, 2.0), (5, 3.5), (256, 129.0)])
def test_targets_are_the_mean_number(length, mean) -> None:
    every = range(1, max(1, length - 1) + 1)
    assert Prefix().targets(length) == mean == sum(length + 1 - prefix for prefix in every) / len(every)


def test_one_token_is_a_prefix_too() -> None:
    (example,) = Prefix().examples(windows(3, 1), seeds(3))
    assert example.prefix_B is not None
    assert example.prefix_B.tolist() == [1, 1, 1]
    assert (example.targets_BT != IGNORED).all()


def test_rows_equal_their_literal_description() -> None:
    windows_BT1, seeds_B = windows(8, 10), seeds(8)
    (example,) = Prefix().examples(windows_BT1, seeds_B)
    for b, (number,) in enumerate(bits(seeds_B, Purpose.PREFIX, 1).tolist()):
        prefix = 1 + int((number + 2**31) / 2**32 * 9)
        window = windows_BT1[b].tolist()
        assert example.targets_BT[b].tolist() == [IGNORED] * (prefix - 1) + window[prefix:]


def test_bits_per_byte_would_mean_nothing() -> None:
    assert not Prefix.per_byte
