"""`ulmfit export`: what we have trained gives the same scores in `transformers`; what it cannot say is refused."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer, GPT2LMHeadModel, pipeline

from pipeline.base.errors import UserError
from pipeline.base.files import read_json, write_json
from pipeline.classifier.artifact import load_classifier, save_classifier
from pipeline.classifier.network import classifier_network
from pipeline.cli.export import run
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.language_model import LanguageModelConfig
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.inference.predictor import Predictor
from pipeline.interop.folders import save_language_model
from pipeline.interop.huggingface.vocabulary import Vocabulary
from pipeline.language_model.task import task_of
from pipeline.linear import nb_svm
from pipeline.linear.artifact import Blend, save_blend
from pipeline.linear.blend import Weights
from pipeline.models.build import Network, build
from pipeline.models.settings import LSTMSettings, ModelSettings, TransformerSettings
from pipeline.text import tokenizer as text_tokenizer
from pipeline.text.documents import clean
from pipeline.text.specials import SPECIALS
from tests.interop.huggingface.examples import TEXTS, close

GPT2 = TransformerSettings(
    layers=2, width=32, heads=4, feedforward=64, max_positions=40, positions="learned", activation="gelu_tanh",
    scale_embeddings=False,
)  # fmt: skip
BERT = replace(
    GPT2, family="encoder", placement="post", activation="gelu", embedding_norm=True, output_transform=True,
    output_bias=True,
)  # fmt: skip
LLAMA = replace(GPT2, norm="rmsnorm", positions="rotary", activation="swiglu", bias=False)
LSTM = LSTMSettings(backbone="lstm", layers=2, width=32, hidden=48)
T5 = replace(
    GPT2, family="encoder_decoder", norm="rmsnorm", positions="t5", activation="relu", bias=False, scale_embeddings=True
)
LABELS = ("harbour", "kitchen", "orchard")
ODD = [
    "  leading", "trailing  \n", "a\r\nb", "a\rb", "<pad>", "x <eos> y", "<bos>", "<cls> <mask>", "\xa0x", "\x1fx\x85",
    "", " \u2003\n",
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    text_tokenizer.save(text_tokenizer.train(TEXTS, TokenizerConfig(vocabulary=450)), path)
    return path


def noisy(network: nn.Module, seed: int = 3) -> None:
    """Every weight moved, as training moves it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator))


def language_model(folder: Path, settings: ModelSettings, tokenizer: Path, direction: str = "forward") -> Network:
    network = build(settings, text_tokenizer.load(tokenizer).get_vocab_size(), seed=1)
    noisy(network)
    save_language_model(folder, network, direction=direction, tokenizer=tokenizer)
    return network.eval()


def classifier(
    folder: Path,
    settings: ModelSettings,
    tokenizer: Path,
    *,
    multilabel: bool = False,
    **changed: object,
) -> Path:
    """A trained classifier's folder."""
    config = ClassifierConfig(
        epochs=1, learning_rate=0.01, head_width=0, head_dropout=(0.1,), pooling=("last",), chunk_tokens=40
    )
    backbone = build(settings, text_tokenizer.load(tokenizer).get_vocab_size(), seed=1)
    network = classifier_network(backbone, replace(config, **changed), classes=len(LABELS))
    noisy(network)
    save_classifier(
        folder,
        network,
        labels=LABELS,
        multilabel=multilabel,
        direction="forward",
        tokenizer=tokenizer,
    )
    return folder


def export(folder: Path, out: Path) -> None:
    run(argparse.Namespace(folder=folder, out=out))


def our_tokens(tokenizer: Path, texts: list[str]) -> list[list[int]]:
    return [tokens.tolist() for tokens in text_tokenizer.encode(text_tokenizer.load(tokenizer), texts)]


def test_a_language_model_of_ours_is_a_gpt2_there(tmp_path: Path, tokenizer: Path) -> None:
    network = language_model(tmp_path / "ours", GPT2, tokenizer)
    export(tmp_path / "ours", tmp_path / "out")
    text = TEXTS[1][:20]
    there = AutoTokenizer.from_pretrained(tmp_path / "out")(text)
    assert [there.input_ids] == our_tokens(tokenizer, [text])
    tokens_BT = torch.tensor([there.input_ids])
    with torch.no_grad():
        found = GPT2LMHeadModel.from_pretrained(tmp_path / "out").eval()(tokens_BT).logits
        close(found, network.unembed(network(tokens_BT)))


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize(("settings", "pool"), [(GPT2, "last"), (GPT2, "mean"), (BERT, "mean")])
def test_a_classifier_gives_the_same_probabilities_there(
    settings: TransformerSettings, pool: str, multilabel: bool, tmp_path: Path, tokenizer: Path
) -> None:
    classifier(tmp_path / "ours", settings, tokenizer, pooling=(pool,), multilabel=multilabel)
    export(tmp_path / "ours", tmp_path / "out")
    texts = [text[:length] for text, length in zip(TEXTS[:5], (25, 20, 12, 1, 0), strict=True)]
    expected = _probabilities(tmp_path / "ours", tokenizer, texts)

    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    assert type(model).__name__ == f"{'GPT2' if settings is GPT2 else 'Bert'}ForSequenceClassification"
    batch = AutoTokenizer.from_pretrained(tmp_path / "out")(texts, padding=True, return_tensors="pt")
    batch.pop("token_type_ids", None)
    with torch.no_grad():
        logits_BC = model(**batch).logits
    close(logits_BC.sigmoid() if multilabel else logits_BC.softmax(1), expected)

    answers = pipeline("text-classification", str(tmp_path / "out"), device="cpu")(texts, top_k=None)
    for answer, probabilities_C in zip(answers, expected, strict=True):
        given = {one["label"]: one["score"] for one in answer}
        assert given == pytest.approx(dict(zip(LABELS, probabilities_C.tolist(), strict=True)), abs=1e-4)


