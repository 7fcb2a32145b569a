"""Parameters of what a stage trains, by part."""

from collections.abc import Iterable, Iterator

from torch import nn

from pipeline.classifier.heads import Head
from pipeline.models.attention import CrossAttention
from pipeline.models.awd_lstm import LSTMLayer
from pipeline.models.backbone import Backbone
from pipeline.models.feed_forward import FeedForward
from pipeline.models.norms import NORMS
from pipeline.models.projections import Projections
from pipeline.objectives.replaced_tokens import ReplacedTokenDetection

PARTS = ("embeddings", "attention", "feed-forward", "recurrent", "norms", "head", "generator")
# Modules whose parameters are of a part; the first that fits counts. All else is how tokens enter.
KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("head", (Head,)),
    ("norms", (nn.LayerNorm, *(kind for kind in NORMS.values() if isinstance(kind, type)))),
    ("attention", (Projections, CrossAttention)),
    ("feed-forward", (FeedForward,)),
    ("recurrent", (LSTMLayer,)),
)


def by_part(network: nn.Module) -> dict[str, int]:
    """Parameters of each part that there is, in the order of `PARTS`; each counts once, however often it is used.

    `head`: what turns hidden states into scores and is no embedding; `generator`: of replaced-token detection.
    """
    part_of = {id(parameter): part for part, parameters in _claims(network) for parameter in parameters}
    counts = dict.fromkeys(PARTS, 0)
    for parameter in network.parameters():
        counts[part_of.get(id(parameter), "embeddings")] += parameter.numel()
    return {part: count for part, count in counts.items() if count}


def _claims(network: nn.Module) -> Iterator[tuple[str, Iterable[nn.Parameter]]]:
    """Parts and their parameters; later claims win."""
    modules = list(network.modules())
    for part, kinds in reversed(KINDS):
        yield from ((part, module.parameters()) for module in modules if isinstance(module, kinds))
    yield from (("head", module.way_out_parameters()) for module in modules if isinstance(module, Backbone))
    for module in modules:
        if isinstance(module, ReplacedTokenDetection):
            yield "head", module.head.parameters()
            yield "generator", [p for p in module.generator.parameters() if p is not module.generator.embeddings.weight]
