"""Promise: a study's graph has a stage for every row that params name, and reruns it for its own sake alone."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from dvc.stage import PipelineStage

from benchmarks.ablations import gather as ablations
from benchmarks.ablations import paths as ablation_paths
from benchmarks.low_shot import gather as low_shot
from benchmarks.low_shot import paths as low_shot_paths
from benchmarks.studies.labelled import ALL
from benchmarks.studies.repro import STUDIES, before_rows, groups, rows_of, shown, targets
from pipeline.base.errors import UserError
from pipeline.config.read import read_yaml
from tests.source import ROOT, closure, is_empty, sources

pytestmark = pytest.mark.xdist_group("study graphs")

# What params.yaml lists: the rows that there are.
LISTS = {"corpora", "starts", "labels", "seeds", "all_large", "all_small", "models", "classifiers"}

# A predictor imports these when it loads a blend, which no study does.
OF_BLENDS = {file for file in closure(Path("pipeline/linear/artifact.py")) if file.parts[1] == "linear"}


@pytest.fixture(scope="module")
def graph() -> dict[str, list[PipelineStage]]:
    """The stages of each study, as DVC reads them."""
    with shown(), Repo(str(ROOT)) as repo:
        return {study: repo.stage.load_all(f"benchmarks/{study}/dvc.yaml") for study in STUDIES}


def outs(stages: list[PipelineStage]) -> set[str]:
    """Paths of the outs of some stages, from the repository's root."""
    return {Path(out.fs_path).relative_to(ROOT).as_posix() for stage in stages for out in stage.outs}


def deps(stage: PipelineStage) -> set[Path]:
    """Paths of what a stage depends on, params apart."""
    return {Path(dep.fs_path).relative_to(ROOT) for dep in stage.deps if not hasattr(dep, "params")}


def tracked(stage: PipelineStage, study: str) -> set[str]:
    """Keys of the study's params.yaml that a stage depends on."""
    return {
        key
        for dep in stage.deps
        if hasattr(dep, "params") and Path(dep.fs_path).parent.name == study
        for key in dep.params
    }


def rows(stages: list[PipelineStage]) -> list[PipelineStage]:
    """The stages that make a row."""
    return [stage for stage in stages if any("/made/rows/" in Path(out.fs_path).as_posix() for out in stage.outs)]


def low_shot_rows() -> Iterator[Path]:
    said = read_yaml(ROOT / "benchmarks/low_shot/params.yaml")
    for cell in low_shot.cells(said):
        # With all labels nothing is left to teach a student on.
        for group in (*cell.starts, "linear", "blend", *(() if cell.labels == ALL else ("student",))):
            yield from (low_shot_paths.row(group, cell.corpus, cell.labels, str(seed)) for seed in cell.seeds)


def ablation_rows() -> Iterator[Path]:
    said = read_yaml(ROOT / "benchmarks/ablations/params.yaml")
    for one in ablations.settings(said):
        for corpus in said["corpora"]:
            yield from (ablation_paths.row(one.table, corpus, one.name, str(seed)) for seed in said["seeds"])


@pytest.mark.parametrize(("study", "wanted"), [("low_shot", low_shot_rows), ("ablations", ablation_rows)])
def test_there_is_a_stage_for_every_row_and_no_other(study: str, wanted: Any, graph: Any) -> None:
    assert outs(rows(graph[study])) == {path.as_posix() for path in wanted()}


@pytest.mark.parametrize("study", STUDIES)
def test_another_row_changes_nothing_that_a_row_depends_on(study: str, graph: Any) -> None:
    for stage in rows(graph[study]):
        assert not tracked(stage, study) & LISTS, stage.addressing


@pytest.mark.parametrize("study", STUDIES)
def test_code_that_a_stage_runs_is_among_its_deps(study: str, graph: Any) -> None:
    for stage in {one.name.split("@")[0]: one for one in graph[study]}.values():
        script = re.match(r"python -m ([\w.]+)", stage.cmd)
        needed = closure(Path(script[1].replace(".", "/") + ".py"))
        given = {file for dep in deps(stage) for file in (sources(str(dep)) if (ROOT / dep).is_dir() else [dep])}
        missing = needed - OF_BLENDS - {file for file in given if not is_empty(file)}
        assert not missing, f"{stage.addressing} lacks {sorted(map(str, missing))}"


