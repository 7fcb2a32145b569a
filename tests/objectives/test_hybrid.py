"""Hybrid rows are causal or masked by their seed; both predict the token that comes next."""

import pytest
import torch

from pipeline.objectives.causal import Causal
from pipeline.objectives.cross_entropy import IGNORED
from pipeline.objectives.example import Example
from pipeline.objectives.hybrid import Hybrid
from pipeline.objectives.masked import Masking
from pipeline.objectives.noise import Purpose, bits
from pipeline.text.specials import MASK, SPECIALS
from tests.objectives.rows import VOCABULARY, by_row, seeds, windows


def hybrid(share: float = 0.5, rate: float = 0.15) -> Hybrid:
    return Hybrid(Masking(VOCABULARY, rate), share)


def halves(windows_BT1: torch.Tensor, share: float = 0.5, rate: float = 0.15) -> tuple[Example, Example]:
    causal, masked = hybrid(share, rate).examples(windows_BT1, seeds(len(windows_BT1)))
    assert causal.causal
    assert not masked.causal
    return causal, masked


def test_every_row_is_of_one_kind_and_the_share_is_kept() -> None:
    causal, masked = halves(windows(2000, 12), share=0.3)
    assert sorted(causal.rows_B.tolist() + masked.rows_B.tolist()) == list(range(2000))
    assert len(masked.rows_B) == pytest.approx(600, abs=4 * (2000 * 0.3 * 0.7) ** 0.5)


@pytest.mark.parametrize(("share", "causal"), [(0.0, True), (1.0, False)])
def test_a_kind_that_no_row_has_makes_no_example(share, causal) -> None:
    (example,) = hybrid(share).examples(windows(50, 12), seeds(50))
    assert example.causal == causal
    assert len(example.rows_B) == 50


def test_a_hidden_token_is_asked_of_the_place_before_it() -> None:
    windows_BT1 = windows(64, 40)
    _, masked = halves(windows_BT1)
    for row, inputs, targets in zip(masked.rows_B, masked.inputs_BT, masked.targets_BT, strict=True):
        window, asked = windows_BT1[row], targets != IGNORED
        assert torch.equal(targets[asked], window[1:][asked])
        hidden = torch.cat([torch.tensor([False]), asked])[:-1]  # the inputs' places that are hidden
        assert torch.equal(inputs[~hidden], window[:-1][~hidden])
    # Most hidden tokens are gone from the inputs, in the place after the one that is asked.
    gone = (masked.inputs_BT[:, 1:] == MASK)[masked.targets_BT[:, :-1] != IGNORED]
    assert gone.float().mean().item() == pytest.approx(0.8, abs=0.1)
    assert not (masked.inputs_BT[:, 1:] == MASK)[masked.targets_BT[:, :-1] == IGNORED].any()


def test_causal_rows_are_those_of_the_causal_objective() -> None:
    windows_BT1 = windows(64, 40)
    causal, _ = halves(windows_BT1)
    (expected,) = Causal().examples(windows_BT1, seeds(64))
    assert torch.equal(causal.inputs_BT, expected.inputs_BT[causal.rows_B])
    assert torch.equal(causal.targets_BT, expected.targets_BT[causal.rows_B])


@pytest.mark.parametrize("rate", [0.15, 0.3])
def test_rows_of_both_kinds_weigh_the_same(rate) -> None:
    for example in halves(windows(64, 40), rate=rate):
        weights = (example.targets_BT != IGNORED).sum(dim=1) * example.weight
        torch.testing.assert_close(weights, torch.full_like(weights, hybrid().targets(40)))


def test_what_is_measured_is_causal_over_all_rows_so_bits_per_byte_compare() -> None:
    windows_BT1 = windows(16, 20)
    measured = by_row(hybrid().measured(windows_BT1, seeds(16)), torch.arange(16))
    assert measured == by_row(Causal().measured(windows_BT1, seeds(16)), torch.arange(16))
    assert Hybrid.per_byte


def test_masked_rows_equal_their_literal_description() -> None:
    windows_BT1, seeds_B, T = windows(16, 20), seeds(16), 20
    _, masked = halves(windows_BT1, rate=0.3)
    for row, inputs, targets in zip(masked.rows_B.tolist(), masked.inputs_BT, masked.targets_BT, strict=True):
        window = windows_BT1[row].tolist()
        keys, kinds, draws = (
            [(number + 2**31) / 2**32 for number in bits(seeds_B[[row]], purpose, T)[0].tolist()]
            for purpose in (Purpose.PLACES, Purpose.KIND, Purpose.REPLACEMENT)
        )
        read, asked = list(window), [IGNORED] * T
        followers = [t for t in range(1, T + 1) if window[t] >= len(SPECIALS)]
        for t in sorted(followers, key=lambda t: keys[t - 1])[:6]:
            asked[t - 1] = window[t]
            if kinds[t - 1] < 0.8:
                read[t] = MASK
            elif kinds[t - 1] < 0.9:
                read[t] = len(SPECIALS) + int(draws[t - 1] * (VOCABULARY - len(SPECIALS)))
        assert inputs.tolist() == read[:-1]
        assert targets.tolist() == asked
