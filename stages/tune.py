"""The process of `ulmfit tune`: try a few settings of the classifier (`python -m stages.tune NAME CANDIDATES [FOLDS]`).

No stage of dvc.yaml: it writes a config, and a graph whose stages change what it depends on would never come to rest.
"""

from dataclasses import asdict
from pathlib import Path

from pipeline.base.files import write_text
from pipeline.base.process import run_stage
from pipeline.classifier.data import Task
from pipeline.classifier.network import classifier_network
from pipeline.config.blend import BlendConfig
from pipeline.config.chosen import choice, chosen, path_of
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.config.suitable import reading
from pipeline.evaluation.racing import Estimate
from pipeline.inference.candidates import Candidate, candidates, written
from pipeline.inference.tuning import Search, Unseen
from pipeline.inference.tuning_table import shown
from pipeline.interop.folders import load_language_model
from pipeline.text.prepared import read_texts
from pipeline.training.resume import ResumeFolder, weights_digest

TASK, TOKENS = Path("data/prepared/task"), Path("data/tokens/task")


def main(name: str, most: str, folds: str | None = None) -> None:
    """Try `most` candidates on the chosen task; write configs/classifier/NAME.yaml if one is better."""
    direction, config = choice("directions")[0], chosen("classifier", ClassifierConfig)
    model = Path("models/domain") / direction
    task = Task.open(TASK, TOKENS, reverse=direction == "backward")
    texts, validation = (list(read_texts(TASK / f"{part}.parquet")) for part in ("train", "validation"))
    unseen = Unseen.choose(task, texts, validation, chosen("blend", BlendConfig), int(folds) if folds else None)
    start = load_language_model(model)
    tried = candidates(config, reading(start.settings))[: int(most)]
    network = classifier_network(start.model, config, classes=len(task.labels))
    groups = [group for group, _ in network.layer_groups()]
    labels = ", ".join(task.labels[:4]) + (", ..." if len(task.labels) > 4 else "")
    print(f"{path_of('classifier')} on {choice('task')} ({len(task.labels)} labels: {labels}), {direction}")
    print(f"judged by {unseen.by}; the test set is not used", flush=True)
    depends = [repr(asdict(config)), weights_digest(network), task.tokenizer, repr(texts), repr(validation)]
    depends += [repr(part.tolist()) for part in (task.train.targets, task.validation.targets)]
    depends += [repr((train_N.tolist(), held_N.tolist())) for train_N, held_N in unseen.folds]
    with ResumeFolder(f"tune {choice('task')} {direction}", depends) as state:
        hardware = chosen("hardware", HardwareConfig)
        found = Search(config, hardware, model, task, unseen, tried, groups, state.path).run()
        if found is None:
            print(f"the present config stays the best ({path_of('classifier')}); nothing was written")
        else:
            write(name, *found, unseen.by)
        state.finish()


def write(name: str, candidate: Candidate, lead: Estimate, by: str) -> None:
    """The candidate's config, and how to use it."""
    present = path_of("classifier")
    path = present.with_name(f"{name}.yaml")
    changed, how = " and ".join(sorted(candidate.changes)), f"log loss {shown(lead, '+')}, judged by {by}"
    about = f"{present.stem} with another {changed}, chosen by `ulmfit tune` for {choice('task')} ({how})."
    write_text(path, written(present, candidate, about))
    print(f"{candidate.name}: log loss {shown(lead, '+')} against the present config. {path} is written; to use it:")
    print(f"  ulmfit use classifier={name}\n  dvc repro")


if __name__ == "__main__":
    run_stage(main, trains=True)
