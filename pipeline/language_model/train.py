"""Train a language model on a tokenised corpus: what the stages pretrain and finetune_lm share."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.base.files import sha256
from pipeline.batches.seeds import sequence_seeds
from pipeline.batches.windows import WindowPlan, read_windows, validation_starts
from pipeline.config.hardware import HardwareConfig
from pipeline.config.language_model import LanguageModelConfig
from pipeline.interop.folders import save_language_model
from pipeline.language_model.module import LanguageModelModule, perplexity
from pipeline.models.transformer import Transformer
from pipeline.shards.read import TokenCorpus
from pipeline.training.module import Phase
from pipeline.training.place import Place
from pipeline.training.results import run_facts, write_results
from pipeline.training.resume import ResumeFolder, weights_digest
from pipeline.training.run import run_phases, this_rank

MEASURED = "validation_bits_per_byte"


@dataclass(frozen=True)
class Corpora:
    """The training and validation parts of a tokenised corpus."""

    train: TokenCorpus
    validation: TokenCorpus

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open `folder/train` and `folder/validation`."""
        return cls(TokenCorpus(folder / "train"), TokenCorpus(folder / "validation"))


class LanguageModelRun:
    """One run of a language-model stage: its inputs, its training, its outs.

    Outs: models/FOLDER/DIRECTION (the model, its config and its tokenizer) and results/STAGE/DIRECTION.
    """

    def __init__(
        self,
        stage: str,
        direction: str,
        config: LanguageModelConfig,
        hardware: HardwareConfig,
        corpora: Corpora,
        tokenizer: Path,
    ) -> None:
        self.stage, self.direction, self.config, self.hardware = stage, direction, config, hardware
        self.corpora, self.tokenizer = corpora, tokenizer
        self.out = Path("models") / {"pretrain": "pretrained", "finetune_lm": "domain"}[stage] / direction
        self.results = Path("results") / stage / direction
        if corpora.train.tokenizer != sha256(tokenizer):
            raise UserError(
                f"{tokenizer}: is not the tokenizer that made {corpora.train.folder}; run `dvc repro` to tokenise again"
            )

    def pass_on(self, network: Transformer, why: str) -> None:
        """Write the network as it is: an optional stage that has nothing to do."""
        print(f"  {why}")
        save_language_model(self.out, network, direction=self.direction, tokenizer=self.tokenizer)
        write_results(self.results, {"steps": 0, "tokens": 0, "note": why}, None, MEASURED, {"seconds": 0.0})

    def train(self, network: Transformer, initialise: Callable[[Transformer], None] | None) -> None:
        """Train for the config's budget, from the last checkpoint if a run was cut off; then write the outs.

        `initialise` changes the network's start; it is not called when a run is resumed.
        """
        config, place = self.config, Place(self.hardware, self.config.precision)
        if config.length > (most := network.settings.max_positions):
            raise UserError(f"`length: {config.length}` is longer than the model's `max_positions: {most}`; lower it")
        plan = WindowPlan(self.corpora.train.tokens, config.length, config.batch_tokens, config.seed)
        steps = max(1, round(config.tokens / config.batch_tokens))
        with ResumeFolder(f"{self.stage}-{self.direction}", self._depends_on(network), this_rank()) as resume:
            torch.set_num_threads(place.threads)
            if initialise is not None and resume.load() is None:
                initialise(network)
            network.set_drop_mult(config.drop_mult)
            module = self._module(network, place)
            run_phases(
                module,
                [Phase("", steps, validate_every=config.validate_every)],
                lambda _phase, step, rank, world: self._share(plan, step, rank, world),
                resume=resume,
                place=place,
            )
            if this_rank() == 0:
                facts = run_facts(module, place, network.flops_per_token(config.length))
                self._write(network, module, steps, facts)
                resume.finish()

    def _module(self, network: Transformer, place: Place) -> LanguageModelModule:
        config, validation = self.config, self.corpora.validation
        starts, length = validation_starts(validation.tokens, config.length, config.validation_tokens)
        windows = read_windows(validation, starts, length, reverse=self.direction == "backward")
        return LanguageModelModule(
            network,
            config,
            place.micro_batch(network.settings, config.length, config.batch_tokens // config.length),
            f"{self.stage} {self.direction}",
            torch.from_numpy(windows),
            validation.text_bytes / max(1, validation.tokens),
        )

    def _share(self, plan: WindowPlan, step: int, rank: int, world: int) -> dict[str, Any]:
        rows, starts = plan.share(step, rank, world)
        windows = read_windows(self.corpora.train, starts, self.config.length, reverse=self.direction == "backward")
        return {
            "windows_BT1": torch.from_numpy(windows),
            "seeds_B": torch.from_numpy(sequence_seeds(self.config.seed, step, rows)),
            "denominator": float(self.config.batch_tokens),
            "tokens_in_step": self.config.batch_tokens,
        }

    def _depends_on(self, network: Transformer) -> list[str]:
        """What the weights depend on beside the code: config, shape, start, tokens."""
        parts = (self.corpora.train, self.corpora.validation)
        return [
            repr(asdict(self.config)),
            repr(asdict(network.settings)),
            self.direction,
            weights_digest(network),
            *(sha256(part.folder / "index.json") for part in parts),
        ]

    def _write(self, network: Transformer, module: LanguageModelModule, steps: int, facts: dict[str, Any]) -> None:
        first = next((row["validation_loss"] for row in module.curve if "validation_loss" in row), None)
        last = next((row for row in reversed(module.curve) if "validation_loss" in row), None)
        metrics: dict[str, Any] = {
            "steps": steps,
            "tokens": steps * self.config.batch_tokens,
            "corpus_tokens": self.corpora.train.tokens,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "train_loss": float(np.mean([row["train_loss"] for row in module.curve[-10:] if "train_loss" in row])),
        }
        if last is not None:
            loss = float(last["validation_loss"])
            metrics |= {
                "loss": loss,
                "loss_at_start": first,
                "perplexity": perplexity(loss),
                "bits_per_byte": last[MEASURED],
            }
            print(f"  loss {loss:.4f} | perplexity {perplexity(loss):.1f} | {last[MEASURED]:.3f} bits per byte")
        network.set_drop_mult(1.0)
        save_language_model(self.out, network, direction=self.direction, tokenizer=self.tokenizer)
        write_results(self.results, metrics, module, MEASURED, facts)


@torch.no_grad()
def set_embeddings(network: Transformer, unit_VD: np.ndarray) -> None:
    """Set the embeddings from vectors of unit RMS, in the scale that the network stores them (divided by sqrt(D))."""
    network.embeddings.weight.copy_(torch.from_numpy(unit_VD) / network.settings.width**0.5)


@torch.no_grad()
def embeddings_of(network: Transformer) -> np.ndarray:
    """The embeddings at unit RMS, as `set_embeddings` takes them: (V, D) float32."""
    weight_VD: Tensor = network.embeddings.weight
    return (weight_VD * network.settings.width**0.5).cpu().float().numpy()
