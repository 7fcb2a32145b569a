"""`ulmfit generate`: let a language model continue a prompt or fill a gap, to see what it has learnt."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.base.errors import UserError
from pipeline.config.chosen import CHOICES, read_choices

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from pipeline.interop.folders import LoadedModel
    from pipeline.language_model.sampling import Sampling

GAP = "<mask>"
MODELS = Path("models")  # of the stages
DOMAIN = MODELS / "domain"


def add_parser(subparsers: Any) -> None:
    """Add `generate` to the commands."""
    parser = subparsers.add_parser(
        "generate",
        help="let a language model write, to see what it has learnt",
        description="Continue a prompt, each direction in its own: a backward model writes what comes before it. "
        f"Encoders and encoder-decoders fill the gap at {GAP} in the prompt. The same command gives the same text.",
    )
    parser.add_argument(
        "--model",
        metavar="FOLDER",
        help=f"folder of a language model, or of one for each direction (default: {DOMAIN})",
    )
    parser.add_argument("--prompt", default="", metavar="TEXT", help="default: nothing, the beginning of a document")
    parser.add_argument(
        "--tokens", type=_count, default=100, metavar="N", help="tokens to write at most (default: %(default)s)"
    )
    parser.add_argument("--samples", type=_count, default=3, metavar="N", help="texts to write (default: %(default)s)")
    parser.add_argument(
        "--temperature",
        type=float,
        default=0.8,
        metavar="X",
        help="1 draws from the model's own probabilities, less from the probable tokens more often, "
        "0 is --greedy (default: %(default)s)",
    )
    parser.add_argument(
        "--top-k",
        type=int,
        default=50,
        metavar="K",
        help="draw from the K most probable; 0: all (default: %(default)s)",
    )
    parser.add_argument(
        "--top-p",
        type=float,
        default=1.0,
        metavar="P",
        help="draw from the fewest tokens whose probabilities add up to P (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="random seed (default: %(default)s)")
    parser.add_argument("--greedy", action="store_true", help="write the most probable token each time, in one text")


def run(args: argparse.Namespace) -> None:
    """Print the texts, each under a heading where there are several."""
    if args.top_k < 0:
        raise UserError(f"top_k {args.top_k} must be 1 or more, or 0 for all; see `ulmfit generate --help`")
    if args.model is None and not DOMAIN.is_dir():
        read_choices()  # says so where this is not the repository's root
    folders = model_folders(Path(args.model or DOMAIN))

    import torch

    from pipeline.base.processors import usable_processors
    from pipeline.interop.folders import load_language_model
    from pipeline.text.tokenizer import load

    torch.set_num_threads(usable_processors())
    sampling = _sampling(args)
    samples = 1 if sampling.temperature == 0 else args.samples
    for folder in folders:
        model = load_language_model(folder)
        tokenizer = load(model.tokenizer)
        try:
            if model.settings.family == "decoder":
                texts = _continuations(model, tokenizer, args.prompt, args.tokens, sampling, samples)
            else:
                texts = [_gap(model, tokenizer, args.prompt, args.tokens)]
        except ValueError as error:
            raise UserError(f"{folder}: {error}") from error
        several = len(texts) * len(folders) > 1
        for number, text in enumerate(texts, start=1):
            shown = f"[{model.direction} {number}]\n{text}\n\n" if several else f"{text}\n"
            sys.stdout.buffer.write(shown.encode())
        sys.stdout.flush()


def model_folders(folder: Path) -> list[Path]:
    """`folder` itself if a model lies there, else its sub-folders that have one (one for each direction); sorted.

    Of what stages here have made, those of the directions chosen: another choice may have left one behind.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; train a language model (`dvc repro`) or name the folder of one")
    if (folder / "config.json").is_file():
        return [folder]
    folders = sorted(path.parent for path in folder.glob("*/config.json"))
    if folder.resolve().parent == MODELS.resolve() and CHOICES.is_file():
        directions = read_choices()["directions"]
        folders = [one for one in folders if one.name in directions]
    if not folders:
        raise UserError(f"{folder}: holds no language model; run `dvc repro`, or `dvc pull` to fetch a trained one")
    return folders


def _sampling(args: argparse.Namespace) -> "Sampling":
    from pipeline.language_model.sampling import Sampling

    temperature = 0.0 if args.greedy else args.temperature
    try:
        return Sampling(temperature, top_k=args.top_k or None, top_p=args.top_p, seed=args.seed)
    except ValueError as error:
        raise UserError(f"{error}; see `ulmfit generate --help`") from error


def _continuations(
    model: "LoadedModel", tokenizer: "Tokenizer", prompt: str, tokens: int, sampling: "Sampling", samples: int
) -> list[str]:
    """The prompt, as the tokenizer gives it back, with what the model writes after it, or before it if backward."""
    from pipeline.language_model.generation import generate
    from pipeline.language_model.samples import decode
    from pipeline.text.specials import BOS

    given = _tokens(tokenizer, prompt, model.direction)
    written = generate(model.model, [BOS, *given], tokens=tokens, sampling=sampling, samples=samples)
    return [decode(tokenizer, [*given, *one], model.direction) for one in written]


def _gap(model: "LoadedModel", tokenizer: "Tokenizer", prompt: str, tokens: int) -> str:
    """What most probably stands at the gap, one guess a line with its probability."""
    from pipeline.language_model.gaps import fill_mask, fill_span
    from pipeline.language_model.generation import CANNOT_CONTINUE
    from pipeline.language_model.samples import decode, in_text_order
    from pipeline.models.encoder_decoder import EncoderDecoder
    from pipeline.models.transformer import Transformer
    from pipeline.text.specials import BOS

    if model.companion is not None:
        raise ValueError("it was trained to tell replaced tokens from real ones (ELECTRA), and puts none into a gap")
    left, found, right = prompt.partition(GAP)
    if not found:
        raise ValueError(f'{CANNOT_CONTINUE[model.settings.family]}; mark a gap: --prompt "one {GAP} three"')
    # A space before the gap belongs to the token in it.
    first, second = in_text_order(left.removesuffix(" "), right, model.direction)
    before, after = (_tokens(tokenizer, part, model.direction) for part in (first, second))
    if isinstance(model.model, EncoderDecoder):
        guesses = [fill_span(model.model, [BOS, *before], after, tokens=tokens)]
    else:
        assert isinstance(model.model, Transformer)
        guesses = fill_mask(model.model, [BOS, *before], after, shifted=model.objective == "hybrid")
    return "\n".join(f"{one.probability:6.1%}  {decode(tokenizer, one.tokens, model.direction)}" for one in guesses)


def _tokens(tokenizer: "Tokenizer", text: str, direction: str) -> list[int]:
    """Tokens of a part of a text, without markers, in the order in which the model reads them."""
    from pipeline.text.tokenizer import encode

    tokens = encode(tokenizer, [text])[0][1:-1].tolist()
    return tokens[::-1] if direction == "backward" else tokens


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word} is not a count")
    return int(word)
