"""Stage tokenizer: learn a byte-level BPE vocabulary from a sample of the text (`python -m stages.tokenizer`)."""

from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.base.files import write_bytes, write_text
from pipeline.base.process import run_stage
from pipeline.config.chosen import choice, chosen, path_of
from pipeline.config.read import read_yaml
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.interop.huggingface.hub import model_folder
from pipeline.interop.huggingface.vocabulary import Vocabulary
from pipeline.text.prepared import count
from pipeline.text.sample import sample_blocks
from pipeline.text.specials import SPECIALS
from pipeline.text.tokenizer import encode, load, save, train

OUT = Path("models/tokenizer/tokenizer.json")
GENERIC, DOMAIN = (Path("data/prepared") / role / "train.parquet" for role in ("generic", "domain"))
MEASURED_BYTES = 1_000_000


def main() -> None:
    """Write models/tokenizer/tokenizer.json: trained here, or the one of the model that pretraining starts from."""
    # Only what says where a model is from is read: the rest of the pretrain config must not make a new tokenizer.
    pretrain = read_yaml(path_of("pretrain"))
    if pretrain.get("start") == "folder":
        take(Path("data/pretrained") / choice("pretrained") / "tokenizer.json")
    elif pretrain.get("start") == "huggingface":
        hub, revision = pretrain.get("hub"), pretrain.get("revision")
        put_ours_first(model_folder(choice("pretrained"), hub, revision, weights=False))
    else:
        learn(chosen("tokenizer", TokenizerConfig))


def take(path: Path) -> None:
    """Copy a finished tokenizer, byte for byte, since models know theirs by its checksum."""
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; put the language model's folder (with its tokenizer.json) into data/pretrained "
            f"and its name into `pretrained:` of configs/config.yaml"
        )
    tokenizer = load(path)
    write_bytes(OUT, path.read_bytes())
    print(f"  {tokenizer.get_vocab_size():,} entries, taken from {path.parent}")


def put_ours_first(folder: Path) -> None:
    """Write the tokenizer of a `transformers` model with our special tokens before its own entries."""
    vocabulary = Vocabulary(folder, SPECIALS)
    write_text(OUT, vocabulary.shifted())
    print(f"  {load(OUT).get_vocab_size():,} entries: our {len(SPECIALS)} special tokens, then the model's own")


def learn(config: TokenizerConfig) -> None:
    """Train on the generic corpus, and the domain's text if asked for; on the domain's alone if there is no other."""
    files = [GENERIC] if count(GENERIC) else []
    if (config.include_domain or not files) and count(DOMAIN):
        files.append(DOMAIN)
    if not files:
        raise UserError(
            "configs/config.yaml: there is no text to learn a tokenizer from; choose a data set for generic or domain"
        )
    print(f"  learning from at most {config.sample_megabytes:g} MB of {', '.join(str(file.parent) for file in files)}")
    tokenizer = train(sample_blocks(files, round(config.sample_megabytes * 1e6), config.seed), config)
    save(tokenizer, OUT)
    if tokenizer.get_vocab_size() < config.vocabulary:
        print(
            f"  fewer entries than `vocabulary: {config.vocabulary}`: no other pair occurs "
            f"`min_frequency: {config.min_frequency}` times in this text"
        )
    measured = list(sample_blocks(files, MEASURED_BYTES, config.seed))
    tokens = sum(map(len, encode(tokenizer, measured))) - 2 * len(measured)  # without <bos> and <eos>
    print(f"  {tokenizer.get_vocab_size():,} entries, {sum(map(len, measured)) / tokens:.2f} characters per token")


if __name__ == "__main__":
    run_stage(main)
