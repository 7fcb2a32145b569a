"""Stage finetune_lm: the pretrained language model on the domain's text (`python -m stages.finetune_lm forward`)."""

from pathlib import Path

from pipeline.base.process import run_stage
from pipeline.config.chosen import chosen
from pipeline.config.hardware import HardwareConfig
from pipeline.config.language_model import FinetuneConfig, PretrainConfig
from pipeline.interop.folders import load_language_model
from pipeline.language_model.spectral import align_embeddings, spectral_embeddings
from pipeline.language_model.train import Corpora, LanguageModelRun, embeddings_of, set_embeddings
from pipeline.models.build import Network
from pipeline.shards.read import TokenCorpus


def main(direction: str, goal: str = "train") -> None:
    """Fine-tune on the domain, or pass the model on where there is none; write models/domain/DIRECTION."""
    config = chosen("finetune_lm", FinetuneConfig)
    start = load_language_model(Path("models/pretrained") / direction)
    corpora = Corpora.open(Path("data/tokens/domain"))
    hardware = chosen("hardware", HardwareConfig)
    run = LanguageModelRun("finetune_lm", direction, config, hardware, corpora, start.tokenizer, goal)
    if corpora.train.documents == 0:
        why = "no domain corpus: the pretrained model is passed on"
        run.pass_on(start.model, why, start.companion, start.objective)
        return

    def move_towards_domain(network: Network) -> None:
        # The generic corpus that is chosen now is none of what a finished model was trained on.
        if chosen("pretrain", PretrainConfig).start != "scratch":
            print("  embeddings kept: how often a finished model has met each token is not known")
            return
        print("  embeddings moved towards the domain's co-occurrence spectrum")
        generic = TokenCorpus(Path("data/tokens/generic/train"))
        width = network.input_embeddings().embedding_dim
        spectral_VD = spectral_embeddings(corpora.train, width, passages=config.passages, seed=config.seed)
        set_embeddings(network, align_embeddings(embeddings_of(network), spectral_VD, generic, corpora.train))

    run.train(start.model, move_towards_domain if config.embeddings == "spectral" else None, start.companion)


if __name__ == "__main__":
    run_stage(main, trains=True)
