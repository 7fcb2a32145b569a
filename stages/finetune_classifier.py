"""Stage finetune_classifier: from language model to classifier (`python -m stages.finetune_classifier forward`)."""

from pathlib import Path

from pipeline.base.process import run_stage
from pipeline.classifier.data import Task
from pipeline.classifier.network import classifier_network
from pipeline.classifier.train import ClassifierRun
from pipeline.config.chosen import chosen
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.interop.folders import load_language_model


def main(direction: str, goal: str = "train") -> None:
    """Fine-tune the classifier; write models/classifier/DIRECTION."""
    config = chosen("classifier", ClassifierConfig)
    task = Task.open(Path("data/prepared/task"), Path("data/tokens/task"), reverse=direction == "backward")
    start = load_language_model(Path("models/domain") / direction)
    network = classifier_network(start.model, config, classes=len(task.labels))
    out, results = Path("models/classifier") / direction, Path("results/finetune_classifier") / direction
    run = ClassifierRun(out, results, task, start.tokenizer, direction, goal)
    run.train(network, config, chosen("hardware", HardwareConfig), f"finetune_classifier {direction}")


if __name__ == "__main__":
    run_stage(main, trains=True)
