"""`ulmfit use`: choose a preset, or one alternative at a time, in `configs/config.yaml`."""

import argparse
import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.base.errors import UserError, suggest
from pipeline.base.files import write_text
from pipeline.config.check import check_all
from pipeline.config.choices import Choices
from pipeline.config.chosen import CHOICES, CONFIGS, FOLDERS, read_choices
from pipeline.config.read import read_yaml

PRESETS = CONFIGS / "presets"
KEYS = Choices.__dataclass_fields__


def add_parser(subparsers: Any) -> None:
    """Add `use` to the commands."""
    parser = subparsers.add_parser(
        "use",
        help="choose a preset, or one alternative at a time",
        description="Write choices into configs/config.yaml and print what changed; without any, list the presets.",
    )
    parser.add_argument(
        "choices",
        nargs="*",
        metavar="PRESET | KEY=NAME",
        help="a preset of configs/presets/, or a line such as task=imdb; later ones win over earlier ones",
    )


def run(args: argparse.Namespace) -> None:
    """Write the choices if they are valid; nothing is written otherwise."""
    before = read_choices()
    if not args.choices:
        _list_presets(before)
        return
    after = {**before, **changes_of(args.choices)}
    check_all(after)
    changed = [key for key in after if after[key] != before.get(key)]
    if not changed:
        print(f"{CHOICES} says so already: nothing changes")
        return
    write_text(CHOICES, rewrite(CHOICES.read_text(encoding="utf-8"), {key: after[key] for key in changed}))
    for key in changed:
        if key in before:
            print(f"- {key}: {_shown(before[key])}")
        print(f"+ {key}: {_shown(after[key])}")
    print(f"{CHOICES} is written; `dvc repro` runs what this changes")


def rewrite(text: str, changes: dict[str, Any]) -> str:
    """Put new values into the lines of a YAML mapping; order, comments and all other lines stay as they are.

    >>> rewrite("task: agnews  # what to learn\\nmodel: decoder_small\\n", {"task": "trec"})
    'task: trec  # what to learn\\nmodel: decoder_small\\n'
    """
    yaml = YAML()  # keeps comments
    yaml.preserve_quotes = True
    yaml.width = 10_000
    lines = yaml.load(text)
    for key, value in changes.items():
        if isinstance(lines.get(key), list):
            lines[key][:] = value  # in the same brackets
        else:
            lines[key] = value
        if key in lines.ca.items:  # its comment, which would stay in its column
            lines.ca.items[key][2].column = len(f"{key}: {_shown(value)}  ")
    whole = io.StringIO()
    yaml.dump(lines, whole)
    return whole.getvalue()


def changes_of(words: list[str]) -> dict[str, Any]:
    """The lines that the words of the command ask for."""
    changes: dict[str, Any] = {}
    for word in words:
        key, given, value = word.partition("=")
        if not given:
            changes.update(_preset(word))
        elif key not in KEYS:
            raise UserError(f"no choice `{key}` in {CHOICES}; {suggest(key, KEYS)}")
        elif key == "directions":
            changes[key] = [name.strip() for name in value.strip("[]").split(",")]
        else:
            changes[key] = value
    return changes


def _preset(name: str) -> dict[str, Any]:
    path = PRESETS / f"{name}.yaml"
    if path.is_file():
        lines = read_yaml(path)
        for key in lines:
            if key not in KEYS:
                raise UserError(f"{path}: unknown key `{key}`; {suggest(key, KEYS)}")
        return lines
    if name in FOLDERS:
        names = ", ".join(sorted(file.stem for file in (CONFIGS / FOLDERS[name]).glob("*.yaml")))
        raise UserError(f"`{name}` needs a value: ulmfit use {name}=NAME (there is: {names})")
    raise UserError(f"no preset `{name}`; {suggest(name, (file.stem for file in PRESETS.glob('*.yaml')))}")


def _list_presets(now: dict[str, Any]) -> None:
    """Print each preset with the first line of its file, and mark what `configs/config.yaml` says now."""
    files = sorted(PRESETS.glob("*.yaml"))
    active = [file for file in files if read_yaml(file).items() <= now.items()]
    width = max((len(file.stem) for file in files), default=0)
    print(f"Presets (`ulmfit use NAME` writes one into {CHOICES}):")
    for file in files:
        print(f"{'*' if file in active else ' '} {file.stem:<{width}}  {_first_comment(file)}")
    print("* is what the choices are now" if active else f"{CHOICES} is none of them as it stands")
    print(f"One line at a time: ulmfit use KEY=NAME ({', '.join(KEYS)})")


def _first_comment(path: Path) -> str:
    first = path.read_text(encoding="utf-8").splitlines()[:1]
    return first[0].removeprefix("#").strip() if first and first[0].startswith("#") else ""


def _shown(value: Any) -> str:
    return f"[{', '.join(value)}]" if isinstance(value, list) else str(value)
