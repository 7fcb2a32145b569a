"""Accuracy of the classifier by family and objective, from equal training tokens, on one task with several seeds.

Each language model goes the whole road with the recipes of its name: pretrain, finetune_lm, finetune_classifier, by the
stages themselves, in folders under --work. It reads what a run of the pipeline left in data/ and models/tokenizer. A
network that reads one way can also be classified without its mask, which costs a second classifier and no second
language model. Seeds move the first weights, the order and the noise; the labelled documents stay the same.

Choices between families belong on the validation part, the default; `--score test` is for numbers that are reported.
Finished rows are kept in benchmarks/results/families.json, finished language models in --work.

    python -m benchmarks.families --score test
    python -m benchmarks.families --only decoder --seeds 1 2 3 4 5 --pretrain-tokens 100000
"""

import argparse
import io
from collections.abc import Sequence
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from benchmarks.common import ROOT, in_own_process, kept, machines_line, print_table, workspace, write_drawing
from pipeline.base.errors import UserError
from pipeline.base.files import digest, read_json, sha256
from pipeline.base.process import run_stage
from pipeline.config.read import read_yaml
from pipeline.evaluation.decisions import carried, decided
from pipeline.inference.predictor import Predictor
from pipeline.linear import tfidf_lr
from pipeline.text.prepared import read_labels, read_texts
from stages import finetune_classifier, finetune_lm, pretrain, scratch

CONFIGS = ROOT / "configs"
CLASSIFIER, FROM_SCRATCH = "few_labels", "from_scratch"
LINEAR = "TF-IDF + logistic regression"


class Family(NamedTuple):
    """One row: a network, what it is trained to do, and how the classifier reads with it."""

    name: str
    # Of configs/model/.
    model: str
    # Of configs/pretrain/ and configs/finetune_lm/; None: no language model.
    recipe: str | None
    causal: bool | Literal["auto"] = "auto"


FAMILIES = (
    Family("decoder, causal", "decoder_small", "small"),
    Family("decoder, causal, without its mask", "decoder_small", "small", causal=False),
    Family("decoder, hybrid", "decoder_small", "small_hybrid"),
    Family("decoder, hybrid, without its mask", "decoder_small", "small_hybrid", causal=False),
    Family("decoder, prefix", "decoder_small", "small_prefix"),
    Family("decoder, prefix, without its mask", "decoder_small", "small_prefix", causal=False),
    Family("encoder, masked", "encoder_small", "small_masked"),
    Family("encoder, replaced tokens", "encoder_small", "small_replaced_tokens"),
    Family("encoder-decoder, spans", "encoder_decoder_small", "small_spans"),
    Family("AWD-LSTM, causal", "awd_lstm_small", "small_lstm"),
    Family("decoder, not pretrained", "decoder_small", None),
)


