"""`ulmfit results`: the numbers, where they lie, and no flattery."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.base.files import write_json
from pipeline.cli.main import main
from pipeline.config.chosen import CONFIGS, FOLDERS, read_choices
from pipeline.config.read import read_yaml
from pipeline.planning.evaluated import READ
from pipeline.planning.made import files_of, params_of
from tests.choices import write_choices
from tests.report.run import SKILL, write_run
from tests.source import ROOT


def printed(folder, monkeypatch, capsys, **run: object) -> str:
    write_run(folder, **run)
    monkeypatch.chdir(folder)
    main(["results"])
    return capsys.readouterr().out


def test_the_table_fits_a_terminal_and_marks_the_best(tmp_path, monkeypatch, capsys) -> None:
    text = printed(tmp_path, monkeypatch, capsys, directions=("forward", "backward"))
    table = text.split("\n\n")[0].splitlines()
    assert max(map(len, table)) <= 80
    assert [line[:28].strip() for line in table[1:]] == [
        "pipeline",
        "forward alone",
        "backward alone",
        "same network, not pretrained",
        "TF-IDF + logistic regression",
        "NB-SVM",
        "majority class",
    ]
    assert [line for line in table if "*" in line] == [table[1]]
    assert "80 labelled documents, 400 test documents" in text
    assert "report: not drawn yet" in text


def test_a_network_of_another_shape_is_not_called_the_same(tmp_path, monkeypatch, capsys) -> None:
    skill = {"pipeline": 1.0, "other_scratch": 2.9, "majority": 0.0}
    text = printed(tmp_path, monkeypatch, capsys, skill=skill)
    table = text.split("\n\n")[0].splitlines()
    assert "configs/model, not pretrained" in {line[:29] for line in table}
    assert max(map(len, table)) <= 80
    assert "The pipeline loses to configs/model, not pretrained by 0." in text
    assert "same network" not in text


def test_a_blend_shows_its_members_and_what_they_weigh(tmp_path, monkeypatch, capsys) -> None:
    text = printed(tmp_path, monkeypatch, capsys, blended=True)
    table = text.split("\n\n")[0].splitlines()
    assert [line[:26].rstrip() for line in table[1:6]] == [
        "pipeline",
        "  the student alone",
        "  its teacher, the blend",
        "  the network alone",
        "  the linear models alone",
    ]
    assert (
        "Weights in the blend, by 5-fold cross-validation on 80 documents (log loss in brackets): "
        "the network 0.67 (0.800), NB-SVM 0.33 (0.900); all together, on the same documents, 0.700."
    ) in text


def test_a_test_part_that_was_read_unlabelled_is_told(tmp_path, monkeypatch, capsys) -> None:
    text = printed(tmp_path, monkeypatch, capsys, transductive=True)
    assert "400 test documents, whose texts the language model has seen (transductive)" in text


def test_labels_are_counted_of_the_directions_chosen(tmp_path, monkeypatch, capsys) -> None:
    left_over = tmp_path / "results/finetune_classifier/backward/metrics.json"
    left_over.parent.mkdir(parents=True)
    write_json(left_over, {"labels_used": 51_052})
    assert "80 labelled documents" in printed(tmp_path, monkeypatch, capsys)


def test_results_of_a_former_task_are_told_from_the_present_ones(tmp_path, monkeypatch, capsys) -> None:
    told = "as it is now (task was which_library and is tickets); run `dvc repro` for its own"
    assert told not in printed(tmp_path, monkeypatch, capsys)
    config = tmp_path / "configs/config.yaml"
    config.write_text(config.read_text().replace("task: which_library", "task: tickets"))
    main(["results"])
    assert told in capsys.readouterr().out


def write_lock(**changed: str) -> None:
    """What `dvc repro` writes to dvc.lock of today's choices; `changed`: checksums of what some stages have left."""
    choices = read_choices()
    stages: dict[str, Any] = {"tokenise@task": {"outs": [file("data/tokens/task")]}}
    for stage, key in ((stage.format(one), key) for stage, key in READ for one in choices["directions"]):
        path = CONFIGS / FOLDERS[key] / f"{choices[key]}.yaml"
        stages.setdefault(stage, {"params": {}})["params"][path.as_posix()] = read_yaml(path)
    stages["tokenizer"]["deps"] = [file(f"data/pretrained/{choices['pretrained']}")]
    made = {one: f"models/classifier/{one}" for one in choices["directions"]}
    for one, path in made.items():
        stages[f"finetune_classifier@{one}"] |= {
            "deps": [file("data/tokens/task"), file("pipeline/models")],
            "outs": [file(path, changed.get(one, "a"))],
        }
    stages["evaluate"] = {"deps": [file(path) for path in made.values()]}
    YAML().dump({"schema": "2.0", "stages": stages}, Path("dvc.lock"))


