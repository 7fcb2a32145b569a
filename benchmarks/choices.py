"""Every choice of the model tree, each changed alone, trained on the same tokens from the same seed.

A row is the stage `pretrain` itself, in a process and a folder of its own: the recipe of configs/pretrain/small.yaml
from noise, on a small network and few tokens. The command fails if a row ends no better than a model that knows how
often each token occurs and nothing else. Finished rows are kept in benchmarks/results/choices.json;
after a change of the code, `--again` trains them anew.

    python -m benchmarks.choices
    python -m benchmarks.choices --only positions: attention: --again
"""

import argparse
import io
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np
import torch

from benchmarks.common import ROOT, in_own_process, kept, machines_line, print_table, workspace
from pipeline.base.errors import UserError
from pipeline.base.files import read_json, sha256
from pipeline.base.process import run_stage
from pipeline.batches.seeds import sequence_seeds
from pipeline.batches.windows import read_windows, validation_starts
from pipeline.config.chosen import chosen
from pipeline.config.language_model import Objective, PretrainConfig
from pipeline.config.read import read_yaml
from pipeline.interop.folders import load_language_model
from pipeline.language_model.task import task_of
from pipeline.language_model.train import VALIDATION, Corpora
from pipeline.models.settings import TransformerSettings
from pipeline.objectives.replaced_tokens import ReplacedTokenDetection
from pipeline.shards.read import TokenCorpus
from stages import pretrain

RECIPE = ROOT / "configs/pretrain/small.yaml"
LENGTH, BATCH_TOKENS = 128, 2048
HEADERS = ("choice", "parameters", "loss", "of each", "bits per byte", "tokens/s", "memory MB")
OF_EACH = {
    "causal": "token",
    "hybrid": "token",  # its causal part
    "masked": "masked token",
    "spans": "token of a span",
    "prefix": "token after a prefix",
    "replaced_tokens": "masked token (generator)",
}
# What a choice cannot be, or should not be compared, without. Post-LN trains at such rates only after a long climb
# (Xiong et al. 2020, section 3).
MASKED: dict[str, Any] = {"family": "encoder", "objective": "masked"}
NEEDS: dict[str, dict[str, Any]] = {
    "placement: post": {"warmup": 0.3},
    "family: encoder": {"objective": "masked"},
    "family: encoder_decoder": {"objective": "spans"},
    "share_layers: true": MASKED,
    "objective: masked": {"family": "encoder"},
    "objective: replaced_tokens": {"family": "encoder"},
    "objective: spans": {"family": "encoder_decoder"},
    "whole_words: true": MASKED,
}


class Choice(NamedTuple):
    """One row: a key set to a value, and what has to be set with it."""

    key: str
    value: Any
    needs: dict[str, Any]

    @property
    def name(self) -> str:
        """As in a config file, with the needs in brackets."""
        needs = ", ".join(_line(key, value) for key, value in self.needs.items())
        return _line(self.key, self.value) + (f" ({needs})" if needs else "")


