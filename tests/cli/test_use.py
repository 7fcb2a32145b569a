"""`ulmfit use` writes valid choices, keeps everything else in the file, and shows what it changed."""

from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.cli.use import rewrite
from tests.choices import FILES, replace_in, write_choices

CHOICES = Path("configs/config.yaml")
BEFORE = FILES["configs/config.yaml"]


@pytest.fixture(autouse=True)
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_choices(tmp_path)
    monkeypatch.chdir(tmp_path)


def test_one_choice_changes_one_line_and_keeps_its_comment(capsys: pytest.CaptureFixture[str]) -> None:
    main(["use", "task=orders"])
    assert CHOICES.read_text() == BEFORE.replace("task: reviews  #", "task: orders  #")
    assert capsys.readouterr().out.splitlines() == [
        "- task: reviews",
        "+ task: orders",
        "configs/config.yaml is written; `dvc repro` runs what this changes",
    ]


def test_a_preset_changes_its_lines_and_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    main(["use", "large"])
    assert CHOICES.read_text() == (
        BEFORE.replace("task: reviews  #", "task: orders  #")
        .replace("model: small", "model: large")
        .replace("directions: [forward]  #", "directions: [forward, backward]  #")
    )
    assert capsys.readouterr().out.splitlines()[:-1] == [
        "- task: reviews",
        "+ task: orders",
        "- model: small",
        "+ model: large",
        "- directions: [forward]",
        "+ directions: [forward, backward]",
    ]


def test_there_and_back_again_says_the_same_as_before() -> None:
    from pipeline.config.read import read_yaml

    before = read_yaml(CHOICES)
    main(["use", "large", "hardware=gpu"])
    assert read_yaml(CHOICES) != before
    main(["use", "quick", "hardware=auto", "directions=forward"])
    assert read_yaml(CHOICES) == before


def test_later_words_win() -> None:
    main(["use", "large", "task=reviews"])
    text = CHOICES.read_text()
    assert "task: reviews" in text
    assert "model: large" in text


@pytest.mark.parametrize("value", ["forward,backward", "[forward,backward]", "[forward, backward]"])
def test_directions_are_a_list(value: str) -> None:
    main(["use", f"directions={value}"])
    assert "directions: [forward, backward]" in CHOICES.read_text()


def test_what_is_so_already_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    stamp = CHOICES.stat().st_mtime_ns
    main(["use", "quick"])
    assert capsys.readouterr().out == "configs/config.yaml says so already: nothing changes\n"
    assert CHOICES.stat().st_mtime_ns == stamp


WRONG = [
    ("quik", 'no preset `quik`; did you mean "quick"? (there is: large, quick)'),
    (
        "taks=orders",
        (
            'no choice `taks` in configs/config.yaml; did you mean "task"? (there is: blend, classifier, directions, '
            "domain, finetune_lm, generic, hardware, model, pretrain, pretrained, scratch, self_train, task, tokenizer)"
        ),
    ),
    ("task", "`task` needs a value: ulmfit use task=NAME (there is: corpus, none, orders, reviews)"),
    (
        "task=order",
        (
            "configs/config.yaml: `task: order` has no file configs/dataset/order.yaml; "
            'did you mean "orders"? (there is: corpus, none, orders, reviews)'
        ),
    ),
    ("task=none", "configs/config.yaml: `task: none` holds no text; choose a data set with labels"),
    (
        "directions=sideways",
        "configs/config.yaml: `directions: sideways` is not allowed; it should be 'forward' or 'backward'",
    ),
    (
        "broken",
        (
            'configs/presets/broken.yaml: unknown key `tasks`; did you mean "task"? (there is: blend, classifier, '
            "directions, domain, finetune_lm, generic, hardware, model, pretrain, pretrained, scratch, self_train, "
            "task, tokenizer)"
        ),
    ),
]


@pytest.mark.parametrize(("word", "message"), WRONG)
def test_a_wrong_choice_is_one_line_and_nothing_is_written(
    word: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("configs/presets/broken.yaml").write_text("tasks: orders\n")
    if word != "broken":
        Path("configs/presets/broken.yaml").unlink()
    with pytest.raises(SystemExit) as ended:
        main(["use", "model=large", word])
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: {message}\n"
    assert CHOICES.read_text() == BEFORE


def test_several_choices_that_only_fit_together_are_made_at_once() -> None:
    main(["use", "pretrain=from_folder", "pretrained=colleague", "generic=none"])
    assert "pretrained: colleague" in CHOICES.read_text()


def test_a_misspelt_line_is_mended_by_choosing_anew() -> None:
    replace_in(str(CHOICES), "model: small", "model: smal")
    main(["use", "model=small"])
    assert CHOICES.read_text() == BEFORE


def test_alone_it_lists_the_presets_and_marks_the_one_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    main(["use"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["  large  Takes longer.", "* quick  A quick look."]
    assert lines[3] == "* is what the choices are now"
    assert CHOICES.read_text() == BEFORE


def test_a_mix_of_ones_own_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    main(["use", "task=orders"])
    capsys.readouterr()
    main(["use"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == [
        "  large  Takes longer.",
        "  quick  A quick look.",
        "configs/config.yaml is none of them as it stands",
    ]


def test_a_name_that_looks_like_a_number_stays_a_name() -> None:
    assert rewrite("task: reviews\n", {"task": "2024"}) == "task: '2024'\n"


def test_the_way_back_leads_to_the_same_file() -> None:
    main(["use", "large"])
    main(["use", "task=reviews", "model=small", "directions=[forward]"])
    assert CHOICES.read_text() == BEFORE


def test_a_line_that_is_missing_is_added() -> None:
    assert rewrite("# head\ntask: a  # one\n", {"model": "b"}) == "# head\ntask: a  # one\nmodel: b\n"