def configs_of(family: Family, seed: int, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The configs of the stages that this family goes through, the language model's first."""
    model, hardware = read_yaml(CONFIGS / f"model/{family.model}.yaml"), {"accelerator": "auto"}
    if family.recipe is None:
        recipe = read_yaml(CONFIGS / f"classifier/{FROM_SCRATCH}.yaml")
        return {"model": model, "scratch": recipe | {"seed": seed}, "hardware": hardware}
    first, second = (read_yaml(CONFIGS / kind / f"{family.recipe}.yaml") for kind in ("pretrain", "finetune_lm"))
    recipe = read_yaml(CONFIGS / f"classifier/{CLASSIFIER}.yaml")
    return {
        "model": model,
        "pretrain": first | {"tokens": options.pretrain_tokens, "seed": seed},
        "finetune_lm": second | {"tokens": options.domain_tokens, "seed": seed},
        "classifier": recipe | {"seed": seed, "causal": family.causal},
        "hardware": hardware,
    }


def classify(configs: dict[str, dict[str, Any]], folder: Path, data: Path, part: str) -> dict[str, Any]:
    """Go the road in `folder`, but for stages that are finished there, and score the classifier."""
    links = {name: data / name for name in ("data/tokens", "data/prepared", "models/tokenizer")}
    with chdir(workspace(folder, configs, links)), redirect_stdout(io.StringIO()):
        seconds = 0.0
        if "scratch" in configs:
            scratch.main("forward")
            classifier = Path("models/scratch")
        else:
            for stage, out in ((pretrain, "pretrained"), (finetune_lm, "domain")):
                if not (Path("models") / out / "forward/config.json").is_file():
                    stage.main("forward")
                name = stage.__name__.removeprefix("stages.")
                seconds += read_json(Path("results") / name / "forward/run.json")["seconds"]
            finetune_classifier.main("forward")
            classifier = Path("models/classifier/forward")
        texts, carried_NC, multilabel = documents(Path("data/prepared/task"), part)
        probabilities_NC = Predictor.load(classifier).predict_proba(texts)
        return scored(carried_NC, probabilities_NC, multilabel) | {"language_model_seconds": round(seconds)}


def classify_linearly(data: Path, part: str) -> dict[str, Any]:
    """The score of TF-IDF and logistic regression, which have no seed that matters."""
    task = data / "data/prepared/task"
    texts, carried_NC, multilabel = documents(task, "train")
    labels = carried_NC if multilabel else carried_NC.argmax(axis=1)
    spaced = read_json(task / "labels.json")["spaced"]
    fitted = tfidf_lr.fit(texts, labels, classes=carried_NC.shape[1], spaced=spaced)
    texts, carried_NC, _ = documents(task, part)
    return scored(carried_NC, fitted.predict_proba(texts), multilabel) | {"language_model_seconds": 0}


def documents(task: Path, part: str) -> tuple[list[str], np.ndarray, bool]:
    """Texts of a part, their labels as (N, C) booleans, and whether a text may carry several."""
    named = read_json(task / "labels.json")
    file, multilabel = task / f"{part}.parquet", bool(named["multilabel"])
    return list(read_texts(file)), carried(read_labels(file), len(named["labels"]), multilabel), multilabel


def scored(carried_NC: np.ndarray, probabilities_NC: np.ndarray, multilabel: bool) -> dict[str, Any]:
    """Share of the documents whose decision is right (all labels of it, where there may be several)."""
    right_N = (decided(probabilities_NC, multilabel) == carried_NC).all(axis=1)
    return {"documents": len(right_N), "accuracy": float(right_N.mean())}


def digests(data: Path, part: str) -> dict[str, str]:
    """What the rows read, by content."""
    names = [
        f"data/tokens/{role}/{half}/index.json" for role in ("generic", "domain") for half in ("train", "validation")
    ]
    names += [
        "models/tokenizer/tokenizer.json",
        "data/prepared/task/train.parquet",
        f"data/prepared/task/{part}.parquet",
    ]
    for name in names:
        if not (data / name).is_file():
            raise UserError(f"{data / name}: no such file; run the pipeline's data stages there (`dvc repro tokenise`)")
    if not read_labels(data / names[-1]):
        raise UserError(
            f"{data / names[-1]}: holds no documents; give the task a validation part, or take --score test"
        )
    return {name: sha256(data / name) for name in names}


def draw(accuracies: dict[str, list[float]], linear: float, documents: str) -> Figure:
    """A bar for each family's mean, a dot for each seed, a line for the linear model."""
    figure = Figure(figsize=(7.5, 1.2 + 0.34 * len(accuracies)))
    axes = figure.subplots()
    axes.barh(list(accuracies), [float(np.mean(seeds)) for seeds in accuracies.values()], color="#b8cbe0", height=0.65)
    for place, seeds in enumerate(accuracies.values()):
        axes.plot(seeds, [place] * len(seeds), "o", color="#1f4e79", markersize=4)
    axes.axvline(linear, color="#b4501e", linestyle="--", linewidth=1.2, label=LINEAR)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"accuracy on {documents}; a dot is a seed")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
    return figure


