"""Promises of the predictor: one text, one answer, whatever it is batched with; directions averaged; clear refusals."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.batches.reverse import reverse_document
from pipeline.classifier.artifact import load_classifier
from pipeline.inference.predictor import CHARACTERS_PER_TOKEN, Predictor
from pipeline.linear.artifact import Blend, save_blend
from pipeline.linear.blend import Weights
from pipeline.text.tokenizer import encode, load
from tests.classifier.small import TEXTS, saved

MANY = [text * repeats for repeats in (1, 7, 2) for text in TEXTS]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of two directions."""
    folder = tmp_path_factory.mktemp("models") / "classifier"
    saved(folder / "forward")
    saved(folder / "backward", seed=5, direction="backward")
    return folder


def literal_probabilities(folder: Path, text: str) -> np.ndarray:
    """One text through one direction's network, step by step."""
    member = load_classifier(folder)
    tokens = encode(load(folder / "tokenizer.json"), [text])[0]
    if member.direction == "backward":
        tokens = reverse_document(tokens)
    with torch.no_grad():
        logits_1C = member.network(*member.network.reading.batch([tokens]))
    return logits_1C.double().softmax(dim=1)[0].numpy()


@pytest.mark.parametrize("batch_tokens", [1, 50, 10_000])
def test_probabilities_are_each_texts_own_in_the_order_given(models: Path, batch_tokens: int) -> None:
    predictor = Predictor.load(models / "forward", device="cpu", batch_tokens=batch_tokens)
    probabilities_NC = predictor.predict_proba(MANY)
    assert probabilities_NC.shape == (len(MANY), 3)
    np.testing.assert_allclose(probabilities_NC.sum(axis=1), 1)
    for row_C, text in zip(probabilities_NC, MANY, strict=True):
        np.testing.assert_allclose(row_C, literal_probabilities(models / "forward", text), atol=1e-6)


def test_directions_are_averaged_and_backward_reads_from_the_end(models: Path) -> None:
    predictor = Predictor.load(models, device="cpu")
    assert predictor.directions == ["backward", "forward"]
    alone = [
        np.stack([literal_probabilities(models / name, text) for text in TEXTS]) for name in ("forward", "backward")
    ]
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    np.testing.assert_allclose(predictor.predict_proba(TEXTS), (alone[0] + alone[1]) / 2, atol=1e-6)


