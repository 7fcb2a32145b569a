"""Compiled blocks train the same network: same noise, same names, and a clear word where they cannot be compiled."""

import shutil
from pathlib import Path

import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.config.hardware import HardwareConfig
from pipeline.config.read import parse
from pipeline.models.build import build
from pipeline.models.dropout import random_bits
from pipeline.models.settings import TransformerSettings
from pipeline.training.compiling import compile_stacks

SETTINGS = TransformerSettings(layers=1, width=16, heads=2, feedforward=32, max_positions=32, dropout=0.2)
needs_a_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler")


@pytest.mark.slow
@needs_a_compiler
def test_a_compiled_network_has_the_same_loss_gradients_and_names() -> None:
    tokens_BT, seeds_B = torch.arange(5, 5 + 2 * 12).reshape(2, 12), torch.tensor([3, 4])
    losses, gradients, names = [], [], []
    for compiled in (False, True):
        network = build(SETTINGS, 40, seed=1).train()
        if compiled:
            compile_stacks(network, "cpu")
        loss = network(tokens_BT, seeds_B=seeds_B).square().mean()
        loss.backward()
        losses.append(loss.detach())
        gradients.append([p.grad for p in network.parameters() if p.grad is not None])
        names.append(list(network.state_dict()))
    # Noise that differs in a single element would show in the third digit.
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-5, atol=0)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-6)
    assert names[1] == names[0]


def test_noise_is_the_same_inside_a_compiled_function() -> None:
    """As far as tracing goes: no C++ is made."""
    seeds_B, shape = torch.tensor([7, 8]), torch.Size((2, 9, 16))
    compiled = torch.compile(lambda seeds: random_bits(seeds, 3, shape), backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(seeds_B), random_bits(seeds_B, 3, shape))


def test_without_a_compiler_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UserError, match=r"needs a C\+\+ compiler .* `compile: false`"):
        compile_stacks(build(SETTINGS, 40, seed=1), "cpu")


def test_sharded_networks_are_not_compiled() -> None:
    with pytest.raises(UserError, match="do not go together"):
        parse(HardwareConfig, {"compile": True, "strategy": "fsdp"}, "hardware")
