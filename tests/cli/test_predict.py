"""Promises of `ulmfit predict`: every format from a file or standard input, atomic output, one line for mistakes."""

import bz2
import csv
import gzip
import json
import lzma
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.cli.main import main
from pipeline.inference.predictor import Predictor
from tests.classifier.small import TEXTS, saved


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "classifier"
    saved(folder / "forward")
    return folder


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """The command sets torch's threads, which other tests share."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def expected(model: Path) -> list[tuple[str, float]]:
    """Label and probability of each of `TEXTS`."""
    predictor = Predictor.load(model, device="cpu")
    probabilities_NC = predictor.predict_proba(TEXTS)
    return list(zip(predictor.predict(TEXTS), probabilities_NC.max(axis=1).tolist(), strict=True))


def give(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Let `content` be standard input."""
    reader, writer = os.pipe()
    with open(writer, "wb") as sink:  # less than a pipe holds, so it can be written before it is read
        sink.write(content)
    monkeypatch.setattr(sys, "stdin", os.fdopen(reader, encoding="utf-8"))


def check(rows: list[tuple[str, str, float]], expected: list[tuple[str, float]]) -> None:
    """Rows are (text, label, probability)."""
    assert [text for text, _, _ in rows] == TEXTS
    assert [label for _, label, _ in rows] == [label for label, _ in expected]
    np.testing.assert_allclose([p for _, _, p in rows], [p for _, p in expected], rtol=1e-4)


def test_lines_from_standard_input(
    model: Path, expected: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, "\n".join(TEXTS).encode() + b"\n")
    main(["predict", "--model", str(model)])
    fields = [line.split("\t") for line in capfd.readouterr().out.split("\n")[:-1]]
    check([(text, label, float(p)) for label, p, text in fields], expected)


