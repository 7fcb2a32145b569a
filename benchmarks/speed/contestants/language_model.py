"""Ours: the language model's module under Lightning, as the stages pretrain and finetune_lm run it."""

import argparse
import json
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import ROOT
from benchmarks.speed.turns import StepTurns, Turns
from pipeline.batches.seeds import sequence_seeds, step_seed
from pipeline.batches.windows import WindowPlan, read_windows
from pipeline.config.hardware import HardwareConfig
from pipeline.config.language_model import PretrainConfig
from pipeline.config.read import parse, read_yaml
from pipeline.language_model.module import LanguageModelModule
from pipeline.language_model.task import task_of
from pipeline.models.build import build
from pipeline.models.settings import TransformerSettings, settings_schema
from pipeline.shards.read import TokenCorpus
from pipeline.training.module import Phase
from pipeline.training.place import Place
from pipeline.training.run import run_phases

# The network and optimiser of the peers, for the rows in which nothing but the code differs.
GPT2 = TransformerSettings(
    layers=6, width=256, heads=4, feedforward=1024, max_positions=256, positions="learned", bias=False,
    scale_embeddings=False,
)  # fmt: skip
ADAMW = {"optimizer": "adamw", "learning_rate": 0.001, "beta2": 0.95, "weight_decay": 0.01, "schedule": "constant",
         "warmup": 0.0, "drop_mult": 0.0}  # fmt: skip
ENDLESS = 10**9
READ_BEFORE = 100  # steps; one batch again and again would be learnt by heart, and what is nearly zero is slow


class Training:
    """A language model, its corpus and its place, ready to train for any number of steps."""

    def __init__(self, options: argparse.Namespace) -> None:
        if options.network == "recipe":
            settings = parse(settings_schema, read_yaml(ROOT / "configs/model/decoder_6x256.yaml"), "model")
            recipe = dict(read_yaml(ROOT / "configs/pretrain/small.yaml"))
        else:
            settings, recipe = GPT2, {"start": "scratch", "tokens": 4096, "length": 256, "batch_tokens": 4096, **ADAMW}
        config = parse(PretrainConfig, recipe, "pretrain")
        self.corpus = TokenCorpus(options.tokens)
        self.network = build(settings, self.corpus.vocabulary, config.seed)
        task = task_of(self.network, config, options.tokenizer, None)
        task.trainee.set_drop_mult(config.dropout_factor(0))
        self.place = Place(HardwareConfig(compile=options.compile), config.precision)
        nothing = (torch.zeros(0, config.length + 1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
        micro = self.place.micro_batch(settings, config.length, config.batch_tokens // config.length)
        self.module = LanguageModelModule(task.trainee, task.losses, config, micro, "benchmark", nothing, 1.0)
        self.plan = WindowPlan(self.corpus.tokens, config.length, config.batch_tokens, config.seed)
        self.config, self.task = config, task

    def share(self, step: int, rank: int = 0, world: int = 1) -> dict[str, Any]:
        """One step's batch, as `LanguageModelRun` makes it."""
        rows, starts = self.plan.share(step, rank, world)
        return {
            "windows_BT1": torch.from_numpy(read_windows(self.corpus, starts, self.config.length)),
            "seeds_B": torch.from_numpy(sequence_seeds(self.config.seed, step, rows)),
            "step_seed": step_seed(self.config.seed, step),
            "denominator": self.config.batch_tokens / self.config.length * self.task.losses.targets(self.config.length),
            "tokens_in_step": self.config.batch_tokens,
        }

    def run(self, steps: int, before_step: Any = None) -> None:
        """Train; `before_step` is called before each batch is made."""

        def share(_phase: int, step: int, rank: int, world: int) -> dict[str, Any]:
            if before_step is not None:
                before_step()
            return self.share(step, rank, world)

        run_phases(self.module, [Phase("", steps, validates=False)], share, resume=None, place=self.place)

    def run_bare(self, before_step: Any) -> None:
        """The same steps in a loop on batches that were read before: no Lightning, no progress, no checkpoints."""
        module, batches = self.module, [self.share(step) for step in range(READ_BEFORE)]
        torch.set_num_threads(self.place.threads)
        torch.use_deterministic_algorithms(True)  # as Lightning's Trainer is told to
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        optimizer = module.configure_optimizers()
        for batch in cycle(batches):
            before_step()
            module.network.begin_step(batch["step_seed"])
            # Muon multiplies matrices too, so the whole step is in bf16, as under Lightning.
            with torch.autocast("cpu", torch.bfloat16, enabled=self.place.precision == "bf16"):
                for micro in module.micro_batches(batch):
                    (module.loss_sum(micro) / batch["denominator"]).backward()
                torch.nn.utils.clip_grad_norm_(module.network.parameters(), self.config.clip)
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def write_start(self, folder: Path, steps: int) -> None:
        """Weights and windows for a peer that is to train on the same."""
        np.savez(folder / "start.npz", **{name: part.numpy() for name, part in self.network.state_dict().items()})
        np.save(folder / "windows.npy", torch.stack([self.share(step)["windows_BT1"] for step in range(steps)]).numpy())


def options_of() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--network", choices=("recipe", "gpt2"), default="recipe")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--bare", action="store_true", help="a plain loop in place of Lightning's and ours")
    parser.add_argument("--steps", type=int, default=5, help="a turn")
    parser.add_argument("--loss-after", type=int, help="train so many steps and report the loss of the last ones")
    parser.add_argument("--share", type=Path, help="folder for weights and windows, with --loss-after")
    return parser


def main() -> None:
    """Take turns."""
    options = options_of().parse_args()
    turns = Turns("torch", "pytorch-lightning")
    training = Training(options)
    if options.loss_after is None:
        taking_turns = StepTurns(turns, options.steps, training.config.batch_tokens)
        if options.bare:
            training.run_bare(taking_turns)
        training.run(ENDLESS, taking_turns)
        return
    training.write_start(options.share, options.loss_after)
    turns.wait()
    training.run(options.loss_after)
    # The curve of a long run leaves steps out.
    losses = [(row["step"], row["train_loss"]) for row in training.module.curve]
    (options.share / "ours.json").write_text(json.dumps(losses))
    turns.report(options.loss_after * training.config.batch_tokens)


if __name__ == "__main__":
    main()
