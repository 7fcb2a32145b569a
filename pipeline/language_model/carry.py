"""The state that a recurrent network carries from one window of a stream to the next: truncated backpropagation."""

import torch
import torch.distributed as dist
from torch import Tensor

from pipeline.models.awd_lstm import AWDLSTM
from pipeline.models.cache import Cache
from pipeline.objectives.causal import windows_to_inputs_and_targets
from pipeline.objectives.cross_entropy import sum_cross_entropy


class CarriedLosses:
    """Next-token losses of an AWD-LSTM whose state goes on from step to step (Merity et al. 2018, section 5).

    Rows of a step go on where the same rows of the step before ended (`StreamPlan`), so each micro batch of a step
    finds the state that the same micro batch left behind. Gradients stop at a window's beginning.
    """

    per_byte = True

    def __init__(self, network: AWDLSTM) -> None:
        self.network = network
        # Of this process's rows, (B, width): each layer's h, then its c. No rows before the first step.
        widths = [width for width in network.widths[1:] for _ in "hc"]
        self.state = [torch.zeros(0, width) for width in widths]
        self.next_row = 0

    def targets(self, length: int) -> float:
        """Every token is one."""
        return float(length)

    def begin_step(self) -> None:
        """The next micro batch holds this process's first rows."""
        self.next_row = 0

    def loss_sum(self, windows_BT1: Tensor, seeds_B: Tensor) -> Tensor:
        """Sum of -log p(token | all of its stream before it)."""
        rows = slice(self.next_row, self.next_row + len(windows_BT1))
        self.next_row = rows.stop
        cache = Cache()
        if len(self.state[0]) >= rows.stop:
            parts = [part[rows].to(windows_BT1.device) for part in self.state]
            cache.states = dict(zip(self.network.layers, zip(parts[::2], parts[1::2], strict=True), strict=True))
        loss = self._nats(windows_BT1, seeds_B, cache)
        self._keep(rows, [part.detach() for layer in self.network.layers for part in cache.states[layer]])
        return loss

    def measured_sum(self, windows_BT1: Tensor, seeds_B: Tensor) -> tuple[Tensor, Tensor]:
        """Sum and number of the losses of windows that each begin without a state."""
        targets_BT = windows_to_inputs_and_targets(windows_BT1)[1]
        return self._nats(windows_BT1, seeds_B, Cache()), (targets_BT >= 0).sum()

    def gathered(self, world: int) -> list[Tensor]:
        """The state of all rows of the global batch, on the CPU; every process has to ask for it at the same time."""
        if world == 1:
            return [part.cpu() for part in self.state]
        return [_interleave(part, world) for part in self.state]

    def restore(self, state: list[Tensor], rank: int, world: int) -> None:
        """Go on from what `gathered` returned."""
        self.state = [part[rank::world].clone() for part in state]

    def _nats(self, windows_BT1: Tensor, seeds_B: Tensor, cache: Cache) -> Tensor:
        inputs_BT, targets_BT = windows_to_inputs_and_targets(windows_BT1)
        hidden_BTD = self.network(inputs_BT, seeds_B=seeds_B, cache=cache)
        matrix_VD, bias_V = self.network.output_matrix(), self.network.output_bias
        return sum_cross_entropy(hidden_BTD.flatten(0, 1), matrix_VD, targets_BT.flatten(), bias_V=bias_V)

    def _keep(self, rows: slice, parts: list[Tensor]) -> None:
        """Put the states of these rows in their place, or behind those of the rows before."""
        for number, part in enumerate(parts):
            old = self.state[number].to(part.device)
            self.state[number] = torch.cat([old[: rows.start], part, old[rows.stop :]])


def _interleave(part: Tensor, world: int) -> Tensor:
    """Rows rank, rank + world, ... of each process in one tensor; processes may differ by one row."""
    longest = torch.tensor(len(part), device=part.device)
    dist.all_reduce(longest, op=dist.ReduceOp.MAX)
    padded = part.new_full((int(longest), part.size(1)), torch.nan)
    padded[: len(part)] = part
    every = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(every, padded)
    whole = torch.stack(every, dim=1).flatten(0, 1)
    return whole[~whole[:, 0].isnan()].cpu()
