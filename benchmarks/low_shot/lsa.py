"""Stage of the low-shot study: latent semantic analysis of a corpus's unlabelled text.

`python -m benchmarks.low_shot.lsa imdb` runs the pipeline's stage lsa; and keeps, for a baseline, the features of all
documents of the task by scikit-learn, from all of the text (a truncated singular value decomposition of TF-IDF).
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from benchmarks.low_shot.paths import DOMAIN, home, params, task
from benchmarks.studies.recipes import inside
from pipeline.base.files import write_bytes
from pipeline.base.process import run_stage
from pipeline.text.prepared import read_texts
from stages import lsa as stage

PARTS = ("train", "validation", "test")
SPACE = "models/lsa"  # in the corpus's folder, by the pipeline's stage


def main(corpus: str) -> None:
    """Write the pipeline's space, and the features (N, D) of each part of the task, rows of length one."""
    with inside(home(corpus), {}, {"data/prepared/task": task(corpus)}):
        stage.main()
    said = params()["lsa"]
    text = list(read_texts(home(corpus) / DOMAIN / "train.parquet"))
    counts = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), max_features=said["terms"], dtype=np.float32)
    model = make_pipeline(counts, TruncatedSVD(said["dimensions"], random_state=said["seed"]))
    with threadpool_limits(1):  # equal bits on any number of processors
        model.fit(text)
        parts = {part: model.transform(list(read_texts(task(corpus) / f"{part}.parquet"))) for part in PARTS}
    features = {part: np.ascontiguousarray(normalize(one_ND), np.float32) for part, one_ND in parts.items()}
    write_bytes(file(corpus), save(features))


def file(corpus: str) -> Path:
    """Where a corpus's features are kept."""
    return home(corpus) / "lsa.safetensors"


def features(corpus: str) -> dict[str, np.ndarray]:
    """Features (N, D) of each part of the task."""
    return dict(load_file(file(corpus)))


if __name__ == "__main__":
    run_stage(main)
