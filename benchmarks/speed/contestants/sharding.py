"""Ours: the stage tokenise on prepared text, from parquet to token shards."""

import argparse
import io
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

from benchmarks.speed.turns import Turns
from stages import tokenise


def main() -> None:
    """Take turns; the amount is megabytes of UTF-8."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, required=True)
    options = parser.parse_args()
    turns = Turns("tokenizers")

    def turn() -> float:
        with chdir(options.workspace), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            tokenise.main("generic")
        return options.megabytes

    turns.serve(turn)


if __name__ == "__main__":
    main()
