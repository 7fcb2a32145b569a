"""Stage of the low-shot study: what classifiers start from (`python -m benchmarks.low_shot.start imdb domain`).

A copy of the language model, or for `scratch` of the tokenizer alone: so rows from scratch or from the pretrained model
depend on nothing that happens to another language model.
"""

import shutil

from benchmarks.low_shot.paths import DOMAIN_ALL, FOR_ALL, GENERIC, SCRATCH, TOKENIZER, home, start
from pipeline.base.errors import UserError
from pipeline.base.files import whole_folder
from pipeline.base.process import run_stage


def main(corpus: str, name: str) -> None:
    """Write the folder of a start."""
    models = {
        SCRATCH: TOKENIZER,
        "generic": GENERIC / "models/pretrained/forward",
        "domain": home(corpus) / "models/domain/forward",
        DOMAIN_ALL: home(corpus) / FOR_ALL / "models/domain/forward",
    }
    if name not in models:
        raise UserError(f'starts: "{name}" is none; take some of {", ".join(models)}')
    with whole_folder(start(corpus, name)) as out:
        shutil.copytree(models[name], out, dirs_exist_ok=True)


if __name__ == "__main__":
    run_stage(main)
