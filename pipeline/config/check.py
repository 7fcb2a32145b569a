"""Validate every choice at once, before anything is paid for: files, keys, types, and what must fit together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.base.errors import UserError, suggest
from pipeline.config.choices import NAME, SCHEMAS, Choices
from pipeline.config.chosen import CHOICES, CONFIGS, FOLDERS, read_choices
from pipeline.config.dataset import DatasetConfig
from pipeline.config.finished import Finished, finished_model
from pipeline.config.language_model import PretrainConfig
from pipeline.config.read import load, parse
from pipeline.config.suitable import carried, one_way, reading, unspannable, unsuitable, wordless
from pipeline.config.summary import summary

RAW = Path("data/raw")
PRETRAINED = Path("data/pretrained")
DATASETS = ("generic", "domain", "task")
LANGUAGE_MODELS = ("pretrain", "finetune_lm")
TRAINED = (*LANGUAGE_MODELS, "classifier", "scratch")


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
    _check_names(choices)
    configs = {key: _load(key, getattr(choices, key), coming) for key in FOLDERS}

    _check_task(choices, configs)
    _check_raw_folders(choices, coming)
    _check_pretrained(choices, configs)
    _check_something_to_read(configs)
    networks = _networks(choices, configs)
    _check_lengths(choices, configs, networks)
    _check_objectives(choices, configs, networks)
    _check_dropouts(choices, configs, networks)
    _check_processes(choices, configs)

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


def _check_names(choices: Choices) -> None:
    """Names stand in commands that DVC has a shell run."""
    for key in (*FOLDERS, "pretrained"):
        name = getattr(choices, key)
        if not NAME.fullmatch(name):
            place = PRETRAINED / name if key == "pretrained" else _path(key, name)
            also = f" and {RAW / name}" if key in DATASETS else ""
            raise UserError(
                f"{CHOICES}: `{key}: {name}` cannot stand in a command; rename {place}{also}, with letters, digits, _, "
                ". and a - between them alone"
            )


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


def _trained(configs: Mapping[str, Any]) -> list[str]:
    """The stages that train anything, by the key of their config."""
    trains = {
        "pretrain": configs["pretrain"].start == "scratch" and configs["generic"].path != "none",
        "finetune_lm": configs["domain"].path != "none",
    }
    return [key for key in TRAINED if trains.get(key, True)]


def _networks(choices: Choices, configs: Mapping[str, Any]) -> dict[str, Finished]:
    """By stage that trains, what it trains: a finished model, or the shape in configs/model/, which has no weights yet.

    Nothing is said of other stages, nor of a model of the hub, which is known when it has been fetched: the stages that
    start from it look again.
    """
    model, pretrain = configs["model"], configs["pretrain"]
    rates = {name: rate for name, rate in vars(model).items() if name.endswith("dropout")}
    shape = Finished(model.max_positions, _file("model", choices.model), "forward", reading(model), rates)
    start: Finished | None = shape
    if pretrain.hub is not None:
        start = None
    elif pretrain.start != "scratch":
        start = finished_model(pretrain.start, PRETRAINED / choices.pretrained)
    # The comparison without pretraining always has the shape of configs/model/.
    networks = {"pretrain": start, "finetune_lm": start, "classifier": start, "scratch": shape}
    return {key: network for key in _trained(configs) if (network := networks[key]) is not None}


def _check_lengths(choices: Choices, configs: Mapping[str, Any], networks: Mapping[str, Finished]) -> None:
    """No stage may read further at once than the network has positions."""
    for key, network in networks.items():
        name = "length" if key in LANGUAGE_MODELS else "chunk_tokens"
        length = getattr(configs[key], name)
        if length > network.positions:
            raise UserError(
                f"{_file(key, getattr(choices, key))}: `{name}: {length}` is longer than `max_positions: "
                f"{network.positions}` of {network.where}; take at most {network.positions}"
            )


def _check_objectives(choices: Choices, configs: Mapping[str, Any], networks: Mapping[str, Finished]) -> None:
    """A network can only be trained to do what its family allows."""
    for key, network in networks.items():
        config, file = configs[key], _file(key, getattr(choices, key))
        if key not in LANGUAGE_MODELS:
            if config.causal is False and (reason := one_way(network.reading)):
                raise UserError(f"{file}: `causal: false` does not fit {network.where}: {reason}; write `causal: auto`")
            if config.overlap and (reason := carried(network.reading)):
                raise UserError(f"{file}: `overlap: {config.overlap}` does not fit {network.where}: {reason}")
            continue
        if reason := unsuitable(config.objective, network.reading):
            raise UserError(f"{file}: `objective: {config.objective}` does not fit {network.where}: {reason}")
        if config.bag_of_words and (reason := wordless(network.reading)):
            raise UserError(f"{file}: `bag_of_words` does not fit {network.where}: {reason}; leave it 0")
        if config.objective == "spans" and (
            reason := unspannable(config.mask_rate, config.span_length, config.length, network.positions)
        ):
            raise UserError(f"{file}: {reason}")
    trained = [key for key in LANGUAGE_MODELS if key in networks]
    if len(trained) == 2 and {configs[key].objective for key in trained} == {"replaced_tokens"}:
        _check_generator(choices, configs)


def _check_generator(choices: Choices, configs: Mapping[str, Any]) -> None:
    """The generator that pretraining leaves is the one that goes on in the domain."""
    made, wanted = (configs[key].generator_divisor for key in LANGUAGE_MODELS)
    if made != wanted:
        raise UserError(
            f"{_file('finetune_lm', choices.finetune_lm)}: `generator_divisor: {wanted}`, but the generator comes from "
            f"{_file('pretrain', choices.pretrain)}, which has {made}; write `generator_divisor: {made}`"
        )


def _check_dropouts(choices: Choices, configs: Mapping[str, Any], networks: Mapping[str, Finished]) -> None:
    """`drop_mult` is one factor on all of the network's dropouts, and none can drop everything."""
    for key, network in networks.items():
        factor = 1.0 if configs[key].drop_mult == "auto" else configs[key].drop_mult
        name = max(network.dropouts, key=lambda name: network.dropouts[name], default="")
        if name and network.dropouts[name] * factor >= 1:
            raise UserError(
                f"{_file(key, getattr(choices, key))}: `drop_mult: {factor:g}` times `{name}: "
                f"{network.dropouts[name]:g}` of {network.where} is not below 1; take less than "
                f"{1 / network.dropouts[name]:g}"
            )


def _check_processes(choices: Choices, configs: Mapping[str, Any]) -> None:
    """A step has work for every process. How many `devices: auto` are, the machine alone knows: one at least."""
    hardware = configs["hardware"]
    processes = hardware.nodes * (1 if hardware.devices == "auto" else int(hardware.devices))
    for key in _trained(configs):
        config, name, size, one = configs[key], "batch_documents", 1, "document"
        if key in LANGUAGE_MODELS:
            name, size, one = "batch_tokens", config.length, f"window of `length: {config.length}`"
        if (whole := getattr(config, name)) < processes * size:
            raise UserError(
                f"{_file(key, getattr(choices, key))}: `{name}: {whole}` is less than one {one} for each of the "
                f"{processes} processes of {_file('hardware', choices.hardware)}; take at least {processes * size}, or "
                f"at most {whole // size} devices in all"
            )
