"""`ulmfit predict`: label new texts with a trained classifier, from a file or standard input, block by block."""

import argparse
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pipeline.base.errors import UserError, suggest
from pipeline.base.files import COMPRESSED, disk_errors, endings, open_errors, read_json, whole_file
from pipeline.base.progress import Progress
from pipeline.config.chosen import read_choices
from pipeline.config.self_train import FOLDER as STUDENT
from pipeline.inference.folders import CONFIG, classifiers_in
from pipeline.inference.tables.formats import CHOICES, FORMATS, format_of
from pipeline.text.sources.files import open_binary

if TYPE_CHECKING:
    from pipeline.inference.predictor import Predictor
    from pipeline.inference.tables.base import Columns

CLASSIFIER = Path("models/classifier")  # of the stages
STANDARD_INPUT, STANDARD_OUTPUT = "standard input", "standard output"


def add_parser(subparsers: Any) -> None:
    """Add `predict` to the commands."""
    parser = subparsers.add_parser(
        "predict",
        help="label new texts with the trained classifier",
        description="Read texts, write the same rows with the columns `label` (`predicted_label` where the input has "
        "one) and `probability`. Lines of text come "
        "out as label<TAB>probability<TAB>text, the files of a folder as label<TAB>probability<TAB>name.",
    )
    parser.add_argument(
        "file",
        nargs="?",
        default="-",
        metavar="FILE",
        help=f"texts (also {', '.join(COMPRESSED)}), or a folder with one text per file; - or omitted: standard input",
    )
    parser.add_argument(
        "--model",
        metavar="FOLDER",
        help=f"folder of a classifier, or of one for each direction, which are averaged (default: {CLASSIFIER})",
    )
    parser.add_argument(
        "--text",
        action="append",
        metavar="COLUMN",
        help="column of the texts; given several times, their texts are joined (default: as in training)",
    )
    parser.add_argument(
        "--format",
        choices=CHOICES,
        help="format of input and output (default: by the ending of FILE; standard input is lines)",
    )
    parser.add_argument("--output", metavar="FILE", help="where to write; default: standard output")
    parser.add_argument("--all-probabilities", action="store_true", help="add probability_LABEL for every label")
    parser.add_argument(
        "--precision",
        choices=("fp32", "auto"),
        default="fp32",
        help="auto takes bf16 where the processor has it: faster, probabilities move by about 0.01 (default: fp32)",
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help="default: %(default)s")
    parser.add_argument(
        "--batch-tokens", type=_count, metavar="N", help="tokens that go through the model at once; default: by device"
    )


def run(args: argparse.Namespace) -> None:
    """Predict; a mistake in the input ends it with one line, and no half-written FILE is left."""
    from pipeline.inference.tables.choose import table

    if args.model is None:
        if not CLASSIFIER.is_dir():
            read_choices()  # says so where this is not the repository's root
        args.model = str(CLASSIFIER)
    name = STANDARD_INPUT if args.file == "-" else args.file
    form = args.format or ("lines" if args.file == "-" else format_of(args.file))
    _check_output(args.output, form)
    # Before the table, which would be told to lack the columns of a classifier that is not there.
    models = classifiers_in(Path(args.model))
    rows = table(name, args.text or trained_on(models), form)
    to_terminal = args.output is None and sys.stdout.isatty()
    if to_terminal and rows.binary:
        raise UserError("parquet is not for a terminal; add --output FILE")
    with _source(args.file, form) as source:
        # The first rows before the model, so that a wrong column is told at once: torch takes seconds to import.
        blocks = rows.blocks(source)
        first = next(blocks, None)
        if first is None:
            raise UserError(f"{name}: holds no texts")
        predictor = _load(args)
        rows.require_fields(predictor.labels)
        if predictor.multilabel:
            rows.require_apart(predictor.labels)
        with (
            _sink(args.output) as sink,
            nullcontext() if to_terminal else Progress("predict", None, "texts") as progress,
        ):
            try:
                for block in chain([first], blocks):
                    rows.write(sink, block, _columns(predictor, block.texts, args.all_probabilities))
                    sink.flush()
                    if progress is not None:
                        progress.update(len(block.texts), **_share(rows.bytes_read, source))
            finally:
                rows.finish()
    if predictor.documents_cut:
        cut = f"{predictor.documents_cut} texts are longer than the {predictor.max_tokens} tokens that are read of each"
        print(f"{cut} (`max_tokens` of the classifier's config)", file=sys.stderr)