def choices(width: int) -> list[Choice]:
    """The base, and every other value of every key that is a choice rather than a size; each setting once."""
    found = [Choice("base", "causal decoder", {})]
    for key, value in _alternatives(width):
        # A gated layer has three matrices: two thirds of the width give the same parameters (Shazeer 2020, section 2).
        gated = key == "activation" and "glu" in value
        choice = Choice(key, value, {"feedforward": 8 * width // 3} if gated else NEEDS.get(_line(key, value), {}))
        if {key: value, **choice.needs} not in [{one.key: one.value, **one.needs} for one in found]:
            found.append(choice)
    return found


def _alternatives(width: int) -> Iterator[tuple[str, Any]]:
    for key, kind in get_type_hints(TransformerSettings).items():
        default = getattr(TransformerSettings, key, None)
        values = (not default,) if kind is bool else get_args(kind) if isinstance(default, str) else ()
        yield from ((key, value) for value in values if value != default)
    yield from (("kv_heads", 1), ("embedding_width", width // 2), ("ngram_buckets", 65_536), ("backbone", "lstm"))
    yield from (("objective", name) for name in get_args(Objective) if name != "causal")
    yield from (("whole_words", True), ("embeddings", "spectral"), ("optimizer", "adamw"), ("direction", "backward"))


def _line(key: str, value: Any) -> str:
    return f"{key}: {str(value).lower()}"


def configs_of(choice: Choice, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The configs `model` and `pretrain` of a row."""
    width = options.width
    changes = {choice.key: choice.value, **choice.needs}
    recipe_keys = get_type_hints(PretrainConfig)
    shape = {"layers": options.layers, "width": width, "max_positions": LENGTH}
    if choice.value == "lstm":
        model = shape | {"backbone": "lstm", "hidden": 2 * width}
    else:
        own = {key: value for key, value in changes.items() if key in TransformerSettings.__dataclass_fields__}
        model = shape | {"heads": options.heads, "feedforward": 4 * width} | own
    # Measured at the start and at the end.
    steps = max(1, options.tokens // BATCH_TOKENS)
    budget = {"tokens": options.tokens, "batch_tokens": BATCH_TOKENS, "length": LENGTH, "embeddings": "noise"}
    often = {"validate_every": steps, "checkpoint_every": steps}
    recipe = {key: value for key, value in changes.items() if key in recipe_keys}
    return {"model": model, "pretrain": read_yaml(RECIPE) | budget | often | recipe}


def train(configs: dict[str, dict[str, Any]], direction: str, corpus: Path, tokenizer: Path) -> dict[str, Any]:
    """Run the stage in a folder that is thrown away; what came out."""
    configs = configs | {"hardware": {"accelerator": "cpu"}}
    links = {"data/tokens/generic": corpus, "models/tokenizer/tokenizer.json": tokenizer}
    with TemporaryDirectory() as folder, chdir(workspace(Path(folder), configs, links)):
        with redirect_stdout(io.StringIO()):
            pretrain.main(direction)
        results = Path("results/pretrain") / direction
        metrics, facts = read_json(results / "metrics.json"), read_json(results / "run.json")
        asked = metrics["objective"]
        return {
            "parameters": metrics["parameters"],
            "loss": generator_loss(direction) if asked == "replaced_tokens" else metrics["loss"],
            "of_each": OF_EACH[asked],
            "bits_per_byte": metrics.get("bits_per_byte"),
            "tokens_per_second": round(facts["tokens_per_second"]),
            "memory_mb": facts["peak_memory_mb"],
        }


@torch.no_grad()
def generator_loss(direction: str) -> float:
    """Nats per masked token of the generator of a finished run; the stage reports it and the detection as one sum."""
    config, validation = chosen("pretrain", PretrainConfig), Corpora.open(Path("data/tokens/generic")).validation
    start = load_language_model(Path("models/pretrained") / direction)
    losses = task_of(start.model, config, start.tokenizer, start.companion).losses
    assert isinstance(losses, ReplacedTokenDetection)
    losses.eval()
    starts, length = validation_starts(validation.tokens, config.length, config.validation_tokens)
    windows = torch.from_numpy(read_windows(validation, starts, length, reverse=direction == "backward"))
    seeds = torch.from_numpy(sequence_seeds(config.seed, VALIDATION, np.arange(len(windows))))
    total = torch.zeros(2, dtype=torch.float64)
    for windows_BT1, seeds_B in zip(windows.split(16), seeds.split(16), strict=True):
        nats, _, masked = losses.losses(windows_BT1, seeds_B)
        total += torch.stack([nats.double(), masked.double()])
    return float(total[0] / total[1])


def unigram_entropy(corpus: TokenCorpus) -> float:
    """Nats per token of a model that knows the frequencies of the tokens in this very text, and nothing else."""
    counts = np.bincount(corpus.read(0, corpus.tokens))
    shares = counts[counts > 0] / corpus.tokens
    return float(-(shares * np.log(shares)).sum())


def wanted(words: list[str], every: list[Choice]) -> list[Choice]:
    """Rows whose name holds one of the words; all without any."""
    found = [choice for choice in every if not words or any(word in choice.name for word in words)]
    if not found:
        raise UserError(f"--only {' '.join(words)}: no such row; there is: {' | '.join(c.name for c in every)}")
    return found


def options_of(words: tuple[str, ...]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.choices", description=__doc__.split("\n\n")[0])
    parser.add_argument("--tokens", type=int, default=409_600, help="training tokens of each row (default: 409600)")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--corpus", type=Path, default=ROOT / "data/tokens/generic", help="a tokenised corpus")
    parser.add_argument(
        "--tokenizer", type=Path, default=ROOT / "models/tokenizer/tokenizer.json", help="what tokenised it"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="WORDS", help="rows whose name holds one of these")
    parser.add_argument("--again", action="store_true", help="train finished rows anew")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/results.md")
    return parser.parse_args(words)


def main(*words: str) -> None:
    """Train what is missing, print the table, and fail if a row has not learnt more than frequencies."""
    options = options_of(words)
    if not (options.corpus / "train/index.json").is_file():
        raise UserError(
            f"{options.corpus}: holds no tokenised corpus; make the default with `dvc repro tokenise@generic`"
        )
    corpora = Corpora.open(options.corpus)
    text = [sha256(part.folder / "index.json") for part in (corpora.train, corpora.validation)]
    rows, some = {}, wanted(options.only, choices(options.width))
    for number, choice in enumerate(some, 1):
        print(f"[{number} of {len(some)}] {choice.name}", flush=True)
        configs, direction = configs_of(choice, options), "backward" if choice.key == "direction" else "forward"

        def make(
            configs: dict[str, Any] = configs, direction: str = direction, name: str = choice.name
        ) -> dict[str, Any]:
            return {"choice": name, **in_own_process(train, configs, direction, options.corpus, options.tokenizer)}

        rows[choice.name] = kept("choices", [configs, direction, text], make, again=options.again)

    columns = ("choice", "parameters", "loss", "of_each", "bits_per_byte", "tokens_per_second", "memory_mb")
    print_table(HEADERS, [[row[column] for column in columns] for row in rows.values()], markdown=options.markdown)
    entropy = unigram_entropy(corpora.validation)
    print(f"\nUnigram entropy of the validation text: {entropy:.3f} nats per token.")
    print(f"{options.tokens:,} tokens a row, {options.layers} layers, width {options.width}, {options.heads} heads.")
    print("Memory is the whole process's; tokens/s count the two measurements of the validation text in.")
    print(machines_line([row["machine"] for row in rows.values()]))
    if high := [name for name, row in rows.items() if row["loss"] >= entropy]:
        raise UserError(f"no better than the unigram entropy, {entropy:.3f} nats: {' | '.join(high)}")


if __name__ == "__main__":
    run_stage(main, trains=True)
