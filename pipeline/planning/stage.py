"""A training stage as a plan sees it: networks without their weights, tokens, phases and what they cost."""

from dataclasses import dataclass
from functools import cached_property

from torch import nn

from pipeline.config.training import TrainingConfig
from pipeline.language_model.flops import Flops
from pipeline.models.awd_lstm import LSTMLayer
from pipeline.models.block import Block
from pipeline.models.settings import ModelSettings
from pipeline.models.weights import Embedding, Linear
from pipeline.planning.cost import Update
from pipeline.planning.parameters import by_part


@dataclass(frozen=True)
class Phase:
    """Steps that cost alike."""

    name: str
    steps: int
    # Tokens that are read in all of them, and what each costs.
    tokens: int
    flops: Flops
    update: Update


@dataclass(frozen=True)
class Stage:
    """A training stage; without phases it trains nothing, and `note` says why."""

    name: str
    # What trains, on the meta device, and the shapes of the networks in it.
    trainee: nn.Module
    settings: tuple[ModelSettings, ...]
    config: TrainingConfig
    vocabulary: int
    # Sequences (or documents) of a step, the tokens of each at most, and those of them that gradients flow through.
    sequences: int
    length: int
    kept_length: int
    phases: tuple[Phase, ...]
    # Tokens that go forward alone: measurements on validation data, documents that a finished network labels.
    read_only: int = 0
    # Whether all processes have equally many passes (`GlobalBatch.even`).
    even: bool = False
    # Whether one process trains it, on one device, however many there are (`HardwareConfig.alone`).
    alone: bool = False
    # The output matrix's numbers, where the loss has one.
    scored: int = 0
    # What is not known, or why nothing trains.
    note: str = ""

    @property
    def tokens(self) -> int:
        """Read in training."""
        return sum(phase.tokens for phase in self.phases)

    @property
    def steps(self) -> int:
        """Of the optimiser."""
        return sum(phase.steps for phase in self.phases)

    @property
    def flops(self) -> float:
        """Of the whole stage: training, updates, what is read only."""
        trained = sum(phase.tokens * phase.flops.both + phase.steps * phase.update.flops for phase in self.phases)
        return trained + (self.read_only * self.phases[-1].flops.forward if self.phases else 0.0)

    @property
    def known(self) -> bool:
        """Whether it is known how many tokens it reads."""
        return not self.phases or self.tokens > 0

    @cached_property
    def parts(self) -> dict[str, int]:
        """Parameters by part."""
        return by_part(self.trainee)

    @property
    def parameters(self) -> int:
        """All of them."""
        return sum(self.parts.values())

    @property
    def update(self) -> Update:
        """The update of the phase in which most trains."""
        return max((phase.update for phase in self.phases), key=lambda update: update.parameters)

    @cached_property
    def matrices(self) -> int:
        """Numbers of the matrices that autocast copies."""
        kinds = [
            m for m in self.trainee.modules() if isinstance(m, Linear) or (self.scored and isinstance(m, Embedding))
        ]
        return sum(module.weight.numel() for module in kinds)

    @cached_property
    def largest_block(self) -> int:
        """Parameters of the largest part that FSDP gathers at once."""
        blocks = [module for module in self.trainee.modules() if isinstance(module, Block | LSTMLayer)]
        return max(sum(parameter.numel() for parameter in block.parameters()) for block in blocks)

    @cached_property
    def outside(self) -> int:
        """Parameters outside the blocks, which FSDP gathers for the whole of a step."""
        blocks = [module for module in self.trainee.modules() if isinstance(module, Block | LSTMLayer)]
        inside = {id(parameter) for block in blocks for parameter in block.parameters()}
        return sum(parameter.numel() for parameter in self.trainee.parameters() if id(parameter) not in inside)
