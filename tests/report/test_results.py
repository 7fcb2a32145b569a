"""`ulmfit results`: the numbers, where they lie, and no flattery."""

import pytest

from pipeline.base.files import write_json
from pipeline.cli.main import main
from tests.report.run import SKILL, write_run


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
    told = "These are results of `task: which_library`, and configs/config.yaml says `tickets` now"
    assert told not in printed(tmp_path, monkeypatch, capsys)
    config = tmp_path / "configs/config.yaml"
    config.write_text(config.read_text().replace("task: which_library", "task: tickets"))
    main(["results"])
    assert told in capsys.readouterr().out


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
    with pytest.raises(SystemExit):
        main(["results"])
    assert "dvc repro" in capsys.readouterr().err
