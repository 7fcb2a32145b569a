"""Whether results/evaluate was made from the choices as they now stand; dvc.lock tells."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.config.chosen import read_choices
from pipeline.planning.made import CLASSIFIED, LOCK, file_read, files_of, made

CLASSIFIER, PRETRAINED = Path("models/classifier"), Path("data/pretrained")
# Stages that have made the results, each with a choice whose file it reads; {} is the direction. The network that is
# not pretrained has the shape of `model` too, where a finished one takes its place.
READ = (*CLASSIFIED, ("blend", "blend"), ("self_train@{}", "self_train"), ("scratch", "model"), ("scratch", "scratch"))
# The others between a text and the results.
BESIDE = ("tokenise@generic", "tokenise@domain", "tokenise@task", "lsa", "baselines", "evaluate")


def directions() -> list[str]:
    """Those whose classifiers the results are of, where the lock tells."""
    read = files_of("evaluate", "deps") if LOCK.is_file() else {}
    return [one for one in ("forward", "backward") if (CLASSIFIER / one).as_posix() in read]


def outdated(task: str) -> list[str]:
    """Why the results are not those of today's choices, in words; nothing where they are.

    A choice is named where a stage has read another file for it, or another content. Where none is, a stage is that
    has run again since, as in a `dvc repro` that was stopped. `hardware` changes no result. Without a lock only the
    task is compared.

    task: as the results tell it.
    """
    choices, evaluated = read_choices(), directions()
    found = [_changed("task", task, choices["task"])] if task != choices["task"] else []
    if not evaluated:
        return found
    read = [(stage.format(one), key) for stage, key in READ for one in evaluated]
    found += [
        _changed(key, file_read(stage, key), choices[key]) for stage, key in read if not made(stage, choices, key)
    ]
    for folder in map(Path, files_of("tokenizer", "deps")):
        if folder.parent == PRETRAINED and folder.name != choices["pretrained"]:
            found.append(_changed("pretrained", folder.name, choices["pretrained"]))
    if set(evaluated) != set(choices["directions"]):
        found.append(_changed("directions", " and ".join(evaluated), " and ".join(choices["directions"])))
    stages = dict.fromkeys([*(stage for stage, _ in read), *BESIDE])
    return list(dict.fromkeys(found)) or [f"{stage} has run again since" for stage in _run_again(stages)]


def _changed(key: str, was: str | None, now: str) -> str:
    return f"the file of {key} {now} has changed" if was == now else f"{key} was {was or 'another'} and is {now}"


def _run_again(stages: Iterable[str]) -> list[str]:
    """Those of whose last run another stage has not read what it left."""
    left = {path: (stage, md5) for stage in stages for path, md5 in files_of(stage, "outs").items()}
    read = [(path, md5) for stage in stages for path, md5 in files_of(stage, "deps").items() if path in left]
    return list(dict.fromkeys(left[path][0] for path, md5 in read if left[path][1] != md5))
