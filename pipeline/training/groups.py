"""Parameter groups: discriminative learning rates per layer group, weight decay on matrices alone."""

from typing import Any

from torch import nn

from pipeline.config.training import TrainingConfig
from pipeline.models.backbone import LayerGroups


def parameter_groups(
    groups: LayerGroups, hidden_matrices: list[nn.Parameter], config: TrainingConfig
) -> list[dict[str, Any]]:
    """Groups for the optimiser, from the layer groups that the network declares (input to output).

    The last layer group trains at the peak rate, each one below at the rate of the one above divided by
    `config.discriminative` (Howard & Ruder 2018, section 3.1: 2.6). Vectors (norms, biases) are not decayed.
    Parameters that do not train now (`requires_grad` false) are left out.
    """
    for_muon = {id(matrix) for matrix in hidden_matrices} if config.optimizer == "muon" else set()
    made: list[dict[str, Any]] = []
    for depth, (name, parameters) in enumerate(reversed(groups)):
        slower = config.discriminative**-depth
        trainable = [parameter for parameter in parameters if parameter.requires_grad]
        split = {
            ("muon", True): [p for p in trainable if id(p) in for_muon],
            ("adamw", True): [p for p in trainable if id(p) not in for_muon and p.dim() >= 2],
            ("adamw", False): [p for p in trainable if id(p) not in for_muon and p.dim() < 2],
        }
        for (kind, decays), members in split.items():
            if members:
                peak = config.muon_learning_rate if kind == "muon" else config.learning_rate
                made.append(
                    {
                        "params": members,
                        "name": name,
                        "kind": kind,
                        "peak": peak * slower,
                        "lr": peak * slower,
                        "weight_decay": config.weight_decay if decays else 0.0,
                    }
                )
    return made
