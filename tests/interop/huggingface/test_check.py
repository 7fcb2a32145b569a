"""`check` finds what would fail later when pretraining starts from a model of `transformers`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.config.check import check_all
from tests.choices import replace_in, write_choices

FOLDER = Path("data/pretrained/theirs")
PRETRAIN = "configs/pretrain/from_huggingface.yaml"


@pytest.fixture(autouse=True)
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Choices that start from a BERT of 100 positions."""
    write_choices(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path(PRETRAIN).write_text("start: huggingface\n", encoding="utf-8")
    FOLDER.mkdir()
    (FOLDER / "config.json").write_text(
        json.dumps({"model_type": "bert", "max_position_embeddings": 100}), encoding="utf-8"
    )
    for name in ("tokenizer.json", "model.safetensors"):
        (FOLDER / name).touch()
    replace_in("configs/config.yaml", "pretrain: short", "pretrain: from_huggingface")
    replace_in("configs/config.yaml", "pretrained: none", "pretrained: theirs")


def edit(path: str, old: str, new: str) -> Callable[[], None]:
    return lambda: replace_in(path, old, new)


def from_hub() -> None:
    replace_in("configs/config.yaml", "pretrained: theirs", "pretrained: none")
    replace_in(PRETRAIN, "start: huggingface", "start: huggingface\nhub: somebody/model")


def both(*changes: Callable[[], None]) -> Callable[[], None]:
    return lambda: [change() for change in changes] and None


def pickled() -> None:
    (FOLDER / "model.safetensors").rename(FOLDER / "pytorch_model.bin")


WRONG = [
    (
        edit("configs/config.yaml", "directions: [forward]", "directions: [backward]"),
        f"`directions: [backward]`, but the model in {FOLDER} reads forward; write `directions: [forward]`",
    ),
    (
        edit("configs/classifier/quick.yaml", "chunk_tokens: 64", "chunk_tokens: 101"),
        f"`chunk_tokens: 101` is longer than `max_positions: 100` of {FOLDER}/config.json; take at most 100",
    ),
    (
        edit("configs/config.yaml", "pretrained: theirs", "pretrained: none"),
        "`pretrain: from_huggingface` needs `pretrained: NAME` (there is: colleague, theirs)",
    ),
    (
        edit(f"{FOLDER}/config.json", "bert", "berd"),
        f'{FOLDER}/config.json: `model_type: berd` is not known here; did you mean "bert"?',
    ),
    (
        edit(f"{FOLDER}/config.json", "model_type", "type"),
        f"{FOLDER}/config.json: is not the config of a language model; copy its folder whole",
    ),
    (
        edit("configs/config.yaml", "domain: none", "domain: corpus"),
        f"`objective: causal` does not fit {FOLDER}/config.json: an encoder sees the tokens that it would have to",
    ),
    (lambda: (FOLDER / "tokenizer.json").unlink(), f"{FOLDER}: tokenizer.json is missing; a language model is"),
    (pickled, f"{FOLDER}: model.safetensors is missing; where there is a pickle (.bin) instead,"),
    (
        edit(PRETRAIN, "start: huggingface", "start: folder\nhub: somebody/model"),
        f"{PRETRAIN}: `hub: somebody/model` is not used by `start: folder`; drop the line",
    ),
    (
        edit(PRETRAIN, "start: huggingface", "start: huggingface\nrevision: abc"),
        f"{PRETRAIN}: `revision: abc` is of no use without `hub: NAME`; drop the line",
    ),
    (
        both(from_hub, edit("configs/config.yaml", "pretrained: none", "pretrained: theirs")),
        "`pretrained: theirs` is not used by `pretrain: from_huggingface`; write `pretrained: none`",
    ),
    (
        both(from_hub, edit("configs/config.yaml", "directions: [forward]", "directions: [forward, backward]")),
        "but `hub: somebody/model` reads forward; write `directions: [forward]`",
    ),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[message[:60] for _, message in WRONG])
def test_what_would_fail_later_is_one_line_now(change: Callable[[], None], message: str) -> None:
    check_all()
    change()
    with pytest.raises(UserError) as caught:
        check_all()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_finished_model_needs_no_corpus() -> None:
    replace_in("configs/config.yaml", "generic: corpus", "generic: none")
    lines = {line.key: line for line in check_all()}
    assert lines["pretrained"].path == FOLDER


def test_a_hub_model_needs_no_folder() -> None:
    from_hub()
    replace_in("configs/classifier/quick.yaml", "chunk_tokens: 64", "chunk_tokens: 101")  # not known before it is there
    check_all()
