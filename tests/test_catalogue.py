"""docs/models.md is what its script makes of docs/catalogue.yaml and configs/model/, and nothing is missing there."""

from typing import get_args, get_type_hints

import pytest

from docs.make_models import CONFIGS, PAGE, catalogue, page, settings_of
from pipeline.models.settings import TransformerSettings

CONTENT = catalogue()
ENTRIES = [*CONTENT["catalogue"], *CONTENT["beside_it"]]
REQUIRED = {"name", "year", "family", "task", "paper"}
OPTIONAL = {"norm", "placement", "positions", "parameters", "arxiv", "configs", "shape_of", "note", "not_covered"}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(CONTENT), "run `python docs/make_models.py`"


def test_every_name_in_the_catalogue_is_a_config() -> None:
    names = [name for entry in ENTRIES for key in ("configs", "shape_of") for name in entry.get(key, [])]
    assert set(names) <= {path.stem for path in CONFIGS.glob("*.yaml")}


def test_every_config_that_says_what_was_published_is_in_the_catalogue() -> None:
    files = {path.stem for path in CONFIGS.glob("*.yaml") if "Published: " in path.read_text(encoding="utf-8")}
    assert files <= {name for entry in ENTRIES for name in entry.get("configs", {})}


def test_a_config_stands_for_one_network() -> None:
    named = [name for entry in ENTRIES for name in entry.get("configs", {})]
    assert sorted(named) == sorted(set(named))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_an_entry_is_covered_or_says_why_not(entry) -> None:
    assert set(entry) >= REQUIRED
    assert set(entry) <= REQUIRED | OPTIONAL
    assert ("not_covered" in entry) != bool(entry.get("configs") or entry.get("shape_of"))


@pytest.mark.parametrize("entry", [one for one in ENTRIES if "configs" in one], ids=lambda entry: entry["name"])
def test_what_the_catalogue_says_of_a_network_is_what_its_configs_say(entry) -> None:
    fields = ("family", "norm", "placement", "positions")
    for name in entry["configs"]:
        settings = settings_of(name)
        if isinstance(settings, TransformerSettings):
            said = {field: entry[field] for field in fields if field in entry}
            assert said == {field: getattr(settings, field) for field in said}, name


def test_the_catalogue_is_in_the_order_of_its_names() -> None:
    for part in ("catalogue", "beside_it"):
        names = [entry["name"].lower() for entry in CONTENT[part]]
        assert names == sorted(names)


def test_norms_and_placements_are_those_of_the_settings() -> None:
    hints = get_type_hints(TransformerSettings)
    for field in ("norm", "placement"):
        assert {entry[field] for entry in ENTRIES if field in entry} <= set(get_args(hints[field]))
