"""benchmarks/layer_norm.py shows what the place of the norm does, also without any data."""

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import common, layer_norm
from pipeline.base.errors import UserError

TINY = ["--random", "--vocabulary", "32", "--width", "32", "--batch", "8", "--batches", "2", "--layers", "8"]
SHORT = ["--depths", "2", "8", "--trained-layers", "2", "--steps", "40", "--rates", "10", "0.01"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "ROOT", tmp_path)
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(common, "DRAWINGS", tmp_path / "drawings")


def test_gradients_have_the_shape_of_the_paper_and_each_placement_learns_at_a_moderate_rate(tmp_path: Path) -> None:
    layer_norm.main([*TINY, *SHORT])
    result = common.read_json("layer_norm")
    norms, losses = result["gradients"]["norms"], result["rates"]["final_loss"]
    for part in ("W2", "block"):
        assert {name: len(norms[name][part]) for name in norms} == {"post": 8, "pre": 8, "resi_dual": 8}
    # Towards the last layer, and in the last layer of deeper networks, Pre-LN's get smaller and Post-LN's do not so.
    for part in ("W2", "last_W2_by_depth"):
        post, pre = norms["post"][part], norms["pre"][part]
        assert pre[-1] < 0.8 * pre[0]
        assert post[-1] / post[0] > 1.4 * pre[-1] / pre[0]
    assert set(losses) == {"Post-LN", "Pre-LN", "ResiDual", "Post-LN, warm-up"}
    entropy = result["rates"]["unigram_entropy"]
    for at_moderate_rate, at_absurd_rate in losses.values():
        assert at_moderate_rate < entropy
        assert at_absurd_rate is None or at_absurd_rate > entropy
    for name in ("gradient_norms", "divergence"):
        assert (tmp_path / f"drawings/{name}.svg").stat().st_size > 1000


def test_one_part_alone_leaves_the_numbers_of_the_other(tmp_path: Path) -> None:
    common.write_json("layer_norm", {"rates": {"kept": 1}})
    layer_norm.main([*TINY, "--depths", "2", "--only", "gradients"])
    assert set(common.read_json("layer_norm")) == {"gradients", "rates"}
    assert common.read_json("layer_norm")["rates"] == {"kept": 1}


def test_equal_start_means_equal_weights_for_all_placements() -> None:
    options = layer_norm._options(TINY)
    weights = [
        dict(layer_norm.network_of(place, 2, options, seed=3).named_parameters()) for place in layer_norm.PLACEMENTS
    ]
    for name, value in weights[0].items():
        assert all(value.equal(other[name]) for other in weights)


def test_highest_rate_is_the_last_before_the_first_failure() -> None:
    rates = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    assert layer_norm.highest_rate(rates, [5.0, 3.0, 3.5, None, 3.9], entropy=4.0) == 1e-2
    assert layer_norm.highest_rate(rates, [5.0, 4.0, 4.1, None, None], entropy=4.0) is None


def test_unigram_entropy_is_that_of_the_shares() -> None:
    assert layer_norm.unigram_entropy(np.array([7, 7, 3, 0])) == pytest.approx(1.5 * math.log(2))


def test_missing_tokens_are_one_line_that_says_what_to_do() -> None:
    with pytest.raises(UserError, match=r"make run.*--random"):
        layer_norm.main([])