def _load(args: argparse.Namespace) -> "Predictor":
    import torch

    from pipeline.base.processors import usable_processors
    from pipeline.inference.predictor import Predictor

    torch.set_num_threads(usable_processors())
    predictor = Predictor.load(args.model, device=args.device, precision=args.precision, batch_tokens=args.batch_tokens)
    if len(predictor.directions) > 1:
        print(f"{args.model}: averages {' and '.join(predictor.directions)}", file=sys.stderr)
    if predictor.blend is not None and predictor.blend.linear:
        share, names = predictor.blend.weights.linear_share, ", ".join(predictor.blend.linear)
        print(f"{args.model}: blended with linear models ({names}), whose share is {share:.2f}", file=sys.stderr)
    if predictor.students:
        alone = Path(args.model) / STUDENT
        print(f"{args.model}: with a student of these; `--model {alone}` is that alone, in less time", file=sys.stderr)
    return predictor


def _columns(predictor: "Predictor", texts: list[str], every: bool) -> "Columns":
    """`label` and `probability` of each text, as lists where it may carry several; of every label if asked for."""
    probabilities_NC = predictor.predict_proba(texts)
    labels = predictor.decide(probabilities_NC)
    number = {label: c for c, label in enumerate(predictor.labels)}
    columns: Columns = {"label": labels}
    if predictor.multilabel:
        columns["probability"] = [
            [float(row_C[number[label]]) for label in of_text]
            for row_C, of_text in zip(probabilities_NC, labels, strict=True)
        ]
    else:
        columns["probability"] = probabilities_NC.max(axis=1).tolist()
    if every:
        columns |= {f"probability_{label}": probabilities_NC[:, c].tolist() for label, c in number.items()}
    return columns


def trained_on(models: list[Path]) -> list[str]:
    """The columns whose texts made a document in training; of classifiers that do not say, `text`."""
    for folder in models:
        if "text" in (said := read_json(folder / CONFIG)):
            return list(said["text"])
    return ["text"]


def _check_output(file: str | None, form: str) -> None:
    """Refuse a name that tells another format than the one that will be written."""
    ending, packed = endings(file or "")
    if packed:
        raise UserError(f"{file}: the output is not compressed; leave out the {packed}")
    if FORMATS.get(ending, "lines") not in ("lines", form):
        written = "lines of text" if form in ("lines", "folder") else form
        raise UserError(f"{file}: would hold {written}, as the input does; give it another ending")


@contextmanager
def _source(file: str, form: str) -> Iterator[BinaryIO]:
    if form == "folder":
        yield io.BytesIO()  # its files are opened one after another
        return
    if file == "-":
        if sys.stdin.isatty():
            print("reading texts from the terminal, one a line; Ctrl-D ends them", file=sys.stderr)
        yield sys.stdin.buffer
        return
    path = Path(file)
    if path.is_dir():
        raise UserError(f"{file}: is a folder, each of whose files is a text; leave out --format")
    if not path.exists():
        known = (near.name for near in path.parent.glob("*") if near.is_file()) if path.parent.is_dir() else ()
        raise UserError(f"{file}: no such file; {suggest(path.name, known)}")
    with open_binary(path) as source:
        yield source


def _share(bytes_read: int, source: BinaryIO) -> dict[str, str]:
    """How much of the input has been read, where it is a file and neither packed nor a pipe."""
    size = os.fstat(source.fileno()).st_size if isinstance(source, io.BufferedReader) and source.seekable() else 0
    return {"read": f"{bytes_read / size:.0%}"} if size else {}


@contextmanager
def _sink(file: str | None) -> Iterator[BinaryIO]:
    if file is not None:
        path = Path(file).resolve()  # a link stays one
        with disk_errors(path):
            with open_errors(path):
                special = path.exists() and not path.is_file() and not path.is_dir()  # a pipe, or a device
                opened = path.open("wb") if special else None
            with opened or whole_file(path) as sink:
                yield sink
        return
    with disk_errors(Path(STANDARD_OUTPUT)):
        yield sys.stdout.buffer


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word} is not a count of tokens")
    return int(word)
