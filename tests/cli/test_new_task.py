"""`ulmfit new-task` shows what a file holds, takes it in whole or not at all, and chooses it."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.base.errors import UserError
from pipeline.cli import new_task
from pipeline.cli.main import main
from pipeline.config.dataset import DatasetConfig
from pipeline.config.read import load
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.text import tokenizer as bpe
from tests.choices import FILES
from tests.text.small import PACK, write

CHOICES = FILES["configs/config.yaml"]
RANDOM = random.Random(1)
DVC_ADD = new_task._dvc_add


@pytest.fixture
def dvc(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository is under git and DVC, and `dvc add` is the real one."""
    subprocess.run(["git", "init", "-q"], cwd=house, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=house, check=True)
    monkeypatch.setattr(new_task, "_dvc_add", DVC_ADD)


def table(number: int = 40, words: int = 12) -> str:
    """A csv of two classes."""
    rows = (" ".join(RANDOM.choice("abcdefghij") * 4 for _ in range(words)) for _ in range(number))
    return "body,topic\n" + "".join(f"{text} {n},{'yes' if n % 2 else 'no'}\n" for n, text in enumerate(rows))


def everything(folder: Path) -> dict[str, bytes]:
    """All files but git's and DVC's own."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in (".git", ".dvc")
    }


def test_a_file_is_copied_tracked_described_and_chosen(
    house: Path, dvc: None, capsys: pytest.CaptureFixture[str]
) -> None:
    write(house, "My tickets (1).csv", table())
    main(["new-task", "My tickets (1).csv", "--text", "body", "--label", "topic"])
    assert (house / "data/raw/my_tickets_1/train.csv").read_bytes() == (house / "My tickets (1).csv").read_bytes()
    assert "outs:" in (house / "data/raw/my_tickets_1.dvc").read_text()
    assert "/my_tickets_1" in (house / "data/raw/.gitignore").read_text()
    settings = load(DatasetConfig, house / "configs/dataset/my_tickets_1.yaml")
    assert (settings.path, settings.text, settings.label) == ("csv", "body", "topic")
    assert (settings.validation, settings.test, settings.spaced) == (0, 0.2, True)
    lines = (house / "configs/config.yaml").read_text()
    assert YAML(typ="safe").load(lines) == YAML(typ="safe").load(CHOICES) | {"task": "my_tickets_1"}
    assert [line.split("#")[-1] for line in lines.splitlines()] == [
        line.split("#")[-1] for line in CHOICES.splitlines()
    ]
    told = capsys.readouterr().out
    assert "40 rows" in told
    assert "ulmfit check" in told
    assert "dvc repro" in told


def test_enough_text_adapts_the_language_model_as_well(house: Path) -> None:
    write(house, "long.csv", table(number=100, words=400))
    main(["new-task", "long.csv", "--text", "body", "--label", "topic"])
    assert YAML(typ="safe").load((house / "configs/config.yaml").read_text())["domain"] == "long"


def test_text_without_labels_counts_for_the_language_model(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows of the file that lack a label, and a file of such text."""
    rows = table(number=100, words=40)
    blank = "".join(line.rsplit(",", 1)[0] + ",\n" for line in table(number=900, words=40).splitlines()[1:])
    write(house, "partly.csv", rows + blank)
    write(house, "labelled.csv", rows)
    write(house, "more.csv.gz", PACK[".gz"](table(number=900, words=40).encode()))
    main(["new-task", "partly.csv", *GOOD])
    assert "1,000 documents" in capsys.readouterr().out
    main(["new-task", "labelled.csv", *GOOD])
    assert "--unlabelled FILE" in capsys.readouterr().out
    main(["new-task", "labelled.csv", *GOOD, "--unlabelled", "more.csv.gz", "--name", "both"])
    assert "1,000 documents" in capsys.readouterr().out
    assert YAML(typ="safe").load((house / "configs/config.yaml").read_text())["domain"] == "both"
    assert load(DatasetConfig, house / "configs/dataset/both.yaml").data_files == {
        "train": "train.csv", "unlabelled": "unlabelled.csv.gz"
    }  # fmt: skip
    assert (house / "data/raw/both/unlabelled.csv.gz").is_file(), "each file keeps its own compression"