def file(path: str, md5: str = "a") -> dict[str, Any]:
    return {"path": path, "hash": "md5", "md5": md5, "size": 1}


def choose(**changes: str) -> None:
    """Change lines of configs/config.yaml, to alternatives that are there."""
    choices = {**read_choices(), **changes}
    for key in changes.keys() & FOLDERS.keys():
        (CONFIGS / FOLDERS[key] / f"{choices[key]}.yaml").write_text("path: csv\n", encoding="utf-8")
    write_json(CONFIGS / "config.yaml", choices)  # JSON is YAML


def last_line(capsys) -> str:
    main(["results"])
    return capsys.readouterr().out.splitlines()[-1]


def test_results_of_other_choices_are_told_and_those_of_todays_are_not(tmp_path, monkeypatch, capsys) -> None:
    printed(tmp_path, monkeypatch, capsys)
    was = read_choices()
    write_lock()
    assert last_line(capsys).startswith("report: ")
    choose(classifier="other", pretrained="colleague", directions=["backward"])
    write_json("results/finetune_classifier/backward/metrics.json", {"labels_used": 51_052})
    main(["results"])
    *_, counted, _, told = capsys.readouterr().out.splitlines()
    assert counted.startswith("80 labelled documents"), "of the direction that the results are of"
    assert told == (
        "These are not results of configs/config.yaml as it is now ("
        f"classifier was {was['classifier']} and is other, pretrained was {was['pretrained']} and is colleague, "
        "directions was forward and is backward); run `dvc repro` for its own"
    )


def test_a_choice_whose_file_has_changed_is_told(tmp_path, monkeypatch, capsys) -> None:
    printed(tmp_path, monkeypatch, capsys)
    write_lock()
    model = read_choices()["model"]
    (CONFIGS / f"model/{model}.yaml").write_text("layers: 3\n", encoding="utf-8")
    assert f"(the file of model {model} has changed)" in last_line(capsys)


def test_a_run_that_was_stopped_before_the_results_is_told(tmp_path, monkeypatch, capsys) -> None:
    printed(tmp_path, monkeypatch, capsys)
    write_lock(forward="b")
    assert "(finetune_classifier@forward has run again since)" in last_line(capsys)


def test_a_lock_is_read_as_dvc_has_written_it(monkeypatch) -> None:
    """Its lines are cut out instead of parsed, to save half a second."""
    monkeypatch.chdir(ROOT)
    stages = YAML(typ="safe").load(Path("dvc.lock"))["stages"]
    assert len(stages) > 10
    for name, stage in stages.items():
        assert params_of(name) == stage.get("params", {})
        for part in ("deps", "outs"):
            assert files_of(name, part) == {one["path"]: one["md5"] for one in stage.get(part, [])}


def test_a_lost_comparison_is_said_and_the_winners_named(tmp_path, monkeypatch, capsys) -> None:
    text = printed(tmp_path, monkeypatch, capsys, skill={**SKILL, "pipeline": 1.0})
    assert "The pipeline loses to NB-SVM by 0." in text
    assert "It also loses to TF-IDF + logistic regression." in text


def test_without_a_test_part_the_table_says_so(tmp_path, monkeypatch, capsys) -> None:
    text = printed(tmp_path, monkeypatch, capsys, documents=0)
    assert "no test documents" in text
    assert "There is no test part" in text


def test_before_any_run_it_says_what_to_do(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write_choices(tmp_path)
    with pytest.raises(SystemExit):
        main(["results"])
    assert "dvc repro" in capsys.readouterr().err


def test_outside_the_root_it_says_where_to_go(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["results"])
    assert "run this in the repository's root folder" in capsys.readouterr().err
