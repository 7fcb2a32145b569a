"""Ours: `TextClassifier.predict` on raw texts; many a turn, or one after the other."""

import argparse
import json
from pathlib import Path

from benchmarks.speed.contestants.classifier import training_of
from benchmarks.speed.turns import Turns
from pipeline.classifier.artifact import save_classifier


def write_classifier(folder: Path, tokenizer: Path) -> None:
    """An untrained classifier of six layers, as a run of the pipeline leaves a trained one."""
    network = training_of(["a", "b"], tokenizer).network
    save_classifier(folder, network, labels=("neg", "pos"), multilabel=False, direction="forward", tokenizer=tokenizer)


def main() -> None:
    """Take turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--classifier", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--precision", choices=("fp32", "auto"), default="auto")
    parser.add_argument("--one-by-one", action="store_true")
    options = parser.parse_args()
    turns = Turns("torch", "tokenizers")
    from pipeline.inference.predictor import Predictor

    texts = json.loads(options.texts.read_text(encoding="utf-8"))
    predictor = Predictor.load(options.classifier, precision=options.precision)

    def work() -> int:
        for part in [[text] for text in texts] if options.one_by_one else [texts]:
            predictor.predict(part)
        return len(texts)

    turns.serve(work)


if __name__ == "__main__":
    main()
