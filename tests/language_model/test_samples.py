"""The samples of a training stage: what the objective teaches, the same each time, in the order of the text."""

import json
from pathlib import Path

import pytest

from pipeline.config.tokenizer import TokenizerConfig
from pipeline.language_model.generation import generate
from pipeline.language_model.samples import decode, sample_texts
from pipeline.models.build import Network, build
from pipeline.models.settings import LSTMSettings, ModelSettings, TransformerSettings
from pipeline.shards.read import TokenCorpus
from pipeline.shards.write import write_shards
from pipeline.text import tokenizer as bpe
from pipeline.text.specials import BOS
from tests.formal.networks import randomise

LONG = (
    "The ship lay at the quay and the captain slept, while 서울의 봄은 짧고 우리는 강가를 걸었다. 我们在市场买了苹果。"
)
SHAPE = {"layers": 1, "width": 32, "heads": 2, "feedforward": 48, "max_positions": 64, "tied": False}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    bpe.save(bpe.train([LONG, "a short one"] * 2, TokenizerConfig(vocabulary=420)), path)
    return path


@pytest.fixture(scope="module")
def validation(tmp_path_factory: pytest.TempPathFactory, tokenizer: Path) -> TokenCorpus:
    return corpus(tmp_path_factory.mktemp("validation") / "tokens", tokenizer, ["a short one", LONG, LONG[::-1]])


def corpus(folder: Path, tokenizer: Path, texts: list[str]) -> TokenCorpus:
    """A tokenised corpus as the stage tokenise leaves it."""
    loaded = bpe.load(tokenizer)
    documents = [(tokens, 1, 1) for tokens in bpe.encode(loaded, texts)]
    write_shards(
        folder, documents, vocabulary=loaded.get_vocab_size(), tokenizer=bpe.fingerprint(tokenizer), shard_tokens=50
    )
    return TokenCorpus(folder)


def network(settings: ModelSettings, tokenizer: Path) -> Network:
    made = build(settings, bpe.load(tokenizer).get_vocab_size(), seed=1)
    randomise(made, seed=1)
    return made


@pytest.mark.parametrize(
    ("direction", "objective"),
    [("forward", "causal"), ("backward", "causal"), ("forward", "hybrid"), ("backward", "prefix")],
)
def test_continuations_go_on_from_a_validation_document_and_from_nothing(
    tokenizer: Path, validation: TokenCorpus, direction: str, objective: str
) -> None:
    model = network(TransformerSettings(**SHAPE), tokenizer)
    samples = sample_texts(model, tokenizer, direction, objective, validation)
    assert [one["how"] for one in samples] == ["greedy", "temperature 0.8", "temperature 0.8"]
    given, other = ("before", "after") if direction == "forward" else ("after", "before")
    for one in samples:
        assert (LONG.startswith if direction == "forward" else LONG.endswith)(one[given])
        assert one[other] == ""
        assert one["written"]
    assert samples[0][given] == samples[1][given] != samples[2][given] == ""
    assert samples[0]["written"] != samples[1]["written"]
    assert json.loads(json.dumps(samples)) == samples
    assert sample_texts(model, tokenizer, direction, objective, validation) == samples


def test_a_backward_model_writes_what_comes_before_the_prompt(tokenizer: Path, validation: TokenCorpus) -> None:
    model = network(TransformerSettings(**SHAPE), tokenizer)
    sample = sample_texts(model, tokenizer, "backward", "causal", validation)[0]
    loaded = bpe.load(tokenizer)
    prompt = bpe.encode(loaded, [sample["after"]])[0][1:-1][::-1].tolist()
    (written,) = generate(model, [BOS, *prompt], tokens=40)
    assert sample["written"] + sample["after"] == decode(loaded, [*prompt, *written], "backward")


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(
    ("family", "objective"), [("encoder", "masked"), ("encoder", "hybrid"), ("encoder_decoder", "spans")]
)
def test_models_that_see_both_sides_fill_gaps_in_a_validation_document(
    tokenizer: Path, validation: TokenCorpus, family: str, objective: str, direction: str
) -> None:
    model = network(TransformerSettings(**SHAPE, family=family), tokenizer)
    samples = sample_texts(model, tokenizer, direction, objective, validation)
    assert len(samples) == 3
    for one in samples:
        assert one["how"] == "gap"
        assert one["written"] == one["guesses"][0]["text"]
        probabilities = [guess["probability"] for guess in one["guesses"]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(0 <= probability <= 1 for probability in probabilities)
        whole = one["before"] + one["original"] + one["after"]
        assert "\ufffd" in whole or (LONG.startswith if direction == "forward" else LONG.endswith)(whole)
    assert len(samples[0]["before"]) != len(samples[1]["before"])


def test_a_network_that_writes_nothing_has_no_samples(tokenizer: Path, validation: TokenCorpus) -> None:
    detective = network(TransformerSettings(**SHAPE, family="encoder"), tokenizer)
    assert sample_texts(detective, tokenizer, "forward", "replaced_tokens", validation) == []


@pytest.mark.parametrize("texts", [[], [""], ["서울"]])
@pytest.mark.parametrize(
    ("settings", "objective"),
    [
        (LSTMSettings(backbone="lstm", layers=1, width=16, hidden=16), "causal"),
        (TransformerSettings(**{**SHAPE, "max_positions": 4}), "causal"),
        (TransformerSettings(**{**SHAPE, "max_positions": 10, "family": "encoder"}), "masked"),
        (TransformerSettings(**{**SHAPE, "max_positions": 10, "family": "encoder_decoder"}), "spans"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_corpus_of_next_to_nothing_and_a_network_of_few_positions_are_no_mistake(
    tokenizer: Path, tmp_path: Path, texts: list[str], settings: ModelSettings, objective: str
) -> None:
    samples = sample_texts(
        network(settings, tokenizer), tokenizer, "forward", objective, corpus(tmp_path / "tokens", tokenizer, texts)
    )
    assert len(samples) == 3 if objective == "causal" else len(samples) in (0, 3)


def test_text_is_whole_characters_and_holds_nothing_that_a_terminal_obeys(tokenizer: Path) -> None:
    loaded = bpe.load(tokenizer)
    tokens = bpe.encode(loaded, ["a\x1b[31m\tб\n"])[0].tolist()
    assert decode(loaded, tokens, "forward") == "a\ufffd[31m\tб\n"
    assert decode(loaded, tokens[::-1], "backward") == "a\ufffd[31m\tб\n"
    (bosb, *rest, _) = bpe.encode(loaded, ["ab𐍈"])[0].tolist()  # four bytes, unseen in training: four tokens
    for cut in (1, 2, 3):
        assert decode(loaded, [bosb, *rest[:-cut]], "forward") == "ab"
    (_, *rest, _) = bpe.encode(loaded, ["𐍈ab"])[0].tolist()
    for cut in (1, 2, 3):
        assert decode(loaded, rest[cut:][::-1], "backward") == "ab"
