"""What each training stage of some choices trains, and on how much."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.base.files import read_json
from pipeline.classifier.data import LabelledDocuments, Task
from pipeline.classifier.network import ClassifierNetwork, classifier_network
from pipeline.classifier.student import reason_not_to, spread, taught, too_few
from pipeline.config.choices import SCHEMAS
from pipeline.config.chosen import CONFIGS, FOLDERS
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.config.language_model import LanguageModelConfig
from pipeline.config.read import load, parse
from pipeline.language_model.flops import Flops, language_model_flops
from pipeline.language_model.task import task_of
from pipeline.models.build import new_network
from pipeline.models.settings import LSTMSettings, ModelSettings, settings_schema
from pipeline.objectives.replaced_tokens import ReplacedTokenDetection
from pipeline.planning.cost import Update, partial_flops, update_cost
from pipeline.planning.prepared import MISSING, Prepared
from pipeline.planning.stage import Phase, Stage
from pipeline.shards.read import TokenCorpus
from pipeline.training.groups import parameter_groups

PRETRAINED = Path("data/pretrained")
CLASSES = 2  # of a task that is not prepared: a head's size says nothing beside a network's


def stages_of(choices: Mapping[str, Any]) -> list[Stage]:
    """The training stages of these choices (checked), in the order of the pipeline."""
    configs = {key: load(SCHEMAS[key], CONFIGS / FOLDERS[key] / f"{choices[key]}.yaml") for key in FOLDERS}
    prepared = Prepared(choices)
    vocabulary = prepared.vocabulary(configs["tokenizer"].vocabulary)
    settings: ModelSettings = configs["model"]
    start, why, unsure = settings, "", ""
    if configs["pretrain"].start == "folder":
        described = read_json(PRETRAINED / choices["pretrained"] / "config.json")
        start = parse(settings_schema, described["model"], f"{PRETRAINED / choices['pretrained']}/config.json, model")
        vocabulary, why = described["vocabulary"], f"taken from {PRETRAINED / choices['pretrained']}"
    elif configs["pretrain"].start == "huggingface":
        why, unsure = "taken from a finished model", f"shape of configs/model/{choices['model']}.yaml"
    elif configs["generic"].path == "none":
        why = "no generic corpus"
    no_domain = "no domain corpus" if configs["domain"].path == "none" else ""
    task = prepared.task()
    of_each_direction = [
        _language_model("pretrain", settings if why else start, vocabulary, configs["pretrain"], prepared, why),
        _language_model("finetune_lm", start, vocabulary, configs["finetune_lm"], prepared, no_domain, unsure),
        _classifier("finetune_classifier", start, vocabulary, configs["classifier"], task, unsure),
        _blend(start, vocabulary, configs, task, prepared, unsure),
        _student(start, vocabulary, configs, task, prepared, unsure),
    ]
    return [
        *(_repeated(stage, len(choices["directions"])) for stage in of_each_direction),
        _classifier("scratch", settings, vocabulary, configs["scratch"], task),
    ]


def _repeated(stage: Stage, times: int) -> Stage:
    """The same training, several times one after the other."""
    phases = [replace(phase, steps=times * phase.steps, tokens=times * phase.tokens) for phase in stage.phases]
    return replace(stage, phases=tuple(phases), read_only=times * stage.read_only)


def _language_model(
    name: str,
    settings: ModelSettings,
    vocabulary: int,
    config: LanguageModelConfig,
    prepared: Prepared,
    why_not: str,
    note: str = "",
) -> Stage:
    with torch.device("meta"):
        # Whole words need a tokenizer and cost the same.
        task = task_of(new_network(settings, vocabulary), replace(config, whole_words=False), Path(), None)
    steps = max(1, round(config.tokens / config.batch_tokens))
    groups = parameter_groups(task.trainee.layer_groups(), task.trainee.hidden_matrices(), config)
    phase = Phase(
        "", steps, steps * config.batch_tokens, language_model_flops(task.trainee, config), update_cost(groups)
    )
    validation = prepared.corpus({"pretrain": "generic", "finetune_lm": "domain"}[name], "validation")
    at_once = min(config.validation_tokens, config.validation_tokens if validation is None else validation.tokens)
    detects = isinstance(task.trainee, ReplacedTokenDetection)
    shapes = (task.trainee.generator.settings, settings) if detects else (settings,)
    return Stage(
        name=name,
        trainee=task.trainee,
        settings=shapes,
        config=config,
        vocabulary=vocabulary,
        sequences=config.batch_tokens // config.length,
        length=config.length,
        kept_length=config.length,
        phases=() if why_not else (phase,),
        read_only=at_once * (2 + (steps - 1) // config.validate_every),  # before, on the way, at the end
        scored=task.network.output_matrix().numel(),
        even=config.objective != "hybrid" and not isinstance(settings, LSTMSettings),
        note=why_not or note,
    )


def _blend(
    settings: ModelSettings,
    vocabulary: int,
    configs: Mapping[str, Any],
    task: Task | None,
    prepared: Prepared,
    note: str,
) -> Stage:
    """Trainings on all parts of the labelled documents but one, where no validation part judges the blend.

    Each training's network labels the documents that it has not seen and unlabelled ones; so does the finished one.
    """
    config, parts = configs["blend"], configs["blend"].folds
    why, known, read = "`weight: none`" if config.weight == "none" else "", None, 0
    if task is not None and len(task.validation) >= config.enough:
        why = f"{len(task.validation):,} validation documents judge the blend"
    elif task is not None:
        rows = np.arange(len(task.train))
        none = task.validation.subset(rows[:0])
        known = replace(task, train=task.train.subset(rows[rows % parts > 0]), validation=none)
        domain = None if task.multilabel else prepared.corpus("domain", "train")
        most = configs["classifier"].max_tokens
        read = _tokens(task.train, most) + (parts + 1) * (_tokens(domain, most, config.documents) if domain else 0)
    found = _classifier("blend", settings, vocabulary, configs["classifier"], known, note)
    if why:
        return replace(found, phases=(), note=why)
    return replace(_repeated(found, parts), alone=True, read_only=read)


def _student(
    settings: ModelSettings,
    vocabulary: int,
    configs: Mapping[str, Any],
    task: Task | None,
    prepared: Prepared,
    note: str,
) -> Stage:
    """Some of the domain's documents behind the labelled ones, which the teacher has read before."""
    config, domain = configs["self_train"], prepared.corpus("domain", "train")
    why, known, read = reason_not_to(config, multilabel=task is not None and task.multilabel), None, 0
    if configs["domain"].path == "none":
        why = "no domain corpus"
    elif why is None and task is not None and domain is not None:
        rows = np.array(spread(domain.documents, config.documents), dtype=np.int64)
        why = too_few(config, unlabelled=domain.documents, labelled=len(task.train))
        known = None if why else taught(task, domain, rows, np.zeros((len(rows), len(task.labels))))
        read = _tokens(domain, configs["classifier"].max_tokens, config.documents)
    found = _classifier(
        "self_train", settings, vocabulary, replace(configs["classifier"], epochs=config.epochs), known, note
    )
    return replace(found, phases=(), note=why) if why else replace(found, alone=True, read_only=read + found.read_only)


