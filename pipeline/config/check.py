"""Validate every choice at once, before anything is paid for: files, keys, types, and what must fit together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.base.errors import UserError, suggest
from pipeline.config.choices import SCHEMAS, Choices
from pipeline.config.chosen import CHOICES, CONFIGS, FOLDERS, read_choices
from pipeline.config.dataset import DatasetConfig
from pipeline.config.finished import finished_model
from pipeline.config.language_model import PretrainConfig
from pipeline.config.read import load, parse
from pipeline.config.suitable import Reading, one_way, reading, unsuitable, wordless
from pipeline.config.summary import summary

RAW = Path("data/raw")
PRETRAINED = Path("data/pretrained")
DATASETS = ("generic", "domain", "task")


class Checked(NamedTuple):
    """One line of `configs/config.yaml` that is in order."""

    key: str
    path: Path
    summary: str


def check_all(
    values: Mapping[str, Any] | None = None, coming: Mapping[str, DatasetConfig] | None = None
) -> list[Checked]:
    """Validate the lines of `configs/config.yaml`, or `values` in their place, and every file behind them.

    `coming`: data sets by name that have neither a file nor a folder yet. Paths are relative to the repository root.
    Raises `UserError` for the first mistake.
    """
    choices = parse(Choices, dict(read_choices() if values is None else values), str(CHOICES))
    coming = coming or {}
    configs = {key: _load(key, getattr(choices, key), coming) for key in FOLDERS}

    _check_task(choices, configs)
    _check_raw_folders(choices, coming)
    _check_pretrained(choices, configs)
    _check_something_to_read(configs)
    _check_lengths(choices, configs)
    _check_objectives(choices, configs)
    _check_dropouts(choices, configs)

    lines = {key: Checked(key, _path(key, getattr(choices, key)), summary(configs[key])) for key in FOLDERS}
    model = "not used" if choices.pretrained == "none" else "the language model to start from"
    lines["pretrained"] = Checked("pretrained", PRETRAINED / choices.pretrained, model)
    lines["directions"] = Checked("directions", CHOICES, " and ".join(choices.directions))
    return [lines[key] for key in Choices.__dataclass_fields__]


def _load(key: str, name: str, coming: Mapping[str, DatasetConfig]) -> Any:
    """What a choice stands for."""
    return coming[name] if key in DATASETS and name in coming else load(SCHEMAS[key], _file(key, name))


def _path(key: str, name: str) -> Path:
    return CONFIGS / FOLDERS[key] / f"{name}.yaml"


def _file(key: str, name: str) -> Path:
    """The file behind a choice; a name without one is refused with the nearest there is."""
    path = _path(key, name)
    if not path.is_file():
        known = (file.stem for file in path.parent.glob("*.yaml"))
        raise UserError(f"{CHOICES}: `{key}: {name}` has no file {path}; {suggest(name, known)}")
    return path


def _check_task(choices: Choices, configs: Mapping[str, Any]) -> None:
    """The task needs labels."""
    if configs["task"].path == "none":
        raise UserError(f"{CHOICES}: `task: {choices.task}` holds no text; choose a data set with labels")
    if configs["task"].label is None:
        file = _file("task", choices.task)
        raise UserError(f"{file}: `label` is missing, and a task needs it; add a line `label: COLUMN`")


def _check_raw_folders(choices: Choices, coming: Mapping[str, DatasetConfig]) -> None:
    """DVC tracks each data set's folder, so it must be there, also where it only names a hub set."""
    for key in DATASETS:
        name = getattr(choices, key)
        folder = RAW / name
        if folder.is_dir() or name in coming:
            continue
        if folder.with_name(f"{name}.dvc").is_file():
            raise UserError(f"{folder}: is not on this machine; fetch it with `dvc pull {folder}`")
        raise UserError(
            f"{folder}: no such folder, and `{key}: {name}` needs it; "
            "put the files there (for a hub set, a note of where it is from)"
        )


def _check_pretrained(choices: Choices, configs: Mapping[str, Any]) -> None:
    """A folder to start from and the wish to start from one go together; a hub model takes the place of a folder."""
    folder, pretrain = PRETRAINED / choices.pretrained, configs["pretrain"]
    _check_hub(choices, pretrain)
    wanted = pretrain.start != "scratch" and pretrain.hub is None
    if wanted and choices.pretrained == "none":
        there = sorted(path.name for path in PRETRAINED.glob("*/") if path.name != "none")
        listed = f"there is: {', '.join(there)}" if there else f"put a model into {PRETRAINED}/NAME first"
        raise UserError(f"{CHOICES}: `pretrain: {choices.pretrain}` needs `pretrained: NAME` ({listed})")
    if not wanted and choices.pretrained != "none":
        raise UserError(
            f"{CHOICES}: `pretrained: {choices.pretrained}` is not used by `pretrain: {choices.pretrain}`; "
            "write `pretrained: none`, or choose `pretrain: from_folder`"
        )
    if not folder.is_dir():
        near = suggest(choices.pretrained, (path.name for path in PRETRAINED.glob("*/")))
        raise UserError(f"{CHOICES}: `pretrained: {choices.pretrained}` has no folder {folder}; {near}")
    direction = finished_model(pretrain.start, folder).direction if wanted else "forward"
    if pretrain.start != "scratch" and choices.directions != (direction,):
        model = f"the model in {folder}" if wanted else f"`hub: {pretrain.hub}`"
        raise UserError(
            f"{CHOICES}: `directions: [{', '.join(choices.directions)}]`, but {model} reads "
            f"{direction}; write `directions: [{direction}]`"
        )


