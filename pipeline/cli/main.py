"""The command `ulmfit`: finds the command named first and imports that one alone, so that it starts at once."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from pipeline.base.errors import UserError, suggest
from pipeline.base.files import FULL
from pipeline.base.process import share_cores, with_one_line_errors

# Command -> its module in pipeline/cli (`add_parser(subparsers)` and `run(args)`) and its line in the overview.
COMMANDS = {
    "new-task": ("new_task", "take in a file of labelled texts as a task of your own"),
    "use": ("use", "choose a preset, or one alternative at a time"),
    "check": ("check", "validate every choice before anything runs"),
    "plan": ("plan", "what training will cost, before it is paid for"),
    "lr-find": ("lr_find", "look for a learning rate of a stage: a picture and a suggestion"),
    "tune": ("tune", "look for better settings of the classifier by cross-validation"),
    "results": ("results", "print the results beside the baselines"),
    "predict": ("predict", "label new texts with the trained classifier"),
    "generate": ("generate", "let a language model write, to see what it has learnt"),
    "export": ("export", "write a model as a folder that `transformers` loads"),
}

OVERVIEW = """\
ulmfit: pretrain, fine-tune, classify

The usual order of work:
  ulmfit new-task FILE --text COLUMN --label COLUMN
  ulmfit check
  dvc repro
  ulmfit results
  ulmfit predict FILE

Commands (`ulmfit COMMAND --help` explains one):
{commands}

Options:
  --debug   print the traceback of an error (as ULMFIT_DEBUG=1 does)
  --help    print this"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; a `UserError` becomes one line and exit code 1."""
    words = list(sys.argv[1:] if argv is None else argv)
    if "--debug" in words:
        words = [word for word in words if word != "--debug"]
        os.environ["ULMFIT_DEBUG"] = "1"
    try:
        with_one_line_errors(_printed, *words)
    except BrokenPipeError:
        # The reader has seen enough (`ulmfit predict ... | head`): end quietly.
        _drop_output()
        sys.exit(1)


def _printed(*words: str) -> None:
    """Run one command to the last of what it prints; a full disk below standard output is a `UserError`."""
    try:
        _run(*words)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in FULL:
            raise
        _drop_output()
        raise UserError("standard output: the disk is full; free some space and run again") from error


def _drop_output() -> None:
    """Give what is still to be printed to nobody, where Python would fail over it once more as it closes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(*words: str) -> None:
    if not words or words[0] in ("-h", "--help", "help"):
        print(OVERVIEW.format(commands="\n".join(f"  {name:<9} {line}" for name, (_, line) in COMMANDS.items())))
        return
    name = words[0]
    if name not in COMMANDS:
        raise UserError(f"no command `{name}`; {suggest(name, COMMANDS)}")
    share_cores()
    module = import_module(f"pipeline.cli.{COMMANDS[name][0]}")
    parser = _Parser(prog="ulmfit")
    module.add_parser(parser.add_subparsers())
    args, unknown = parser.parse_known_args(words)
    if unknown:
        raise UserError(f"ulmfit {name} does not know `{unknown[0]}`; see `ulmfit {name} --help`")
    try:
        module.run(args)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the words of a command in one line, like every other mistake."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message}; see `{self.prog} --help`")


if __name__ == "__main__":
    main()
