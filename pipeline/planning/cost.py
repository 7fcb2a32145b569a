"""What a phase of a classifier costs that trains only some layers, and what an update costs.

Counted as `pipeline.language_model.flops` counts a language model's.
"""

from typing import Any, NamedTuple

from torch import nn

from pipeline.language_model.flops import Flops
from pipeline.models.backbone import attention_flops
from pipeline.models.settings import LSTMSettings
from pipeline.training.optimiser import NEWTON_SCHULZ_STEPS

ADAMW_BYTES = 7 * 4  # of each parameter: reads weight, gradient and two moments, writes weight and moments, in fp32


def partial_flops(network: Any, length: int, trains: tuple[str, ...] | None, *, gradient_share: float = 1.0) -> Flops:
    """Operations on one token of a classifier's document when only the layer groups named in `trains` train.

    From the lowest group that trains upward a weight passes gradients on, which costs as much as its forward pass; one
    that trains computes its own too, for as much again. Attention has no weights: it costs twice its forward pass.
    Below, nothing flows back. `trains` None: all groups. `gradient_share` of the tokens have gradients at all. The head
    sees a document once, which is not worth counting.
    """
    settings = network.backbone.settings
    forward = network.backbone.flops_per_token(length) / 3
    lstm = isinstance(settings, LSTMSettings)
    attention = 0.0 if lstm else settings.layers * attention_flops(settings, length) / 3
    groups = network.layer_groups()
    matrices = {id(weight): weight.numel() for weight in network.hidden_matrices()}
    sizes = [sum(matrices.get(id(parameter), 0) for parameter in members) for _, members in groups]
    trained = [trains is None or name in trains for name, _ in groups]
    backward = sum(
        size / sum(sizes) * (2 * attention + (1 + own) * (forward - attention))
        for size, own in list(zip(sizes, trained, strict=True))[trained.index(True) :]
    )
    return Flops(forward, backward * gradient_share)


class Update(NamedTuple):
    """One step of the optimiser on what trains."""

    flops: float  # Muon's matrix products
    bytes: float  # AdamW's reading and writing
    # Parameters that train, and the numbers that the optimiser keeps of them.
    parameters: int
    state: int
    # Most numbers that it holds for a moment beside them.
    scratch: int

    @property
    def orthogonalised(self) -> int:
        """Parameters that are Muon's, which keeps one number of each where AdamW keeps two."""
        return 2 * self.parameters - self.state


def update_cost(groups: list[dict[str, Any]]) -> Update:
    """The update of the groups of `parameter_groups`.

    Muon's iteration on a matrix of R rows and C >= R columns, as a CPU does it in fp32: two products of R x R x C, and
    of R x R x R two a step, one more in all but the first, two more in all but the last. On a GPU, and in bf16, it is
    two of R x R x C and one of R x R x R in each of five steps (Jordan et al. 2024), 1.8 times as many operations where
    C = 4 R, of a part that is small there. AdamW computes next to nothing and waits for memory.
    """
    flops, moved, parameters, state, scratch = 0.0, 0.0, 0, 0, 0
    for group in groups:
        sizes = [parameter.numel() for parameter in group["params"]]
        parameters += sum(sizes)
        if group["kind"] == "muon":
            flops += sum(_muon_flops(parameter) for parameter in group["params"])
            state += sum(sizes)
            alike = {parameter.shape: 0 for parameter in group["params"]}
            for parameter in group["params"]:
                alike[parameter.shape] += parameter.numel()
            scratch = max(scratch, 5 * max(alike.values()))  # what `orthogonalise` holds of matrices of one shape
        else:
            moved += ADAMW_BYTES * sum(sizes)
            state += 2 * sum(sizes)
    return Update(flops, moved, parameters, state, scratch)


def _muon_flops(matrix: nn.Parameter) -> float:
    R, C = sorted(matrix.shape)
    square = NEWTON_SCHULZ_STEPS + (NEWTON_SCHULZ_STEPS - 1) + 2 * (NEWTON_SCHULZ_STEPS - 1)
    return 4.0 * R * R * C + square * 2.0 * R**3
