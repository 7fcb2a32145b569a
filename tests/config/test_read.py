"""A mistake in a config file is one line: the file, the key, what was found, what is allowed."""

from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.config.choices import SCHEMAS, Choices
from pipeline.config.read import load, parse, read_yaml

TASK = "path: csv\ndata_files: {train: a.csv}\nlabel: x\n"
MODEL = "layers: 2\nwidth: 32\nheads: 4\nfeedforward: 64\nmax_positions: 64\n"
TRAINING = "start: scratch\ntokens: 1000\nlearning_rate: 0.001\n"
CLASSIFIER = "epochs: 1\nlearning_rate: 0.001\n"

WRONG = [
    # What is not a mapping of keys to values at all.
    ("task", "- a\n- b\n", "must hold `key: value` lines, not list"),
    ("task", "path: a: b\n", "is not valid YAML at line 1: mapping values are not allowed here"),
    ("task", TASK + "text: [a\n", "is not valid YAML at line 5: expected ',' or ']', but got '<stream end>'"),
    (
        "task",
        TASK + "label: y\n",
        'is not valid YAML at line 4: found duplicate key "label" with value "y" (original value: "x")',
    ),
    # Keys.
    ("task", "", "key `path` is missing; add a line `path: ...`"),
    ("model", "layers: 2\n", "key `width` is missing; add a line `width: ...`"),
    (
        "hardware",
        "device: 2\n",
        (
            'unknown key `device`; did you mean "devices"? '
            "(there is: accelerator, compile, devices, launcher, micro_batch, nodes, strategy, threads, workers)"
        ),
    ),
    (
        "tokenizer",
        "vocab: 1000\nseed: one\n",
        (
            'unknown key `vocab`; did you mean "vocabulary"? '
            "(there is: include_domain, lowercase, min_frequency, normalize, sample_megabytes, seed, vocabulary)"
        ),
    ),
    # Types: strict, so that a slip is not taken for something else.
    ("task", TASK + "spaced: no\n", "`spaced: no` is not allowed; it should be true or false"),
    ("task", TASK + "seed: 1.5\n", "`seed: 1.5` is not allowed; it should be a whole number"),
    ("task", TASK + "text: 3\n", "`text: 3` is not allowed; it should be text or a list such as [a, b]"),
    ("task", TASK + "text: [a, 3]\n", "`text: 3` is not allowed; it should be text"),
    ("task", TASK + "text: [a, b, a]\n", "`text` names the column `a` twice; name it once"),
    (
        "task",
        "path: csv\ndata_files: {train: a.csv}\nlabel: [x, x]\n",
        "`label` names the column `x` twice; name it once",
    ),
    ("task", TASK + "label_names: a\n", "`label_names: a` is not allowed; it should be a list such as [a, b]"),
    (
        "task",
        "path: csv\ndata_files: [a.csv]\n",
        '`data_files: ["a.csv"]` is not allowed; it should be a mapping such as {a: b}',
    ),
    ("model", MODEL + "dropout: true\n", "`dropout: true` is not allowed; it should be a number"),
    (
        "pretrain",
        "start: scratch\ntokens: 1e6\nlearning_rate: 1\n",
        "`tokens: 1000000.0` is not allowed; it should be a whole number",
    ),
    (
        "pretrain",
        "start: scratch\ntokens: 1\nlearning_rate: fast\n",
        "`learning_rate: fast` is not allowed; it should be a number",
    ),
    (
        "pretrain",
        "tokens: 1\nlearning_rate: .inf\n",
        "`learning_rate: Infinity` is not allowed; it should be a finite number",
    ),
    # Allowed values.
    (
        "task",
        "path: csv\ndata_files: {train: a.csv, dev: b.csv}\n",
        "`data_files: dev` is not allowed; it should be 'train', 'validation', 'test' or 'unlabelled'",
    ),
    (
        "task",
        TASK + "sha256: {a.csv: 123}\n",
        "`sha256: 123` is not allowed; it should be text",
    ),
    ("task", TASK + "labels_per_class: 0\n", "`labels_per_class: 0` is not allowed; it should be above 0"),
    ("tokenizer", "sample_megabytes: 0\n", "`sample_megabytes: 0` is not allowed; it should be above 0"),
    ("model", MODEL + "norm: rms\n", "`norm: rms` is not allowed; it should be 'layernorm' or 'rmsnorm'"),
    ("pretrain", TRAINING + "warmup: 2\n", "`warmup: 2` is not allowed; it should be at most 1"),
    ("pretrain", TRAINING + "discriminative: 0.5\n", "`discriminative: 0.5` is not allowed; it should be at least 1"),
    (
        "finetune_lm",
        TRAINING.removeprefix("start: scratch\n") + "schedule: triangle\n",
        (
            "`schedule: triangle` is not allowed; it should be 'slanted_triangular', 'linear', 'cosine', 'one_cycle', "
            "'constant' or 'wsd'"
        ),
    ),
    (
        "classifier",
        CLASSIFIER + "pooling: [first]\n",
        "`pooling: first` is not allowed; it should be 'last', 'max' or 'mean'",
    ),
    ("classifier", CLASSIFIER + "head_dropout: [0.1, 2]\n", "`head_dropout: 2` is not allowed; it should be below 1"),
    ("hardware", "accelerator: tpu\n", "`accelerator: tpu` is not allowed; it should be 'auto', 'cpu', 'gpu' or 'mps'"),
    ("hardware", "devices: all\n", "`devices: all` is not allowed; it should be 'auto' or a whole number"),
    ("hardware", "devices: 0\n", "`devices: 0` is not allowed; it should be 'auto' or above 0"),
    ("hardware", "launcher: mpirun\n", "`launcher: mpirun` is not allowed; it should be 'auto' or 'srun'"),
    ("hardware", "accelerator: mps\ndevices: 2\n", "`accelerator: mps` is one device; write `devices: 1`"),
    # Values that do not fit together.
    ("task", TASK + "text: []\n", "`text` names no column; name one or several"),
    ("task", TASK.replace("x", "[]"), "`label` names no column; name one or several"),
    (
        "task",
        TASK + "text: [title, x]\n",
        "`text` and `label` both name the column `x`; a text must not hold its answer",
    ),
    (
        "task",
        TASK + "label_separator: ''\n",
        "`label_separator` (`--separator` of new-task) is empty; write what is between two labels",
    ),
    ("task", "path: csv\n", "`path: csv` reads files; add `data_files: {train: FILE}`"),
    ("task", "path: csv\ndata_files: {test: a.csv}\n", "`data_files` needs a `train` part"),
    ("task", "path: own/set\nsplit: {test: test}\n", "`split` needs a `train` part"),
    (
        "task",
        "path: xls\n",
        (
            "`path: xls` is neither a hub id (owner/name) nor one of "
            "csv, tsv, json, jsonl, parquet, text, folder, embedded, none"
        ),
    ),
    ("model", MODEL.replace("32", "30"), "`width: 30` must be a multiple of `heads: 4`"),
    ("model", MODEL.replace("32", "12"), "rotary positions need an even head width, not 3"),
    ("model", MODEL.replace("layers: 2", "layers: 0"), "`layers: 0` must be at least 1"),
    ("pretrain", TRAINING + "length: 100\n", "`batch_tokens: 4096` must be a multiple of `length: 100`; take 4000"),
    (
        "pretrain",
        TRAINING + "objective: masked\nbag_of_words: 1\n",
        (
            "`bag_of_words` stands beside `objective: causal` alone, which is blind to the words it asks for; with "
            "`objective: masked` leave it 0"
        ),
    ),
    ("classifier", CLASSIFIER + "overlap: 256\n", "`overlap: 256` must be below `chunk_tokens: 256`"),
    ("classifier", CLASSIFIER + "pooling: []\n", "`pooling` must name at least one of last, max, mean"),
    (
        "classifier",
        CLASSIFIER + "head_dropout: [0.1]\n",
        "`head_dropout` needs one rate for each linear layer of the head: two, or one with `head_width: 0`",
    ),
]


