"""`ulmfit export`: write a model of ours as a folder that `transformers` loads."""

import argparse
from pathlib import Path
from typing import Any

from pipeline.config.blend import FOLDER as BLEND
from pipeline.config.self_train import FOLDER as STUDENT


def add_parser(subparsers: Any) -> None:
    """Add `export` to the commands."""
    parser = subparsers.add_parser(
        "export",
        help="write a model as a folder that `transformers` loads",
        description="Write a language model or classifier whose network `transformers` has too (GPT-2, BERT, T5, "
        "LLaMA) as a folder for its `from_pretrained`; what it cannot say is refused with the reason.",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="for instance models/domain/forward")
    parser.add_argument("out", metavar="OUT", type=Path, help="the folder to write; it must not exist yet")


def run(args: argparse.Namespace) -> None:
    """Write the folder and say how it is loaded, and what else answers in the pipeline."""
    from pipeline.base.errors import UserError
    from pipeline.base.files import read_json

    if args.out.exists():
        raise UserError(f"{args.out}: exists already; name a folder that does not")
    models = sorted(path.parent.as_posix() for path in args.folder.glob("*/config.json") if path.parent.name != BLEND)
    if models and not (args.folder / "config.json").is_file():
        raise UserError(f"{args.folder}: holds models in folders of their own; export one of them: {', '.join(models)}")
    content = read_json(args.folder / "config.json")
    kind = content.get("kind") if isinstance(content, dict) else None
    architecture = (
        _classifier(args.folder, args.out) if kind == "classifier" else _language_model(args.folder, args.out)
    )
    print(f"{args.out}: load it with `transformers.{architecture}.from_pretrained({str(args.out)!r})`")
    if kind == "classifier" and (args.folder.parent / BLEND).is_dir():
        _tell_what_is_left_out(args.folder.parent)


def _tell_what_is_left_out(classifier: Path) -> None:
    from pipeline.linear.artifact import load_blend

    share = load_blend(classifier / BLEND).weights.linear_share
    if share:
        print(f"It is the network alone: linear models with a share of {share:.2f} stand beside it in {classifier}")
    if pupils := sorted(path.parent.as_posix() for path in (classifier / STUDENT).glob("*/config.json")):
        print(f"What they taught one network can be exported too: {', '.join(pupils)}")


def _language_model(folder: Path, out: Path) -> str:
    from pipeline.base.errors import UserError
    from pipeline.interop.folders import load_language_model
    from pipeline.interop.huggingface.export import export_language_model
    from pipeline.text.specials import SPECIALS

    loaded = load_language_model(folder)
    if loaded.companion is not None:
        raise UserError(
            f"{folder}: was trained to tell replaced tokens from real ones (ELECTRA), and the language models of "
            "`transformers` would fill in masked ones, which it never learnt; export a classifier made from it"
        )
    return export_language_model(
        out,
        loaded.model,
        direction=loaded.direction,
        tokenizer=loaded.tokenizer,
        specials=SPECIALS,
        where=str(folder),
    )


def _classifier(folder: Path, out: Path) -> str:
    from dataclasses import replace

    from pipeline.base.errors import UserError
    from pipeline.classifier.artifact import load_classifier
    from pipeline.inference.predictor import CHARACTERS_PER_TOKEN
    from pipeline.interop.huggingface.classifier import Readout, export_classifier
    from pipeline.models.settings import TransformerSettings
    from pipeline.text.specials import SPECIALS

    loaded = load_classifier(folder)
    network, settings = loaded.network, loaded.network.backbone.settings
    if network.head.hidden is not None:
        raise UserError(
            f"{folder}: its head has a hidden layer with a norm, which no classifier of `transformers` has; "
            "train with `head_width: 0`"
        )
    if isinstance(settings, TransformerSettings):  # the way out is not part of a classifier
        settings = replace(settings, tied=True, output_transform=False, output_bias=False)
    if network.pool_layers != "last":
        raise UserError(
            f"{folder}: its head reads all layers, and classifiers of `transformers` read the last; "
            "train with `pool_layers: last`"
        )
    reading, output = network.reading, network.head.output
    readout = Readout(
        pooling=network.pooling,
        weight_CD=output.weight.detach(),
        bias_C=output.bias.detach(),
        labels=loaded.labels,
        multilabel=loaded.multilabel,
        causal=reading.causal,
        longest=min(reading.chunk_tokens, reading.max_tokens),
    )
    architecture = export_classifier(
        out,
        settings,
        network.backbone.state_dict(),
        readout,
        direction=loaded.direction,
        tokenizer=loaded.tokenizer,
        specials=SPECIALS,
        where=str(folder),
    )
    print(
        f"The scores are equal for texts of up to {readout.longest} tokens; "
        "`transformers` does not read on beyond, so give it `truncation=True`"
    )
    most = loaded.max_characters
    if most is not None and most < CHARACTERS_PER_TOKEN * readout.longest:
        print(f"In training texts were cut at {most:,} characters, which `transformers` does not do; cut them before")
    return architecture
