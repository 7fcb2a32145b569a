"""Stage baselines: linear classifiers on the labels that the pipeline trains on (`python -m stages.baselines`)."""

from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.base.files import read_json, write_json
from pipeline.base.process import run_stage
from pipeline.base.progress import track
from pipeline.evaluation.decisions import carried
from pipeline.evaluation.predictions import write_predictions
from pipeline.linear import majority, nb_svm, tfidf_lr
from pipeline.text.prepared import read_labels, read_texts

TASK = Path("data/prepared/task")
OUT = Path("results/baselines")
BASELINES = {"majority": majority, "tfidf_lr": tfidf_lr, "nb_svm": nb_svm}


def main() -> None:
    """Train each baseline on the train part; write its predictions of the test part, and what it chose."""
    task = read_json(TASK / "labels.json")
    classes, multilabel = len(task["labels"]), task["multilabel"]
    texts, given = list(read_texts(TASK / "train.parquet")), read_labels(TASK / "train.parquet")
    labels = carried(given, classes, multilabel) if multilabel else np.asarray(given, dtype=np.int64)
    test_texts = list(read_texts(TASK / "test.parquet"))
    systems, settings = {}, {}
    with threadpool_limits(1):  # equal bits on any number of processors; sparse products use one anyway
        for name, baseline in track(BASELINES.items(), "baselines", len(BASELINES)):
            fitted = baseline.fit(texts, labels, classes=classes, spaced=task["spaced"])
            systems[name], settings[name] = fitted.predict_proba(test_texts), dict(fitted.settings)
    write_predictions(OUT / "predictions.parquet", read_labels(TASK / "test.parquet"), systems, multilabel)
    write_json(OUT / "metrics.json", {"documents": len(texts), "test_documents": len(test_texts), "settings": settings})


if __name__ == "__main__":
    run_stage(main)