def options_of(words: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.families", description=__doc__.split("\n\n")[0])
    default = "(default: %(default)s)"
    parser.add_argument("--pretrain-tokens", type=int, default=245_760, help=f"on the generic corpus {default}")
    parser.add_argument("--domain-tokens", type=int, default=1_024_000, help=f"on the domain's text {default}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help=default)
    parser.add_argument("--score", choices=("validation", "test"), default="validation", help=f"which part {default}")
    parser.add_argument("--data", type=Path, default=ROOT, help="where a run left data/ and models/tokenizer (here)")
    parser.add_argument("--work", type=Path, default=ROOT / ".benchmarks/families", help="for language models (there)")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WORDS", help="rows whose name holds one of these; no drawing"
    )
    parser.add_argument("--again", action="store_true", help="classify anew; language models too, if --work is deleted")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/results.md")
    return parser.parse_args(words)


def main(*words: str) -> None:
    """Make what is missing, print mean and standard deviation over the seeds, draw docs/results/families.svg."""
    options = options_of(words)
    options.data, options.work = options.data.resolve(), options.work.resolve()
    families = [one for one in FAMILIES if not options.only or any(word in one.name for word in options.only)]
    if not families:
        raise UserError(f"--only: no such row; there is: {' | '.join(one.name for one in FAMILIES)}")
    read = digests(options.data, options.score)
    linear = linear_row(options, read)
    rows = [family_row(family, seed, options, read) for seed in options.seeds for family in families]
    by_family = {family.name: [row for row in rows if row["family"] == family.name] for family in families}
    accuracies = {name: [row["accuracy"] for row in seeds] for name, seeds in by_family.items()}

    table: list[tuple[Any, ...]] = [
        (name, float(np.mean(seeds)), spread(seeds), len(seeds), minutes(by_family[name]))
        for name, seeds in accuracies.items()
    ]
    table.append((LINEAR, linear["accuracy"], None, None, None))
    headers = ("family and objective", "accuracy", "sd", "seeds", "minutes of language model")
    print_table(headers, table, markdown=options.markdown)
    scored_on = f"{linear['documents']:,} {options.score} documents"
    labelled = len(read_labels(options.data / "data/prepared/task/train.parquet"))
    budget = f"{options.pretrain_tokens:,} generic and {options.domain_tokens:,} domain tokens"
    print(f"\nScored on {scored_on}; {labelled:,} labelled ones; {budget}.")
    print(machines_line([row["machine"] for row in rows]))
    if not options.only:
        print(f"drawn: {write_drawing('families', draw(accuracies, linear['accuracy'], scored_on))}")


def family_row(family: Family, seed: int, options: argparse.Namespace, read: dict[str, str]) -> dict[str, Any]:
    """The score of a family from one seed; the same language model has the same folder, whoever reads with it."""
    configs = configs_of(family, seed, options)
    model = {key: value for key, value in configs.items() if key not in ("classifier", "hardware")}
    folder = options.work / f"{family.recipe or FROM_SCRATCH}-{seed}-{digest([repr(model), repr(read)])[:12]}"
    print(f"seed {seed}: {family.name}", flush=True)

    def make() -> dict[str, Any]:
        found = in_own_process(classify, configs, folder, options.data, options.score)
        return {"family": family.name, "seed": seed, "part": options.score, **found}

    return kept("families", [configs, read], make, again=options.again)


def linear_row(options: argparse.Namespace, read: dict[str, str]) -> dict[str, Any]:
    """The same of the linear model."""

    def make() -> dict[str, Any]:
        return {"family": LINEAR, "part": options.score, **classify_linearly(options.data, options.score)}

    return kept("families", [LINEAR, read], make, again=options.again)


def spread(accuracies: list[float]) -> float | None:
    """Standard deviation over seeds, of a sample; None for one."""
    return float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None


def minutes(rows: list[dict[str, Any]]) -> str:
    """Mean time of training a row's language model."""
    return f"{np.mean([row['language_model_seconds'] for row in rows]) / 60:.1f}"


if __name__ == "__main__":
    run_stage(main, trains=True)
