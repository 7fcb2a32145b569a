"""A stage runs again when its code or its configs change, and at no other time: dvc.yaml is held to the source.

`python -m tests.stages.test_closure` writes the lists of code into dvc.yaml anew.
"""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.config.chosen import FOLDERS
from tests.source import ROOT, closure, is_empty, sources, tree

# Where it runs changes no result beyond rounding, so configs/hardware/ is tracked by no stage.
UNTRACKED = {"hardware"}
# The package, and what writes a config that the graph depends on: `ulmfit tune` runs it.
NO_STAGE = {Path("stages/__init__.py"), Path("stages/tune.py")}


def stages() -> dict[str, dict[str, Any]]:
    """The stages of dvc.yaml; of a foreach stage, what it does for each item."""
    entries = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return {name: entry.get("do", entry) for name, entry in entries.items()}


def script(entry: dict[str, Any]) -> Path:
    """The file that a stage runs: `python -m stages.x ...`, and no other form."""
    found = re.fullmatch(r"python -m stages\.(\w+)( [\w${}\[\]-]+)*", entry["cmd"])
    assert found, f"cmd is `{entry['cmd']}`; it must be `python -m stages.NAME` and words that choose no hardware"
    path = Path("stages", f"{found[1]}.py")
    assert (ROOT / path).is_file(), f"cmd is `{entry['cmd']}`, and there is no {path}"
    return path


def code_deps(entry: dict[str, Any]) -> set[Path]:
    """Our files under a stage's deps; a folder stands for all that it holds."""
    files: set[Path] = set()
    for dep in entry["deps"]:
        path = Path(dep)
        if path.parts[0] in ("pipeline", "stages"):
            assert (ROOT / path).exists(), f"{dep} does not exist"
            files |= set(sources(dep)) if (ROOT / path).is_dir() else {path}
    return {file for file in files if not is_empty(file)}


def code_lines(entry: dict[str, Any]) -> list[str]:
    """The deps of a stage's code: a folder where the stage needs all of it, else single files."""
    needed = closure(script(entry))
    folders = sorted({path.parent for path in needed if path.parts[0] == "pipeline"})
    whole = [one for one in folders if {file for file in sources(str(one)) if not is_empty(file)} <= needed]
    whole = [one for one in whole if not any(other in one.parents for other in whole)]
    single = [path for path in needed if not any(one in path.parents for one in whole)]
    return sorted(path.as_posix() for path in [*whole, *single])


def rewrite(text: str) -> str:
    """dvc.yaml with the code among the deps of each stage set anew; all else stays as it is."""
    entries, lines, name = stages(), [], ""
    for line in text.splitlines():
        if found := re.fullmatch(r"  (\w+):", line):
            name = found[1]
        if re.match(r" +- (pipeline|stages)/", line):
            continue
        if name in entries and re.fullmatch(r" +(params|outs|metrics):", line) and lines[-1].strip():
            indent = line[: len(line) - len(line.lstrip())]
            pending = entries.pop(name)
            lines += [f"{indent}  - {path}" for path in code_lines(pending)]
        lines.append(line)
    return "\n".join(lines) + "\n"


def choices_read(entry: dict[str, Any]) -> set[str]:
    """Choices whose file a stage's code asks for: `chosen("model", ...)`, or a key that is a word of the command."""
    keys: set[str] = set()
    for path in closure(script(entry)) - {Path("pipeline/config/chosen.py")}:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("chosen", "path_of"):
                key = node.args[0]
                if isinstance(key, ast.Constant):
                    keys.add(key.value)
                else:
                    keys |= FOLDERS.keys() & set(entry["cmd"].split())
    return keys - UNTRACKED


def params(entry: dict[str, Any]) -> set[str]:
    """The config files among a stage's params."""
    return {file for one in entry.get("params", []) for file in one}


@pytest.mark.parametrize("name", stages())
def test_a_stage_depends_on_exactly_the_code_it_imports(name: str) -> None:
    entry = stages()[name]
    needed, given = closure(script(entry)), code_deps(entry)
    assert needed == given, (
        f"stage {name}: missing {sorted(map(str, needed - given))}, too many {sorted(map(str, given - needed))}; "
        "write them with `python -m tests.stages.test_closure`"
    )


@pytest.mark.parametrize("name", stages())
def test_a_stage_declares_the_data_and_models_that_its_script_names(name: str) -> None:
    entry = stages()[name]
    places = [one if isinstance(one, str) else next(iter(one)) for one in (*entry["deps"], *entry.get("outs", []))]
    known = [re.sub(r"/?\$\{.*", "", place) for place in places]
    strings = (node.value for node in ast.walk(tree(script(entry))) if isinstance(node, ast.Constant))
    named = {one for one in strings if isinstance(one, str) and re.fullmatch(r"(data|models)/[\w./-]+", one)}
    assert not {one for one in named if not any(f"{one}/".startswith(f"{k}/") or k.startswith(one) for k in known)}


@pytest.mark.parametrize("name", stages())
def test_a_stage_tracks_exactly_the_config_files_it_reads(name: str) -> None:
    entry = stages()[name]
    if "configs" in entry["deps"]:
        pytest.skip("depends on the whole folder")
    expected = {f"configs/{FOLDERS[key]}/${{{key}}}.yaml" for key in choices_read(entry)}
    assert params(entry) == expected


@pytest.mark.parametrize("name", stages())
def test_every_stage_says_what_it_does_and_writes_final_outs_only(name: str) -> None:
    entry = stages()[name]
    assert entry["desc"].strip()
    for out in entry.get("outs", []):
        assert isinstance(out, str), f"{name}: {out} has options; persist and cache: false switch the run-cache off"


def test_every_stage_script_is_in_the_graph() -> None:
    assert {script(entry) for entry in stages().values()} == set(sources("stages")) - NO_STAGE


if __name__ == "__main__":
    graph = ROOT / "dvc.yaml"
    graph.write_text(rewrite(graph.read_text(encoding="utf-8")), encoding="utf-8")
