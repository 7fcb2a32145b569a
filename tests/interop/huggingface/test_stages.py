"""`pretrain: from_huggingface`: the stages go on from a model of `transformers`, to a classifier and back out."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForSequenceClassification, GPT2LMHeadModel

from pipeline.base.files import write_json
from pipeline.cli.main import main
from pipeline.interop.folders import load_language_model
from tests.interop.huggingface.examples import bert, byte_level, gpt2, load, randomise, t5, unigram, word_piece
from tests.workspace import CONFIGS, make, run, sentences

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

# Kind -> its model, its tokenizer, what it can be trained on further, how a classifier of `transformers` reads it.
KINDS = {
    "gpt2": (gpt2, byte_level, "causal", "last"),
    "bert": (bert, word_piece, "masked", "mean"),
    "t5": (t5, unigram, "spans", "mean"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_comes_in_is_fine_tuned_classifies_and_goes_out(kind: str, tmp_path: Path) -> None:
    model_of, tokenizer_of, objective, pool = KINDS[kind]
    folder = make(
        tmp_path / "workspace",
        pretrain={"start": "huggingface"},
        finetune_lm={"objective": objective, "tokens": 512, "length": 16, "batch_tokens": 128},
        classifier={
            "chunk_tokens": 16, "pooling": [pool], "head_width": 0, "head_dropout": [0.1], "epochs": 1,
            "unfreeze": "full",
        },
    )  # fmt: skip
    _prepare(folder)
    theirs = folder / "data/pretrained/theirs"
    tokenizer = tokenizer_of(theirs / "tokenizer.json")
    model = model_of(tokenizer.get_vocab_size())
    randomise(model)
    model.save_pretrained(theirs)

    run(folder, "tokenizer")
    for role in ("generic", "domain", "task"):
        run(folder, "tokenise", role)
    run(folder, "pretrain", "forward")
    taken = load_language_model(folder / "models/pretrained/forward").model
    for name, weight in load(theirs)[0].state_dict().items():
        assert torch.equal(weight, taken.state_dict()[name])

    run(folder, "finetune_lm", "forward")
    run(folder, "finetune_classifier", "forward")
    losses = json.loads((folder / "results/finetune_lm/forward/metrics.json").read_text(encoding="utf-8"))
    assert losses["loss"] < losses["loss_at_start"]
    if kind == "t5":
        return  # no classifier there reads its encoder
    main(["export", str(folder / "models/classifier/forward"), str(tmp_path / "classifier")])
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "classifier").config.num_labels == 3
    if kind == "gpt2":
        main(["export", str(folder / "models/domain/forward"), str(tmp_path / "model")])
        ours = load_language_model(folder / "models/domain/forward").model.eval()
        tokens_BT = torch.arange(1, 21)[None]
        with torch.no_grad():
            logits = GPT2LMHeadModel.from_pretrained(tmp_path / "model").eval()(tokens_BT).logits
            torch.testing.assert_close(logits, ours.unembed(ours(tokens_BT)), rtol=1e-3, atol=1e-3)


def _prepare(folder: Path) -> None:
    """The texts of the workspace as stage prepare leaves them, and choices that start from `theirs`."""
    for role, seed in (("generic", 1), ("domain", 2)):
        texts = [text for text, _ in sentences(150, seed)]
        (folder / "data/prepared" / role).mkdir(parents=True, exist_ok=True)
        for part, chosen in (("validation", texts[:30]), ("train", texts[30:])):
            pq.write_table(pa.table({"text": chosen}), folder / "data/prepared" / role / f"{part}.parquet")
    shutil.copyfile(folder / "data/prepared/task/validation.parquet", folder / "data/prepared/task/test.parquet")
    shutil.rmtree(folder / "models")
    shutil.rmtree(folder / "data/tokens")
    write_json(folder / "configs/pretrain/tiny.yaml", {**CONFIGS["pretrain"], "start": "huggingface"})
    choices = json.loads((folder / "configs/config.yaml").read_text(encoding="utf-8"))
    write_json(folder / "configs/config.yaml", {**choices, "pretrained": "theirs"})
    write_json(folder / "configs/tokenizer/tiny.yaml", {"vocabulary": 450})
