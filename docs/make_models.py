"""Write docs/models.md from docs/catalogue.yaml and configs/model/: `python docs/make_models.py`."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pipeline.base.files import write_text
from pipeline.config.read import parse, read_yaml
from pipeline.models.build import new_network
from pipeline.models.settings import LSTMSettings, ModelSettings, TransformerSettings, settings_schema

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs/model"
CATALOGUE = ROOT / "docs/catalogue.yaml"
PAGE = ROOT / "docs/models.md"

FAMILIES = {"encoder_decoder": "encoder-decoder"}
NORMS = {"layernorm": "LayerNorm", "rmsnorm": "RMSNorm"}
POSITIONS = {"alibi": "ALiBi", "t5": "T5 bias", "transformer_xl": "Transformer-XL"}
UNIT = {"M": 10**6, "B": 10**9}

HEAD = """# Models

The Transformers that Amatriain et al. list ("Transformer models: an introduction and catalog",
[2302.07730](https://arxiv.org/abs/2302.07730)), and the config that builds each of them here, or the reason why none
does. Fine-tuned models point to the config of the network that they were tuned from.

This page is made from `docs/catalogue.yaml` and `configs/model/` by `python docs/make_models.py`.
"""

CONFIG_HEAD = """
## Every config

The files of `configs/model/`; `ulmfit use model=NAME` chooses one. Parameters are counted on the network itself, built
with the vocabulary of this table, and the tests hold published networks to their published number. The file says where
a network departs from its original; attention dropout (`docs/decisions.md`) and that inside feed-forward layers are
missing in all.
"""


class Published(NamedTuple):
    """A config that stands for a published network."""

    config: str
    vocabulary: int
    # Parameters as printed, for instance "6.7 B".
    published: str
    # Parameters that are in the published number and not in the config, or with a minus the other way round.
    apart: int = 0
    # How far the rest may be off, relative; None: half of the last printed digit.
    tolerance: float | None = None
    # Why there is an `apart` or a `tolerance`.
    because: str = ""

    @property
    def parameters(self) -> float:
        """The published number."""
        number, unit = self.published.replace(",", "").split()
        return float(number) * UNIT[unit]

    @property
    def rounding(self) -> float:
        """How far the true number may be off, in parameters."""
        if self.tolerance is not None:
            return self.tolerance * self.parameters
        number, unit = self.published.replace(",", "").split()
        return 0.5 * 10.0 ** -len(number.partition(".")[2]) * UNIT[unit]


def catalogue() -> dict[str, Any]:
    """docs/catalogue.yaml: two lists of networks, `catalogue` and `beside_it`."""
    return read_yaml(CATALOGUE)


def published(content: dict[str, Any]) -> list[Published]:
    """The configs that stand for published networks, in their order."""
    entries = [*content["catalogue"], *content["beside_it"]]
    return [Published(name, **facts) for entry in entries for name, facts in entry.get("configs", {}).items()]


@cache
def settings_of(config: str) -> ModelSettings:
    """The settings of a file of configs/model/."""
    path = CONFIGS / f"{config}.yaml"
    values = read_yaml(path)
    schema: Any = settings_schema(values)
    return parse(schema, values, str(path))


@cache
def parameters(config: str, vocabulary: int) -> int:
    """Parameters of a config's network, which is built without its weights."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in new_network(settings_of(config), vocabulary).parameters())


def page(content: dict[str, Any]) -> str:
    """The text of docs/models.md."""
    networks = ("Model", "Year", "Family", "Pretraining", "Norm", "Positions", "Parameters", "Paper", "Here")
    shapes = (
        "Config",
        "Family",
        "Layers",
        "Width",
        "Heads",
        "Positions",
        "Norm",
        "Attention",
        "Vocabulary",
        "Parameters",
    )
    parts = [HEAD, *_table(networks, (_network(entry) for entry in content["catalogue"]))]
    parts += ["\n## Not in the catalogue\n", *_table(networks, (_network(entry) for entry in content["beside_it"]))]
    parts += [CONFIG_HEAD, *_table(shapes, (_shape(*pair) for pair in vocabularies(content).items()))]
    return "\n".join(parts) + "\n"


def vocabularies(content: dict[str, Any]) -> dict[str, int]:
    """Each config and the vocabulary that it is counted with: the catalogue's, or else that of its first line."""
    said = {path.stem: path.read_text(encoding="utf-8").split("\n")[0] for path in sorted(CONFIGS.glob("*.yaml"))}
    known = {one.config: one.vocabulary for one in published(content)}
    return {name: known.get(name) or _last_number(line) for name, line in said.items()}


def _last_number(line: str) -> int:
    """8192, of `# ... with a vocabulary of 8,192.`"""
    return int(line.rstrip(".").split()[-1].replace(",", ""))


def _network(entry: dict[str, Any]) -> list[str]:
    """A row of the first tables."""
    norm = ", ".join(part for part in (NORMS.get(entry.get("norm", "")), entry.get("placement")) if part)
    paper = entry["paper"]
    if "arxiv" in entry:
        paper += f" [{entry['arxiv']}](https://arxiv.org/abs/{entry['arxiv']})"
    here = ", ".join(_link(name) for name in [*entry.get("configs", {}), *entry.get("shape_of", [])])
    said = [here, entry.get("note"), f"not covered: {entry['not_covered']}" if "not_covered" in entry else None]
    return [
        entry["name"],
        str(entry["year"]),
        _family(entry["family"]),
        entry["task"],
        norm or "–",
        _positions(entry.get("positions", "–")),
        entry.get("parameters", "–"),
        paper,
        "; ".join(part for part in said if part),
    ]


def _shape(config: str, vocabulary: int) -> list[str]:
    """A row of the last table."""
    settings = settings_of(config)
    count = f"{parameters(config, vocabulary) / 1e6:,.1f} M"
    if isinstance(settings, LSTMSettings):
        shape = ["AWD-LSTM", str(settings.layers), f"{settings.width} ({settings.hidden})", "–", "–", "–", "–"]
    else:
        shape = _transformer(settings)
    return [_link(config), *shape, f"{vocabulary:,}", count]


def _transformer(settings: TransformerSettings) -> list[str]:
    heads = f"{settings.heads} of {settings.key_width}"
    if settings.key_heads != settings.heads:
        heads += f", {settings.key_heads} of keys"
    norm = f"{NORMS[settings.norm]}, {settings.placement}"
    size = [f"{settings.layers}", f"{settings.width:,}", heads]
    return [_family(settings.family), *size, _positions(settings.positions), norm, settings.attention]


def _family(name: str) -> str:
    return FAMILIES.get(name, name)


def _positions(name: str) -> str:
    return POSITIONS.get(name, name)


def _link(config: str) -> str:
    return f"[{config}](../configs/model/{config}.yaml)"


def _table(head: tuple[str, ...], rows: Iterator[list[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


if __name__ == "__main__":
    write_text(PAGE, page(catalogue()))
