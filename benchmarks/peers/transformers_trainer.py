"""A peer: a GPT-2 of the pipeline's default size, trained from noise by the Trainer of `transformers`.

Pretraining follows examples/pytorch/language-modeling/run_clm.py (documents joined, cut into blocks; AdamW, cosine);
the classifier is AutoModelForSequenceClassification with dynamic padding, its learning rate chosen on a part of the
labels and then trained with all of them. It runs in the peers' environment, called by `benchmarks.peers.accuracy`:

    benchmarks/peers/.venv/bin/python benchmarks/peers/transformers_trainer.py --help
"""

import argparse
import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import torch
from shared import Budget, Labelled, Progress, arguments, choose, held_out, read_within, run
from tokenizers import ByteLevelBPETokenizer
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    logging,
    set_seed,
)

END = "<|endoftext|>"
TOKENIZER_TEXT = 10_000_000  # characters that the tokenizer is learnt from: a few seconds
EXAMPLES = 10_000  # that a classifier sees, but 5 to 20 epochs
LANGUAGE_MODEL_SEED = 1


class TransformersTrainer:
    """`shared.Peer` with transformers."""

    name = "transformers Trainer, GPT-2"
    packages = ("transformers", "torch", "accelerate", "tokenizers")

    def settings(self, options: argparse.Namespace) -> dict[str, Any]:
        """Size and rates."""
        names = ("layers", "width", "heads", "vocabulary", "block", "batch", "rate_generic", "rate_domain")
        return {name: getattr(options, name) for name in names} | {"bf16": native_bf16()}

    def language_model(
        self, text: Path, start: Path | None, out: Path, budget: Budget, options: argparse.Namespace
    ) -> dict[str, Any]:
        """Causal language model of text packed into blocks."""
        set_seed(LANGUAGE_MODEL_SEED)
        tokenizer = loaded(start) if start else learnt(text, options.vocabulary)
        documents = read_within(text, budget, partial(encoded, tokenizer))
        train, validation = (blocks(part, options.block) for part in held_out(documents))
        model = GPT2LMHeadModel.from_pretrained(start) if start else GPT2LMHeadModel(config_of(options, tokenizer))
        epochs = options.domain_epochs if start else None
        steps_an_epoch = math.ceil(len(train) / options.batch)
        progress = Progress(budget, steps_an_epoch * epochs if epochs else 10**9)
        optimizer = AdamW(
            model.parameters(),
            lr=options.rate_domain if start else options.rate_generic,
            betas=(0.9, 0.95),
            weight_decay=0.1,
        )
        trainer = Trainer(
            model,
            training_arguments(out, options, num_train_epochs=epochs or 10**4, batch=options.batch),
            train_dataset=train,
            eval_dataset=validation,
            optimizers=(optimizer, LambdaLR(optimizer, lambda _: warm_cosine(progress.share()))),
            callbacks=[Stop(progress)],
        )
        trainer.train()
        seconds = budget.elapsed()
        loss = trainer.evaluate()["eval_loss"]
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
        return {
            "seconds": round(seconds, 1),
            "steps": progress.steps,
            "tokens": progress.steps * options.batch * options.block,
            "epochs": round(progress.steps / steps_an_epoch, 2),
            "loss": round(loss, 4),
            "parameters": model.num_parameters(),
        }

    def classify(
        self, model: Path, given: Labelled, asked: list[str], options: argparse.Namespace
    ) -> tuple[list[str], dict[str, Any]]:
        """Choose the learning rate on a fifth of the labels, then train on all of them."""
        torch.set_num_threads(options.threads)
        classifier = Classifier(model, sorted(set(given.labels)), options)
        rate, tried = choose(given, options.seed, options.rates, classifier.answers)
        found = {"tried": tried, "rate": rate, "epochs": epochs_for(len(given.labels))}
        return classifier.answers(given, asked, rate), found


