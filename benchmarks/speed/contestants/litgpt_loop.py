"""A peer: litgpt's own `pretrain` on a model of the same shape."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from litgpt import Config
from litgpt.args import EvalArgs, TrainArgs
from litgpt.data import DataModule
from litgpt.pretrain import setup
from torch.utils.data import DataLoader, IterableDataset

from benchmarks.speed.turns import StepTurns, Turns

V, T, B = 8192, 256, 16


class Windows(IterableDataset[torch.Tensor]):
    """Batches (B, T + 1) from anywhere in a corpus; waits before each where it is told to."""

    def __init__(self, tokens: Path, before_step: StepTurns | None) -> None:
        self.tokens, self.before_step = np.memmap(tokens, dtype=np.uint16, mode="r"), before_step

    def __iter__(self) -> Any:
        while True:
            if self.before_step is not None:
                self.before_step()
            starts = np.random.randint(0, len(self.tokens) - T - 1, B)
            yield torch.stack([torch.from_numpy(self.tokens[at : at + T + 1].astype(np.int64)) for at in starts])


class Plain(DataModule):
    """The corpus as litgpt takes it."""

    def __init__(self, tokens: Path, before_step: StepTurns) -> None:
        super().__init__()
        self.tokens, self.before_step = tokens, before_step

    def connect(self, tokenizer: Any = None, batch_size: int = 1, max_seq_length: int | None = None) -> None:
        """Nothing to be told."""

    def train_dataloader(self) -> DataLoader[torch.Tensor]:
        """Batches, each in its turn."""
        return DataLoader(Windows(self.tokens, self.before_step), batch_size=None)

    def val_dataloader(self) -> DataLoader[torch.Tensor]:
        """For the two batches that litgpt tries before it begins."""
        return DataLoader(Windows(self.tokens, None), batch_size=None)


def main() -> None:
    """Take turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=Path, required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), required=True)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    turns = Turns("torch", "litgpt")
    config = Config(
        name="benchmark",
        block_size=T,
        vocab_size=V,
        padded_vocab_size=V,
        n_layer=6,
        n_head=4,
        n_embd=256,
        intermediate_size=1024,
        bias=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        setup(
            "benchmark",
            model_config=config,
            out_dir=Path(folder),
            precision="bf16-mixed" if options.precision == "bf16" else "32-true",
            data=Plain(options.tokens, StepTurns(turns, options.steps, B * T)),
            train=TrainArgs(
                save_interval=None,
                log_interval=10**6,
                global_batch_size=B,
                micro_batch_size=B,
                max_tokens=10**12,
                max_seq_length=T,
                max_norm=1.0,
                min_lr=1e-4,
                lr_warmup_steps=1,
                tie_embeddings=True,
            ),
            eval=EvalArgs(interval=10**9, max_iters=1, initial_validation=False, final_validation=False),
            devices=1,
            logger_name="csv",
        )


if __name__ == "__main__":
    main()
