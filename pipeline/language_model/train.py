"""Train a language model on a tokenised corpus: what the stages pretrain and finetune_lm share."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.base.files import sha256, whole_folder, write_json
from pipeline.batches.seeds import sequence_seeds, step_seed
from pipeline.batches.streams import StreamPlan
from pipeline.batches.windows import WindowPlan, read_windows, validation_starts
from pipeline.config.hardware import HardwareConfig
from pipeline.config.language_model import LanguageModelConfig
from pipeline.config.suitable import unspannable
from pipeline.interop.folders import COMPANION, save_language_model
from pipeline.language_model.flops import language_model_flops
from pipeline.language_model.module import LanguageModelModule, perplexity
from pipeline.language_model.samples import sample_texts
from pipeline.language_model.spectral import token_counts
from pipeline.language_model.task import LanguageModelTask, task_of
from pipeline.models.awd_lstm import AWDLSTM
from pipeline.models.build import Network
from pipeline.shards.read import TokenCorpus
from pipeline.training.module import Phase
from pipeline.training.place import Place
from pipeline.training.processes import processes
from pipeline.training.results import run_facts, write_results
from pipeline.training.resume import ResumeFolder, weights_digest
from pipeline.training.run import RATES, run_phases, scale_dropout, search_rates, this_rank

MEASURED = "validation_bits_per_byte"
SAMPLES = "samples.json"
VALIDATION = 2**62  # in the place of a step: the noise of what is measured, the same each time


@dataclass(frozen=True)
class Corpora:
    """The training and validation parts of a tokenised corpus."""

    train: TokenCorpus
    validation: TokenCorpus

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open `folder/train` and `folder/validation`."""
        return cls(TokenCorpus(folder / "train"), TokenCorpus(folder / "validation"))

    def verify(self) -> None:
        """Read both parts once and name the file that is damaged, if one is."""
        for part in (self.train, self.validation):
            part.verify()


