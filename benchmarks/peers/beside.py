"""Neural peers beside the low-shot study: `python -m benchmarks.peers.beside`, from the rows that both have kept.

For each corpus and number of labels the test error of a peer in percent, mean and standard deviation over the draws of
labels that it has been run on, then our systems' on the same draws, and in brackets theirs divided by the peer's.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks.common import print_table, read_json
from benchmarks.low_shot.gather import RESULT
from benchmarks.peers.accuracy import PEERS
from benchmarks.studies.rows import percent, spread
from pipeline.base.errors import UserError
from pipeline.base.process import run_stage

# What a reader asks for -> the study's systems, of which each cell has the first that is there.
OURS = {"our network": ("domain", "domain_all"), "its student": ("student",), "our pipeline": ("taught", "blend")}


Drawn = dict[tuple[str, str], dict[str, float]]  # (corpus, labels) -> seed of a draw -> test error


def answered(peer: str, minutes_generic: float = 20, minutes_domain: float = 10, threads: int = 4) -> Drawn:
    """Test errors of a peer with a budget, in its shipped settings."""
    wanted = {"part": "test", "peer": peer, "words": []}
    wanted |= {"minutes_generic": minutes_generic, "minutes_domain": minutes_domain, "threads": threads}
    drawn: Drawn = defaultdict(dict)
    for one in read_json("peers").values():
        if wanted.items() <= one.items():
            drawn[one["corpus"], one["labels"]][str(one["seed"])] = one["error"]
    return drawn


def rows(drawn: Drawn, cells: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """A line of the table for each cell of the study that a peer has answered for."""
    lines = []
    for cell in cells:
        errors = drawn.get((cell["corpus"], cell["labels"]), {})
        seeds = sorted(errors)
        if not seeds:
            continue
        theirs = [errors[seed] for seed in seeds]
        line: list[Any] = [f"{cell['corpus']}, {cell['labels']} labels", len(seeds), shown(theirs)]
        for names in OURS.values():
            found = first_of(cell, names)
            line.append(found and shown([found["errors"][seed] for seed in seeds], beside=theirs))
        lines.append(line)
    return lines


def first_of(cell: dict[str, Any], names: Sequence[str]) -> dict[str, Any] | None:
    """The first of some systems that a cell of the study has."""
    return next((cell["systems"][name] for name in names if name in cell["systems"]), None)


def shown(errors: list[float], beside: list[float] | None = None) -> str:
    """Mean and standard deviation in percent, and the share of another mean."""
    mean, sd = spread(errors)
    text = percent({"mean": mean, "sd": sd})
    return text if beside is None else f"{text} ({mean / spread(beside)[0]:.2f})"


def main(*words: str) -> None:
    """Print the table of one peer and budget."""
    parser = argparse.ArgumentParser("python -m benchmarks.peers.beside", description=__doc__.split("\n\n")[1])
    default = "(default: %(default)s)"
    parser.add_argument("--peer", choices=PEERS, default="fastai", help=default)
    parser.add_argument("--minutes-generic", type=float, default=20, help=f"of the peer's pretraining {default}")
    parser.add_argument("--minutes-domain", type=float, default=10, help=f"of its domain fine-tuning {default}")
    parser.add_argument("--threads", type=int, default=4, help=f"of both {default}")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/results.md")
    options = parser.parse_args(words)
    drawn = answered(options.peer, options.minutes_generic, options.minutes_domain, options.threads)
    lines = rows(drawn, read_json(RESULT).get("cells", []))
    if not lines:
        raise UserError(f"no rows of {options.peer} with this budget stand beside the study's; make some by accuracy")
    print_table(("task", "draws", options.peer, *OURS), lines, markdown=options.markdown)


if __name__ == "__main__":
    run_stage(main)
