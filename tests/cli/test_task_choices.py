"""`ulmfit new-task` chooses what can run, and says where the tokenizer to come does not know the text's characters."""

from pathlib import Path

import pytest

from pipeline.cli import task_choices
from pipeline.cli.main import main
from pipeline.config.check import check_all
from pipeline.config.chosen import choice
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.text import tokenizer as bpe
from tests.choices import replace_in
from tests.cli.test_new_task import everything
from tests.text.small import write

CHOICES = "configs/config.yaml"
TEXTS = {
    "English": "my parcel {n} has not come please look",
    "Arabic": "طردي رقم {n} لم يصل بعد من فضلك",
    "emoji": "😀👍🎉 {n}",
}


def take(text: str, name: str = "ours") -> None:
    """Take in a set of forty documents."""
    write(Path(), "a.csv", "text,label\n" + "".join(f"{text.format(n=n)},{'xy'[n % 2]}\n" for n in range(40)))
    main(["new-task", "a.csv", "--text", "text", "--label", "label", "--name", name])


@pytest.mark.parametrize(("pretrain", "domain"), [("short", "ours"), ("from_folder", "none")])
def test_without_generic_text_even_a_little_is_what_tokenizer_and_network_learn_from(
    pretrain: str, domain: str, house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A finished model brings its tokenizer, and has nothing to learn from a little text."""
    for old, new in (
        ("generic: corpus", "generic: none"),
        ("domain: none", "domain: reviews"),
        ("pretrain: short", f"pretrain: {pretrain}"),
        ("pretrained: none", f"pretrained: {'colleague' if pretrain == 'from_folder' else 'none'}"),
    ):
        replace_in(CHOICES, old, new)
    take(TEXTS["Arabic"])
    assert choice("domain") == domain
    assert ("learn from this alone" in capsys.readouterr().out) == (domain == "ours")
    check_all()


def test_choices_that_cannot_run_with_the_set_are_refused_before_it_is_taken_in(
    house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(task_choices, "DOMAIN_CHARACTERS", 100)  # so that the language model is fine-tuned on it
    replace_in("configs/finetune_lm/short.yaml", "tokens: 1000", "tokens: 1000\nobjective: masked")
    check_all()
    before = everything(house)
    with pytest.raises(SystemExit):
        take(TEXTS["English"])
    assert "configs/finetune_lm/short.yaml: `objective: masked` does not fit configs/model/small" in (
        capsys.readouterr().err
    )
    assert set(everything(house)) - set(before) == {"a.csv"}
    assert everything(house)[CHOICES] == before[CHOICES]


@pytest.mark.parametrize("tokenized", [False, True])
@pytest.mark.parametrize("much", [False, True])
@pytest.mark.parametrize("text", TEXTS)
def test_text_of_more_tokens_than_characters_is_told_with_choices_that_run(
    text: str,
    much: bool,
    tokenized: bool,
    house: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the tokenizer that is there, or as long as there is none by the English that is shipped."""
    write(house, "configs/tokenizer/bpe_8k_domain.yaml", "include_domain: true\n")
    if tokenized:
        (house / "models/tokenizer").mkdir(parents=True)
        tokenizer = bpe.train([TEXTS["English"].format(n=n) for n in range(99)], TokenizerConfig(vocabulary=400))
        bpe.save(tokenizer, house / "models/tokenizer/tokenizer.json")
    else:
        replace_in(
            "configs/dataset/corpus.yaml", "path: text\ndata_files: {train: all.txt}", "path: embedded\nname: task"
        )
    if much:
        monkeypatch.setattr(task_choices, "DOMAIN_CHARACTERS", 100)
    take(TEXTS[text])
    told = capsys.readouterr().out
    assert ("more tokens than characters" in told) == (text != "English")
    if text != "English":
        commands = [command for command in told.split("`") if command.startswith("ulmfit use")]
        both = ["ulmfit use tokenizer=bpe_8k_domain", "ulmfit use generic=none"]
        assert commands == (both if much else ["ulmfit use generic=none domain=ours"])
        main(commands[0].split()[1:])
        take(TEXTS[text], "again")
        assert "more tokens than characters" not in capsys.readouterr().out, "who has chosen so is not told again"
        main(commands[-1].split()[1:])
