"""Stage baselines: linear classifiers on the labels that the pipeline trains on (`python -m stages.baselines`)."""

from pathlib import Path

import numpy as np

from pipeline.base.files import read_json, write_json
from pipeline.base.process import run_stage
from pipeline.base.progress import track
from pipeline.evaluation.decisions import carried
from pipeline.evaluation.predictions import write_predictions
from pipeline.linear import majority
from pipeline.linear.learners import Learners
from pipeline.linear.space import load_space
from pipeline.text.prepared import read_labels, read_texts

TASK = Path("data/prepared/task")
OUT = Path("results/baselines")


def main() -> None:
    """Train each baseline on the train part; write its predictions of the test part, and what it chose."""
    task = read_json(TASK / "labels.json")
    classes, multilabel = len(task["labels"]), task["multilabel"]
    texts, given = list(read_texts(TASK / "train.parquet")), read_labels(TASK / "train.parquet")
    labels = carried(given, classes, multilabel) if multilabel else np.asarray(given, dtype=np.int64)
    test_texts = list(read_texts(TASK / "test.parquet"))
    common = majority.fit(texts, labels, classes=classes, spaced=task["spaced"])
    systems, settings = {"majority": common.predict_proba(test_texts)}, {"majority": dict(common.settings)}
    learners = Learners(classes, task["spaced"], load_space(Path("models/lsa"), classes))
    for name in track(learners.names, "baselines", len(learners.names)):
        fitted = learners.fit([name], texts, labels)[name]
        systems[name], settings[name] = fitted.predict_proba(test_texts), dict(fitted.settings)
    write_predictions(OUT / "predictions.parquet", read_labels(TASK / "test.parquet"), systems, multilabel)
    write_json(OUT / "metrics.json", {"documents": len(texts), "test_documents": len(test_texts), "settings": settings})


if __name__ == "__main__":
    run_stage(main)
