"""A peer: ULMFiT by fastai, its AWD-LSTM trained from noise.

The three stages of fastai's text tutorial: a language model on the generic corpus, its vocabulary matched and the model
fine-tuned on the domain, a classifier over the saved encoder with gradual unfreezing and discriminative rates, or with
all layers at one rate where that does better on a part of the labels. The one-cycle schedules of the first two follow
the minutes. It runs in the peers' environment, called by `benchmarks.peers.accuracy`:

    benchmarks/peers/.venv/bin/python benchmarks/peers/fastai_ulmfit.py --help
"""

import argparse
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import fastai.callback.schedule  # noqa: F401 - gives learners fit_one_cycle
import torch
from fastai.callback.core import Callback, CancelFitException, CancelValidException
from fastai.data.core import DataLoaders
from fastai.losses import CrossEntropyLossFlat
from fastai.text.core import SubwordTokenizer, WordTokenizer, parallel_tokenize
from fastai.text.data import LMDataLoader, LMTensorText, Pad_Chunk, SortedDL, TensorText, make_vocab
from fastai.text.learner import language_model_learner, match_embeds, text_classifier_learner
from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_clas_config, awd_lstm_lm_config
from fastai.torch_core import TensorCategory, defaults, set_seed
from shared import Budget, Labelled, Progress, arguments, choose, held_out, read_lines, read_within, run, write_json

SUBWORD_TEXT = 2_000  # documents that subwords are learnt from: of Wikipedia half a minute, counted as reading is
SCHEDULES = ("gradual", "full")  # of the classifier: the tutorial's, and all layers at one rate from the first step
PHASES = 5  # epochs of the tutorial's phases together
LANGUAGE_MODEL_SEED = 1

Tokenize = Callable[[list[str]], list[list[str]]]


class FastaiUlmfit:
    """`shared.Peer` with fastai."""

    name = "fastai ULMFiT, AWD-LSTM"
    packages = ("fastai", "torch", "spacy", "sentencepiece")

    def settings(self, options: argparse.Namespace) -> dict[str, Any]:
        """Size, tokenizer and rates."""
        names = ("embedding", "hidden", "layers", "tokenizer", "vocabulary", "batch", "length", "drop_mult")
        return {name: getattr(options, name) for name in (*names, "rate_generic", "rate_domain")}

    def language_model(
        self, text: Path, start: Path | None, out: Path, budget: Budget, options: argparse.Namespace
    ) -> dict[str, Any]:
        """One cycle over the minutes; from a start, its embeddings are matched to the domain's vocabulary first."""
        set_seed(LANGUAGE_MODEL_SEED)
        tokenize = tokenizer(options, None if start else text, start or out)
        documents = read_within(text, budget, tokenize)
        vocabulary = make_vocab(Counter(token for one in documents for token in one), max_vocab=options.vocabulary)
        train, validation = (
            LMDataLoader(
                [LMTensorText(ids) for ids in numbers(part, vocabulary)],
                bs=options.batch,
                seq_len=options.length,
                shuffle=shuffle,
            )
            for part, shuffle in zip(held_out(documents), (True, False), strict=True)
        )
        learner = language_model_learner(
            loaders(train, validation, vocabulary),
            AWD_LSTM,
            config=awd_lstm_lm_config | size(options),
            drop_mult=options.drop_mult,
            pretrained=False,
        )
        if start:
            weights = torch.load(start / "model.pth", weights_only=True)
            learner.model.load_state_dict(match_embeds(weights, words_of(start), vocabulary))
        epochs = options.domain_epochs if start else 10**6
        progress = Progress(budget, epochs * len(train))
        rate = options.rate_domain if start else options.rate_generic
        with learner.no_bar(), learner.no_logging():
            learner.fit_one_cycle(min(epochs, 10**4), rate, wd=0.1, cbs=[Timed(progress)])
            seconds = budget.elapsed()
            loss = learner.validate()[0]
        torch.save(learner.model.state_dict(), out / "model.pth")
        torch.save(learner.model[0].state_dict(), out / "encoder.pth")
        write_json(out / "vocabulary.json", vocabulary)
        if start and options.tokenizer == "subwords":
            shutil.copy(start / "spm.model", out)
        return {
            "seconds": round(seconds, 1),
            "steps": progress.steps,
            "tokens": progress.steps * options.batch * options.length,
            "epochs": round(progress.steps / len(train), 2),
            "loss": round(float(loss), 4),
            "vocabulary": len(vocabulary),
            "parameters": sum(parameter.numel() for parameter in learner.model.parameters()),
        }

    def classify(
        self, model: Path, given: Labelled, asked: list[str], options: argparse.Namespace
    ) -> tuple[list[str], dict[str, Any]]:
        """Choose the schedule on a fifth of the labels, then train on all of them."""
        torch.set_num_threads(options.threads)
        classifier = Classifier(model, sorted(set(given.labels)), options)
        schedule, tried = choose(given, options.seed, SCHEDULES, classifier.answers)
        return classifier.answers(given, asked, schedule), {"tried": tried, "schedule": schedule}


