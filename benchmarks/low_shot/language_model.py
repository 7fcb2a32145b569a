"""Stages of the low-shot study that train language models, by the pipeline's own stages.

`python -m benchmarks.low_shot.language_model generic`, once for all corpora, then `... domain CORPUS`, and
`... domain_all CORPUS` where all labels are many.
"""

from benchmarks.low_shot.paths import DOMAIN_ALL, FOR_ALL, GENERIC, TOKENIZER, TOKENS, home, params
from benchmarks.studies.recipes import HARDWARE, inside, recipe
from pipeline.base.process import run_stage
from stages import finetune_lm, pretrain


def main(what: str, *corpus: str) -> None:
    """Train the language model of the generic corpus, or that of a corpus's domain."""
    if what == "generic":
        generic()
    else:
        domain(*corpus, many=what == DOMAIN_ALL)


def generic() -> None:
    """Pretrain."""
    said = params()
    configs = {
        "model": recipe("model", {"recipe": said["model"]}),
        "pretrain": recipe("pretrain", said["pretrain"]),
        "hardware": HARDWARE,
    }
    with inside(GENERIC, configs, {}):
        pretrain.main("forward")


def domain(corpus: str, *, many: bool) -> None:
    """Fine-tune on the domain's text, for `many` labels or few."""
    said = params()
    tokens = {"tokens": said["finetune_lm_tokens"][corpus]}
    chosen = recipe("finetune_lm", said["finetune_lm_all" if many else "finetune_lm"] | tokens)
    configs = {"finetune_lm": chosen, "pretrain": recipe("pretrain", said["pretrain"]), "hardware": HARDWARE}
    links = {
        "models/tokenizer": TOKENIZER,
        "models/pretrained": GENERIC / "models/pretrained",
        f"{TOKENS}/generic": GENERIC / TOKENS / "generic",
    }
    if many:
        links[f"{TOKENS}/domain"] = home(corpus) / TOKENS / "domain"
    with inside(home(corpus) / FOR_ALL if many else home(corpus), configs, links):
        finetune_lm.main("forward")


if __name__ == "__main__":
    run_stage(main, trains=True)