def test_csv_from_a_file_to_a_file_with_every_probability(
    model: Path, expected: list[tuple[str, float]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "in.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "body"], *([n, text] for n, text in enumerate(TEXTS))])
    out = tmp_path / "new" / "out.csv"
    words = ["--text", "body", "--output", str(out), "--all-probabilities", "--batch-tokens", "40"]
    main(["predict", "--model", str(model / "forward"), str(tmp_path / "in.csv"), *words])
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    classes = ["probability_harbour", "probability_kitchen", "probability_도시"]
    assert list(rows[0]) == ["id", "body", "label", "probability", *classes]
    check([(row["body"], row["label"], float(row["probability"])) for row in rows], expected)
    for row in rows:
        assert sum(float(row[name]) for name in classes) == pytest.approx(1, abs=1e-4)
        assert float(row["probability"]) == float(row[f"probability_{row['label']}"])
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "predict: 5 texts | read 100%" in shown.err


def test_jsonl_from_standard_input(
    model: Path, expected: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, "\n".join(json.dumps({"text": text}) for text in TEXTS).encode())
    main(["predict", "-", "--format", "jsonl", "--model", str(model)])
    rows = [json.loads(line) for line in capfd.readouterr().out.split("\n")[:-1]]
    check([(row["text"], row["label"], row["probability"]) for row in rows], expected)


def test_the_columns_of_training_are_looked_for_and_joined(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = saved(tmp_path / "classifier" / "forward", text=["subject", "body"]).parent
    (tmp_path / "in.csv").write_text("id,body,subject\n1,the captain slept,The ship\n", encoding="utf-8")
    main(["predict", "--model", str(folder), str(tmp_path / "in.csv"), "--all-probabilities"])
    main(["predict", "--model", str(folder), "--text", "body", str(tmp_path / "in.csv"), "--all-probabilities"])
    joined, alone = (list(map(float, line.split(",")[5:])) for line in capfd.readouterr().out.splitlines()[1::2])
    said_NC = Predictor.load(folder, device="cpu").predict_proba(["The ship\n\nthe captain slept", "the captain slept"])
    np.testing.assert_allclose([joined, alone], said_NC, rtol=1e-4)


@pytest.mark.parametrize("packed", ["gz", "xz", "bz2", "zst"])
def test_an_archive_is_unpacked_as_it_is_read(
    model: Path, expected: list[tuple[str, float]], packed: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = "\n".join(json.dumps({"text": text}) for text in TEXTS * 50).encode()
    squeezed = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress, "zst": pa.Codec("zstd").compress}[packed]
    path = tmp_path / f"in.jsonl.{packed}"
    path.write_bytes(bytes(squeezed(content)))
    main(["predict", str(path), "--model", str(model)])
    rows = [json.loads(line) for line in capfd.readouterr().out.split("\n")[:-1]]
    check([(row["text"], row["label"], row["probability"]) for row in rows[:5]], expected)
    assert len(rows) == 250
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SystemExit):
        main(["predict", str(path), "--model", str(model), "--output", str(tmp_path / "out.jsonl")])
    assert "cannot be read to its end" in capfd.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_a_folder_of_texts(
    model: Path, expected: list[tuple[str, float]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, text in enumerate(TEXTS):
        (tmp_path / f"{number}.txt").write_text(text, encoding="utf-8")
    main(["predict", str(tmp_path), "--model", str(model)])
    fields = [line.split("\t") for line in capfd.readouterr().out.splitlines()]
    assert [name for _, _, name in fields] == [f"{number}.txt" for number in range(len(TEXTS))]
    check([(TEXTS[int(name[0])], label, float(p)) for label, p, name in fields], expected)


def test_parquet_over_its_own_input(model: Path, expected: list[tuple[str, float]], tmp_path: Path) -> None:
    """The output is put in place when it is whole, so a file may be replaced by itself with predictions."""
    path = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"text": TEXTS}), path)
    main(["predict", "--model", str(model), str(path), "--output", str(path)])
    rows = pq.read_table(path).to_pylist()
    check([(row["text"], row["label"], row["probability"]) for row in rows], expected)


def test_several_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    folder = saved(tmp_path / "several", multilabel=True)
    give(monkeypatch, "\n".join(json.dumps({"text": text}) for text in TEXTS).encode())
    main(["predict", "--format", "jsonl", "--model", str(folder), "--all-probabilities"])
    rows = [json.loads(line) for line in capfd.readouterr().out.split("\n")[:-1]]
    for row in rows:
        labels = ("harbour", "kitchen", "도시")
        assert row["label"] == [name for name in labels if row[f"probability_{name}"] >= 0.5]
        assert row["probability"] == [row[f"probability_{name}"] for name in row["label"]]


def test_cut_texts_are_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = saved(tmp_path / "short", max_tokens=16)
    (tmp_path / "in.txt").write_text("short\n" + "not so short " * 20 + "\n")
    main(["predict", "--model", str(folder), str(tmp_path / "in.txt")])
    assert "1 texts are longer than the 16 tokens that are read of each" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "words", "message"),
    [
        ("in.csv", b"txt\na\n", [], 'has no column `text`; did you mean "txt"'),
        ("in.csv", b"text\n", [], "in.csv: holds no texts"),
        ("in.csv", b"", [], "in.csv: holds no texts"),
        ("in.txt", b"\xff\n", [], "is not UTF-8 at byte 0"),
        ("in.txt", b"a\n", ["--model", "nowhere"], "nowhere: no such folder; train a classifier (`dvc repro`)"),
        ("in.txt", b"a\n", ["--batch-tokens", "0"], "0 is not a count of tokens"),
        ("in.docx", b"a\n", [], "its ending does not tell its format"),
        (".", b"", ["--format", "csv"], "is a folder, each of whose files is a text; leave out --format"),
        (
            "in.csv",
            b"text\na\n",
            ["--output", "a.jsonl"],
            "a.jsonl: would hold csv, as the input does",
        ),
        ("in.txt", b"a\n", ["--output", "x" * 300], "x: cannot be written (File name too long); name another place"),
        ("in.txt", b"a\n", ["--output", f"{__file__}/a.txt"], "/a.txt: a file stands where its folder would be"),
        ("in.txt", b"a\n", ["--output", "a.txt.gz"], "a.txt.gz: the output is not compressed; leave out the .gz"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_output(
    model: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    content: bytes,
    words: list[str],
    message: str,
) -> None:
    if name != ".":
        (tmp_path / name).write_bytes(content)
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(tmp_path / name), "--model", str(model), "--output", str(out), *words])
    assert ended.value.code == 1
    shown = capfd.readouterr()
    assert message in shown.err
    assert len(shown.err.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "nowhere: no such folder; train a classifier (`dvc repro`) or name the folder of one"),
        ("empty", "empty: holds no classifier; run `dvc repro`, or `dvc pull` to fetch a trained one"),
        ("words", "words/config.json: is of kind language_model, but a classifier is needed here"),
    ],
)
def test_a_model_that_is_none_is_told_before_the_columns_of_the_table(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "in.csv").write_text("review\na\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words/config.json").write_text('{"kind": "language_model"}')
    check = "import sys\nfrom pipeline.cli.main import main\ntry: main(sys.argv[1:])"
    check += "\nexcept SystemExit: assert 'torch' not in sys.modules"
    words = ["predict", str(tmp_path / "in.csv"), "--model", str(tmp_path / name)]
    done = subprocess.run([sys.executable, "-c", check, *words], capture_output=True, text=True, check=True)
    assert message in done.stderr


