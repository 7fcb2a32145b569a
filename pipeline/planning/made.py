"""Whether what the stages have left here was made from the choices as they now stand; dvc.lock tells."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal

from ruamel.yaml import YAML

from pipeline.base.errors import UserError
from pipeline.config.chosen import CHOICES, CONFIGS, FOLDERS, read_choices
from pipeline.config.read import read_yaml

LOCK = Path("dvc.lock")
FILE = re.compile(r"^    - path: (.+)\n(?:      .+\n)*?      md5: (\S+)$", re.MULTILINE)  # of a stage's deps or outs
# Training stage -> the stages before it, each with the choice whose file it reads; {} is the direction.
TEXT = (("prepare_generic", "generic"), ("tokenizer", "tokenizer"))
PRETRAINED = (*TEXT, ("pretrain@{}", "model"), ("pretrain@{}", "pretrain"))
ADAPTED = (*PRETRAINED, ("prepare_domain", "domain"), ("finetune_lm@{}", "finetune_lm"))
CLASSIFIED = (*ADAPTED, ("prepare_task", "task"), ("finetune_classifier@{}", "classifier"))
BEFORE = {
    "pretrain": TEXT,
    "finetune_lm": (*PRETRAINED, ("prepare_domain", "domain")),
    "finetune_classifier": (*ADAPTED, ("prepare_task", "task")),
    "self_train": (*CLASSIFIED, ("blend", "blend")),
    "scratch": (*TEXT, ("prepare_task", "task")),
}


def made(stage: str, choices: Mapping[str, Any], *keys: str) -> bool:
    """Whether the last run of a stage read the files of these choices, and as they are now.

    Without a lock nobody has run another.
    """
    if not LOCK.is_file():
        return True
    read = params_of(stage)
    files = [CONFIGS / FOLDERS[key] / f"{choices[key]}.yaml" for key in keys]
    return all(read.get(file.as_posix()) == read_yaml(file) for file in files)


def up_to_date(stage: str, *before: str) -> bool:
    """Whether the last run of a stage read what the last runs of those before it have left; yes without a lock."""
    if not LOCK.is_file():
        return True
    left = {path: md5 for one in before for path, md5 in files_of(one, "outs").items()}
    read = files_of(stage, "deps")
    return all(read.get(path) == md5 for path, md5 in left.items())


def file_read(stage: str, key: str) -> str | None:
    """The name that a choice had when a stage last ran; None where the lock does not say."""
    read = map(Path, params_of(stage))
    return next((file.stem for file in read if file.parent == CONFIGS / FOLDERS[key]), None)


def params_of(stage: str) -> dict[str, Any]:
    """Config file -> its content, as the last run of a stage read it; empty of one that never ran."""
    lines = _last_run(stage, "params")
    return YAML(typ="safe").load(dedent(lines)) if lines else {}


def files_of(stage: str, part: Literal["deps", "outs"]) -> dict[str, str]:
    """Path -> checksum of what the last run of a stage has read or left; empty of one that never ran."""
    return dict(FILE.findall(_last_run(stage, part)))


def _last_run(stage: str, part: Literal["params", "deps", "outs"]) -> str:
    """A part of what dvc.lock says of a stage, as it stands there; "" of one that never ran, or has no such part."""
    # Cut out, not parsed: all of the file takes half a second, and most of it are the files of code that stages read.
    found = re.search(rf"^  {re.escape(stage)}:\n((?:    .*\n)*)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    lines = re.search(rf"^    {part}:\n((?:    [ -] .*\n)*)", found[1], re.MULTILINE) if found else None
    return lines[1] if lines else ""


def read_by(stage: str, direction: str) -> list[tuple[str, str]]:
    """The stages before a training stage, as dvc.lock names them, each with the choice that it reads."""
    return [(before.format(direction), key) for before, key in BEFORE[stage]]


def require_made(stages: Iterable[tuple[str, str]], first: str) -> None:
    """Refuse what stages, given with the choice that each reads, have made of another choice than today's.

    first: the command that makes it anew, for the message.
    """
    choices = read_choices()
    for stage, key in stages:
        if not made(stage, choices, key):
            raise UserError(
                f"{CHOICES}: `{key}: {choices[key]}` is not, or no longer, what {stage} has read here; "
                f"run `{first}` first"
            )
