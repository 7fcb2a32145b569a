"""A classifier of ours as a `transformers` model for sequence classification, as far as those can say it.

Our head reads a pool of the last hidden states that is normalised (`pooling.join`); theirs reads one token, as it is.
So the network goes out with one layer more, which makes at that token what our pooling makes: its attention, or its
feed-forward layer, writes the pool in so large a scale that the norm behind it sees nothing else of the stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.interop.huggingface.export import fitting_family, their_tensors, write_folder
from pipeline.models.settings import ModelSettings, TransformerSettings

Tensors = dict[str, Tensor]

# Powers of two, so that scaling rounds nothing: what drowns the stream, and where tanh(x) is x to rounding.
LOUD, QUIET = 2.0**30, 2.0**-12


@dataclass(frozen=True)
class Readout:
    """What a classifier makes of the last hidden states."""

    # One of "last", "mean"; "max" has no counterpart.
    pooling: tuple[str, ...]
    # Of the linear layer that is the whole head: (C, D) and (C).
    weight_CD: Tensor
    bias_C: Tensor
    labels: tuple[str, ...]
    multilabel: bool
    causal: bool
    # Tokens of a chunk: `transformers` has no second one.
    longest: int


def export_classifier(
    out: Path,
    settings: ModelSettings,
    state: Tensors,
    readout: Readout,
    *,
    direction: str,
    tokenizer: Path,
    specials: Sequence[str],
    where: str,
) -> str:
    """Write the folder to `out` and return the class that loads it; `state` is the backbone's state dict.

    `UserError`, beginning with `where`, if `transformers` has no such classifier. Weights go out in fp32 and should
    not be read in fp16, where the one layer more overflows.
    """
    family = fitting_family(settings, direction, where)
    assert isinstance(settings, TransformerSettings)
    if family.name not in ADDED:
        raise UserError(
            f"{where}: the classifiers of `transformers` for {family.name} cannot normalise what their head reads, "
            f"as ours does; it can be said for {' and '.join(sorted(ADDED))}"
        )
    pool = _only_pool(readout, POOLS[family.name], where)
    if readout.causal != (settings.family == "decoder"):
        raise UserError(f"{where}: `causal: {str(readout.causal).lower()}` is not how {family.name} reads")
    if pool == "last" and settings.feedforward < 2 * settings.width:
        raise UserError(f"{where}: `pooling: [last]` needs `feedforward` of twice the width to go out; take [mean]")
    tensors = their_tensors(family, settings, state)
    architecture = ADDED[family.name](tensors, settings, readout, pool)
    config = family.config(settings) | {
        LAYERS[family.name]: settings.layers + 1,
        "architectures": [architecture],
        "id2label": {str(number): label for number, label in enumerate(readout.labels)},
        "label2id": {label: number for number, label in enumerate(readout.labels)},
        "problem_type": f"{'multi' if readout.multilabel else 'single'}_label_classification",
    }
    write_folder(out, family, config, tensors, tokenizer, specials, readout.longest, cleans=True)
    return architecture


def _only_pool(readout: Readout, allowed: tuple[str, ...], where: str) -> str:
    if len(readout.pooling) != 1 or readout.pooling[0] not in allowed:
        wanted = " or ".join(f"[{pool}]" for pool in allowed)
        raise UserError(
            f"{where}: `pooling: [{', '.join(readout.pooling)}]` cannot be said in `transformers`, whose classifiers "
            f"read one token; train with {wanted}"
        )
    return readout.pooling[0]


def _gpt2(tensors: Tensors, settings: TransformerSettings, readout: Readout, pool: str) -> str:
    """Read at the last token: `mean` by attention to all tokens alike, `last` by a feed-forward layer.

    Its norm is the network's final one. For any activation with f(x) - f(-x) = x, which ReLU and GELU are, two rows
    of the feed-forward layer pass x on. The scores have no bias there: it enters through the last norm, whose bias is
    made 1 and whose output sums to D then.
    """
    D, F, layer = settings.width, settings.feedforward, f"transformer.h.{settings.layers}"
    one, eye = torch.eye(D), LOUD * torch.eye(D)
    qkv, out, up, down = (torch.zeros(shape) for shape in ((D, 3 * D), (D, D), (D, F), (F, D)))
    if pool == "mean":
        qkv[:, 2 * D :], out[:] = one, eye
    else:
        up[:, : 2 * D], down[: 2 * D] = torch.cat([one, -one], 1), torch.cat([eye, -eye])
    for name, matrix in (("attn.c_attn", qkv), ("attn.c_proj", out), ("mlp.c_fc", up), ("mlp.c_proj", down)):
        tensors |= {f"{layer}.{name}.weight": matrix, f"{layer}.{name}.bias": torch.zeros(matrix.size(1))}
    for name in ("weight", "bias"):
        final = tensors[f"transformer.ln_f.{name}"]
        tensors |= {f"{layer}.ln_1.{name}": final, f"{layer}.ln_2.{name}": final}
        tensors[f"transformer.ln_f.{name}"] = torch.ones(D)
    missing_C1 = (readout.bias_C - readout.weight_CD.sum(1))[:, None]
    tensors["score.weight"] = readout.weight_CD + missing_C1 / D
    return "GPT2ForSequenceClassification"


def _bert(tensors: Tensors, settings: TransformerSettings, readout: Readout, pool: str) -> str:
    """Read at the first token, which attends to all tokens alike.

    Between it and the head is a linear layer with tanh, which is passed where tanh(x) is x.
    """
    D, F, layer = settings.width, settings.feedforward, f"bert.encoder.layer.{settings.layers}"
    shapes: dict[str, Any] = {
        "attention.self.query": torch.zeros(D, D),
        "attention.self.key": torch.zeros(D, D),
        "attention.self.value": torch.eye(D),
        "attention.output.dense": LOUD * torch.eye(D),
        "intermediate.dense": torch.zeros(F, D),
        "output.dense": torch.zeros(D, F),
    }
    for name, matrix in shapes.items():
        tensors |= {f"{layer}.{name}.weight": matrix, f"{layer}.{name}.bias": torch.zeros(len(matrix))}
    for name in ("attention.output.LayerNorm", "output.LayerNorm"):
        tensors |= {f"{layer}.{name}.weight": torch.ones(D), f"{layer}.{name}.bias": torch.zeros(D)}
    tensors |= {"bert.pooler.dense.weight": QUIET * torch.eye(D), "bert.pooler.dense.bias": torch.zeros(D)}
    tensors |= {"classifier.weight": readout.weight_CD / QUIET, "classifier.bias": readout.bias_C}
    return "BertForSequenceClassification"


ADDED = {"gpt2": _gpt2, "bert": _bert}
POOLS = {"gpt2": ("last", "mean"), "bert": ("mean",)}
LAYERS = {"gpt2": "n_layer", "bert": "num_hidden_layers"}
