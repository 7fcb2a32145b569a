"""Candidates are the present config but for the changes that they name, and what is written says so."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.config.classifier import ClassifierConfig
from pipeline.config.read import load, read_yaml
from pipeline.config.suitable import Reading
from pipeline.inference.candidates import Candidate, candidates, steps, together, written
from tests.source import ROOT

DECODER, ENCODER, LSTM = Reading("decoder"), Reading("encoder"), Reading("lstm")
SHIPPED = sorted((ROOT / "configs/classifier").glob("*.yaml"))
GROUPS = ["embedding", "block 1", "block 2", "head"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_written_loads_and_differs_in_the_changes_alone(path: Path, tmp_path: Path) -> None:
    present = load(ClassifierConfig, path)
    for one in [*(made := candidates(present, DECODER)), together(made[1:6])]:
        config = one.config(present)
        assert config != present, one.name
        new = tmp_path / "new.yaml"
        new.write_text(written(path, one, "A title."), encoding="utf-8")
        assert load(ClassifierConfig, new) == config
        differs = {key for key, value in asdict(config).items() if value != asdict(present)[key]}
        assert differs == set(one.changes)
        assert list(read_yaml(new))[: len(read_yaml(path))] == list(read_yaml(path))
        assert new.read_text(encoding="utf-8").startswith("# A title.\n")


def test_what_was_changed_can_be_read_off_the_file(tmp_path: Path) -> None:
    path = tmp_path / "present.yaml"
    path.write_text("epochs: 4\nlearning_rate: 0.001\n", encoding="utf-8")
    change = Candidate("some", {"epochs": 8.0, "causal": False, "pooling": ("max", "mean")})
    assert written(path, change, "Title.").splitlines() == [
        "# Title.",
        "epochs: 8.0  # was 4.0",
        "learning_rate: 0.001",
        "causal: false  # was auto",
        "pooling: [max, mean]  # was [last, max, mean]",
    ]


def test_names_are_apart_and_no_two_are_the_same_change() -> None:
    for present in (ClassifierConfig(), ClassifierConfig(unfreeze="full", optimizer="muon", label_smoothing=0.1)):
        made = candidates(present, DECODER)
        assert len({one.name for one in made}) == len({str(one.changes) for one in made}) == len(made) == 11


def test_muon_s_own_rate_goes_along() -> None:
    first = candidates(ClassifierConfig(optimizer="muon", learning_rate=0.001, muon_learning_rate=0.02), DECODER)[0]
    assert first.changes == {"learning_rate": 0.003, "muon_learning_rate": 0.06}


@pytest.mark.parametrize(
    ("causal", "network", "tried"),
    [
        ("auto", DECODER, {"causal": False}),
        (True, DECODER, {"causal": False}),
        (False, DECODER, {"causal": "auto"}),
        ("auto", ENCODER, None),
        (False, ENCODER, None),
        (True, ENCODER, {"causal": False}),
        ("auto", LSTM, None),
        ("auto", Reading("decoder", "fast_weight"), None),
        ("auto", Reading("decoder", positions="t5"), None),
    ],
)
def test_a_mask_is_tried_only_where_a_network_has_the_choice(
    causal: bool | str, network: Reading, tried: dict[str, object] | None
) -> None:
    made = candidates(replace(ClassifierConfig(), causal=causal), network)
    assert [one.changes for one in made if "causal" in one.changes] == ([tried] if tried else [])


def test_where_the_head_trains_alone_rates_of_other_layers_are_not_tried() -> None:
    made = candidates(ClassifierConfig(unfreeze="last"), DECODER)
    assert not [one for one in made if "discriminative" in one.changes]


def test_pooling_is_tried_with_the_last_token_and_without() -> None:
    for before, after in (
        (("last", "max", "mean"), ("max", "mean")),
        (("max", "mean"), ("last", "max", "mean")),
        (("last",), ("max", "mean")),
    ):
        made = candidates(ClassifierConfig(pooling=before), DECODER)
        assert [one.changes["pooling"] for one in made if "pooling" in one.changes] == [after]


def test_of_two_changes_of_one_key_the_better_one_counts() -> None:
    better = [Candidate("a", {"epochs": 2.0}), Candidate("b", {"epochs": 8.0, "causal": False})]
    assert together(better).changes == {"epochs": 2.0, "causal": False}


def test_cost_counts_the_steps_of_all_phases() -> None:
    config = ClassifierConfig(epochs=4, phase_epochs=1, batch_documents=8, unfreeze="gradual")
    assert steps(config, GROUPS, documents=20) == 3 * (1 + 1 + 1 + 4)
    assert steps(replace(config, unfreeze="full"), GROUPS, documents=20) == 3 * 4
