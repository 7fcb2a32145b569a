"""`check` finds what would fail later: choices without a file, folders that are missing, files that do not fit."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.config.check import check_all
from pipeline.config.choices import NAME, Choices
from pipeline.config.chosen import choice, chosen
from pipeline.config.dataset import DatasetConfig
from tests.choices import replace_in, write_choices

CHOICES = "configs/config.yaml"


@pytest.fixture(autouse=True)
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_choices(tmp_path)
    monkeypatch.chdir(tmp_path)


def choose(**lines: str) -> Callable[[], None]:
    """A change of lines of configs/config.yaml."""

    def change() -> None:
        for key, value in lines.items():
            old = str(choice(key)) if key != "directions" else "[forward]"
            replace_in(CHOICES, f"{key}: {old}", f"{key}: {value}")

    return change


def edit(path: str, old: str, new: str) -> Callable[[], None]:
    """A change of one file."""
    return lambda: replace_in(path, old, new)


def both(*changes: Callable[[], None]) -> Callable[[], None]:
    """Several changes."""
    return lambda: [change() for change in changes] and None


def away(path: str) -> Callable[[], None]:
    """A file or folder that is not there."""
    return lambda: Path(path).rename("elsewhere") and None


SPANS = "objective: spans\nmask_rate: 0.5\nspan_length: 1.0"
FROM_FOLDER = choose(pretrain="from_folder", pretrained="colleague")

WRONG = [
    (
        choose(task="reviewz"),
        (
            'configs/config.yaml: `task: reviewz` has no file configs/dataset/reviewz.yaml; did you mean "reviews"? '
            "(there is: corpus, none, orders, reviews)"
        ),
    ),
    (
        choose(model="huge"),
        "configs/config.yaml: `model: huge` has no file configs/model/huge.yaml; there is: large, small",
    ),
    (
        edit(CHOICES, "hardware: auto\n", ""),
        "configs/config.yaml: key `hardware` is missing; add a line `hardware: ...`",
    ),
    (
        edit(CHOICES, "hardware:", "hardwares:"),
        (
            'configs/config.yaml: unknown key `hardwares`; did you mean "hardware"? (there is: blend, classifier, '
            "directions, domain, finetune_lm, generic, hardware, model, pretrain, pretrained, scratch, self_train, "
            "task, tokenizer)"
        ),
    ),
    (
        choose(task="my task"),
        (
            "configs/config.yaml: `task: my task` cannot stand in a command; rename configs/dataset/my task.yaml and "
            "data/raw/my task, with letters, digits, _, . and a - between them alone"
        ),
    ),
    (
        choose(model="../small"),
        (
            "configs/config.yaml: `model: ../small` cannot stand in a command; rename configs/model/../small.yaml, "
            "with letters, digits, _, . and a - between them alone"
        ),
    ),
    (choose(task="3"), "configs/config.yaml: `task: 3` is not allowed; it should be text"),
    (
        edit("configs/tokenizer/bpe.yaml", "1000", "many"),
        "configs/tokenizer/bpe.yaml: `vocabulary: many` is not allowed; it should be a whole number",
    ),
    (away(CHOICES), "configs/config.yaml: no such file; run this in the repository's root folder"),
    (
        edit("configs/tokenizer/bpe.yaml", "1000", "1000\nseed: -1"),
        "configs/tokenizer/bpe.yaml: `seed: -1` is not allowed; it should be at least 0",
    ),
    (
        edit("configs/classifier/quick.yaml", "epochs", "head_dropout: [1.0, 0.1]\nepochs"),
        "configs/classifier/quick.yaml: `head_dropout: 1.0` is not allowed; it should be below 1",
    ),
    (
        both(
            choose(domain="corpus"),
            edit("configs/model/small.yaml", "layers", "dropout: 0.25\nlayers"),
            edit("configs/finetune_lm/short.yaml", "length", "drop_mult: 4\nlength"),
        ),
        (
            "configs/finetune_lm/short.yaml: `drop_mult: 4` times `dropout: 0.25` of configs/model/small.yaml is not "
            "below 1; take less than 4"
        ),
    ),
    (
        both(
            FROM_FOLDER,
            edit("data/pretrained/colleague/config.json", '{"max', '{"dropout": 0.5, "max'),
            edit("configs/classifier/quick.yaml", "epochs", "drop_mult: 2\nepochs"),
        ),
        (
            "configs/classifier/quick.yaml: `drop_mult: 2` times `dropout: 0.5` of "
            "data/pretrained/colleague/config.json is not below 1; take less than 2"
        ),
    ),
    # The data.
    (
        choose(task="none"),
        "configs/config.yaml: `task: none` holds no text; choose a data set with labels",
    ),
    (
        choose(task="corpus"),
        "configs/dataset/corpus.yaml: `label` is missing, and a task needs it; add a line `label: COLUMN`",
    ),
    (
        away("data/raw/reviews"),
        (
            "data/raw/reviews: no such folder, and `task: reviews` needs it; "
            "put the files there (for a hub set, a note of where it is from)"
        ),
    ),
    (
        both(away("data/raw/corpus"), lambda: Path("data/raw/corpus.dvc").touch()),
        "data/raw/corpus: is not on this machine; fetch it with `dvc pull data/raw/corpus`",
    ),
    (
        choose(generic="none"),
        (
            "configs/config.yaml: generic and domain are both none, which leaves nothing to train the tokenizer on; "
            "choose a data set for one of them"
        ),
    ),
    # A model to start from.
    (
        choose(pretrain="from_folder"),
        "configs/config.yaml: `pretrain: from_folder` needs `pretrained: NAME` (there is: colleague)",
    ),
    (
        both(away("data/pretrained/colleague"), choose(pretrain="from_folder")),
        (
            "configs/config.yaml: `pretrain: from_folder` needs `pretrained: NAME` "
            "(put a model into data/pretrained/NAME first)"
        ),
    ),
    (
        choose(pretrained="colleague"),
        (
            "configs/config.yaml: `pretrained: colleague` is not used by `pretrain: short`; "
            "write `pretrained: none`, or choose `pretrain: from_folder`"
        ),
    ),
    (
        choose(pretrain="from_folder", pretrained="collegue"),
        (
            "configs/config.yaml: `pretrained: collegue` has no folder data/pretrained/collegue; "
            'did you mean "colleague"? (there is: colleague, none)'
        ),
    ),
    (
        both(FROM_FOLDER, away("data/pretrained/colleague/tokenizer.json")),
        (
            "data/pretrained/colleague: tokenizer.json is missing; "
            "a language model is model.safetensors, config.json, tokenizer.json"
        ),
    ),
    (
        both(FROM_FOLDER, edit("data/pretrained/colleague/config.json", "max_positions", "positions")),
        "data/pretrained/colleague/config.json: is not the config of a language model; copy its folder whole",
    ),
    (
        both(FROM_FOLDER, choose(directions="[forward, backward]")),
        (
            "configs/config.yaml: `directions: [forward, backward]`, but the model in data/pretrained/colleague reads "
            "forward; write `directions: [forward]`"
        ),
    ),
    # Lengths: in tokens, against the positions of the network that will read them.
    (
        edit("configs/pretrain/short.yaml", "length: 64", "length: 256"),
        (
            "configs/pretrain/short.yaml: `length: 256` is longer than `max_positions: 128` of "
            "configs/model/small.yaml; take at most 128"
        ),
    ),
    (
        both(choose(domain="corpus"), edit("configs/finetune_lm/short.yaml", "length: 64", "length: 256")),
        (
            "configs/finetune_lm/short.yaml: `length: 256` is longer than `max_positions: 128` of "
            "configs/model/small.yaml; take at most 128"
        ),
    ),
    (
        edit("configs/classifier/quick.yaml", "64", "129"),
        (
            "configs/classifier/quick.yaml: `chunk_tokens: 129` is longer than `max_positions: 128` of "
            "configs/model/small.yaml; take at most 128"
        ),
    ),
    (
        both(FROM_FOLDER, edit("configs/classifier/quick.yaml", "64", "128")),
        (
            "configs/classifier/quick.yaml: `chunk_tokens: 128` is longer than `max_positions: 96` of "
            "data/pretrained/colleague/config.json; take at most 96"
        ),
    ),
    (
        edit("configs/pretrain/short.yaml", "start: scratch", "start: scratch\nobjective: masked"),
        (
            "configs/pretrain/short.yaml: `objective: masked` does not fit configs/model/small.yaml: a decoder cannot "
            "see what follows a masked token; `objective: hybrid` teaches it to"
        ),
    ),
    (
        both(
            FROM_FOLDER,
            choose(domain="corpus"),
            edit("data/pretrained/colleague/config.json", '{"max', '{"backbone": "lstm", "max'),
            edit("configs/finetune_lm/short.yaml", "batch_tokens", "bag_of_words: 1\nbatch_tokens"),
        ),
        (
            "configs/finetune_lm/short.yaml: `bag_of_words` does not fit data/pretrained/colleague/config.json: an "
            "LSTM's windows go on from one another, not from a document's first part; leave it 0"
        ),
    ),
    (
        both(
            edit("configs/model/small.yaml", "layers", "attention: fast_weight\npositions: none\nlayers"),
            edit("configs/classifier/quick.yaml", "epochs", "causal: false\nepochs"),
        ),
        (
            "configs/classifier/quick.yaml: `causal: false` does not fit configs/model/small.yaml: `attention: "
            "fast_weight` writes token after token; write `causal: auto`"
        ),
    ),
    (
        both(
            choose(domain="corpus"),
            edit("configs/model/small.yaml", "layers", "family: encoder\nlayers"),
            edit("configs/pretrain/short.yaml", "length", "objective: replaced_tokens\ngenerator_divisor: 3\nlength"),
            edit("configs/finetune_lm/short.yaml", "length", "objective: replaced_tokens\nlength"),
        ),
        (
            "configs/finetune_lm/short.yaml: `generator_divisor: 4`, but the generator comes from "
            "configs/pretrain/short.yaml, which has 3; write `generator_divisor: 3`"
        ),
    ),
    (
        both(
            edit("configs/model/small.yaml", "layers", "positions: t5\nlayers"),
            edit("configs/pretrain/short.yaml", "start: scratch", "start: scratch\nobjective: hybrid"),
        ),
        (
            "configs/pretrain/short.yaml: `objective: hybrid` does not fit configs/model/small.yaml: with "
            "`positions: t5` a decoder cannot tell in which order the tokens after one stand; take rotary"
        ),
    ),
    (
        both(
            FROM_FOLDER,
            edit("data/pretrained/colleague/config.json", '{"max', '{"positions": "t5", "max'),
            edit("configs/classifier/quick.yaml", "epochs", "causal: false\nepochs"),
        ),
        (
            "configs/classifier/quick.yaml: `causal: false` does not fit data/pretrained/colleague/config.json: with "
            "`positions: t5` a decoder cannot tell in which order the tokens after one stand; write `causal: auto`"
        ),
    ),
    (
        both(
            FROM_FOLDER,
            choose(domain="corpus"),
            edit("data/pretrained/colleague/config.json", '{"max', '{"family": "encoder", "max'),
        ),
        (
            "configs/finetune_lm/short.yaml: `objective: causal` does not fit data/pretrained/colleague/config.json: "
            "an encoder sees the tokens that it would have to predict"
        ),
    ),
    (
        both(
            FROM_FOLDER,
            edit("data/pretrained/colleague/config.json", '{"max', '{"backbone": "lstm", "max'),
            edit("configs/classifier/quick.yaml", "epochs", "causal: false\nepochs"),
        ),
        (
            "configs/classifier/quick.yaml: `causal: false` does not fit data/pretrained/colleague/config.json: "
            "an LSTM reads one way; write `causal: auto`"
        ),
    ),
    (
        both(
            FROM_FOLDER,
            edit("data/pretrained/colleague/config.json", '{"max', '{"backbone": "lstm", "max'),
            edit("configs/classifier/quick.yaml", "epochs", "overlap: 8\nepochs"),
        ),
        (
            "configs/classifier/quick.yaml: `overlap: 8` does not fit data/pretrained/colleague/config.json: "
            "an LSTM goes on from chunk to chunk; write `overlap: 0`"
        ),
    ),
    # Processes: each needs something of every step.
    (
        edit("configs/hardware/auto.yaml", "auto", "auto\ndevices: 5"),
        (
            "configs/pretrain/short.yaml: `batch_tokens: 256` is less than one window of `length: 64` for each of the "
            "5 processes of configs/hardware/auto.yaml; take at least 320, or at most 4 devices in all"
        ),
    ),
    (
        both(
            choose(domain="corpus"),
            edit("configs/pretrain/short.yaml", "256", "384"),
            edit("configs/hardware/auto.yaml", "auto", "auto\ndevices: 3\nnodes: 2"),
        ),
        (
            "configs/finetune_lm/short.yaml: `batch_tokens: 256` is less than one window of `length: 64` for each of "
            "the 6 processes of configs/hardware/auto.yaml; take at least 384, or at most 4 devices in all"
        ),
    ),
    (
        both(
            edit("configs/pretrain/short.yaml", "256", "1088"),
            edit("configs/hardware/auto.yaml", "auto", "auto\nnodes: 17"),
        ),
        (
            "configs/classifier/quick.yaml: `batch_documents: 16` is less than one document for each of the 17 "
            "processes of configs/hardware/auto.yaml; take at least 17, or at most 16 devices in all"
        ),
    ),
    (
        both(
            lambda: Path("configs/classifier/other.yaml").write_text("batch_documents: 3\nchunk_tokens: 64\n") and None,
            choose(scratch="other"),
            edit("configs/hardware/auto.yaml", "auto", "auto\ndevices: 4"),
        ),
        (
            "configs/classifier/other.yaml: `batch_documents: 3` is less than one document for each of the 4 "
            "processes of configs/hardware/auto.yaml; take at least 4, or at most 3 devices in all"
        ),
    ),
    # Spans: half of 128 tokens, one by one, are 129 with <bos>; and a row of 256 has no sentinels for so many.
    (
        both(
            edit("configs/model/small.yaml", "layers", "family: encoder_decoder\nlayers"),
            edit("configs/pretrain/short.yaml", "length: 64", f"length: 128\n{SPANS}"),
        ),
        (
            "configs/pretrain/short.yaml: of `length: 128` the decoder writes 129 tokens (64 in 64 spans), and the "
            "network has 128 positions; take a lower `mask_rate`, a longer `span_length` or a shorter `length`"
        ),
    ),
    (
        both(
            choose(domain="corpus", model="large"),
            edit("configs/model/large.yaml", "layers", "family: encoder_decoder\nlayers"),
            edit("configs/pretrain/short.yaml", "length: 64", "length: 64\nobjective: spans"),
            edit("configs/finetune_lm/short.yaml", "length: 64", f"length: 256\n{SPANS}"),
        ),
        (
            "configs/finetune_lm/short.yaml: `length: 256` makes 128 spans, but the 100 sentinels serve 99; take a "
            "lower `mask_rate`, a longer `span_length` or a `length` of at most 199"
        ),
    ),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[message[:70] for _, message in WRONG])
def test_what_would_fail_later_is_one_line_now(change: Callable[[], None], message: str) -> None:
    check_all()
    change()
    with pytest.raises(UserError) as caught:
        check_all()
    assert str(caught.value) == message


def test_every_line_of_the_choices_is_reported_in_its_order_with_its_file() -> None:
    lines = check_all()
    assert [line.key for line in lines] == list(Choices.__dataclass_fields__)
    assert all(line.path.exists() and line.summary for line in lines)


def test_a_finished_model_needs_no_corpus_and_no_length_of_the_pretrain_config() -> None:
    both(FROM_FOLDER, choose(generic="none"))()
    replace_in("configs/pretrain/from_folder.yaml", "tokens: 1", "tokens: 1\nlength: 4096")
    assert {line.key: line.path for line in check_all()}["pretrained"] == Path("data/pretrained/colleague")


def test_without_a_generic_corpus_the_domain_is_enough() -> None:
    choose(generic="none")()
    replace_in(CHOICES, "domain: none", "domain: corpus")
    check_all()


@pytest.mark.parametrize(("key", "data"), [("pretrain", "generic"), ("finetune_lm", "domain")])
@pytest.mark.parametrize(
    "lines", ["length: 256", "length: 64\nobjective: masked", "length: 64\ndrop_mult: 9", f"length: 64\n{SPANS}"]
)
def test_a_stage_that_will_not_train_is_asked_nothing(key: str, data: str, lines: str) -> None:
    choose(domain="corpus")()
    edit("configs/model/small.yaml", "layers", "dropout: 0.25\nlayers")()
    edit(f"configs/{key}/short.yaml", "length: 64", lines)()
    with pytest.raises(UserError, match=f"configs/{key}/short.yaml: "):
        check_all()
    choose(**{data: "none"})()
    check_all()


@pytest.mark.parametrize(
    ("key", "data", "other"), [("pretrain", "generic", "finetune_lm"), ("finetune_lm", "domain", "pretrain")]
)
def test_a_stage_that_will_not_train_needs_no_work_for_its_processes(key: str, data: str, other: str) -> None:
    choose(domain="corpus")()
    edit(f"configs/{other}/short.yaml", "256", "512")()
    edit("configs/hardware/auto.yaml", "auto", "auto\ndevices: 8")()
    with pytest.raises(UserError, match=f"configs/{key}/short.yaml: `batch_tokens: 256`"):
        check_all()
    choose(**{data: "none"})()
    check_all()


@pytest.mark.parametrize("key", [key for key in Choices.__dataclass_fields__ if key != "directions"])
@pytest.mark.parametrize("name", ["a b", "a;b", "$(a)", "-a", "a/b", "größe"])
def test_a_name_that_a_shell_could_misread_is_refused_on_every_line(key: str, name: str) -> None:
    with pytest.raises(UserError, match=f"`{key}: {re.escape(name)}` cannot stand in a command; rename ") as caught:
        check_all({**{key: choice(key) for key in Choices.__dataclass_fields__}, key: name})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["t5-v1.1", "bert_base", "2024.reviews", "a-b-c"])
def test_names_that_models_have_are_names(name: str) -> None:
    assert NAME.fullmatch(name)


def test_other_choices_can_be_tried_without_being_written() -> None:
    assert check_all({**{key: choice(key) for key in Choices.__dataclass_fields__}, "task": "orders"})
    assert choice("task") == "reviews"


def test_a_stage_gets_the_file_behind_its_choice() -> None:
    assert chosen("task", DatasetConfig).label == "stars"


def test_a_missing_choice_suggests_the_nearest_line() -> None:
    replace_in(CHOICES, "task:", "tasks:")
    with pytest.raises(UserError, match=r'key `task` is missing; add a line `task: ...` \(did you mean "tasks"\?'):
        choice("task")


def test_checking_imports_nothing_heavy() -> None:
    code = "import sys, pipeline.config.check; print({'torch', 'numpy', 'pyarrow', 'datasets'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
