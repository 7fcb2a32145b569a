"""Promises of `ulmfit generate`: what each kind of model writes, equal words an equal text, one line for mistakes."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pipeline.cli.main import main
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.interop.folders import COMPANION, load_language_model, save_language_model
from pipeline.models.build import build
from pipeline.models.settings import TransformerSettings
from pipeline.text import tokenizer as bpe
from tests.formal.networks import randomise
from tests.source import ROOT

TEXTS = ["The ship lay at the quay.", "서울의 봄은 짧고, 우리는 강가를 걸었다.", "我们在市场买了苹果。"] * 2
SHAPE = {"layers": 1, "width": 32, "heads": 2, "feedforward": 48, "max_positions": 48, "tied": False}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """domain/forward, domain/backward, folders named by the other families, and an empty one."""
    root = tmp_path_factory.mktemp("models")
    (root / "empty").mkdir()
    tokenizer = root / "tokenizer.json"
    bpe.save(bpe.train(TEXTS, TokenizerConfig(vocabulary=420)), tokenizer)
    for folder, family, direction in (
        ("domain/forward", "decoder", "forward"),
        ("domain/backward", "decoder", "backward"),
        ("encoder", "encoder", "forward"),
        ("hybrid", "encoder", "forward"),
        ("encoder_decoder", "encoder_decoder", "forward"),
    ):
        network = build(TransformerSettings(**SHAPE, family=family), bpe.load(tokenizer).get_vocab_size(), seed=1)
        randomise(network, seed=2)
        (root / folder).parent.mkdir(exist_ok=True)
        taught = "hybrid" if folder == "hybrid" else None
        save_language_model(root / folder, network, direction=direction, tokenizer=tokenizer, objective=taught)
    return root


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """The command sets torch's threads, which other tests share."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def written(capfdbinary: pytest.CaptureFixture[bytes], *words: object) -> str:
    """What the command prints; it must be UTF-8."""
    main(["generate", *map(str, words)])
    return capfdbinary.readouterr().out.decode("utf-8")


def test_a_folder_of_directions_shows_each_under_its_heading(models: Path, capfdbinary) -> None:
    out = written(capfdbinary, "--model", models / "domain", "--prompt", "The ship", "--tokens", 8, "--samples", 2)
    headings = [f"[{direction} {number}]\n" for direction in ("backward", "forward") for number in (1, 2)]
    places = [out.index(heading) for heading in headings]
    assert places == sorted(places)
    ends = [*places[1:], len(out)]
    texts = [out[at + len(head) : end] for head, at, end in zip(headings, places, ends, strict=True)]
    assert all(text.endswith("The ship\n\n") and len(text) > 12 for text in texts[:2])
    assert all(text.startswith("The ship") and len(text) > 12 for text in texts[2:])
    assert len(set(texts)) == 4


def test_a_direction_that_is_no_longer_chosen_does_not_write(
    models: Path, tmp_path: Path, monkeypatch, capfdbinary
) -> None:
    shutil.copytree(models, tmp_path / "models")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/config.yaml").write_text("directions: [forward]\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    out = written(capfdbinary, "--prompt", "The ship", "--tokens", 2, "--samples", 1)
    assert out.startswith("The ship")  # one text, without a heading


def test_equal_words_give_an_equal_text_and_another_seed_another(models: Path, capfdbinary) -> None:
    words = ("--model", models / "domain/forward", "--prompt", "서울의 봄은", "--samples", 1, "--tokens", 20)
    first = written(capfdbinary, *words)
    assert first.startswith("서울의 봄은")
    assert first.count("[forward") == 0, "one text alone needs no heading"
    assert written(capfdbinary, *words) == first
    assert written(capfdbinary, *words, "--seed", 2) != first


def test_greedy_writes_one_text_and_temperature_0_is_greedy(models: Path, capfdbinary) -> None:
    words = ("--model", models / "domain/forward", "--prompt", "我们", "--tokens", 20)
    greedy = written(capfdbinary, *words, "--greedy")
    assert written(capfdbinary, *words, "--temperature", 0, "--seed", 9) == greedy
    assert written(capfdbinary, *words, "--top-k", 1, "--samples", 1) == greedy
    assert written(capfdbinary, *words, "--top-p", 1e-9, "--top-k", 0, "--samples", 1) == greedy
    assert written(capfdbinary, *words, "--top-k", 0, "--samples", 1) != greedy


