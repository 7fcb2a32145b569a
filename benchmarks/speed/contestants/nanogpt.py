"""A peer: a GPT-2 and its training loop as plain PyTorch is written, in the manner of nanoGPT, for this benchmark.

Learned positions, pre-norm, GELU, fused attention, tied embeddings, AdamW, gradient clipping; bf16 autocast if told.
"""

import argparse
import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.speed.turns import StepTurns, Turns

V, T, L, D, H, INNER, B = 8192, 256, 6, 256, 4, 1024, 16


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(D, bias=False), nn.LayerNorm(D, bias=False)
        self.qkv, self.out = nn.Linear(D, 3 * D, bias=False), nn.Linear(D, D, bias=False)
        self.up, self.down = nn.Linear(D, INNER, bias=False), nn.Linear(INNER, D, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        batch, length, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).split(D, dim=2)
        q, k, v = (part.view(batch, length, H, D // H).transpose(1, 2) for part in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).contiguous().view(batch, length, D))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Tokens and targets (B, T) to the mean loss."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(V, D), nn.Embedding(T, D)
        self.blocks = nn.ModuleList(Block() for _ in range(L))
        self.norm = nn.LayerNorm(D, bias=False)
        self.head = nn.Linear(D, V, bias=False)
        self.head.weight = self.tokens.weight
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                std = 0.02 / (2 * L) ** 0.5 if name.endswith(("out.weight", "down.weight")) else 0.02
                nn.init.normal_(parameter, std=std)

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The loss in nats per token."""
        x = self.tokens(inputs) + self.positions(torch.arange(inputs.size(1)))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.view(-1, V), targets.reshape(-1))

    def take(self, start: dict[str, np.ndarray]) -> None:
        """The weights that our network started from."""
        names = {"tokens": "embeddings", "positions": "positions.table", "norm": "stack.norm"}
        parts = {
            "norm1": "attention_residual.norm",
            "qkv": "attention.qkv",
            "out": "attention.out",
            "norm2": "feed_forward_residual.norm",
            "up": "feed_forward.up",
            "down": "feed_forward.down",
        }
        names |= {f"blocks.{n}.{own}": f"stack.blocks.{n}.{their}" for n in range(L) for own, their in parts.items()}
        state = {f"{own}.weight": torch.from_numpy(start[f"{their}.weight"]) for own, their in names.items()}
        self.load_state_dict({**state, "head.weight": state["tokens.weight"]})


def random_batch(tokens: np.ndarray) -> tuple[Tensor, Tensor]:
    """Windows from anywhere in the corpus."""
    starts = np.random.randint(0, len(tokens) - T - 1, B)
    windows = torch.stack([torch.from_numpy(tokens[start : start + T + 1].astype(np.int64)) for start in starts])
    return windows[:, :-1], windows[:, 1:]


def main() -> None:
    """Take turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=Path, required=True, help="uint16, plain")
    parser.add_argument("--precision", choices=("fp32", "bf16"), required=True)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--loss-after", type=int)
    parser.add_argument("--share", type=Path)
    options = parser.parse_args()
    turns = Turns("torch")
    model: Any = GPT()
    decayed = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.001, betas=(0.9, 0.95))
    bf16 = torch.autocast("cpu", torch.bfloat16) if options.precision == "bf16" else contextlib.nullcontext()

    def step(inputs: Tensor, targets: Tensor) -> float:
        with bf16:
            loss = run(inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    run = torch.compile(model) if options.compile else model
    if options.loss_after is not None:
        model.take(dict(np.load(options.share / "start.npz")))
        windows = torch.from_numpy(np.load(options.share / "windows.npy"))
        turns.wait()
        losses = [step(part[:, :-1], part[:, 1:]) for part in windows[: options.loss_after]]
        (options.share / "peer.json").write_text(json.dumps(losses))
        turns.report(len(losses) * B * T)
        return
    tokens = np.memmap(options.tokens, dtype=np.uint16, mode="r")
    before_step = StepTurns(turns, options.steps, B * T)
    while True:
        before_step()
        step(*random_batch(tokens))


if __name__ == "__main__":
    main()