def test_a_mistake_far_down_leaves_no_half_output(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n' * 40 + "{\n")
    with pytest.raises(SystemExit):
        main(["predict", str(tmp_path / "in.jsonl"), "--model", str(model), "--output", str(tmp_path / "out.jsonl")])
    assert "line 41 is not JSON" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_missing_file_suggests_the_nearest(tmp_path: Path, model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "reviews.csv").write_text("text\na\n")
    with pytest.raises(SystemExit):
        main(["predict", str(tmp_path / "review.csv"), "--model", str(model)])
    assert 'no such file; did you mean "reviews.csv"' in capfd.readouterr().err


def test_a_reader_that_has_seen_enough_ends_it_quietly(model: Path, tmp_path: Path) -> None:
    """`ulmfit predict FILE | head -1`: the first answer arrives, and no traceback."""
    (tmp_path / "in.txt").write_text("a line of text\n" * 3000)
    command = [sys.executable, "-m", "pipeline.cli.main", "predict", "--model", str(model), str(tmp_path / "in.txt")]
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        waited = time.monotonic() - started
        process.stdout.close()
        errors = process.stderr.read()
    assert first.endswith(b"\ta line of text\n")
    assert b"Traceback" not in errors
    assert b"BrokenPipe" not in errors
    assert waited < 60, "far from the promised 4 seconds, even on a busy machine"


def test_a_folder_for_the_output_is_refused_before_any_work(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.txt").write_text("a\n")
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(tmp_path / "in.txt"), "--model", str(model), "--output", str(tmp_path)])
    assert ended.value.code == 1
    assert capfd.readouterr().err.endswith(f"error: {tmp_path}: is a folder; name a file that is to be written\n")


def test_an_output_that_is_a_link_or_a_pipe_stays_one(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a\n")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    words = [sys.executable, "-m", "pipeline.cli.main", "predict", str(tmp_path / "in.txt"), "--model", str(model)]
    reader = subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE)
    subprocess.run([*words, "--output", str(tmp_path / "pipe")], check=True, capture_output=True)
    through = reader.communicate(timeout=60)[0]
    subprocess.run([*words, "--output", str(tmp_path / "link")], check=True, capture_output=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == through != b""


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_a_device_that_is_not_there_is_one_line(model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.txt").write_text("a\n")
    with pytest.raises(SystemExit):
        main(["predict", str(tmp_path / "in.txt"), "--model", str(model), "--device", "cuda"])
    assert "error: device cuda: torch sees no GPU; use auto" in capfd.readouterr().err
