"""A peer: GPT-2 of the same shape under the Trainer of `transformers`, as its language-modelling example runs it."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

from benchmarks.speed.turns import StepTurns, Turns

V, T, B = 8192, 256, 16


class Blocks(Dataset[dict[str, torch.Tensor]]):
    """Consecutive blocks of a corpus."""

    def __init__(self, tokens: Path) -> None:
        self.tokens = np.memmap(tokens, dtype=np.uint16, mode="r")

    def __len__(self) -> int:
        return len(self.tokens) // T

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        block = torch.from_numpy(self.tokens[number * T : (number + 1) * T].astype(np.int64))
        return {"input_ids": block, "labels": block}


class TakeTurns(TrainerCallback):
    """Waits before each step."""

    def __init__(self, before_step: StepTurns) -> None:
        self.before_step = before_step

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Called by the Trainer."""
        self.before_step()


def main() -> None:
    """Take turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=Path, required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), required=True)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    turns = Turns("torch", "transformers")
    config = GPT2Config(
        vocab_size=V, n_positions=T, n_embd=256, n_layer=6, n_head=4, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0
    )
    with tempfile.TemporaryDirectory() as folder:
        words = TrainingArguments(
            folder,
            use_cpu=True,
            bf16=options.precision == "bf16",
            per_device_train_batch_size=B,
            learning_rate=0.001,
            max_steps=10**6,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        callback = TakeTurns(StepTurns(turns, options.steps, B * T))
        Trainer(GPT2LMHeadModel(config), words, train_dataset=Blocks(options.tokens), callbacks=[callback]).train()


if __name__ == "__main__":
    main()