def test_without_a_prompt_a_text_starts_from_nothing(models: Path, capfdbinary) -> None:
    out = written(capfdbinary, "--model", models / "domain/forward", "--tokens", 10, "--samples", 1)
    assert len(out) > 5


def test_what_an_encoder_puts_into_a_gap_depends_on_what_has_taught_it(models: Path, capfdbinary) -> None:
    """tests/language_model/test_gaps.py holds each to the text; here the folder says which it is."""
    network = load_language_model(models / "hybrid")
    assert network.objective == "hybrid"
    prompt = ("--prompt", "The <mask> lay")
    hybrid, masked = (written(capfdbinary, "--model", models / name, *prompt) for name in ("hybrid", "encoder"))
    assert hybrid != masked


@pytest.mark.parametrize(("family", "guesses"), [("encoder", 5), ("encoder_decoder", 1)])
def test_a_model_that_cannot_continue_fills_the_gap(models: Path, capfdbinary, family: str, guesses: int) -> None:
    out = written(capfdbinary, "--model", models / family, "--prompt", "The <mask> lay at the quay", "--tokens", 4)
    shares = [float(line.split("%")[0]) for line in out.splitlines() if "%" in line[:7]]
    assert len(shares) == guesses
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "MODELS/other"), "MODELS/other: no such folder; train a language model (`dvc repro`) or name "),
        (("--model", "MODELS/empty"), "MODELS/empty: holds no language model; run `dvc repro`, or `dvc pull` to fetch"),
        (
            ("--model", "MODELS/domain/forward", "--prompt", "The ship"),
            "MODELS/domain/forward: 100 tokens after",
        ),
        (("--model", "MODELS/encoder", "--prompt", "a"), "MODELS/encoder: an encoder learns to see both sides"),
        (("--model", "MODELS/encoder_decoder"), "MODELS/encoder_decoder: an encoder_decoder answers"),
        (("--model", "MODELS/domain", "--top-p", "0"), "top_p 0.0 must be above 0 and at most 1; see `ulmfit generate"),
        (("--model", "MODELS/domain", "--top-k", "-1"), "top_k -1 must be 1 or more, or 0 for all; see `ulmfit"),
        (
            ("--model", "MODELS/domain", "--temperature", "inf"),
            "temperature inf must be a finite number, 0 or more; see",
        ),
        (("--tokens", "0"), "ulmfit generate: argument --tokens: 0 is not a count"),
        (("--temperature", "warm"), "ulmfit generate: argument --temperature: invalid float value: 'warm'"),
    ],
    ids=lambda words: " ".join(words).replace("MODELS/", "") if isinstance(words, tuple) else "",
)
def test_mistakes_are_one_line(models: Path, capsys, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["generate", *(word.replace("MODELS", str(models)) for word in words)])
    shown = capsys.readouterr()
    assert ended.value.code == 1
    assert shown.err.startswith(f"error: {message.replace('MODELS', str(models))}")
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_a_detector_of_replaced_tokens_guesses_none(models: Path, tmp_path: Path, capsys) -> None:
    """ELECTRA's discriminator has a way out over the vocabulary that nobody has trained."""
    folder = shutil.copytree(models / "encoder", tmp_path / "electra")
    (folder / COMPANION).write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(SystemExit):
        main(["generate", "--model", str(folder), "--prompt", "The <mask> lay"])
    assert "trained to tell replaced tokens from real ones" in capsys.readouterr().err


def test_a_classifiers_folder_is_told_from_a_language_models(models: Path, tmp_path: Path, capsys) -> None:
    config = (models / "encoder/config.json").read_text(encoding="utf-8").replace('"language_model"', '"classifier"')
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["generate", "--model", str(tmp_path)])
    assert "is of kind classifier, but a language_model is needed here" in capsys.readouterr().err


def test_nothing_of_lightning_is_loaded(models: Path) -> None:
    code = (
        "import sys; from pipeline.cli.main import main\n"
        "main(['generate', '--model', sys.argv[1], '--tokens', '3', '--samples', '1'])\n"
        "print('lightning' if {'pytorch_lightning', 'lightning', 'pandas', 'datasets'} & set(sys.modules) else 'none')"
    )
    words = [sys.executable, "-c", code, str(models / "domain/forward")]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8")
    assert result.stdout.endswith("\nnone\n")
