"""The README's table: `python -m benchmarks.peers.summary`, from the rows that the low-shot study and its peers kept.

Test error in percent, mean and standard deviation over the draws of labels that each system was run on, as markdown;
the lowest mean of a line is bold. The linear model is the one with the lowest mean in its cell, chosen in hindsight.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.common import print_table, read_json
from benchmarks.low_shot.gather import RESULT
from benchmarks.peers.beside import OURS, Drawn, answered, first_of
from benchmarks.studies.labelled import ALL
from benchmarks.studies.rows import percent, spread
from pipeline.base.errors import UserError
from pipeline.base.process import run_stage

TITLES = {"agnews": "AG News", "trec": "TREC-6", "imdb": "IMDb"}  # in the table's order
NEURAL = {"fastai ULMFiT": "fastai", "Trainer, GPT-2": "transformers"}  # column -> its name among the peers
HEADERS = ("corpus", "labels", "from scratch", *NEURAL, *OURS, "best linear model")


def main() -> None:
    """Print it."""
    cells = read_json(RESULT).get("cells", [])
    if not cells:
        raise UserError("no rows are kept; run the study: `python -m benchmarks.studies.repro low_shot`")
    print_table(HEADERS, rows(cells, [answered(peer) for peer in NEURAL.values()]), markdown=True)


def rows(cells: Sequence[dict[str, Any]], peers: Sequence[Drawn]) -> Iterator[list[str]]:
    """A line for each cell; the corpus stands in its first one."""
    for corpus, title in TITLES.items():
        for cell in (one for one in cells if one["corpus"] == corpus):
            systems = cell["systems"]
            theirs = [list(drawn.get((corpus, cell["labels"]), {}).values()) for drawn in peers]
            found = [
                systems.get("scratch"),
                *(dict(zip(("mean", "sd"), spread(errors), strict=True)) if errors else None for errors in theirs),
                *(first_of(cell, names) for names in OURS.values()),
                systems.get(cell.get("best_linear")),
            ]
            best = min(one["mean"] for one in found if one)
            shown = [f"**{percent(one)}**" if one and one["mean"] == best else percent(one) for one in found]
            yield [title, f"{cell['train'] if cell['labels'] == ALL else int(cell['labels']):,}", *shown]
            title = ""


if __name__ == "__main__":
    run_stage(main)
