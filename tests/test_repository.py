"""What holds for the repository as a whole: its rooms, its size, and every config that it ships."""

import ast
import doctest
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.check import check_all
from pipeline.config.choices import SCHEMAS, Choices
from pipeline.config.chosen import FOLDERS
from pipeline.config.read import load, read_yaml
from pipeline.config.suitable import OBJECTIVE_NAMES, reading, unsuitable, wordless
from pipeline.config.summary import summary
from tests.source import ROOT, imports, is_empty, sources, tree

# From the top of the house to the ground: a room imports from those after it, never from those before it.
ROOMS = [
    ("cli", "api", "estimator"),
    ("report",),
    ("inference",),
    ("evaluation",),
    ("planning",),
    ("classifier",),
    ("language_model",),
    ("training",),
    ("linear",),
    ("objectives",),
    ("batches",),
    ("text",),
    ("shards",),
    ("interop",),
    ("config",),
    ("models",),
    ("base",),
]
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
CODE = sources("pipeline", "stages")
SCHEMA_OF = {folder: SCHEMAS[key] for key, folder in FOLDERS.items()}
CONFIG_FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "configs").glob("*/*.yaml"))
PRESETS = [path for path in CONFIG_FILES if path.parent.name == "presets"]


def folder(name: str) -> list[Path]:
    """The files of one folder of configs/."""
    return [path for path in CONFIG_FILES if path.parent.name == name]


def room(path: Path) -> str:
    """The room of a file: the folder under pipeline/, or the name of a module that stands beside the rooms."""
    return path.parts[1].removesuffix(".py")


# The code.


def test_files_are_short_enough_to_be_read_in_one_sitting() -> None:
    most = {path: 100 if path.parts[0] == "stages" else 300 for path in CODE}
    lines = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in CODE}
    assert {str(path): lines[path] for path in CODE if lines[path] > most[path]} == {}


def test_imports_run_one_way_down_the_house() -> None:
    wrong = [
        f"{path} imports {other}"
        for path in CODE
        for other in imports(path)
        if not is_empty(other)
        and path.parts[0] == "pipeline"
        and not is_empty(path)
        and (other.parts[0] != "pipeline" or FLOOR[room(other)] < FLOOR[room(path)])
    ]
    assert wrong == []


def test_stages_use_the_library_and_neither_the_commands_nor_each_other() -> None:
    wrong = [
        f"{path} imports {other}"
        for path in CODE
        if path.parts[0] == "stages"
        for other in imports(path)
        if other.parts[0] == "stages" or room(other) in ROOMS[0]
    ]
    assert wrong == []


def test_models_import_nothing_of_ours_and_configs_only_what_a_model_declares() -> None:
    others = {path: [o for o in imports(path) if not is_empty(o) and room(o) != room(path)] for path in CODE}
    assert [path for path in CODE if path.parts[:2] == ("pipeline", "models") and others[path]] == []
    from_models = {o for path in CODE if path.parts[:2] == ("pipeline", "config") for o in others[path]}
    assert {str(o) for o in from_models if room(o) == "models"} == {"pipeline/models/settings.py"}


def _calls(path: Path) -> list[tuple[str, dict[str, ast.expr], int]]:
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            words = {word.arg: word.value for word in node.keywords if word.arg}
            found.append((ast.unparse(node.func), words, node.lineno))
    return found


def _runs_processes(node: ast.ImportFrom) -> bool:
    """joblib for processes of our own, and not for its files, which are pickles."""
    return node.module == "joblib" and {alias.name for alias in node.names} <= {"Parallel", "delayed"}