@pytest.mark.parametrize(("key", "content", "message"), WRONG)
def test_a_wrong_config_is_one_line(tmp_path: Path, key: str, content: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load(SCHEMAS[key], path)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ("forward", "`directions: forward` is not allowed; it should be a list such as [a, b]"),
        (["up"], "`directions: up` is not allowed; it should be 'forward' or 'backward'"),
        ([], "`directions` must be [forward], [backward] or [forward, backward]"),
        (["forward", "forward"], "`directions` must be [forward], [backward] or [forward, backward]"),
    ],
)
def test_wrong_directions_are_one_line(directions: object, message: str) -> None:
    choices = dict.fromkeys(Choices.__dataclass_fields__, "a") | {"directions": directions}
    with pytest.raises(UserError) as caught:
        parse(Choices, choices, "configs/config.yaml")
    assert str(caught.value) == f"configs/config.yaml: {message}"


def test_a_missing_file_suggests_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "decoder_small.yaml").write_text("layers: 2\n")
    with pytest.raises(UserError) as caught:
        read_yaml(tmp_path / "decoder_smal.yaml")
    assert str(caught.value) == (
        f'{tmp_path}/decoder_smal.yaml: no such file; did you mean "decoder_small"? (there is: decoder_small)'
    )


def test_a_file_in_another_encoding_names_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("path: csv  # caf\xe9\n".encode("latin-1"))
    with pytest.raises(UserError) as caught:
        read_yaml(path)
    assert str(caught.value) == f"{path}: is not UTF-8 at byte 16; save it as UTF-8"


def test_numbers_and_words_are_those_of_yaml_1_2_as_dvc_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("rate: 1e-3\ncount: 600_000\nno: no\nnone: none\n")
    assert read_yaml(path) == {"rate": 0.001, "count": 600_000, "no": "no", "none": "none"}


def test_an_empty_file_holds_no_keys(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# all defaults\n")
    assert read_yaml(path) == {}
    assert load(SCHEMAS["hardware"], path).devices == "auto"


def test_a_config_is_frozen_and_its_lists_are_tuples(tmp_path: Path) -> None:
    path = tmp_path / "classifier.yaml"
    path.write_text(CLASSIFIER + "pooling: [mean, max]\n")
    config = load(SCHEMAS["classifier"], path)
    assert config.pooling == ("mean", "max")
    with pytest.raises(AttributeError):
        config.epochs = 2
