"""Promise: what a stage leaves says what the network was trained on, and counts the operations that it took."""

from contextlib import chdir
from pathlib import Path

import pytest

from pipeline.base.files import read_json, write_json
from pipeline.config.language_model import FinetuneConfig
from pipeline.config.read import parse
from pipeline.interop.folders import load_language_model, save_language_model
from pipeline.language_model.flops import language_model_flops
from pipeline.language_model.task import task_of
from pipeline.models.build import build
from pipeline.models.settings import settings_schema
from pipeline.shards.write import write_shards
from pipeline.text import tokenizer as bpe
from pipeline.training import results
from stages import finetune_lm
from tests.workspace import CONFIGS, make

MADE = Path("models/domain/forward")


@pytest.mark.parametrize(
    ("family", "objective"), [("encoder", "masked"), ("encoder", "hybrid"), ("encoder_decoder", "spans")]
)
def test_a_folder_names_its_objective_and_a_run_what_that_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, objective: str
) -> None:
    """`ulmfit generate` fills gaps by the first; MFU is wrong by a factor where every token counts as scored."""
    folder = make(tmp_path)
    tokenizer = folder / "models/tokenizer/tokenizer.json"
    vocabulary = bpe.load(tokenizer).get_vocab_size()
    settings = parse(settings_schema, CONFIGS["model"] | {"family": family}, "model")
    start = build(settings, vocabulary, seed=5)
    save_language_model(folder / "models/pretrained/forward", start, direction="forward", tokenizer=tokenizer)
    values = CONFIGS["finetune_lm"] | {"objective": objective, "precision": "fp32"}
    write_json(folder / "configs/finetune_lm/tiny.yaml", values)
    monkeypatch.setattr(results, "peak_flops", lambda *_: 1e6)  # so that the share is not rounded away
    with chdir(folder):
        finetune_lm.main("forward")
        assert load_language_model(MADE).objective == objective
        run = read_json(Path("results/finetune_lm/forward/run.json"))
    config = parse(FinetuneConfig, values, "finetune_lm")
    expected = language_model_flops(task_of(start, config, tokenizer, None).trainee, config).both
    assert run["mfu"] * 1e6 / run["tokens_per_second"] == pytest.approx(expected, rel=0.01)


def test_a_model_that_is_passed_on_keeps_its_objective(tmp_path: Path) -> None:
    folder = make(tmp_path)
    tokenizer = folder / "models/tokenizer/tokenizer.json"
    started = load_language_model(folder / "models/pretrained/forward").model
    about = {"direction": "forward", "objective": "prefix"}
    save_language_model(folder / "models/pretrained/forward", started, tokenizer=tokenizer, **about)
    for part in ("train", "validation"):
        shards = folder / "data/tokens/domain" / part
        write_shards(shards, [], vocabulary=started.vocabulary, tokenizer=bpe.fingerprint(tokenizer))
    with chdir(folder):
        finetune_lm.main("forward")
        assert load_language_model(MADE).objective == "prefix"
