"""Stage lsa: factorise the n-grams of the domain's text, for linear models (`python -m stages.lsa`)."""

from pathlib import Path

from threadpoolctl import threadpool_limits

from pipeline.base.files import read_json
from pipeline.base.process import run_stage
from pipeline.linear.space import learn_space, save_space
from pipeline.text.prepared import read_texts

OUT = Path("models/lsa")


def main() -> None:
    """Write models/lsa; without directions where there is little or no text."""
    spaced = bool(read_json(Path("data/prepared/task/labels.json"))["spaced"])
    texts = list(read_texts(Path("data/prepared/domain/train.parquet")))
    with threadpool_limits(1):  # equal bits on any number of processors
        space = learn_space(texts, spaced=spaced)
    save_space(OUT, space, spaced)
    if space is None:
        print(f"  {len(texts)} documents of the domain are too few, or share no words: there is no such linear model")
    else:
        terms, directions = space.basis_VR.shape
        print(f"  {terms:,} n-grams of {len(texts):,} documents in {directions} directions")


if __name__ == "__main__":
    run_stage(main)
