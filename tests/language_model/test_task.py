"""Promise: what the config says of an objective reaches what trains."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.config.language_model import PretrainConfig
from pipeline.interop.tensors import save_tensors
from pipeline.language_model.task import task_of
from pipeline.models.build import build
from pipeline.models.settings import TransformerSettings

SETTINGS = TransformerSettings(layers=2, width=48, heads=12, feedforward=96, max_positions=16, family="encoder")
CONFIG = PretrainConfig(start="scratch", objective="replaced_tokens", generator_divisor=3, length=16)


def test_the_config_says_how_narrow_the_generator_is() -> None:
    generator = task_of(build(SETTINGS, 300, seed=1), CONFIG, Path(), None).trainee.generator.settings
    assert (generator.width, generator.heads, generator.feedforward) == (16, 4, 32)


def test_a_generator_of_another_width_is_refused_in_one_line(tmp_path: Path) -> None:
    """One from a folder, whose config `ulmfit check` has not seen."""
    made = task_of(build(SETTINGS, 300, seed=1), CONFIG, Path(), None)
    assert made.companion is not None
    save_tensors(tmp_path / "companion.safetensors", made.companion)
    again = build(SETTINGS, 300, seed=1)
    task_of(again, CONFIG, Path(), tmp_path / "companion.safetensors")
    with pytest.raises(UserError, match=r"has shape .* but `generator_divisor: 4` makes it"):
        task_of(again, replace(CONFIG, generator_divisor=4), Path(), tmp_path / "companion.safetensors")
