"""Stages of the ablations that train language models, by the pipeline's own stages.

`python -m benchmarks.ablations.language_model pretrain forward|backward` reads the low-shot study's generic corpus with
a network that has layers to unfreeze; `... domain CORPUS NAME` fine-tunes on a corpus's text as `models` in params.yaml
says.
"""

import shutil
from pathlib import Path

from benchmarks.ablations.paths import BACKWARD, FORWARD, NO_PRETRAINING, NONE, changed, generic, model, params
from benchmarks.low_shot import paths as shared
from benchmarks.studies.networks import fresh, vocabulary_of
from benchmarks.studies.recipes import HARDWARE, inside, recipe
from pipeline.base.files import whole_folder
from pipeline.base.process import run_stage
from pipeline.interop.folders import save_language_model
from stages import finetune_lm
from stages import pretrain as stage

GENERIC_TOKENS = shared.GENERIC / shared.TOKENS / "generic"


def main(what: str, *words: str) -> None:
    """Train one of them."""
    if what == "pretrain":
        pretrain(*words)
    else:
        domain(*words)


def pretrain(direction: str) -> None:
    """The model that all others begin with, in one direction."""
    said = params()
    configs = {
        "model": recipe("model", {"recipe": said["model"]}),
        "pretrain": recipe("pretrain", said["pretrain"]),
        "hardware": HARDWARE,
    }
    links = {"models/tokenizer": shared.TOKENIZER, f"{shared.TOKENS}/generic": GENERIC_TOKENS}
    with inside(generic(direction), configs, links):
        stage.main(direction)


def domain(corpus: str, name: str) -> None:
    """A language model of a corpus's text."""
    folder, direction = model(corpus, name), BACKWARD if name == BACKWARD else FORWARD
    pretrained = generic(direction) / "models/pretrained"
    if name == NONE:
        with whole_folder(folder / "models/domain") as out:
            shutil.copytree(pretrained / direction, out / direction)
        return
    if name == NO_PRETRAINING:
        pretrained = untrained(corpus)
    links = {
        "models/tokenizer": shared.TOKENIZER,
        "models/pretrained": pretrained,
        f"{shared.TOKENS}/domain": shared.home(corpus) / shared.TOKENS / "domain",
        f"{shared.TOKENS}/generic": GENERIC_TOKENS,
    }
    chosen = changed("models", "finetune_lm", name) | {"tokens": params()["finetune_lm_tokens"][corpus]}
    configs = {"finetune_lm": chosen, "hardware": HARDWARE}
    with inside(folder, configs, links):
        finetune_lm.main(direction)


def untrained(corpus: str) -> Path:
    """A fresh network where a pretrained one is asked for."""
    folder = model(corpus, NO_PRETRAINING) / "untrained"
    network = fresh(params()["model"], vocabulary_of(GENERIC_TOKENS / "train"), seed=1)
    tokenizer = shared.TOKENIZER / "tokenizer.json"
    save_language_model(folder / FORWARD, network, direction=FORWARD, tokenizer=tokenizer)
    return folder


if __name__ == "__main__":
    run_stage(main, trains=True)