def _tokens(documents: LabelledDocuments | TokenCorpus, longest: int, most: int | None = None) -> int:
    """Of all documents, or of `most` of them spread evenly, each read to `longest` tokens."""
    lengths = documents.lengths if isinstance(documents, LabelledDocuments) else documents.lengths()
    chosen = spread(len(lengths), len(lengths) if most is None else most)
    return int(np.minimum(lengths[np.array(chosen, dtype=np.int64)], longest).sum())


def _classifier(
    name: str, settings: ModelSettings, vocabulary: int, config: ClassifierConfig, task: Task | None, note: str = ""
) -> Stage:
    with torch.device("meta"):
        network = classifier_network(new_network(settings, vocabulary), config, len(task.labels) if task else CLASSES)
    notes = [note, "" if task else MISSING]
    phases = tuple(_classifier_phases(network, config, task))
    at_once = _read(network, task.validation) if task and len(task.validation) else 0
    return Stage(
        name=name,
        trainee=network,
        settings=(network.backbone.settings,),
        config=config,
        vocabulary=vocabulary,
        sequences=config.batch_documents,
        length=config.max_tokens,
        kept_length=min(config.max_tokens, config.chunk_tokens * config.gradient_chunks),
        phases=phases,
        read_only=at_once * (len(phases) + 1),  # before, and after each phase
        note="; ".join(filter(None, notes)),
    )


def _classifier_phases(network: ClassifierNetwork, config: ClassifierConfig, task: Task | None) -> list[Phase]:
    """Each phase as the stage itself divides it; without a task what a token costs when all layers train."""

    def update(trains: tuple[str, ...] | None) -> Update:
        for name, parameters in network.layer_groups():
            for parameter in parameters:
                parameter.requires_grad_(trains is None or name in trains)
        return update_cost(parameter_groups(network.layer_groups(), network.hidden_matrices(), config))

    if task is None:
        return [Phase("all", 0, 0, partial_flops(network, config.chunk_tokens, None), update(None))]
    from pipeline.classifier.train import ClassifierTraining  # loads Lightning, which takes seconds

    training = ClassifierTraining(network, task.train, task.validation, config, HardwareConfig())
    lengths = np.minimum(task.train.lengths, config.max_tokens)
    again = _read(network, task.train) / float(lengths.sum()) / (1 - training.padding_share())
    shared = network.reading.trained_share(task.train.lengths)
    made = []
    for phase, batches in zip(*training.plan(), strict=True):
        flops = partial_flops(network, config.chunk_tokens, phase.groups, gradient_share=shared)
        flops = Flops(flops.forward * again, flops.backward * again)
        tokens = round(batches.documents * float(lengths.mean()))
        made.append(Phase(phase.name, phase.steps, tokens, flops, update(phase.groups)))
    return made


def _read(network: ClassifierNetwork, documents: LabelledDocuments) -> int:
    """Tokens that go through the network in one pass: what chunks overlap counts twice."""
    lengths = np.minimum(documents.lengths, network.reading.max_tokens)
    return int(network.reading.chunks(torch.from_numpy(lengths)).length_M.sum())