def test_a_folder_that_its_blend_does_not_name_is_left_alone(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "classifier"  # once of both directions, now of one
    shutil.copytree(models, folder)
    shutil.copytree(models, folder / "student")
    save_blend(folder / "blend", Blend(load_classifier(models / "forward").labels, ("forward",), Weights(), {}))
    predictor = Predictor.load(folder, device="cpu")
    assert predictor.directions == [student.direction for student, _ in predictor.students] == ["forward"]
    assert Predictor.load(folder / "student", device="cpu").directions == ["forward"]


@pytest.mark.parametrize("multilabel", [False, True])
def test_a_network_is_as_sure_as_the_weight_says_that_it_has_alone(multilabel: bool, tmp_path: Path) -> None:
    """Where held-out documents have left no linear model a weight, the network's own is its temperature."""
    saved(tmp_path / "forward", multilabel=multilabel)
    labels = load_classifier(tmp_path / "forward").labels
    alone = Predictor.load(tmp_path / "forward", device="cpu").predict_proba(TEXTS)
    for weights in (Weights(), Weights(0.64)):
        save_blend(tmp_path / "blend", Blend(labels, ("forward",), weights, {}))
        found = Predictor.load(tmp_path, device="cpu").predict_proba(TEXTS)
        np.testing.assert_allclose(found, weights.pooled(alone, {}, multilabel), atol=1e-9)
    assert np.abs(found - alone).max() > 0.01


def test_texts_are_cleaned_as_they_were_for_training(models: Path) -> None:
    predictor = Predictor.load(models / "forward", device="cpu")
    clean, raw = predictor.predict_proba(["one line\nand another", "  one line\r\nand another\r\n"])
    assert clean.tolist() == raw.tolist()


def test_texts_are_cut_where_those_of_training_were(tmp_path: Path) -> None:
    """Linear models would read on to the end, and a network that reads backward would begin there."""
    whole = Predictor.load(saved(tmp_path / "whole"), device="cpu")
    short = Predictor.load(saved(tmp_path / "short", max_characters=15), device="cpu")
    assert [len(text[:15].rstrip()) for text in TEXTS] == [15, 14, 15, 15, 0], "one cut leaves a space at the end"
    assert short.predict_proba(TEXTS).tolist() == whole.predict_proba([text[:15] for text in TEXTS]).tolist()
    assert short.predict_proba(TEXTS).tolist() != whole.predict_proba(TEXTS).tolist()
    config = tmp_path / "short/config.json"
    values = json.loads(config.read_text())
    del values["max_characters"]  # as in folders from before it was kept
    config.write_text(json.dumps(values))
    assert Predictor.load(tmp_path / "short").predict_proba(TEXTS).tolist() == whole.predict_proba(TEXTS).tolist()


def scarce(predictor: Predictor, most: int, message: str = "CUDA out of memory") -> list[int]:
    """Have the network's device run out of memory above so many tokens; returns the sizes of its batches."""
    network, sizes = predictor.members[0][0].network, []  # type: Any, list[int]
    true = network.forward

    def forward(tokens_BT: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        sizes.append(tokens_BT.numel())
        if tokens_BT.numel() > most:
            raise torch.OutOfMemoryError(message) if "memory" in message else RuntimeError(message)
        return true(tokens_BT, lengths_B)

    network.forward = forward
    return sizes


def test_what_does_not_fit_into_memory_goes_through_in_smaller_batches(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = Predictor.load(models / "forward", device="cpu", batch_tokens=10_000).predict_proba(MANY)
    predictor = Predictor.load(models / "forward", device="cpu", batch_tokens=10_000)
    sizes = scarce(predictor, 200)
    np.testing.assert_allclose(predictor.predict_proba(MANY), expected, atol=1e-6)
    assert max(sizes) > 200 >= predictor.batch_tokens
    said = capsys.readouterr()
    assert said.out == "", "standard output is for predictions"
    assert f"out of memory: going on with batches of {predictor.batch_tokens} tokens" in said.err
    sizes.clear()
    predictor.predict_proba(MANY)
    assert max(sizes) <= 200, "what was found to fit is kept"


def test_one_text_that_does_not_fit_into_memory_is_one_line_and_other_errors_stay(models: Path) -> None:
    predictor = Predictor.load(models / "forward", device="cpu")
    scarce(predictor, 5)
    with pytest.raises(UserError, match=r"one text of \d+ tokens does not fit into the memory of this cpu device; end"):
        predictor.predict_proba(MANY)
    predictor = Predictor.load(models / "forward", device="cpu")
    sizes = scarce(predictor, 5, "shapes do not match")
    with pytest.raises(RuntimeError, match="shapes do not match"):
        predictor.predict_proba(MANY)
    assert len(sizes) == 1


def test_predict_names_the_most_probable_label(models: Path) -> None:
    predictor = Predictor.load(models, device="cpu")
    best = predictor.predict_proba(MANY).argmax(axis=1)
    assert predictor.predict(MANY) == [predictor.labels[c] for c in best]
    assert len(set(best)) > 1, "the test would not see a constant answer"


def test_several_labels_are_those_of_one_half_and_more(tmp_path: Path) -> None:
    predictor = Predictor.load(saved(tmp_path / "forward", multilabel=True), device="cpu")
    probabilities_NC = predictor.predict_proba(MANY)
    assert not np.allclose(probabilities_NC.sum(axis=1), 1)
    expected = [
        [name for name, p in zip(predictor.labels, row_C, strict=True) if p >= 0.5] for row_C in probabilities_NC
    ]
    assert predictor.predict(MANY) == expected
    assert len({len(labels) for labels in expected}) > 1


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_long_texts_are_cut_counted_and_not_tokenised_to_their_end(tmp_path: Path, direction: str) -> None:
    predictor = Predictor.load(saved(tmp_path / direction, direction=direction, max_tokens=16), device="cpu")
    filler = "and so on, " * (16 * CHARACTERS_PER_TOKEN)
    texts = ["Salt. " + filler + "Salt.", "Salt. " * 16 + filler + "Salt." * 16, "a word"]
    probabilities_NC = predictor.predict_proba(texts)
    assert predictor.documents_cut == 2
    for row_C, text in zip(probabilities_NC, texts, strict=True):
        np.testing.assert_allclose(row_C, literal_probabilities(tmp_path / direction, text), atol=1e-6)


def test_no_texts_give_no_rows_and_an_empty_text_is_read(models: Path) -> None:
    predictor = Predictor.load(models, device="cpu")
    assert predictor.predict_proba([]).shape == (0, 3)
    assert predictor.predict([]) == []
    assert np.isfinite(predictor.predict_proba(["", " ", "\ud800"])).all()


def test_one_text_in_place_of_a_list_is_refused(models: Path) -> None:
    predictor = Predictor.load(models, device="cpu")
    with pytest.raises(TypeError, match=r"write \[text\]"):
        predictor.predict("a text")
    for table in (np.array([["a text", "b"]]), {"text": ["a text"]}):
        with pytest.raises(TypeError, match="texts"):
            predictor.predict(table)
    with pytest.raises(TypeError, match="text 1 is None"):
        predictor.predict(["a text", None])


def test_wrong_folders_are_refused_in_one_line(models: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        Predictor.load(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no classifier"):
        Predictor.load(tmp_path)
    both = shutil.copytree(models, tmp_path / "both")
    config = both / "forward" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"labels": ["x", "y", "z"]}))
    with pytest.raises(UserError, match=r"forward: its labels differ from those of .*backward"):
        Predictor.load(both)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"precision": "fp16"}, "precision 'fp16': must be fp32 or auto"),
        ({"device": "nope"}, "device 'nope': must be auto, cpu, cuda or mps"),
        ({"batch_tokens": -5}, "batch_tokens -5: must be a whole number of 1 or more, or None for the device's"),
        ({"batch_tokens": 0}, "batch_tokens 0: must be a whole number of 1 or more, or None for the device's"),
        ({"batch_tokens": 0.5}, "batch_tokens 0.5: must be a whole number of 1 or more, or None for the device's"),
    ],
)
def test_words_that_say_nothing_are_refused(models: Path, words: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        Predictor.load(models, **words)
    assert str(caught.value) == message


def test_prediction_leaves_lightning_and_scikit_learn_alone() -> None:
    """Imports are most of a command's start: the whole way from folder to labels must do without the heavy ones."""
    import subprocess
    import sys

    check = "import sys, pipeline.cli.predict, pipeline.inference.tables.choose; "
    check += "import pipeline.inference.predictor, pipeline.api; "
    check += "print([m for m in ('pytorch_lightning', 'sklearn', 'scipy', 'datasets', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
