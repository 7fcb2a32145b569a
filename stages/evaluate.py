"""Stage evaluate: open the test part once and measure every system on it (`python -m stages.evaluate`)."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pipeline.base.files import read_json, write_json, write_text
from pipeline.base.process import run_stage
from pipeline.config.blend import FOLDER
from pipeline.config.chosen import chosen
from pipeline.config.hardware import HardwareConfig
from pipeline.config.self_train import FOLDER as STUDENT
from pipeline.evaluation.calibration import reliability
from pipeline.evaluation.decisions import carried, decided
from pipeline.evaluation.predictions import read_predictions, write_predictions
from pipeline.evaluation.summary import summarise
from pipeline.inference.predictor import Predictor, said
from pipeline.linear.artifact import load_blend
from pipeline.text.prepared import read_labels, read_texts
from pipeline.training.place import Place

TASK = Path("data/prepared/task")
CLASSIFIER, SCRATCH = Path("models/classifier"), Path("models/scratch")
OUT = Path("results/evaluate")


def main(name: str) -> None:
    """Write metrics, predictions, and the confusion and calibration of the pipeline; all empty without a test part.

    name: of the task in configs/dataset/, for whoever reads the results.
    """
    task = read_json(TASK / "labels.json")
    names, multilabel = task["labels"], task["multilabel"]
    texts, labels = list(read_texts(TASK / "test.parquet")), read_labels(TASK / "test.parquet")
    place = Place(chosen("hardware", HardwareConfig), "fp32")
    torch.set_num_threads(place.threads)

    def predict(folder: Path) -> np.ndarray:
        return said(Predictor.load(folder, device=place.device), texts, str(folder)).astype(np.float32)

    blend = load_blend(CLASSIFIER / FOLDER)
    directions = {direction: predict(CLASSIFIER / direction) for direction in blend.directions}
    network_NC = np.mean(list(directions.values()), axis=0)
    linear_NC = blend.said_by_linear(texts)
    blend_NC = pipeline_NC = blend.pooled(network_NC, linear_NC, multilabel)
    baselines = read_predictions("results/baselines/predictions.parquet").systems
    # A finished model brings its own network; the one without pretraining is always that of configs/model/.
    ours, fresh = (read_json(one / "config.json")["model"] for one in (CLASSIFIER / blend.directions[0], SCRATCH))
    beside = "scratch" if ours == fresh else "other_scratch"
    systems = {"pipeline": pipeline_NC, beside: predict(SCRATCH), **baselines}

    carried_NC = carried(labels, len(names), multilabel)
    members = directions if len(directions) > 1 else {}
    if linear_NC:
        alone = replace(blend.weights, network=0.0).pooled(network_NC, linear_NC, multilabel)
        members = {"network": network_NC, "linear": alone, **members}
    students = [CLASSIFIER / STUDENT / direction for direction in directions]
    if all((one / "config.json").is_file() for one in students):
        student_NC = np.mean([predict(one) for one in students], axis=0)
        systems["pipeline"] = pipeline_NC = blend.weights.with_student(student_NC, blend_NC, multilabel)
        members = {"student": student_NC, "teacher": blend_NC, **members}
    test = {"task": name, "documents": len(texts), "classes": len(names), "multilabel": multilabel}
    test |= {"transductive": task["transductive"]}
    write_json(OUT / "metrics.json", {"test": test, **summarise(carried_NC, systems, members, names, multilabel)})
    write_predictions(OUT / "predictions.parquet", labels, systems, multilabel)
    actual_predicted = [] if multilabel else confusion_rows(carried_NC, decided(pipeline_NC, multilabel), names)
    write_table(OUT / "confusion.csv", ("actual", "predicted"), actual_predicted)
    bins = reliability(carried_NC, pipeline_NC, multilabel)
    write_table(
        OUT / "calibration.csv",
        ("confidence", "accuracy", "count"),
        [(one.confidence, one.accuracy, one.count) for one in bins],
    )
    if not texts:
        print("  there is no test part: nothing was measured")


def confusion_rows(carried_NC: np.ndarray, decided_NC: np.ndarray, names: Sequence[str]) -> list[tuple[str, str]]:
    """The true and the decided class of each document, by name."""
    pairs = zip(carried_NC.argmax(axis=1), decided_NC.argmax(axis=1), strict=True)
    return [(names[true], names[predicted]) for true, predicted in pairs]


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a csv file."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([header, *rows])
    write_text(path, buffer.getvalue())


if __name__ == "__main__":
    run_stage(main, trains=True)
