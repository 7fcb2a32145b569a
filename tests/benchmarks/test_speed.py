"""Promise: contestants of the benchmarks of speed work one at a time, in turn, and are compared round by round."""

import sys
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.speed.contestants.nanogpt import GPT
from benchmarks.speed.pairs import Contestant, alternate
from benchmarks.speed.profile import shares
from pipeline.base.errors import UserError
from pipeline.models.build import build

CONTESTANT = """
import sys
from benchmarks.speed.turns import Turns
turns = Turns()
print("a library's chatter")
def work():
    with open(sys.argv[1], "a") as log:
        log.write(sys.argv[2])
    return float(sys.argv[3])
turns.serve(work)
"""


def contestant(name: str, log: Path, amount: int) -> Contestant:
    return Contestant(name, [sys.executable, "-c", CONTESTANT, log, name, str(amount)])


def test_contestants_take_turns_and_the_first_turn_of_each_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "log"
    found = alternate([contestant("a", log, 2), contestant("b", log, 1)], rounds=3)
    assert log.read_text() == "ab" + "ab" * 3
    ours, theirs = found["rows"]["a"], found["rows"]["b"]
    assert len(ours["speeds"]) == len(theirs["ratios"]) == 3
    assert theirs["ratios"] == [a / b for a, b in zip(ours["speeds"], theirs["speeds"], strict=True)]
    assert ours["ours_is_faster_by"] == 1
    assert theirs["our_memory_is"] == pytest.approx(ours["peak_mb"] / theirs["peak_mb"])


def test_a_contestant_that_fails_is_named_and_its_last_words_are_shown(capfd: pytest.CaptureFixture[str]) -> None:
    broken = Contestant("broken", [sys.executable, "-c", "raise SystemExit('no such corpus')"])
    with pytest.raises(UserError, match="broken: ended before its turn"):
        alternate([broken], rounds=1)
    assert "no such corpus" in capfd.readouterr().err


def test_the_plain_loop_is_the_same_network_as_ours() -> None:
    """The comparison of losses starts both from one set of weights; their first losses must agree."""
    from benchmarks.speed.contestants.language_model import GPT2

    ours = build(GPT2, 8192, seed=1)
    plain = GPT()
    plain.take({name: part.numpy() for name, part in ours.state_dict().items()})
    windows_BT = torch.arange(2 * 17).view(2, 17) * 7
    logits = ours.unembed(ours(windows_BT[:, :-1]).flatten(0, 1))
    expected = torch.nn.functional.cross_entropy(logits, windows_BT[:, 1:].flatten())
    torch.testing.assert_close(plain(windows_BT[:, :-1], windows_BT[:, 1:]), expected)
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in ours.parameters())


def test_the_shares_of_a_profile_name_their_purpose_and_make_up_the_whole() -> None:
    from pipeline.objectives.cross_entropy import sum_cross_entropy

    hidden, matrix = torch.randn(64, 32, requires_grad=True), torch.randn(100, 32)
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        sum_cross_entropy(hidden @ torch.randn(32, 32), matrix, torch.zeros(64).long()).backward()
    found = shares(trace.events(), seconds=1.0)
    assert sum(found.values()) == pytest.approx(1)
    assert found["loss"] > 0
    assert found["matrix products"] > 0