@pytest.mark.parametrize(("settings", "pool"), [(GPT2, "last"), (GPT2, "mean"), (BERT, "mean")])
def test_a_text_is_read_there_as_predict_reads_it(
    settings: TransformerSettings, pool: str, tmp_path: Path, tokenizer: Path
) -> None:
    """With line ends and blank edges cleaned, and with names of special tokens as the words that they are."""
    out = tmp_path / "out"
    export(classifier(tmp_path / "ours", settings, tokenizer, pooling=(pool,)), out)
    expected = Predictor.load(tmp_path / "ours").predict_proba(ODD)
    for text, answer, probabilities_C in zip(
        ODD, pipeline("text-classification", str(out), device="cpu")(ODD, top_k=None), expected, strict=True
    ):
        given = {one["label"]: one["score"] for one in answer}
        assert given == pytest.approx(dict(zip(LABELS, probabilities_C, strict=True)), abs=1e-4), text


@pytest.mark.parametrize("normalize", ["none", "nfkc"])
def test_cleaning_there_is_cleaning_here_whatever_is_normalised_then(normalize: str, tmp_path: Path) -> None:
    path, out = tmp_path / "tokenizer.json", tmp_path / "out"
    config = TokenizerConfig(vocabulary=450, normalize=normalize, lowercase=normalize != "none")
    text_tokenizer.save(text_tokenizer.train(TEXTS, config), path)
    export(classifier(tmp_path / "ours", GPT2, path), out)
    blank = [f"{chr(code)}a{chr(code)}b{chr(code)}" for code in range(sys.maxunicode) if chr(code).isspace()]
    texts = [*ODD, *blank, "\u200ba\ufeff", "ＡＢＣ \r"]
    assert AutoTokenizer.from_pretrained(out)(texts).input_ids == our_tokens(path, list(map(clean, texts)))


def test_a_tokenizer_that_comes_back_has_no_cleaning_left(tmp_path: Path, tokenizer: Path) -> None:
    """A long text is encoded in blocks, whose edges count."""
    export(classifier(tmp_path / "classifier", GPT2, tokenizer), tmp_path / "out")
    (tmp_path / "back.json").write_text(Vocabulary(tmp_path / "out", SPECIALS).shifted(), encoding="utf-8")
    texts = ["  a <mask>\r\n b \n", "harbour " * 10_000]
    assert our_tokens(tmp_path / "back.json", texts) == our_tokens(tokenizer, texts)


def test_a_language_model_there_keeps_its_mask_and_the_edges_of_a_text(tmp_path: Path, tokenizer: Path) -> None:
    language_model(tmp_path / "ours", BERT, tokenizer)
    export(tmp_path / "ours", tmp_path / "out")
    there = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert there("the <mask>").input_ids[-2] == there.mask_token_id
    assert there(" ship \n").input_ids == our_tokens(tokenizer, [" ship \n"])[0]