def test_no_file_is_read_in_a_way_that_could_run_code() -> None:
    wrong = []
    for path in CODE:
        for node in ast.walk(tree(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not _runs_processes(node):
                names += [node.module or ""]
            wrong += [
                f"{path}: {name}"
                for name in names
                if name.split(".")[0] in ("pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal")
            ]
        for name, words, line in _calls(path):
            safe = ast.unparse(words["weights_only"]) == "True" if "weights_only" in words else False
            if name == "torch.load" and not safe:
                wrong.append(f"{path}:{line}: torch.load without weights_only=True")
            if "allow_pickle" in words and ast.unparse(words["allow_pickle"]) != "False":
                wrong.append(f"{path}:{line}: allow_pickle")
            if name in ("eval", "exec"):
                wrong.append(f"{path}:{line}: {name}")
    assert wrong == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    place = re.compile(r"(?<![\w.~}>])/(?:home|root|Users|work|mnt|opt|srv)/|\b[A-Z]:\\\\\w")
    wrong = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in (".py", ".md", ".yaml", ".toml", ".lock", ".json", ".html", "") and path.is_file():
            text = path.read_text(encoding="utf-8")
            wrong += [f"{name}: {line.strip()[:80]}" for line in text.splitlines() if place.search(line)]
    assert wrong == []


def test_every_target_of_make_that_documents_and_messages_name_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        (str(path), target)
        for path in (*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md"), *(ROOT / path for path in CODE))
        for target in re.findall(r"(?:`|^)make ([\w./]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {target for _, target in named} >= {"install", "run", "test", "lint"}
    assert [(path, target) for path, target in named if target not in targets] == []


@pytest.mark.parametrize("path", CODE, ids=str)
def test_every_file_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree(path)) or not tree(path).body


@pytest.mark.parametrize("path", [path for path in CODE if ">>>" in (ROOT / path).read_text(encoding="utf-8")], ids=str)
def test_examples_in_docstrings_are_true(path: Path) -> None:
    module = import_module(".".join(path.with_suffix("").parts))
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


# The configs.


@pytest.mark.parametrize("path", [p for p in CONFIG_FILES if p not in PRESETS], ids=str)
def test_every_shipped_config_is_valid(path: Path) -> None:
    assert summary(load(SCHEMA_OF[path.parent.name], ROOT / path))


@pytest.mark.parametrize("path", CONFIG_FILES, ids=str)
def test_every_config_begins_with_what_it_is_for(path: Path) -> None:
    assert re.match(r"# \w.+[.:]\n", (ROOT / path).read_text(encoding="utf-8")), "the first line is a comment"


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_fits_together_and_says_all_but_whose_texts_they_are(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    preset, every = read_yaml(path), list(Choices.__dataclass_fields__)
    left = {key for key in every if key not in preset}
    assert left in (set(), {"domain", "task", "directions", "hardware"})
    assert [line.key for line in check_all(read_yaml(Path("configs/config.yaml")) | preset)] == every


@pytest.mark.parametrize("hardware", ["slurm", "torchrun"])
def test_on_several_machines_the_gpu_preset_has_work_for_every_process(
    hardware: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for a classifier, whose batches are evened out: of those that are not all, none has less than half."""
    monkeypatch.chdir(ROOT)
    choices = read_yaml(Path("configs/config.yaml")) | read_yaml(Path("configs/presets/gpu.yaml"))
    assert check_all(choices | {"hardware": hardware})
    place = load(SCHEMAS["hardware"], Path(f"configs/hardware/{hardware}.yaml"))
    for key in ("classifier", "scratch"):
        config = load(SCHEMAS[key], Path(f"configs/classifier/{choices[key]}.yaml"))
        assert config.batch_documents // 2 >= int(place.devices) * place.nodes, key


def test_the_choices_as_committed_are_the_default_preset() -> None:
    assert read_yaml(ROOT / "configs/config.yaml") == read_yaml(ROOT / "configs/presets/default.yaml")


# Every network and every recipe, shrunk until a step takes no time.

STEPS = 5


def shrunk(path: Path) -> Any:
    """A network of width 32 and two layers, or all where they are one, with all other settings of a model config."""
    from pipeline.models.build import build
    from pipeline.models.settings import LSTMSettings

    settings = load(SCHEMAS["model"], ROOT / path)
    if isinstance(settings, LSTMSettings):
        return build(replace(settings, layers=2, width=32, hidden=48), 300, seed=1)
    changes: dict[str, int | None] = {"width": 32, "heads": 2, "feedforward": 64, "max_positions": 64}
    changes |= {"layers": settings.layers if settings.share_layers else 2}
    changes |= {"kv_heads": settings.kv_heads and 1, "head_width": settings.head_width and 8}
    changes |= {"embedding_width": settings.embedding_width and 16}
    return build(replace(settings, **changes), 300, seed=1)


def a_network_for(recipe: Any) -> Any:
    """The first of the models in configs/ that a recipe can train, shrunk."""
    for network in (shrunk(path) for path in folder("model")):
        reads = reading(network.settings)
        if unsuitable(recipe.objective, reads) is None and not (recipe.bag_of_words and wordless(reads)):
            return network
    raise AssertionError("no model for this recipe")


def learns(network: Any, loss: Callable[[], Any], config: Any) -> None:
    """A few optimiser steps of a recipe on one batch lower the loss on it, and no parameter stays out."""
    import torch

    from pipeline.training.groups import parameter_groups
    from pipeline.training.optimiser import MuonAdamW
    from pipeline.training.schedules import rate

    groups = parameter_groups(network.layer_groups(), network.hidden_matrices(), config)
    optimizer = MuonAdamW(groups, config.beta1, config.beta2)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert sum(len(group["params"]) for group in groups) == len(trained)
    network.eval()
    before = loss().item()
    network.train()
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate(config, step, STEPS)
        optimizer.zero_grad()
        loss().backward()
        assert all(parameter.grad is not None for parameter in trained)
        optimizer.step()
    network.eval()
    with torch.no_grad():
        assert loss().item() < before


def language_model_task(network: Any, config: Any) -> tuple[Any, Callable[[], Any]]:
    """What trains under a recipe's objective, and its mean loss on one batch of noise."""
    import torch

    from pipeline.language_model.task import task_of

    task = task_of(network, replace(config, whole_words=False), Path("no tokenizer"), None)
    windows_BT1 = torch.randint(106, 300, (2, 17), generator=torch.Generator().manual_seed(1))
    seeds_B = torch.tensor([1, 2])
    return task.trainee, lambda: task.losses.loss_sum(windows_BT1, seeds_B) / (2 * task.losses.targets(16))


@pytest.mark.parametrize("path", folder("model"), ids=lambda path: path.stem)
def test_every_model_builds_without_its_weights(path: Path) -> None:
    import torch

    from pipeline.models.build import build

    settings = load(SCHEMAS["model"], ROOT / path)
    with torch.device("meta"):
        network = build(settings, 8192, seed=1)
    grouped = [parameter for _, parameters in network.layer_groups() for parameter in parameters]
    assert {id(p) for p in grouped} == {id(p) for p in network.parameters()}
    assert all(parameter.is_meta for parameter in grouped)


@pytest.mark.parametrize("path", folder("model"), ids=lambda path: path.stem)
def test_every_model_takes_training_steps(path: Path) -> None:
    network = shrunk(path)
    recipe = load(SCHEMAS["pretrain"], ROOT / "configs/pretrain/small.yaml")
    suited = next(name for name in OBJECTIVE_NAMES if unsuitable(name, reading(network.settings)) is None)
    recipe = replace(recipe, objective=suited)
    learns(*language_model_task(network, recipe), recipe)


@pytest.mark.parametrize("path", folder("pretrain") + folder("finetune_lm"), ids=lambda p: f"{p.parent.name} {p.stem}")
def test_every_language_model_recipe_takes_training_steps(path: Path) -> None:
    recipe = load(SCHEMA_OF[path.parent.name], ROOT / path)
    learns(*language_model_task(a_network_for(recipe), recipe), recipe)


@pytest.mark.parametrize("path", folder("classifier"), ids=lambda path: path.stem)
def test_every_classifier_recipe_takes_training_steps(path: Path) -> None:
    import torch
    from torch.nn import functional

    from pipeline.classifier.network import classifier_network

    config = load(SCHEMAS["classifier"], ROOT / path)
    small = replace(config, chunk_tokens=16, overlap=0, max_tokens=64)
    network = classifier_network(shrunk(folder("model")[0]), small, classes=3)
    tokens_BT = torch.randint(0, 300, (3, 40), generator=torch.Generator().manual_seed(1))
    lengths_B, seeds_B, targets_B = torch.tensor([40, 17, 3]), torch.tensor([1, 2, 3]), torch.tensor([0, 1, 2])
    learns(network, lambda: functional.cross_entropy(network(tokens_BT, lengths_B, seeds_B=seeds_B), targets_B), config)