def _check_hub(choices: Choices, pretrain: PretrainConfig) -> None:
    """A model of the hub is for one way to start, and a commit is one of a model."""
    file = _file("pretrain", choices.pretrain)
    if pretrain.hub is not None and pretrain.start != "huggingface":
        raise UserError(f"{file}: `hub: {pretrain.hub}` is not used by `start: {pretrain.start}`; drop the line")
    if pretrain.revision is not None and pretrain.hub is None:
        raise UserError(f"{file}: `revision: {pretrain.revision}` is of no use without `hub: NAME`; drop the line")


def _check_something_to_read(configs: Mapping[str, Any]) -> None:
    """A tokenizer is trained on the generic corpus or the domain's, or comes with a model."""
    if configs["pretrain"].start == "scratch" and configs["generic"].path == configs["domain"].path == "none":
        raise UserError(
            f"{CHOICES}: generic and domain are both none, which leaves nothing to train the tokenizer on; "
            "choose a data set for one of them"
        )


def _check_lengths(choices: Choices, configs: Mapping[str, Any]) -> None:
    """No stage may read further at once than the network has positions."""
    shape = (configs["model"].max_positions, str(_file("model", choices.model)))
    start: tuple[int, str] | None = shape
    if configs["pretrain"].hub is not None:
        start = None  # known when the model has been fetched; each stage looks again
    elif configs["pretrain"].start != "scratch":
        finished = finished_model(configs["pretrain"].start, PRETRAINED / choices.pretrained)
        start = (finished.positions, str(finished.where))
    # The comparison without pretraining always has the shape of configs/model/.
    for key, name, known in (
        ("pretrain", "length", start),
        ("finetune_lm", "length", start),
        ("classifier", "chunk_tokens", start),
        ("scratch", "chunk_tokens", shape),
    ):
        length = getattr(configs[key], name)
        unread = key == "pretrain" and configs[key].start != "scratch"
        if known is None or unread:
            continue
        positions, where = known
        if length > positions:
            raise UserError(
                f"{_file(key, getattr(choices, key))}: `{name}: {length}` is longer than `max_positions: {positions}` "
                f"of {where}; take at most {positions}"
            )


def _check_objectives(choices: Choices, configs: Mapping[str, Any]) -> None:
    """A network can only be trained to do what its family allows."""
    shape = (reading(configs["model"]), str(_file("model", choices.model)))
    start: tuple[Reading, str] | None = shape
    if configs["pretrain"].hub is not None:
        start = None  # as with lengths
    elif configs["pretrain"].start != "scratch":
        finished = finished_model(configs["pretrain"].start, PRETRAINED / choices.pretrained)
        start = (finished.reading, str(finished.where))
    trained = {"pretrain": configs["pretrain"].start == "scratch", "finetune_lm": configs["domain"].path != "none"}
    for key in (key for key, trains in trained.items() if trains):
        if start and (reason := unsuitable(configs[key].objective, start[0])):
            file = _file(key, getattr(choices, key))
            raise UserError(f"{file}: `objective: {configs[key].objective}` does not fit {start[1]}: {reason}")
        if start and configs[key].bag_of_words and (reason := wordless(start[0])):
            file = _file(key, getattr(choices, key))
            raise UserError(f"{file}: `bag_of_words` does not fit {start[1]}: {reason}; leave it 0")
    if all(trained.values()) and {configs[key].objective for key in trained} == {"replaced_tokens"}:
        _check_generator(choices, configs)
    for key, known in (("classifier", start), ("scratch", shape)):
        if known and configs[key].causal is False and (reason := one_way(known[0])):
            file = _file(key, getattr(choices, key))
            raise UserError(f"{file}: `causal: false` does not fit {known[1]}: {reason}; write `causal: auto`")


def _check_generator(choices: Choices, configs: Mapping[str, Any]) -> None:
    """The generator that pretraining leaves is the one that goes on in the domain."""
    made, wanted = (configs[key].generator_divisor for key in ("pretrain", "finetune_lm"))
    if made != wanted:
        raise UserError(
            f"{_file('finetune_lm', choices.finetune_lm)}: `generator_divisor: {wanted}`, but the generator comes from "
            f"{_file('pretrain', choices.pretrain)}, which has {made}; write `generator_divisor: {made}`"
        )


def _check_dropouts(choices: Choices, configs: Mapping[str, Any]) -> None:
    """`drop_mult` is one factor on all of the network's dropouts, and none can drop everything."""
    rates = {name: rate for name, rate in vars(configs["model"]).items() if name.endswith("dropout")}
    shape = (rates, str(_file("model", choices.model)))
    start = shape
    if configs["pretrain"].hub is not None:
        start = ({}, "")  # as with lengths
    elif configs["pretrain"].start != "scratch":
        finished = finished_model(configs["pretrain"].start, PRETRAINED / choices.pretrained)
        start = (finished.dropouts, str(finished.where))
    for key, (dropouts, where) in (
        ("pretrain", start),
        ("finetune_lm", start),
        ("classifier", start),
        ("scratch", shape),
    ):
        factor = 1.0 if configs[key].drop_mult == "auto" else configs[key].drop_mult
        name = max(dropouts, key=lambda name: dropouts[name], default="")
        if name and dropouts[name] * factor >= 1:
            raise UserError(
                f"{_file(key, getattr(choices, key))}: `drop_mult: {factor:g}` times `{name}: {dropouts[name]:g}` of "
                f"{where} is not below 1; take less than {1 / dropouts[name]:g}"
            )
