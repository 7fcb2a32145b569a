"""Labels and probabilities of new texts from a trained classifier, in one direction or both, and from its student."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.base.progress import Progress
from pipeline.batches.reverse import reverse_document
from pipeline.classifier.artifact import LoadedClassifier, load_classifier
from pipeline.config import self_train
from pipeline.config.blend import FOLDER
from pipeline.inference.folders import classifiers_in, holds_none
from pipeline.inference.together import refuse_students_alone, require_together
from pipeline.text.documents import clean, shortened
from pipeline.text.tokenizer import encode, load
from pipeline.training.environment import absent, out_of_memory, resolve_precision

if TYPE_CHECKING:
    from pipeline.linear.artifact import Blend

# Tokens, padding included, that go through a network at once: what fills the device without filling its memory. Where
# it does, half as many do from then on.
BATCH_TOKENS = {"cpu": 4096, "cuda": 131_072}
DEVICES, PRECISIONS = ("auto", "cpu", "cuda", "mps"), ("fp32", "auto")
# No token is longer than a tokenizer's pieces, some 64 characters, or a few times that before normalisation. What lies
# beyond this many characters a token cannot be read, and a document of 50 MB need not be tokenised to find that out.
CHARACTERS_PER_TOKEN = 256
BLOCK = 1024  # documents between two signs of progress


class Predictor:
    """One or several classifiers with the same labels, whose probabilities are averaged, and perhaps linear models.

    Where all of these have taught a student, its log odds have the share that the network's have among theirs.

    Texts are read in batches of similar length; a text's probabilities do not depend on the others beyond rounding.
    In fp32, the default, they agree between machines to about 1e-6. `precision="auto"` takes bf16 where the processor
    has it, which is two to three times as fast and moves probabilities by about 0.01.
    """

    def __init__(
        self,
        members: list[LoadedClassifier],
        blend: "Blend | None" = None,
        *,
        device: str = "auto",
        precision: Literal["fp32", "auto"] = "fp32",
        batch_tokens: int | None = None,
        students: Sequence[LoadedClassifier] = (),
    ) -> None:
        """`device`: a torch device type, auto for CUDA where there is one; `batch_tokens`: None by the device.

        Raises `UserError` for other values: what torch does not know it takes for fp32, or fails over much later.
        """
        _check_words(device, precision, batch_tokens)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if name := absent(device):
            raise UserError(f"device {device}: torch sees no {name}; use auto, or install a build of torch for it")
        self.device = device
        self.precision = resolve_precision(precision, device)
        self.batch_tokens = batch_tokens or BATCH_TOKENS.get(device, BATCH_TOKENS["cpu"])
        self.members = [(member, load(member.tokenizer)) for member in members]
        self.students = [(student, load(student.tokenizer)) for student in students]
        for member in (*members, *students):
            member.network.eval().to(device)
        self.blend = blend
        self.labels = list(members[0].labels)
        self.multilabel = members[0].multilabel
        self.documents_cut = 0  # documents so far that were longer than the classifier reads

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        device: str = "auto",
        precision: Literal["fp32", "auto"] = "fp32",
        batch_tokens: int | None = None,
        students: bool = True,
    ) -> Self:
        """Load the classifier in `folder`, or those in its sub-folders: the directions of their blend, and this.

        students: of a folder with both, their students too.
        """
        folder = Path(folder)
        blend = _blend(folder / FOLDER)
        if blend is None:
            refuse_students_alone(folder)
            folders = classifier_folders(folder)
        else:
            require_together(folder / FOLDER, folder)
            folders = [folder / one for one in blend.directions]
        members = [load_classifier(one) for one in folders]
        beside = [folder / self_train.FOLDER / one.direction for one in members] if students else []
        taught = [one for one in beside if (one / "config.json").is_file()]
        for one in taught:
            require_together(one, folder)
        pupils = [load_classifier(one) for one in taught]
        for one, member in zip((*folders, *taught), (*members, *pupils), strict=True):
            if (member.labels, member.multilabel) != (members[0].labels, members[0].multilabel):
                raise UserError(f"{one}: its labels differ from those of {folders[0]}; train both on one task")
        if blend is not None and blend.labels != members[0].labels:
            raise UserError(f"{folder / FOLDER}: its labels differ from those of {folders[0]}; run `dvc repro`")
        return cls(members, blend, device=device, precision=precision, batch_tokens=batch_tokens, students=pupils)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for _, tokenizer in (*self.members, *self.students):
            tokenizer.encode_special_tokens = True  # a copy made by pickle forgets it

    @property
    def directions(self) -> list[str]:
        """The direction in which each member reads."""
        return [member.direction for member, _ in self.members]

    @property
    def max_tokens(self) -> int:
        """Tokens that are read of one text at most."""
        return self.members[0][0].network.reading.max_tokens

    def predict_proba(self, texts: Iterable[str]) -> np.ndarray:
        """Probabilities float64 `(N, C)`, classes in the order of `labels`, rows in the order of `texts`.

        They sum to 1 in each row or, where a document may carry several labels, are each label's own.
        """
        documents = _checked(texts, self.members[0][0].max_characters)
        said_NC = self._mean(self.members, documents)
        if self.blend is not None:
            said_NC = self.blend.blended(said_NC, documents, self.multilabel)
        if self.students:
            from pipeline.linear.blend import Weights  # with scipy, which networks alone do without

            weights = Weights() if self.blend is None else self.blend.weights
            said_NC = weights.with_student(self._mean(self.students, documents), said_NC, self.multilabel)
        return said_NC

    def predict(self, texts: Iterable[str]) -> list[str] | list[list[str]]:
        """The most probable label of each text; with several labels a document, all those of at least one half."""
        return self.decide(self.predict_proba(texts))

    def decide(self, probabilities_NC: np.ndarray) -> list[str] | list[list[str]]:
        """Labels from the probabilities of `predict_proba`."""
        if self.multilabel:
            return [[self.labels[c] for c in np.flatnonzero(row_C >= 0.5)] for row_C in probabilities_NC]
        return [self.labels[c] for c in probabilities_NC.argmax(axis=1)] if len(probabilities_NC) else []

    def _mean(self, of: list[tuple[LoadedClassifier, Tokenizer]], texts: list[str]) -> np.ndarray:
        """Mean probabilities (N, C) of some networks."""
        return sum((self._probabilities(*one, texts) for one in of), np.zeros((len(texts), len(self.labels)))) / len(of)

    def _probabilities(self, member: LoadedClassifier, tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
        reading = member.network.reading
        tokens = _encode(member, tokenizer, texts)
        lengths_N = np.array([len(document) for document in tokens], dtype=np.int64)
        if member is self.members[0][0]:
            self.documents_cut += reading.cut(lengths_N)[0]
        read_N = np.minimum(lengths_N, reading.max_tokens)
        order = np.argsort(-read_N, kind="stable")  # longest first: what does not fit fails at once
        probabilities_NC = np.empty((len(texts), len(self.labels)))
        autocast = torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16")
        with torch.inference_mode(), autocast:
            while len(order):
                rows_B = order[: max(1, self.batch_tokens // int(read_N[order[0]]))]
                tokens_BT, lengths_B = reading.batch([tokens[row] for row in rows_B])
                said_BC = self._fitting(member, tokens_BT, lengths_B)
                if said_BC is not None:
                    probabilities_NC[rows_B] = said_BC
                    order = order[len(rows_B) :]
        return probabilities_NC

    def _fitting(self, member: LoadedClassifier, tokens_BT: Tensor, lengths_B: Tensor) -> np.ndarray | None:
        """Probabilities (B, C) of a batch; None where memory runs out, and batches are half as large from then on."""
        try:
            logits_BC = member.network(tokens_BT.to(self.device), lengths_B)
            return _normalise(logits_BC.cpu().double(), self.multilabel)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            B, T = tokens_BT.shape
            if B == 1:
                raise UserError(
                    f"one text of {T} tokens does not fit into the memory of this {self.device} device; "
                    "end what else uses it, or predict on another device, for instance the `cpu`"
                ) from error
            self.batch_tokens = B * T // 2
        print(f"  out of memory: going on with batches of {self.batch_tokens} tokens", file=sys.stderr)
        if self.device == "cuda":  # only here, where the error's frames are gone, is the memory free
            torch.cuda.empty_cache()
        return None


def said(predictor: Predictor, texts: list[str], title: str) -> np.ndarray:
    """Probabilities (N, C) of many texts, with signs of progress."""
    found = [np.zeros((0, len(predictor.labels)))]
    with Progress(title, len(texts), "documents") as progress:
        for start in range(0, len(texts), BLOCK):
            found.append(predictor.predict_proba(texts[start : start + BLOCK]))
            progress.update(len(found[-1]))
    return np.concatenate(found)


def _check_words(device: str, precision: str, batch_tokens: int | None) -> None:
    for name, value, allowed in (("device", device, DEVICES), ("precision", precision, PRECISIONS)):
        if value not in allowed:
            raise UserError(f"{name} {value!r}: must be {', '.join(allowed[:-1])} or {allowed[-1]}")
    if batch_tokens is not None and (not isinstance(batch_tokens, Integral) or batch_tokens < 1):
        raise UserError(f"batch_tokens {batch_tokens!r}: must be a whole number of 1 or more, or None for the device's")


def _blend(folder: Path) -> "Blend | None":
    """What says which networks and linear models stand beside each other, if it is there."""
    if not folder.is_dir():
        return None
    from pipeline.linear.artifact import load_blend  # with scipy, which networks alone do without

    return load_blend(folder)


def classifier_folders(folder: Path | str) -> list[Path]:
    """`folder` itself if it is a classifier, else its sub-folders that are; sorted.

    Of students those with a present teacher: another choice of directions may have left one behind.
    """
    folder = Path(folder)
    folders = classifiers_in(folder)
    if folders == [folder]:
        return folders
    if folder.name == self_train.FOLDER and (teacher := _blend(folder.parent / FOLDER)) is not None:
        folders = [one for one in folders if one.name in teacher.directions]
        for one in folders:
            require_together(one, folder.parent)
    if not folders:
        raise holds_none(folder)
    return folders


def _checked(texts: Iterable[str], most: int | None) -> list[str]:
    """A list of texts as they were for training: cleaned, and cut where so many characters were all that was kept."""
    if isinstance(texts, str | Mapping):
        raise TypeError("texts must be a list of texts; for one text write [text]")
    if getattr(texts, "ndim", 1) != 1:  # a table's elements would be the names of its columns
        raise TypeError('texts have columns; give the one that holds them, for instance table["text"]')
    documents = list(texts)
    for number, text in enumerate(documents):
        if not isinstance(text, str):
            raise TypeError(f"text {number} is {text!r:.40} ({type(text).__name__}), not a str")
    return [shortened(clean(text), most) for text in documents]


def _encode(member: LoadedClassifier, tokenizer: Tokenizer, texts: list[str]) -> list[np.ndarray]:
    """Tokens of each text in the member's direction, as many as it can need."""
    most = CHARACTERS_PER_TOKEN * member.network.reading.max_tokens
    if member.direction == "backward":
        return [reverse_document(tokens) for tokens in encode(tokenizer, [text[-most:] for text in texts])]
    return encode(tokenizer, [text[:most] for text in texts])


def _normalise(logits_BC: Tensor, multilabel: bool) -> np.ndarray:
    return (logits_BC.sigmoid() if multilabel else logits_BC.softmax(dim=1)).numpy()
