"""Saving and loading the state of a run: ours, which is on the disk when it returns, and `torch.save`."""

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.contestants.language_model import GPT2
from benchmarks.speed.turns import Turns
from pipeline.models.build import build
from pipeline.training.resume import ResumeFolder


def state_of_a_run() -> dict[str, Any]:
    """The network's weights and two moments of each, as AdamW keeps them."""
    weights = build(GPT2, 8192, seed=1).state_dict()
    moments = {name: {"mean": part.clone(), "square": part.clone()} for name, part in weights.items()}
    return {"network": weights, "optimizer": moments}


def works(folder: Path) -> dict[str, Callable[[], float]]:
    """What can be measured, by name; each returns its megabytes."""
    state = state_of_a_run()
    size = 3 * sum(part.numel() * part.element_size() for part in state["network"].values()) / 1e6
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    resume, file = ResumeFolder("benchmark", [], root=folder), folder / "plain.pt"
    steps = iter(range(10**9))

    def save() -> float:
        resume.save(0, next(steps), state)
        return size

    def load() -> float:
        resume.load()
        return size

    def plain_save() -> float:
        torch.save(state, file)
        return size

    def plain_load() -> float:
        torch.load(file, weights_only=True)
        return size

    resume.path.mkdir()
    save()
    plain_save()
    return {"save": save, "load": load, "plain_save": plain_save, "plain_load": plain_load}


def main() -> None:
    """Take turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--what", required=True)
    options = parser.parse_args()
    turns = Turns("torch")
    turns.serve(works(options.folder)[options.what])


if __name__ == "__main__":
    main()
