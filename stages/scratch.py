"""Stage scratch: the same network on the same labels without any pretraining (`python -m stages.scratch forward`)."""

from pathlib import Path

from pipeline.base.process import run_stage
from pipeline.classifier.data import Task
from pipeline.classifier.network import classifier_network
from pipeline.classifier.train import ClassifierRun
from pipeline.config.chosen import chosen
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.models.build import build
from pipeline.models.settings import settings_schema
from pipeline.shards.read import TokenCorpus

TOKENS = Path("data/tokens/task")


def main(direction: str, goal: str = "train") -> None:
    """Train the classifier from a fresh network; write models/scratch."""
    config = chosen("scratch", ClassifierConfig)
    task = Task.open(Path("data/prepared/task"), TOKENS, reverse=direction == "backward")
    fresh = build(chosen("model", settings_schema), TokenCorpus(TOKENS / "train").vocabulary, config.seed)
    network = classifier_network(fresh, config, classes=len(task.labels))
    tokenizer = Path("models/tokenizer/tokenizer.json")
    run = ClassifierRun(Path("models/scratch"), Path("results/scratch"), task, tokenizer, direction, goal)
    run.train(network, config, chosen("hardware", HardwareConfig), "scratch")


if __name__ == "__main__":
    run_stage(main, trains=True)