@pytest.mark.parametrize("study", STUDIES)
def test_every_stage_runs_in_the_root_and_says_what_it_does(study: str, graph: Any) -> None:
    for stage in graph[study]:
        assert Path(stage.wdir) == ROOT
        assert stage.desc


def test_language_models_are_pretrained_once(graph: Any) -> None:
    commands = [stage.cmd for stages in graph.values() for stage in stages]
    assert [one for one in commands if re.search("language_model (generic|pretrain)", one)] == [
        "python -m benchmarks.low_shot.language_model generic",
        "python -m benchmarks.ablations.language_model pretrain forward",
        "python -m benchmarks.ablations.language_model pretrain backward",
    ]


def test_all_tasks_hold_their_documents_out_of_the_generic_corpus(graph: Any) -> None:
    said = read_yaml(ROOT / "benchmarks/low_shot/params.yaml")
    (tasks,) = (stage for stage in graph["low_shot"] if stage.name == "tasks")
    tasks_read = {Path(dep.fs_path).stem for dep in tasks.deps if "configs" in Path(dep.fs_path).parts}
    assert tasks_read == {low_shot_paths.datasets(corpus)["task"] for corpus in said["sources"]}
    assert set(said["corpora"]) <= set(said["sources"])


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """A repository with an empty graph of each study."""
    for study in STUDIES:
        (tmp_path / "benchmarks" / study).mkdir(parents=True)
        (tmp_path / "benchmarks" / study / "study.yaml").write_text("stages: {}", encoding="utf-8")
    return tmp_path


def test_dvc_sees_the_rows_only_while_a_study_runs(studies: Path) -> None:
    """Else every command of DVC would read hundreds of stages."""

    def stopped() -> None:
        with shown(studies):
            assert len(list(studies.rglob("dvc.yaml"))) == len(STUDIES)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert not list(studies.rglob("dvc.yaml"))
    with pytest.raises(UserError, match="low_shot"):
        targets("low_shots", [])


def test_of_two_studies_at_once_the_last_to_end_takes_the_graphs_away(studies: Path) -> None:
    """In two processes, the first of which is the first to end: killed, or at its own end."""
    begin = f"from pathlib import Path; from benchmarks.studies.repro import shown; run = shown(Path({str(studies)!r}))"
    words = [sys.executable, "-c", f"{begin}\nwith run: print('shown', flush=True); input()"]
    for how in ("killed", "ended"):
        with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
            assert first.stdout is not None
            assert first.stdout.readline() == "shown\n"
            with shown(studies):
                if how == "killed":
                    first.kill()
                first.communicate("\n")
                assert (first.returncode == 0) == (how == "ended")
                assert len(list(studies.rglob("dvc.yaml"))) == len(STUDIES)
            assert not list(studies.rglob("dvc.yaml"))


@pytest.mark.parametrize("study", STUDIES)
def test_rows_made_at_once_need_nothing_of_each_other(graph: dict[str, list[PipelineStage]], study: str) -> None:
    stages = {stage.name: stage for stage in graph[study]}
    wanted = rows_of(list(stages), [])
    assert set(wanted) == {stage.name for stage in rows(graph[study])}
    made = groups(wanted)
    assert sorted(name for group in made for name in group) == sorted(wanted)
    assert len(made) >= 9
    for group in made:
        elsewhere = outs([stages[name] for name in wanted if name not in group])
        read = {dep.as_posix() for name in group for dep in deps(stages[name])}
        assert not read & elsewhere


def test_only_what_wanted_rows_share_is_made_before_them(graph: dict[str, list[PipelineStage]]) -> None:
    names = [stage.name for stage in graph["low_shot"]]
    wanted = rows_of(names, ["*@trec-100-*"])
    assert {name.partition("@")[2].split("-")[0] for name in wanted} == {"trec"}
    before = before_rows(names, wanted)
    assert {"generic_model", "domain_model@trec", "lsa@trec", "start@trec-domain"} <= set(before)
    assert not [name for name in before if "imdb" in name or name.startswith(("gather", "figure"))]
