"""How long a command takes before it does anything: `--help`, the first prediction, a training stage, no change.

python -m benchmarks.speed.startup
"""

import subprocess
import sys
import time
from statistics import median

from benchmarks.common import ROOT, machine, machine_line, print_table
from benchmarks.speed import corpus
from benchmarks.speed.contestants.predict import write_classifier
from benchmarks.speed.pairs import keep, options
from pipeline.base.errors import UserError
from pipeline.base.process import run_stage
from pipeline.cli.main import COMMANDS

NAME = "startup"
ULMFIT = (sys.executable, "-m", "pipeline.cli.main")


def main(*words: str) -> None:
    """Print the table."""
    wanted = options(NAME, __doc__).parse_args(words)
    folder = wanted.work / "classifier"
    write_classifier(folder, corpus.tokenizer(wanted.data, wanted.work))
    text = wanted.work / "text.txt"
    text.write_text("What a fine film!\n", encoding="utf-8")
    commands: dict[str, tuple[str, ...]] = {f"ulmfit {name} --help": (*ULMFIT, name, "--help") for name in COMMANDS}
    commands = {"ulmfit --help": (*ULMFIT, "--help"), **commands}
    commands["ulmfit predict, one text"] = (*ULMFIT, "predict", "--model", str(folder), str(text))
    stages = ("pretrain", "finetune_lm", "finetune_classifier", "blend", "scratch", "evaluate")
    commands |= {f"stage {name}": (sys.executable, "-c", f"import stages.{name}") for name in stages}
    commands["python -c 'import torch'"] = (sys.executable, "-c", "import torch")
    if not run("dvc", "status", "--quiet"):
        commands["dvc repro, nothing changed"] = ("dvc", "repro", "--quiet")
    before = machine()
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(wanted.rounds):
        for name, command in commands.items():
            started = time.perf_counter()
            if run(*command):
                raise UserError(f"{name}: failed; run it by hand to see why")
            seconds[name].append(time.perf_counter() - started)
    print_table(("command", "seconds", "least", "most"), [(n, median(s), min(s), max(s)) for n, s in seconds.items()])
    if "dvc repro, nothing changed" not in commands:
        print("dvc repro: left out, because stages here have changed or never run (`dvc status`)")
    print(machine_line(before))
    keep(
        NAME,
        "seconds",
        {"machine": before, "commands": {n: {"median": median(s), "all": s} for n, s in seconds.items()}},
    )


def run(*command: str) -> int:
    """The exit status of a command in the repository's root."""
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    run_stage(main)
