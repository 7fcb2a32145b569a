"""Stage lsa: factorise the n-grams of the domain's text, for linear models (`python -m stages.lsa`)."""

from itertools import islice
from pathlib import Path

from threadpoolctl import threadpool_limits

from pipeline.base.files import read_json
from pipeline.base.process import run_stage
from pipeline.linear.space import DOCUMENTS, learn_space, save_space
from pipeline.text.prepared import count, read_texts

OUT, DOMAIN = Path("models/lsa"), Path("data/prepared/domain/train.parquet")


def main() -> None:
    """Write models/lsa; without directions where there is little or no text."""
    spaced = bool(read_json(Path("data/prepared/task/labels.json"))["spaced"])
    there = count(DOMAIN)
    # Those that `learn_space` would pick of all, which need not fit in memory.
    texts = list(islice(read_texts(DOMAIN), 0, None, max(1, -(-there // DOCUMENTS))))
    with threadpool_limits(1):  # equal bits on any number of processors
        space = learn_space(texts, spaced=spaced)
    save_space(OUT, space, spaced)
    if space is None:
        print(f"  {there} documents of the domain are too few, or share no words: there is no such linear model")
    else:
        terms, directions = space.basis_VR.shape
        print(f"  {terms:,} n-grams of {there:,} documents in {directions} directions")


if __name__ == "__main__":
    run_stage(main)
