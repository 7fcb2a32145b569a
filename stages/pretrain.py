"""Stage pretrain: a language model on the generic corpus (`python -m stages.pretrain forward`)."""

from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.base.process import run_stage
from pipeline.config.chosen import choice, chosen
from pipeline.config.hardware import HardwareConfig
from pipeline.config.language_model import PretrainConfig
from pipeline.interop.folders import load_language_model
from pipeline.interop.huggingface.hub import model_folder
from pipeline.interop.huggingface.load import load_huggingface
from pipeline.language_model.spectral import spectral_embeddings
from pipeline.language_model.train import Corpora, LanguageModelRun, set_embeddings
from pipeline.models.build import Network, build
from pipeline.models.settings import settings_schema
from pipeline.text.specials import SPECIALS

TOKENIZER = Path("models/tokenizer/tokenizer.json")


def main(direction: str, goal: str = "train") -> None:
    """Train, or take a finished model from data/pretrained; write models/pretrained/DIRECTION."""
    config = chosen("pretrain", PretrainConfig)
    corpora = Corpora.open(Path("data/tokens/generic"))
    run = LanguageModelRun("pretrain", direction, config, chosen("hardware", HardwareConfig), corpora, TOKENIZER, goal)

    if config.start == "folder":
        folder = Path("data/pretrained") / choice("pretrained")
        taken = load_language_model(folder)
        if taken.direction != direction:
            raise UserError(
                f"{folder}: reads {taken.direction}; write `directions: [{taken.direction}]` in configs/config.yaml"
            )
        run.pass_on(taken.model, f"taken from {folder}", taken.companion, taken.objective)
        return
    if config.start == "huggingface":
        folder = model_folder(choice("pretrained"), config.hub, config.revision)
        loaded = load_huggingface(folder, SPECIALS, TOKENIZER)
        for note in loaded.notes:
            print(f"  {note}")
        run.pass_on(loaded.network, f"taken from {config.hub or folder}")
        return
    network = build(chosen("model", settings_schema), corpora.train.vocabulary, config.seed)
    if corpora.train.documents == 0:
        run.pass_on(network, "no generic corpus: an untrained network is passed on")
        return

    def start_from_spectrum(network: Network) -> None:
        print("  embeddings from the spectrum of the corpus's co-occurrence counts")
        width = network.input_embeddings().embedding_dim
        set_embeddings(network, spectral_embeddings(corpora.train, width, passages=config.passages, seed=config.seed))

    run.train(network, start_from_spectrum if config.embeddings == "spectral" else None)


if __name__ == "__main__":
    run_stage(main, trains=True)