def test_what_else_answers_in_the_pipeline_is_told(
    tmp_path: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "classifier"
    for direction in ("forward", "student/forward"):
        classifier(folder / direction, GPT2, tokenizer)
    linear = nb_svm.fit(TEXTS[:4], np.arange(4) % len(LABELS), classes=len(LABELS))
    save_blend(folder / "blend", Blend(LABELS, ("forward",), Weights(0.5, {"nb_svm": 0.5}), {"nb_svm": linear}))
    with pytest.raises(UserError, match=f"in folders of their own; export one of them: {folder / 'forward'}"):
        export(folder, tmp_path / "out")
    export(folder / "forward", tmp_path / "out")
    said = capsys.readouterr().out
    assert f"It is the network alone: linear models with a share of 0.50 stand beside it in {folder}" in said
    assert f"can be exported too: {folder / 'student/forward'}" in said


@pytest.mark.parametrize(("most", "told"), [(100, True), (1_000_000, False)])
def test_texts_that_training_cut_by_characters_are_told_of(
    most: int, told: bool, tmp_path: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = classifier(tmp_path / "ours", GPT2, tokenizer) / "config.json"
    write_json(config, read_json(config) | {"max_characters": most})
    export(tmp_path / "ours", tmp_path / "out")
    assert ("In training texts were cut at 100 characters" in capsys.readouterr().out) == told


def _probabilities(folder: Path, tokenizer: Path, texts: list[str]) -> Tensor:
    loaded = load_classifier(folder)
    tokens = text_tokenizer.encode(text_tokenizer.load(tokenizer), list(map(clean, texts)))
    tokens_BT, lengths_B = loaded.network.reading.batch(tokens)
    with torch.no_grad():
        logits_BC = loaded.network(tokens_BT, lengths_B)
    return logits_BC.sigmoid() if loaded.multilabel else logits_BC.softmax(1)


SAID = "cannot be said in `transformers`, where the nearest model, "


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TransformerSettings(2, 32, 2, 64, 40), f"`positions: rotary` {SAID}GPT2LMHeadModel, has `positions: learned`"),
        (replace(GPT2, placement="resi_dual"), f"`placement: resi_dual` {SAID}GPT2LMHeadModel, has `placement: pre`"),
        (replace(GPT2, attention="linear"), f"`attention: linear` {SAID}GPT2LMHeadModel, has `attention: softmax`"),
        (replace(GPT2, kv_heads=2), f"`kv_heads: 2` {SAID}GPT2LMHeadModel, has `kv_heads: 4`"),
        (replace(LLAMA, qk_norm=True), f"`qk_norm: true` {SAID}LlamaForCausalLM, has `qk_norm: false`"),
        (replace(BERT, share_layers=True), f"`share_layers: true` {SAID}BertForMaskedLM, has `share_layers: false`"),
        (replace(BERT, embedding_width=16), f"`embedding_width: 16` {SAID}BertForMaskedLM, has `embedding_width: 32`"),
        (replace(T5, positions="rotary"), f"`positions: rotary` {SAID}T5ForConditionalGeneration, has `positions: t5`"),
        (replace(T5, tied=False), "`scale_embeddings: true` with `tied: false` is in no family of `transformers`"),
        (LSTM, "is an AWD-LSTM, which `transformers` does not have; it has Transformers alone"),
    ],
)
def test_a_network_that_transformers_does_not_have_is_refused(
    settings: ModelSettings, message: str, tmp_path: Path, tokenizer: Path
) -> None:
    language_model(tmp_path / "ours", settings, tokenizer)
    _refused(tmp_path / "ours", message)


def test_a_backward_model_is_refused(tmp_path: Path, tokenizer: Path) -> None:
    language_model(tmp_path / "ours", GPT2, tokenizer, direction="backward")
    _refused(tmp_path / "ours", "reads backward, and `transformers` reads forward alone; export the forward model")


def test_a_model_that_tells_replaced_tokens_is_no_masked_language_model(tmp_path: Path, tokenizer: Path) -> None:
    """Its layers that score a vocabulary were never trained; the generator that lies beside it tells what it is."""
    network = language_model(tmp_path / "ours", BERT, tokenizer)
    trained = task_of(network, LanguageModelConfig(objective="replaced_tokens"), tokenizer, None)
    save_language_model(
        tmp_path / "ours", network, direction="forward", tokenizer=tokenizer, companion=trained.companion
    )
    _refused(tmp_path / "ours", "was trained to tell replaced tokens from real ones (ELECTRA)")


@pytest.mark.parametrize(
    ("settings", "changed", "message"),
    [
        (GPT2, {"pooling": ("last", "max", "mean")}, "`pooling: [last, max, mean]` cannot be said"),
        (BERT, {"pooling": ("last",)}, "read one token; train with [mean]"),
        (GPT2, {"head_width": 16, "head_dropout": (0.1, 0.1)}, "train with `head_width: 0`"),
        (GPT2, {"pool_layers": "all"}, "train with `pool_layers: last`"),
        (GPT2, {"causal": False}, "`causal: false` is not how gpt2 reads"),
        (replace(GPT2, feedforward=48), {}, "`pooling: [last]` needs `feedforward` of twice the width"),
        (LLAMA, {}, "for llama cannot normalise what their head reads, as ours does; it can be said for bert and gpt2"),
        (T5, {"pooling": ("mean",)}, f"`norm: rmsnorm` {SAID}BertForMaskedLM, has `norm: layernorm`"),
    ],
)
def test_a_classifier_that_transformers_does_not_have_is_refused(
    settings: TransformerSettings, changed: dict[str, object], message: str, tmp_path: Path, tokenizer: Path
) -> None:
    _refused(classifier(tmp_path / "ours", settings, tokenizer, **changed), message)


def test_what_is_there_is_not_written_over(tmp_path: Path, tokenizer: Path) -> None:
    language_model(tmp_path / "ours", GPT2, tokenizer)
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="out: exists already; name a folder that does not"):
        export(tmp_path / "ours", tmp_path / "out")


def _refused(folder: Path, message: str) -> None:
    with pytest.raises(UserError) as caught:
        export(folder, folder.parent / "out")
    assert str(caught.value).startswith(f"{folder}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (folder.parent / "out").exists()
