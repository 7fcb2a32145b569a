"""What a study's params.yaml says: shipped configs, some of their keys replaced, and the folders that stages run in."""

from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.common import workspace
from pipeline.config.read import read_yaml

CONFIGS, RAW = Path("configs"), Path("data/raw")
HARDWARE = {"accelerator": "auto"}  # as configs/hardware/auto.yaml


def recipe(folder: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """The file of configs/FOLDER that `recipe` names, with the other keys of `said` in place of its own."""
    changed = {key: value for key, value in said.items() if key != "recipe"}
    return read_yaml(CONFIGS / folder / f"{said['recipe']}.yaml") | changed


def dataset(name: str) -> dict[str, Any]:
    """A shipped data set's config."""
    return read_yaml(CONFIGS / f"dataset/{name}.yaml")


def raw(name: str) -> dict[str, Path]:
    """Where a stage in a workspace looks for the files of a data set, and where they are."""
    return {"data/raw/chosen": RAW / name}


@contextmanager
def inside(folder: Path, configs: Mapping[str, Mapping[str, Any]], links: Mapping[str, Path]) -> Iterator[None]:
    """Stand in a `workspace`, in which a stage's `main` runs as it does in the repository's root."""
    with chdir(workspace(folder, configs, links)):
        yield