class LanguageModelRun:
    """One run of a language-model stage: its inputs, its training, its outs.

    Outs: models/FOLDER/DIRECTION (the model, its config and its tokenizer) and results/STAGE/DIRECTION. With the goal
    `lr-find` instead of `train` it writes no more than the losses of a climbing learning rate, for `ulmfit lr-find`.
    """

    def __init__(
        self,
        stage: str,
        direction: str,
        config: LanguageModelConfig,
        hardware: HardwareConfig,
        corpora: Corpora,
        tokenizer: Path,
        goal: str = "train",
    ) -> None:
        self.stage, self.direction, self.config, self.hardware = stage, direction, config, hardware
        self.corpora, self.tokenizer, self.goal = corpora, tokenizer, goal
        self.out = Path("models") / {"pretrain": "pretrained", "finetune_lm": "domain"}[stage] / direction
        self.results = Path("results") / stage / direction
        if corpora.train.tokenizer != sha256(tokenizer):
            raise UserError(
                f"{tokenizer}: is not the tokenizer that made {corpora.train.folder}; run `dvc repro` to tokenise again"
            )

    def pass_on(self, network: Network, why: str, companion: Path | None = None, objective: str | None = None) -> None:
        """Write the network as it is: an optional stage that has nothing to do.

        companion: as `train` takes it.
        objective: what the network was trained on, where that is known.
        """
        if self.goal == "lr-find":
            raise UserError(f"{self.stage} trains nothing here ({why}), so it has no learning rate to look for")
        if this_rank():
            return
        print(f"  {why}")
        with whole_folder(self.out) as partial:
            save_language_model(
                partial, network, direction=self.direction, tokenizer=self.tokenizer, objective=objective
            )
            if companion is not None:
                shutil.copyfile(companion, partial / COMPANION)
        write_results(self.results, {"steps": 0, "tokens": 0, "note": why}, None, MEASURED, {"seconds": 0.0})
        write_json(self.results / SAMPLES, [])

    def train(
        self, network: Network, initialise: Callable[[Network], None] | None, companion: Path | None = None
    ) -> None:
        """Train for the config's budget, from the last checkpoint if a run was cut off; then write the outs.

        `initialise` changes the network's start; it is not called when a run is resumed. `companion`: the file of what
        an earlier stage trained beside the network and this one goes on with.
        """
        place = Place(self.hardware, self.config.precision)
        if self.config.length > (most := network.settings.max_positions):
            raise UserError(
                f"`length: {self.config.length}` is longer than the model's `max_positions: {most}`; lower it"
            )
        spans = (self.config.mask_rate, self.config.span_length, self.config.length)
        if self.config.objective == "spans" and (reason := unspannable(*spans, most)):
            raise UserError(reason)
        with processes(place):
            self._train(network, initialise, companion, place)

    def _train(
        self, network: Network, initialise: Callable[[Network], None] | None, companion: Path | None, place: Place
    ) -> None:
        if this_rank() == 0:
            self.corpora.verify()
        if self.goal == "lr-find":
            _, module, share = self._prepared(network, initialise, companion, place)
            search_rates(module, share, place=place, curve=RATES / self.stage / self.direction / "curve.csv")
            return
        steps = max(1, round(self.config.tokens / self.config.batch_tokens))
        with ResumeFolder(f"{self.stage}-{self.direction}", self._depends_on(network), this_rank()) as resume:
            fresh = resume.load() is None
            task, module, share = self._prepared(network, initialise if fresh else None, companion, place)
            phases = [Phase("", steps, validate_every=self.config.validate_every)]
            run_phases(module, phases, share, resume=resume, place=place)
            if this_rank() == 0:
                facts = run_facts(module, place, language_model_flops(task.trainee, self.config).both)
                self._write(task, module, steps, facts)
                resume.finish()

    def _prepared(
        self, network: Network, initialise: Callable[[Network], None] | None, companion: Path | None, place: Place
    ) -> tuple[LanguageModelTask, LanguageModelModule, Callable[[int, int, int, int], dict[str, Any]]]:
        """What is trained, by which module, and what a rank reads in a step, as `run_phases` wants it."""
        torch.set_num_threads(place.threads)
        if initialise is not None:
            initialise(network)
        config, corpus = self.config, self.corpora.train
        counts_V = torch.from_numpy(token_counts(corpus)) if config.bag_of_words else None
        backward = self.direction == "backward"
        task = task_of(network, config, self.tokenizer, companion, counts_V, reverse=backward)
        scale_dropout(task.trainee, config.dropout_factor(corpus.tokens))
        plan = self._plan(network)
        place.refuse_idle(plan.batch)

        def share(_phase: int, step: int, rank: int, world: int) -> dict[str, Any]:
            return self._share(plan, task, step, rank, world)

        return task, self._module(task, place), share

    def _plan(self, network: Network) -> WindowPlan:
        """Shuffled windows; streams for a network that carries its state along."""
        config, tokens = self.config, self.corpora.train.tokens
        if isinstance(network, AWDLSTM):
            backward = self.direction == "backward"
            return StreamPlan(tokens, config.length, config.batch_tokens, config.seed, reverse=backward)
        return WindowPlan(tokens, config.length, config.batch_tokens, config.seed)

    def _module(self, task: LanguageModelTask, place: Place) -> LanguageModelModule:
        config, validation = self.config, self.corpora.validation
        starts, length = validation_starts(validation.tokens, config.length, config.validation_tokens)
        windows = read_windows(validation, starts, length, reverse=self.direction == "backward")
        seeds = sequence_seeds(config.seed, VALIDATION, np.arange(len(windows)))
        return LanguageModelModule(
            task.trainee,
            task.losses,
            config,
            place.micro_batch(task.network.settings, config.length, config.batch_tokens // config.length),
            f"{self.stage} {self.direction}",
            (torch.from_numpy(windows), torch.from_numpy(seeds)),
            validation.text_bytes / max(1, validation.tokens),
        )

    def _share(self, plan: WindowPlan, task: LanguageModelTask, step: int, rank: int, world: int) -> dict[str, Any]:
        rows, starts = plan.share(step, rank, world)
        windows = read_windows(self.corpora.train, starts, self.config.length, reverse=self.direction == "backward")
        if windows.max() >= self.corpora.train.vocabulary:  # a file was damaged since the run began
            self.corpora.verify()
        return {
            "windows_BT1": torch.from_numpy(windows),
            "seeds_B": torch.from_numpy(sequence_seeds(self.config.seed, step, rows)),
            "step_seed": step_seed(self.config.seed, step),
            "denominator": task.losses.targets(self.config.length) * plan.batch,
            "tokens_in_step": self.config.batch_tokens,
            "most": -(-plan.batch // world),
        }

    def _depends_on(self, network: Network) -> list[str]:
        """What the weights depend on beside the code: config, shape, start, tokens."""
        parts = (self.corpora.train, self.corpora.validation)
        return [
            repr(asdict(self.config)),
            repr(asdict(network.settings)),
            self.direction,
            weights_digest(network),
            *(sha256(part.folder / "index.json") for part in parts),
        ]

    def _write(self, task: LanguageModelTask, module: LanguageModelModule, steps: int, facts: dict[str, Any]) -> None:
        network = task.network
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
            metrics |= {"objective": self.config.objective, "loss": loss, "loss_at_start": first}
            said = f"  loss {loss:.4f}"
            if self.config.objective != "replaced_tokens":  # whose loss is of a generator and of yes-or-no questions
                metrics["perplexity"] = perplexity(loss)
                said += f" | perplexity {perplexity(loss):.1f}"
            if MEASURED in last:
                metrics["bits_per_byte"] = last[MEASURED]
                said += f" | {last[MEASURED]:.3f} bits per byte"
            print(said)
        task.trainee.set_drop_mult(1.0)
        save_language_model(
            self.out,
            network,
            direction=self.direction,
            tokenizer=self.tokenizer,
            companion=task.companion,
            objective=self.config.objective,
        )
        write_results(self.results, metrics, module, MEASURED, facts)
        written = sample_texts(network, self.tokenizer, self.direction, self.config.objective, self.corpora.validation)
        write_json(self.results / SAMPLES, written)


@torch.no_grad()
def set_embeddings(network: Network, unit_VE: np.ndarray) -> None:
    """Set the embeddings from vectors of unit RMS, at the scale that the network's own start has."""
    embeddings = network.input_embeddings()
    embeddings.weight.copy_(torch.from_numpy(unit_VE) * embeddings.std)


@torch.no_grad()
def embeddings_of(network: Network) -> np.ndarray:
    """The embeddings as `set_embeddings` takes them: (V, E) float32, of unit RMS at the network's own start."""
    embeddings = network.input_embeddings()
    weight_VE: Tensor = embeddings.weight
    return (weight_VE / embeddings.std).cpu().float().numpy()
