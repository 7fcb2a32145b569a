"""Promise: the studies give all that they compare the same labels, and go from text to table and figure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import common
from benchmarks.ablations import figure as ablation_figure
from benchmarks.ablations import gather as ablation_table
from benchmarks.ablations import language_model as ablation_models
from benchmarks.ablations import paths as ablation_paths
from benchmarks.ablations import row as ablation_row
from benchmarks.low_shot import blend, figure, gather, language_model, linear, lsa, network, paths, start, student, text
from benchmarks.studies.rows import read_row, read_said
from pipeline.base.errors import UserError
from pipeline.base.files import read_json, write_json
from pipeline.linear.blend import Weights, log_odds
from pipeline.linear.loss import log_loss
from pipeline.text.prepared import read_labels, read_texts
from tests.benchmarks import small_study

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("studies")]

CELLS = [("places", "12", "1"), ("places", "12", "2"), ("places", "all", "1")]
STARTS = ("scratch", "generic", "domain")
OF_ALL = ("scratch", "generic", "domain_all")
PARAMS: dict[str, Any] = {
    "corpora": ["places"],
    "starts": list(STARTS),
    "labels": [12],
    "seeds": [1, 2],
    "all_large": {"corpora": [], "starts": list(STARTS), "blended": "domain", "seeds": [1]},
    "all_small": {"corpora": ["places"], "starts": list(OF_ALL), "blended": "domain_all", "seeds": [1]},
    "test": {"documents": 40, "seed": 1},
    "generic": "local_generic",
    "sources": ["places"],
    "tokenizer": "small",
    "model": "small",
    "pretrain": {"recipe": "small", "tokens": 512},
    "finetune_lm": {"recipe": "small"},
    "finetune_lm_tokens": {"places": 512},
    "finetune_lm_all": {"recipe": "small", "discriminative": 2.6},
    "classifier": {name: {"recipe": "quick"} for name in (*STARTS, "domain_all")},
    "epochs": {name: {"12": 2, "all": {"places": 1}} for name in (*STARTS, "domain_all")},
    "blend": {"recipe": "quick"},
    "self_train": {"recipe": "quick"},
    "lsa": {"dimensions": 8, "terms": 200, "seed": 1},
}
ABLATIONS: dict[str, Any] = {
    "corpora": ["places"],
    "labels": {"places": 12},
    "seeds": [1],
    "models": ["no-pretraining", "none", "full_discr_stlr"],
    "classifiers": ["from-scratch", "chain-thaw"],
    "model": "small",
    "pretrain": {"recipe": "small"},
    "finetune_lm": {"recipe": "small"},
    "finetune_lm_tokens": {"places": 512},
    "classifier": {"recipe": "quick", "unfreeze": "gradual", "phase_epochs": 1},
    "changes": {
        "models": {"no-pretraining": {}, "full_discr_stlr": {"discriminative": 2.6}, "backward": {}},
        "classifiers": {
            "from-scratch": {"unfreeze": "full"},
            "chain-thaw": {"unfreeze": "chain_thaw"},
            "freez_discr_stlr": {},
        },
    },
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The study after its stages but for the rows."""
    root = tmp_path_factory.mktemp("study")
    small_study.write(root, {"places": 80})
    write_json(root / paths.HOME / "params.yaml", PARAMS)
    write_json(root / ablation_paths.HOME / "params.yaml", ABLATIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(common, "RESULTS", root / "results")
        patch.setattr(common, "DRAWINGS", root / "drawings")
        for stage in ("tasks", "generic", "tokens"):
            text.main(stage)
        text.main("domain", "places")
        language_model.main("generic")
        language_model.main("domain", "places")
        language_model.main("domain_all", "places")
        lsa.main("places")
        for name in (*STARTS, "domain_all"):
            start.main("places", name)
        yield root


def starts_of(labels: str) -> tuple[str, ...]:
    """What networks start from; the blend's is the last."""
    return OF_ALL if labels == "all" else STARTS


def groups_of(labels: str) -> tuple[str, ...]:
    """All rows of a draw: with all labels there is nothing left to teach a student on."""
    return (*starts_of(labels), "linear", "blend", *(() if labels == "all" else ("student",)))


def run(labels: str, seed: str) -> None:
    """All rows of one draw."""
    for name in starts_of(labels):
        network.main("places", labels, name, seed)
    linear.main("places", labels, seed)
    blend.main("places", labels, starts_of(labels)[-1], seed)
    if labels != "all":
        student.main("places", labels, "domain", seed)


@pytest.fixture(scope="module")
def finished(study: Path) -> Path:
    """The study with all its rows."""
    for seed in ("1", "2"):
        run("12", seed)
    run("all", "1")
    return study


def test_every_row_scores_the_same_documents_and_tells_what_it_used(finished: Path) -> None:
    rows = {cell: [paths.row(group, *cell) for group in groups_of(cell[1])] for cell in CELLS}
    truth = read_said(paths.row("domain", "places", "12", "1"))["labels"]
    for (_, labels, _), folders in rows.items():
        for folder in folders:
            numbers, said = read_row(folder), read_said(folder)
            np.testing.assert_array_equal(said["labels"], truth)
            assert numbers["documents"] == len(truth) == 40
            assert {"processor", "threads", "commit"} <= numbers["machine"].keys()
            for system, one in numbers["systems"].items():
                assert one["error"] == pytest.approx((said[system].argmax(axis=1) != truth).mean())
                assert one["seconds"] >= 0
            validation = 16 if labels == "all" and folder.name.startswith("blend") else 0
            assert numbers["train"] == (12 if labels == "12" else 64 + validation)


def test_thousands_of_labels_start_from_a_language_model_of_their_own(study: Path) -> None:
    few, many = ((paths.start("places", name) / "model.safetensors").read_bytes() for name in ("domain", "domain_all"))
    assert few != many
    epochs = {labels: network.settings("places", labels, "domain_all", 1)["epochs"] for labels in ("12", "all")}
    assert epochs == {"12": 2, "all": 1}


def test_a_row_comes_out_the_same_twice(finished: Path) -> None:
    before = read_said(paths.row("domain", "places", "12", "1"))
    network.main("places", "12", "domain", "1")
    for name, array in read_said(paths.row("domain", "places", "12", "1")).items():
        np.testing.assert_array_equal(array, before[name])


def test_the_blend_says_what_its_weights_make_of_network_and_linear_models(finished: Path) -> None:
    for cell in CELLS:
        found = read_row(paths.row("blend", *cell))["blend"]
        weights = Weights(**found["weights"])
        begins = starts_of(cell[1])[-1]
        network_NC = read_said(paths.row(begins, *cell))[begins]
        said = read_said(paths.row("blend", *cell))
        linear_NC = read_said(paths.row("linear", *cell)) | {"nb_em_15": said["taught"]}
        np.testing.assert_allclose(said["blend"], weights.pooled(network_NC, linear_NC, False), atol=1e-6)
        assert found["judged_by"] == (12 if cell[1] == "12" else 16)
        truth = said["labels_held_out"].astype(int)
        loss = log_loss(log_odds(said["network_held_out"], False), truth, pseudo=0)
        assert loss == pytest.approx(found["log_loss"]["network"], abs=1e-4)
        assert len(truth) == found["judged_by"]
        assert all(said[f"{name}_held_out"].shape == said["network_held_out"].shape for name in weights.linear)


def test_the_table_has_every_system_and_what_is_missing_is_left_out(
    finished: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    gather.main()
    printed = capsys.readouterr().out
    for _, name in gather.SYSTEMS.values():
        assert f" {name} " in printed
    few, whole = read_json(finished / "results/low_shot.json")["cells"]
    errors = [read_row(paths.row("domain", *cell))["systems"]["domain"]["error"] for cell in CELLS[:2]]
    assert few["systems"]["domain"]["errors"] == {"1": errors[0], "2": errors[1]}
    assert few["systems"]["domain"]["mean"] == pytest.approx(np.mean(errors))
    assert whole["systems"]["domain_all"]["sd"] is None
    for name in (*STARTS, "blend", "nb_em_1"):
        against = few["against_linear"][name]
        assert against["difference"] == pytest.approx(
            few["systems"][name]["mean"] - few["systems"][few["best_linear"]]["mean"]
        )
        assert against["interval"][0] <= against["difference"] <= against["interval"][1]
    over = [f"of the best linear model's error on the mean over {cells} cells" for cells in (1, 2)]
    assert [printed.count(one) for one in over] == [4, 5], "the domain's two models and the student stand in one"
    kept = paths.row("blend", *CELLS[2])
    kept.rename(tmp_path / "elsewhere")
    gather.main()
    few, whole = read_json(finished / "results/low_shot.json")["cells"]
    assert "blend" in few["systems"]
    assert "blend" not in whole["systems"]
    (tmp_path / "elsewhere").rename(kept)


def test_one_corpus_gathered_anew_leaves_the_others_as_they_were(finished: Path) -> None:
    file = finished / "results/low_shot.json"
    gather.main()
    first = read_json(file)
    other = {**first["cells"][0], "corpus": "others"}
    outdated = [{**cell, "documents": 7} for cell in first["cells"]]
    write_json(file, {"cells": [*outdated, other], "language_models": {**first["language_models"], "others": 1.5}})
    params = paths.HOME / "params.yaml"
    write_json(params, {**PARAMS, "corpora": ["places", "others"]})
    try:
        gather.main("places")
        with pytest.raises(UserError, match="news: no corpus of the study; take some of places, others"):
            gather.main("news")
    finally:
        write_json(params, PARAMS)
    assert read_json(file)["cells"] == [*first["cells"], other]
    assert read_json(file)["language_models"] == {**first["language_models"], "others": 1.5}


def test_a_figure_has_equal_bytes_twice(finished: Path) -> None:
    gather.main()
    drawing = finished / "drawings/low_shot_places.svg"
    figure.main("places")
    first = drawing.read_bytes()
    drawing.unlink()
    figure.main("places")
    assert drawing.read_bytes() == first
    assert all(name.encode() in first for _, name in gather.SYSTEMS.values())


def test_starts_are_copies_so_that_rows_know_no_other_language_model(study: Path) -> None:
    weights = {name: paths.start("places", name) / "model.safetensors" for name in STARTS}
    assert not weights["scratch"].exists()
    assert (
        weights["generic"].read_bytes() == (paths.GENERIC / "models/pretrained/forward/model.safetensors").read_bytes()
    )
    assert weights["domain"].read_bytes() != weights["generic"].read_bytes()
    with pytest.raises(UserError, match='starts: "domian" is none; take some of scratch, generic, domain, domain_all'):
        start.main("places", "domian")


def test_the_generic_corpus_leaves_out_what_every_task_holds_out(study: Path) -> None:
    held_out = set(read_texts(paths.HELD_OUT / "test.parquet")) | set(read_texts(paths.HELD_OUT / "validation.parquet"))
    task = paths.task("places")
    assert held_out == {text for part in ("test", "validation") for text in read_texts(task / f"{part}.parquet")}
    domain = set(read_texts(paths.home("places") / paths.DOMAIN / "train.parquet"))
    assert domain
    assert not domain & held_out


@pytest.fixture(scope="module")
def ablated(study: Path) -> Path:
    """The ablations with all their rows."""
    for direction in ("forward", "backward"):
        ablation_models.main("pretrain", direction)
    for name in (*ABLATIONS["models"], "backward"):
        ablation_models.main("domain", "places", name)
    for table in ("models", "classifiers"):
        for name in ABLATIONS[table]:
            ablation_row.main(table, "places", name, "1")
    ablation_row.main("backward", "places", "backward", "1")
    return study


def test_ablations_are_scored_on_validation_documents_alone(ablated: Path) -> None:
    truth = list(read_labels(paths.task("places") / "validation.parquet"))
    for setting in ablation_table.settings(ABLATIONS):
        folder = ablation_paths.row(setting.table, "places", setting.name, "1")
        assert read_said(folder)["labels"].tolist() == truth
        assert read_row(folder)["train"] == 12


def test_both_directions_together_are_the_mean_of_their_probabilities(ablated: Path) -> None:
    backward = read_said(ablation_paths.row("backward", "places", "backward", "1"))
    forward_NC = read_said(ablation_paths.row("models", "places", "full_discr_stlr", "1"))["full_discr_stlr"]
    np.testing.assert_allclose(backward["both"], (backward["backward"] + forward_NC) / 2, atol=1e-6)
    assert np.abs(backward["backward"] - forward_NC).max() > 1e-3


def test_language_models_begin_where_their_row_says(ablated: Path) -> None:
    def weights(name: str) -> bytes:
        direction = "backward" if name == "backward" else "forward"
        return (ablation_paths.model("places", name) / "models/domain" / direction / "model.safetensors").read_bytes()

    pretrained = ablation_paths.generic("forward") / "models/pretrained/forward/model.safetensors"
    assert weights("none") == pretrained.read_bytes()
    assert len({weights(name) for name in (*ABLATIONS["models"], "backward")}) == 4
    metrics = ablation_paths.model("places", "full_discr_stlr") / "results/finetune_lm/forward/metrics.json"
    assert read_json(metrics)["tokens"] == ABLATIONS["finetune_lm_tokens"]["places"]


def test_the_ablations_table_and_figure_have_every_row(ablated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ablation_table.main()
    printed = capsys.readouterr().out
    titles = [setting.title for setting in ablation_table.settings(ABLATIONS)]
    assert "language model: full + discr + stlr" in titles
    assert all(f"| {title} " in printed for title in titles)
    drawing = ablated / "drawings/ablations.svg"
    ablation_figure.main()
    first = drawing.read_bytes()
    drawing.unlink()
    ablation_figure.main()
    assert drawing.read_bytes() == first
    assert all(title.encode() in first for title in titles)
