"""The resume state of a run, saved and loaded: megabytes per second, beside a bare `torch.save`.

Ours waits until the bytes are on the disk, and a killed run finds either the old state or the new one whole.

    python -m benchmarks.speed.checkpoint
"""

from benchmarks.speed.pairs import alternate, keep, options, ours, print_rows
from pipeline.base.process import run_stage

NAME = "checkpoint"


def main(*words: str) -> None:
    """Print both tables."""
    wanted = options(NAME, __doc__).parse_args(words)
    for key, name in (("save", "torch.save, not synchronised"), ("load", "torch.load")):
        rows = {"ours": key, name: f"plain_{key}"}
        contestants = [
            ours(each, "checkpoint", "--folder", str(wanted.work / f"checkpoint-{what}"), "--what", what)
            for each, what in rows.items()
        ]
        found = alternate(contestants, wanted.rounds)
        print_rows(found, key, "MB/s")
        keep(NAME, key, found)


if __name__ == "__main__":
    run_stage(main)