class Classifier:
    """Trains text_classifier_learner anew for each question."""

    def __init__(self, model: Path, classes: list[str], options: argparse.Namespace) -> None:
        self.model, self.classes, self.options = model, classes, options
        self.tokenize, self.vocabulary = tokenizer(options, None, model), words_of(model)

    def answers(self, given: Labelled, asked: list[str], schedule: str) -> list[str]:
        """Train on some documents, name the class of others."""
        options = self.options
        set_seed(options.seed)
        labelled = self._documents(given.texts, [self.classes.index(label) for label in given.labels])
        batch = min(options.batch_documents, max(4, len(labelled) // 4))
        load = partial(SortedDL, before_batch=Pad_Chunk(seq_len=options.length), bs=batch)
        # A last batch of one document would stop batch normalisation.
        train = load(labelled, shuffle=True, drop_last=True)
        learner = text_classifier_learner(
            loaders(train, train, self.vocabulary),
            AWD_LSTM,
            seq_len=options.length,
            config=awd_lstm_clas_config | size(options),
            drop_mult=options.drop_mult_classifier,
            pretrained=False,
            n_out=len(self.classes),
            loss_func=CrossEntropyLossFlat(),
            cbs=[TrainingOnly()],
        )
        learner.model[0].module.load_state_dict(torch.load(self.model / "encoder.pth", weights_only=True))
        epochs = math.ceil(options.steps / len(train))
        with learner.no_bar(), learner.no_logging():
            if schedule == "full":
                learner.fit_one_cycle(PHASES * epochs, options.rate_full)
            else:
                unfreeze(learner, epochs, options.rate_classifier)
            learner.remove_cbs(TrainingOnly)
            scores, _ = learner.get_preds(dl=load(self._documents(asked, [0] * len(asked)), bs=64))
        return [self.classes[index] for index in scores.argmax(dim=1).tolist()]

    def _documents(self, texts: list[str], labels: list[int]) -> list[tuple[Any, Any]]:
        pairs = zip(numbers(self.tokenize(texts), self.vocabulary), labels, strict=True)
        return [(TensorText(ids), TensorCategory(label)) for ids, label in pairs]


class TrainingOnly(Callback):
    """Leaves out the validation after each epoch: nothing is decided by it."""

    def before_validate(self) -> None:
        """Called by the Learner."""
        raise CancelValidException


class Timed(Callback):
    """Lets a schedule follow minutes in place of steps, and ends the training when they are over."""

    order = 50  # before ParamScheduler, which reads pct_train

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def before_batch(self) -> None:
        """Called by the Learner."""
        if self.training:
            self.learn.pct_train = self.progress.share()

    def after_batch(self) -> None:
        """Called by the Learner."""
        if self.training:
            self.progress.steps += 1
            if self.progress.share() >= 1:
                raise CancelFitException


def unfreeze(learner: Any, epochs: int, head: float) -> None:
    """The phases of fastai's tutorial, `epochs` for each of its: head, last two groups, last three, all (for two)."""
    spread = 2.6**4
    learner.freeze()
    learner.fit_one_cycle(epochs, head)
    for groups, rate in ((-2, head / 2), (-3, head / 4)):
        learner.freeze_to(groups)
        learner.fit_one_cycle(epochs, slice(rate / spread, rate))
    learner.unfreeze()
    rate = head / 20
    learner.fit_one_cycle(2 * epochs, slice(rate / spread, rate))


def loaders(train: Any, validation: Any, vocabulary: list[str]) -> DataLoaders:
    """What a learner reads from, with the vocabulary that it is as wide as."""
    both = DataLoaders(train, validation, device=torch.device("cpu"))
    both.vocab = vocabulary
    return both


def tokenizer(options: argparse.Namespace, text: Path | None, folder: Path) -> Tokenize:
    """fastai's rules and one of its tokenizers: words (spaCy), or subwords (SentencePiece), which `folder` keeps.

    text: what subwords are learnt from, where they have not been.
    """
    if options.tokenizer == "words":
        return partial(tokenized, WordTokenizer(), options.threads)
    if text:
        subwords = SubwordTokenizer(vocab_sz=options.vocabulary, cache_dir=folder)
        documents = (one["text"] for one in islice(read_lines(text), SUBWORD_TEXT))
        subwords.setup([*documents], rules=defaults.text_proc_rules)
    else:
        subwords = SubwordTokenizer(sp_model=folder / "spm.model", cache_dir=folder)
    return partial(tokenized, subwords, options.threads)


def tokenized(kind: Any, threads: int, texts: list[str]) -> list[list[str]]:
    """Tokens of documents, in their order, by several processes."""
    workers = threads if threads > 1 else 0
    return [list(tokens) for _, tokens in sorted(parallel_tokenize(texts, kind, n_workers=workers), key=itemgetter(0))]


def numbers(documents: list[list[str]], vocabulary: list[str]) -> list[torch.Tensor]:
    """Token numbers, 0 for what the vocabulary lacks."""
    number = {word: index for index, word in enumerate(vocabulary) if word != "xxfake"}
    return [torch.tensor([number.get(token, 0) for token in tokens]) for tokens in documents]


def words_of(model: Path) -> list[str]:
    """The vocabulary of a language model."""
    return list(json.loads((model / "vocabulary.json").read_text(encoding="utf-8")))


def size(options: argparse.Namespace) -> dict[str, int]:
    """The network's, as fastai names it."""
    return {"emb_sz": options.embedding, "n_hid": options.hidden, "n_layers": options.layers}


def options_of() -> argparse.Namespace:
    """The command line."""
    parser = arguments(__doc__)
    default = "(default: %(default)s)"
    parser.add_argument("--embedding", type=int, default=256, help=f"width; fastai's own is 400 {default}")
    parser.add_argument("--hidden", type=int, default=512, help=f"fastai's own is 1152 {default}")
    parser.add_argument("--layers", type=int, default=3, help=default)
    parser.add_argument("--tokenizer", choices=("words", "subwords"), default="words", help=default)
    parser.add_argument("--vocabulary", type=int, default=20_000, help=f"entries at most {default}")
    parser.add_argument("--batch", type=int, default=32, help=f"streams of text that are read at once {default}")
    parser.add_argument("--length", type=int, default=72, help=f"tokens through which gradients go back {default}")
    parser.add_argument("--drop-mult", type=float, default=0.3, help=f"of the language model {default}")
    parser.add_argument("--rate-generic", type=float, default=5e-3, help=f"learning rate of pretraining {default}")
    parser.add_argument("--rate-domain", type=float, default=4e-3, help=f"of domain fine-tuning {default}")
    parser.add_argument("--batch-documents", type=int, default=16, help=f"of the classifier, at most {default}")
    parser.add_argument("--drop-mult-classifier", type=float, default=0.5, help=default)
    parser.add_argument("--rate-classifier", type=float, default=2e-2, help=f"of its head, unfrozen first {default}")
    parser.add_argument("--rate-full", type=float, default=5e-3, help=f"of all layers at once {default}")
    parser.add_argument("--steps", type=int, default=40, help=f"of a phase at least, else one epoch {default}")
    return parser.parse_args()


if __name__ == "__main__":
    chosen = options_of()
    torch.set_num_threads(chosen.threads)
    run(FastaiUlmfit(), chosen)