def test_labels_are_set_apart_only_where_there_are_enough_to_judge_by(house: Path) -> None:
    for rows, share in ((100, 0), (2 * new_task.MANY_LABELS, new_task.VALIDATION_SHARE)):
        write(house, f"rows_{rows}.csv", table(number=rows, words=2))
        main(["new-task", f"rows_{rows}.csv", *GOOD])
        assert load(DatasetConfig, house / f"configs/dataset/rows_{rows}.yaml").validation == share


def test_who_has_thousands_of_labels_hears_of_the_recipe_for_them(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for rows, proposed in ((new_task.MANY_LABELS, False), (2 * new_task.MANY_LABELS, True)):
        write(house, f"rows_{rows}.csv", table(number=rows, words=2))
        main(["new-task", f"rows_{rows}.csv", "--text", "body", "--label", "topic"])
        assert ("ulmfit use classifier=many_labels" in capsys.readouterr().out) == proposed


def test_the_audit_names_what_should_make_one_look_again(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [f"this is message number {n} about the parcel that I ordered on day {n}" for n in range(30)]
    texts += [texts[0], texts[1].upper() + "!", "caf\u00c3\u00a9 is closed today", "lost \ufffd character", " "]
    rows = [{"text": text, "label": "ab"[n % 2]} for n, text in enumerate(texts)] + [
        {"text": "no label", "label": None}
    ]
    write(house, "messages.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    held_out = [{"text": texts[3], "label": "a"}, {"text": "never seen before", "label": "b"}]
    write(house, "test.jsonl", "".join(json.dumps(row) + "\n" for row in held_out))
    tokenizer = house / "models/tokenizer/tokenizer.json"
    tokenizer.parent.mkdir(parents=True)
    bpe.save(bpe.train(texts, TokenizerConfig(vocabulary=400)), tokenizer)
    words = ["--text", "text", "--label", "label", "--test", "test.jsonl", "--name", "post"]
    main(["new-task", "messages.jsonl", *words])
    told = capsys.readouterr().out
    for expected in (
        "train: 1 rows dropped, blank text", "train: 1 rows dropped, no label", "tokens", "encoding",
        "(Ã©, â€™) 1", "(\ufffd) 1", "test also in train       1 exactly",
    ):  # fmt: skip
        assert expected in told
    near = next(line for line in told.splitlines() if "near duplicates" in line)
    assert int(near.split()[4]) == 1
    assert (house / "data/raw/post/test.jsonl").is_file()
    assert load(DatasetConfig, house / "configs/dataset/post.yaml").test is None


@pytest.mark.parametrize("packed", PACK)
def test_compressed_files_keep_their_suffix(packed: str, house: Path) -> None:
    write(house, f"a.csv{packed}", PACK[packed](table().encode()))
    main(["new-task", f"a.csv{packed}", "--text", "body", "--label", "topic"])
    assert (house / f"data/raw/a/train.csv{packed}").is_file()


def test_a_folder_of_files_per_class_needs_no_columns(house: Path) -> None:
    for n in range(20):
        write(house, f"mails/{'spam' if n % 2 else 'ham'}/{n}.txt", f"mail number {n}")
    main(["new-task", "mails"])
    assert (house / "data/raw/mails/train/spam/1.txt").is_file()
    assert load(DatasetConfig, house / "configs/dataset/mails.yaml").path == "folder"


def test_chinese_is_noticed_and_compared_by_characters(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        house,
        "zh.csv",
        "text,label\n" + "".join(f"我的包裹{n}没有送到,{'物流' if n % 2 else '退款'}\n" for n in range(30)),
    )
    main(["new-task", "zh.csv", "--text", "text", "--label", "label"])
    assert load(DatasetConfig, house / "configs/dataset/zh.yaml").spaced is False
    assert "not separated by spaces" in capsys.readouterr().out


def test_korean_is_separated_by_spaces(house: Path) -> None:
    write(
        house,
        "ko.csv",
        "text,label\n" + "".join(f"제 택배 {n} 아직 안 왔어요,{'배송' if n % 2 else '환불'}\n" for n in range(30)),
    )
    main(["new-task", "ko.csv", "--text", "text", "--label", "label"])
    assert load(DatasetConfig, house / "configs/dataset/ko.yaml").spaced is True


def test_several_labels_a_document(house: Path) -> None:
    write(house, "m.csv", "text,tags\n" + "".join(f"text {n},{'a;b' if n % 3 else 'b'}\n" for n in range(30)))
    main(["new-task", "m.csv", "--text", "text", "--label", "tags", "--separator", ";"])
    assert load(DatasetConfig, house / "configs/dataset/m.yaml").multilabel


def test_labels_that_look_like_several_each_are_pointed_out(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = ("billing", "login", "login; billing", "billing; login")
    write(house, "m.csv", "body,topic\n" + "".join(f"text {n},{labels[n % 4]}\n" for n in range(40)))
    main(["new-task", "m.csv", *GOOD])
    assert "many labels look like several: `--separator ';'` makes" in capsys.readouterr().out
    main(["new-task", "m.csv", *GOOD, "--separator", ";", "--name", "several"])
    assert "many labels" not in capsys.readouterr().out


GOOD = ["--text", "body", "--label", "topic"]
BAD: list[tuple[str, bytes, list[str], str]] = [
    ("a.csv", table().encode(), ["--text", "bdy", "--label", "topic"], 'a.csv: no column "bdy"; did you mean "body"?'),
    ("a.csv", table().encode(), ["--text", "body", "--label", "tpic"], 'no column "tpic"; did you mean "topic"?'),
    ("a.csv", b"body,topic\n", GOOD, "a.csv: has a header and no rows"),
    ("a.csv", b"", GOOD, "a.csv: is empty"),
    ("a.csv", b"body,topic\nx,a\ny,a\n", GOOD, "a.csv: train has one class only (a)"),
    ("a.csv", table().encode(), [*GOOD, "--test", "b.csv"], 'b.csv: test has the label "maybe", which train lacks'),
    ("a.csv", b"body,topic\nx,a\ny,a\nz,b\n", GOOD, 'a.csv: class "b" has one example'),
    ("a.csv", b"body,topic\n,a\n ,b\n", GOOD, "a.csv: train keeps none of its 2 rows (blank text: 2)"),
    ("a.csv", b"body,topic\ncaf\xe9,a\n", GOOD, "a.csv: is not UTF-8 at byte 14"),
    (
        "a.csv",
        table().encode(),
        ["--text", "body", "--label", "body"],
        "`text` and `label` both name the column `body`",
    ),
    ("a.csv", table().encode(), [*GOOD, "--separator", ""], "`label_separator` (`--separator` of new-task) is empty"),
    ("a.doc", b"x", GOOD, "a.doc: cannot tell its format"),
    ("a.csv", table().encode(), [*GOOD, "--test", "a.jsonl"], "a.jsonl: no such file"),
    (
        "a.csv",
        table().encode(),
        [*GOOD, "--name", "orders"],
        (
            "configs/dataset/orders.yaml: is there already; choose another name with `--name`, or remove the task "
            "first (configs/dataset/orders.yaml, data/raw/orders, data/raw/orders.dvc)"
        ),
    ),
    ("a.csv", table().encode(), [*GOOD, "--name", "../x"], '"../x" cannot be a file name'),
    ("a.csv", table().encode(), [*GOOD, "--labels-per-class", "0"], "`labels_per_class: 0` is not allowed"),
]


@pytest.mark.parametrize(("name", "content", "words", "message"), BAD)
def test_a_bad_file_changes_nothing(
    name: str, content: bytes, words: list[str], message: str, house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(house, name, content)
    write(house, "b.csv", "body,topic\nof a test file,maybe\n")
    before = everything(house)
    with pytest.raises(SystemExit) as left:
        main(["new-task", name, *words])
    told = capsys.readouterr().err
    assert left.value.code == 1
    assert message in told
    assert told.count("\n") == 1
    assert everything(house) == before


def test_a_misspelt_file_is_refused_with_the_nearest(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(house, "tickets.csv", table())
    with pytest.raises(SystemExit):
        main(["new-task", "tikets.csv", *GOOD])
    assert 'tikets.csv: no such file; did you mean "tickets.csv"' in capsys.readouterr().err


def test_where_dvc_fails_nothing_stays_behind(house: Path, dvc: None, monkeypatch: pytest.MonkeyPatch) -> None:
    write(house, "a.csv", table())
    (house / ".dvc").rename(house / "elsewhere")
    before = everything(house)
    monkeypatch.setenv("ULMFIT_DEBUG", "1")
    with pytest.raises(UserError, match="`dvc add data/raw/a` failed: you are not inside of a DVC repository"):
        main(["new-task", "a.csv", *GOOD])
    assert everything(house) == before
