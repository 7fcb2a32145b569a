"""Train a classifier through its phases: what the stages finetune_classifier and scratch, and the estimator, share."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.base.errors import UserError
from pipeline.base.files import whole_folder, write_text
from pipeline.batches.buckets import BucketPlan
from pipeline.batches.seeds import sequence_seeds, step_seed
from pipeline.classifier.artifact import save_classifier
from pipeline.classifier.data import LabelledDocuments, Task
from pipeline.classifier.loss import balanced_weights
from pipeline.classifier.module import ClassifierModule
from pipeline.classifier.network import ClassifierNetwork
from pipeline.classifier.phases import phases
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.training.module import Phase
from pipeline.training.place import Place
from pipeline.training.processes import processes
from pipeline.training.rate_search import STEPS
from pipeline.training.results import run_facts, write_results
from pipeline.training.resume import ResumeFolder, weights_digest
from pipeline.training.run import RATES, run_phases, scale_dropout, search_rates, this_rank

MEASURED = "validation_accuracy"
PHASE_STRIDE = 1_000_000_000  # keeps the dropout noise of one phase's steps apart from the next one's


@dataclass(frozen=True)
class ClassifierTraining:
    """A network, its documents and its settings; `run` trains it."""

    network: ClassifierNetwork
    train: LabelledDocuments
    validation: LabelledDocuments
    config: ClassifierConfig
    hardware: HardwareConfig
    title: str = "classifier"

    @property
    def place(self) -> Place:
        """Where it runs."""
        return Place(self.hardware, self.config.precision)

    def plan(self) -> tuple[list[Phase], list[BucketPlan]]:
        """The phases, and the batches of each."""
        lengths = np.minimum(self.train.lengths, self.config.max_tokens)
        groups = [name for name, _ in self.network.layer_groups()]

        def batches(epochs: float, seed: int) -> BucketPlan:
            return BucketPlan(lengths, self.config.batch_documents, epochs, seed)

        made = phases(self.config, groups, lambda epochs: batches(epochs, 0).steps)
        last = len(made) - 1
        epochs = [self.config.epochs if number == last else self.config.phase_epochs for number in range(len(made))]
        return made, [batches(many, self.config.seed + number) for number, many in enumerate(epochs)]

    def run(self, resume: ResumeFolder | None) -> ClassifierModule:
        """Train all phases; returns the module, whose network is the one given."""
        made, batches = self.plan()
        self.place.refuse_idle(self.config.batch_documents)
        module = self._module()

        def share(phase: int, step: int, rank: int, world: int) -> dict[str, Any]:
            return self._share(batches[phase], phase, step, rank, world, module.micro_batch)

        run_phases(module, made, share, resume=resume, place=self.place)
        self.network.set_drop_mult(1.0)
        self.network.requires_grad_(True)
        return module

    def search_rates(self, curve: Path) -> None:
        """Write the losses of a climbing learning rate, all layers training, to the file `curve`."""
        module, config = self._module(), self.config
        lengths = np.minimum(self.train.lengths, config.max_tokens)
        passes = math.ceil(STEPS * config.batch_documents / len(self.train))
        plan = BucketPlan(lengths, config.batch_documents, passes, config.seed)
        self.place.refuse_idle(config.batch_documents)

        def share(phase: int, step: int, rank: int, world: int) -> dict[str, Any]:
            return self._share(plan, phase, step, rank, world, module.micro_batch)

        search_rates(module, share, place=self.place, curve=curve)

    def _module(self) -> ClassifierModule:
        config = self.config
        # Activations are kept for the chunks with gradients.
        kept = min(config.max_tokens, config.chunk_tokens * config.gradient_chunks)
        micro = self.place.micro_batch(self.network.backbone.settings, kept, config.batch_documents)
        balanced = config.class_weights == "balanced" and not self.train.guessed
        weights = balanced_weights(self.train.targets, self.network.classes) if balanced else None
        scale_dropout(self.network, config.drop_mult)
        return ClassifierModule(self.network, config, micro, self.title, self.validation, weights, self.train.guessed)

    def _share(
        self, plan: BucketPlan, phase: int, step: int, rank: int, world: int, micro_batch: int
    ) -> dict[str, Any]:
        whole = plan.documents_of(step)
        mine = plan.share(step, rank, world)
        counts = len(mine) > 0
        if not counts:  # batches are evened out, and this one has fewer documents than there are processes
            mine = whole[[plan.lengths[whole].argmin()]]
        seeds_B = torch.from_numpy(sequence_seeds(self.config.seed, phase * PHASE_STRIDE + step, mine))
        micros = []
        for first in range(0, len(mine), micro_batch):
            part = slice(first, first + micro_batch)
            micros.append(self.train.batch(mine[part], self.network.reading) | {"seeds_B": seeds_B[part]})
        return {
            "micro_batches": micros,
            "weight": float(counts),
            "step_seed": step_seed(self.config.seed, phase * PHASE_STRIDE + step),
            "denominator": float(len(whole)),
            "tokens_in_step": int(np.minimum(self.train.lengths[whole], self.config.max_tokens).sum()),
        }

    def padding_share(self) -> float:
        """Share of padding where each global batch of the last phase is as wide as its longest document."""
        return self.plan()[1][-1].padding_share()


class ClassifierRun:
    """One run of a classifier stage: outs models/OUT and results/STAGE (with the direction, where there is one).

    With the goal `lr-find` instead of `train` it writes no more than the losses of a climbing learning rate.
    """

    def __init__(
        self, out: Path, results: Path, task: Task, tokenizer: Path, direction: str, goal: str = "train"
    ) -> None:
        self.out, self.results, self.task = out, results, task
        self.tokenizer, self.direction, self.goal = tokenizer, direction, goal

    def train(
        self,
        network: ClassifierNetwork,
        config: ClassifierConfig,
        hardware: HardwareConfig,
        title: str,
    ) -> None:
        """Train from the last checkpoint if a run was cut off; then write the outs."""
        training = ClassifierTraining(network, self.task.train, self.task.validation, config, hardware, title)
        with processes(training.place):
            self._train(training, title)

    def _train(self, training: ClassifierTraining, title: str) -> None:
        if self.goal == "lr-find":
            stage = self.results.relative_to("results").parts[0]
            training.search_rates(RATES / stage / self.direction / "curve.csv")
            return
        with ResumeFolder(title, self._depends_on(training.network, training.config), this_rank()) as resume:
            module = training.run(resume)
            if this_rank() == 0:
                self._write(training, module)
                resume.finish()

    def _depends_on(self, network: ClassifierNetwork, config: ClassifierConfig) -> list[str]:
        parts = (self.task.train, self.task.validation)
        return [
            repr(asdict(config)),
            weights_digest(network),
            self.direction,
            *(part.digest() for part in parts),
            self.task.tokenizer,
        ]

    def _write(self, training: ClassifierTraining, module: ClassifierModule) -> None:
        network, config = training.network, training.config
        made, _ = training.plan()
        documents_cut, tokens_left_out = network.reading.cut(self.task.train.lengths)
        last = next((row for row in reversed(module.curve) if "validation_loss" in row), {})
        metrics = {
            "documents": len(self.task.train),
            "validation_documents": len(self.task.validation),
            **({} if self.task.train.guessed else {"labels_used": len(self.task.train) + len(self.task.validation)}),
            "phases": len(made),
            "steps": sum(phase.steps for phase in made),
            "tokens": module.position.tokens,
            "documents_cut": documents_cut,
            "tokens_left_out": tokens_left_out,
            "padding_share": round(training.padding_share(), 4),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "train_loss": _mean([row["train_loss"] for row in module.curve[-10:] if "train_loss" in row]),
            **{name: last[name] for name in ("validation_loss", MEASURED) if name in last},
        }
        if documents_cut:
            print(f"  {documents_cut} documents are longer than `max_tokens`: {tokens_left_out} tokens were left out")
        print("  " + " | ".join(f"{name} {metrics[name]:.4f}" for name in ("train_loss", MEASURED) if name in metrics))
        save_classifier(
            self.out,
            network,
            labels=self.task.labels,
            multilabel=self.task.multilabel,
            text=self.task.text,
            max_characters=self.task.max_characters,
            direction=self.direction,
            tokenizer=self.tokenizer,
        )
        # A third of training's operations are the forward pass, which is all that chunks without gradients need.
        trained = network.reading.trained_share(training.train.lengths)
        flops = network.backbone.flops_per_token(config.chunk_tokens) * (trained + (1 - trained) / 3)
        facts = run_facts(module, training.place, flops)
        seconds = module.position.seconds
        documents = sum(batch.documents for batch in training.plan()[1])
        facts["documents_per_second"] = round(documents / seconds, 2) if seconds else 0.0
        write_results(self.results, metrics, module, MEASURED, facts)


def leave_out(out: Path, results: Path, goal: str, why: str) -> None:
    """Write folders with a note of the reason: an optional stage that has nothing to do, whatever its `goal`."""
    if goal == "lr-find":
        raise UserError(f"this stage trains nothing here ({why}), so it has no learning rate to look for")
    if this_rank():
        return
    print(f"  {why}")
    with whole_folder(out) as partial:
        write_text(partial / "note.txt", f"{why}\n")  # of a folder without a file DVC warns, again and again
    write_results(results, {"steps": 0, "tokens": 0, "note": why}, None, MEASURED, {"seconds": 0.0})


def _mean(values: Sequence[Any]) -> float:
    return float(np.mean(values)) if values else 0.0
