"""Our special tokens before the entries of somebody else's vocabulary, in the tokenizer and in the embeddings alike.

An imported model has a vocabulary of S + V: our S specials at 0 ... S - 1, then its own V entries in their order.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.base.errors import UserError
from pipeline.base.files import read_json
from pipeline.interop.huggingface.cleaning import without_cleaning

TOKENIZER = "tokenizer.json"


class Vocabulary:
    """The tokenizer.json of a `transformers` model, and how its numbers become ours."""

    def __init__(self, folder: Path, specials: Sequence[str]) -> None:
        """`specials`: our special tokens in the order of their numbers."""
        self.path, self.specials = folder / TOKENIZER, tuple(specials)
        if not self.path.is_file():
            raise UserError(
                f"{self.path}: no such file; make it with `transformers`: "
                "`AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)`"
            )
        self._content = read_json(self.path)
        try:
            self.kind = self._content["model"]["type"]
            self.number_of = {**_entries(self._content["model"]), **_added(self._content)}
        except (KeyError, TypeError) as error:
            raise UserError(f"{self.path}: is not a tokenizer of a known kind ({error}); fetch it again") from error
        if sorted(set(self.number_of.values())) != list(range(len(self.number_of))):
            raise UserError(f"{self.path}: its {len(self.number_of)} entries are not numbered one by one from 0")

    @property
    def ours(self) -> bool:
        """Whether our specials come first already: a model of ours that `ulmfit export` wrote."""
        return all(self.number_of.get(name) == number for number, name in enumerate(self.specials))

    @property
    def shift(self) -> int:
        """What is added to each number."""
        return 0 if self.ours else len(self.specials)

    def rows_of(self, meanings: Mapping[str, tuple[str, ...]]) -> list[int | None]:
        """For each of our specials the number, in this vocabulary, of the token that means the same; None for none."""
        found = [(name for name in meanings.get(special, ()) if name in self.number_of) for special in self.specials]
        return [self.number_of[name] if (name := next(names, None)) is not None else None for names in found]

    def shifted(self) -> str:
        """The tokenizer.json with our specials first; it cuts text into the same pieces.

        What it puts around a text, pads and truncates is left out: `<bos>` and `<eos>` come with the encoding. So is
        what the tokenizer of an exported classifier cleans: a long text is encoded in blocks, whose edges count.
        """
        content = {**self._content, "post_processor": None, "padding": None, "truncation": None}
        if self.ours:
            content["normalizer"] = without_cleaning(content.get("normalizer"))
        else:
            model = {**content["model"], **_shifted_model(content["model"], self.specials)}
            content["model"] = model
            content["added_tokens"] = [
                *(_special(number, name) for number, name in enumerate(self.specials)),
                *(self._shifted_token(token) for token in content["added_tokens"]),
            ]
            if model["type"] != "BPE" or model.get("ignore_merges"):
                content["pre_tokenizer"] = self._with_names_cut(content["pre_tokenizer"])
        return json.dumps(content, ensure_ascii=False, indent=2) + "\n"

    def _shifted_token(self, token: dict[str, Any]) -> dict[str, Any]:
        return {**token, "id": token["id"] + self.shift, "content": _renamed(token["content"], self.specials)}

    def _with_names_cut(self, pre_tokenizer: dict[str, Any] | None) -> dict[str, Any]:
        """Cut the names of special tokens after their first character, lest one that stands in a text be found whole.

        BPE finds only what it has merges for; the other kinds look whole strings up.
        """
        theirs = [token["content"] for token in self._content["added_tokens"] if token["special"]]
        names = sorted({*self.specials, *theirs, *(_renamed(name, self.specials) for name in theirs)})
        firsts = (f"{re.escape(name[0])}(?={re.escape(name[1:])})" for name in names if len(name) > 1)
        pattern = {"Regex": "|".join(firsts)}
        cut = {"type": "Split", "pattern": pattern, "behavior": "MergedWithPrevious", "invert": False}
        steps = [] if pre_tokenizer is None else [pre_tokenizer]
        return {"type": "Sequence", "pretokenizers": [*steps, cut]}


def _entries(model: dict[str, Any]) -> dict[str, int]:
    if model["type"] == "Unigram":
        return {piece: number for number, (piece, _) in enumerate(model["vocab"])}
    return dict(model["vocab"])


def _added(content: dict[str, Any]) -> dict[str, int]:
    return {token["content"]: token["id"] for token in content["added_tokens"]}


def _shifted_model(model: dict[str, Any], specials: tuple[str, ...]) -> dict[str, Any]:
    """The entries that have other numbers, or other names because we have one of that name."""
    if model["type"] == "Unigram":
        lowest = min(score for _, score in model["vocab"])  # a lower one would change what an unknown character costs
        ours = [[name, lowest] for name in specials]
        theirs = [[_renamed(piece, specials), score] for piece, score in model["vocab"]]
        unknown = model.get("unk_id")
        return {"vocab": ours + theirs, "unk_id": None if unknown is None else unknown + len(specials)}
    first = {name: number for number, name in enumerate(specials)}
    return {
        "vocab": first | {_renamed(name, specials): number + len(specials) for name, number in model["vocab"].items()}
    }


def _renamed(name: str, specials: tuple[str, ...]) -> str:
    """Two entries cannot have one name: their `<pad>` is not our `<pad>`, though its row of weights is copied."""
    return f"{name[:-1]}.original>" if name in specials else name


def _special(number: int, name: str) -> dict[str, Any]:
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": name, **plain, "special": True}