class Classifier:
    """Trains AutoModelForSequenceClassification anew for each question."""

    def __init__(self, model: Path, classes: list[str], options: argparse.Namespace) -> None:
        self.model, self.classes, self.options = model, classes, options
        self.tokenizer = loaded(model)

    def answers(self, given: Labelled, asked: list[str], rate: float) -> list[str]:
        """Train on some documents, name the class of others."""
        set_seed(self.options.seed)
        model = AutoModelForSequenceClassification.from_pretrained(
            self.model, num_labels=len(self.classes), pad_token_id=self.tokenizer.pad_token_id
        )
        words = training_arguments(
            self.options.out.parent,
            self.options,
            num_train_epochs=epochs_for(len(given.labels)),
            batch=self.options.batch_documents,
            learning_rate=rate,
            weight_decay=0.01,
            warmup_steps=0.1,
            seed=self.options.seed,
        )
        collator = DataCollatorWithPadding(self.tokenizer)
        trainer = Trainer(
            model, words, train_dataset=self._documents(given.texts, given.labels), data_collator=collator
        )
        trainer.train()
        # In the order asked: the Trainer's grouping by length would also shuffle what it predicts, so it is not used.
        scores: Any = trainer.predict(self._documents(asked)).predictions
        return [self.classes[index] for index in scores.argmax(axis=1)]

    def _documents(self, texts: list[str], labels: list[str] | None = None) -> Any:
        tokens = self.tokenizer(texts, truncation=True, max_length=self.options.block)["input_ids"]
        # A document of no token would have no last one to classify by.
        rows = [{"input_ids": ids or [self.tokenizer.eos_token_id]} for ids in tokens]
        if labels:
            rows = [row | {"labels": self.classes.index(label)} for row, label in zip(rows, labels, strict=True)]
        return rows


class Stop(TrainerCallback):
    """Counts steps and ends the training when its minutes or passes are over."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Called by the Trainer."""
        self.progress.steps = state.global_step
        control.should_training_stop = self.progress.share() >= 1


def training_arguments(folder: Path, options: argparse.Namespace, *, batch: int, **more: Any) -> TrainingArguments:
    """What all trainings have in common."""
    return TrainingArguments(
        str(folder),
        use_cpu=True,
        bf16=native_bf16(),
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=32,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **more,
    )


def native_bf16() -> bool:
    """Whether the processor multiplies bfloat16 itself, which is when the pipeline's `precision: auto` takes it."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def epochs_for(labels: int) -> int:
    """Passes over the labels: 20 over few, fewer over many."""
    return max(5, min(20, EXAMPLES // labels))


def warm_cosine(share: float) -> float:
    """The factor of the learning rate: up over a twentieth of the training, then down as a cosine."""
    return share / 0.05 if share < 0.05 else 0.5 * (1 + math.cos(math.pi * (share - 0.05) / 0.95))


def config_of(options: argparse.Namespace, tokenizer: PreTrainedTokenizerFast) -> GPT2Config:
    """GPT-2 of the size asked for."""
    return GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=options.block,
        n_embd=options.width,
        n_layer=options.layers,
        n_head=options.heads,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def learnt(text: Path, vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE as GPT-2's, of the beginning of a corpus."""
    with text.open(encoding="utf-8") as file:
        lines = file.readlines(TOKENIZER_TEXT)
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator((json.loads(line)["text"] for line in lines), vocabulary, special_tokens=[END])
    return PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token=END, pad_token=END)


def loaded(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a language model."""
    return PreTrainedTokenizerFast.from_pretrained(folder)


def encoded(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Tokens of documents, each closed off."""
    end = [tokenizer.eos_token_id]
    return [one.ids + end for one in tokenizer.backend_tokenizer.encode_batch_fast(texts)]


def blocks(documents: list[list[int]], length: int) -> list[dict[str, torch.Tensor]]:
    """Documents joined and cut into blocks, as run_clm.py does it; the remainder is dropped."""
    joined = torch.tensor([token for document in documents for token in document])
    whole = joined[: len(joined) // length * length].view(-1, length)
    return [{"input_ids": block, "labels": block} for block in whole]


def options_of() -> argparse.Namespace:
    """The command line."""
    parser = arguments(__doc__)
    default = "(default: %(default)s)"
    parser.add_argument("--layers", type=int, default=4, help=default)
    parser.add_argument("--width", type=int, default=256, help=default)
    parser.add_argument("--heads", type=int, default=4, help=default)
    parser.add_argument("--vocabulary", type=int, default=8192, help=default)
    parser.add_argument("--block", type=int, default=512, help=f"tokens; documents are cut there, too {default}")
    parser.add_argument("--batch", type=int, default=8, help=f"blocks a step of the language model {default}")
    parser.add_argument("--batch-documents", type=int, default=16, help=f"a step of the classifier {default}")
    parser.add_argument("--rate-generic", type=float, default=2e-3, help=f"learning rate of pretraining {default}")
    parser.add_argument("--rate-domain", type=float, default=1e-3, help=f"of domain fine-tuning {default}")
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-5, 2e-4, 5e-4], help="the classifier chooses")
    return parser.parse_args()


if __name__ == "__main__":
    chosen = options_of()
    torch.set_num_threads(chosen.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    run(TransformersTrainer(), chosen)
