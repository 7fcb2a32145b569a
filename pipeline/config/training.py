"""Settings that every training stage has: optimiser, schedule, precision, checkpoints."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.numbers import Count, NotNegative, Positive, Seed, Share, ShareBelow1


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What pretraining, domain fine-tuning and classifier fine-tuning share."""

    # adamw; muon: orthogonalised momentum for the matrices inside the blocks, adamw for everything else.
    optimizer: Literal["adamw", "muon"] = "adamw"
    # Peak learning rate of AdamW's parameters.
    learning_rate: Positive = 0.001
    # Peak learning rate of Muon's matrices.
    muon_learning_rate: Positive = 0.02
    beta1: ShareBelow1 = 0.9
    beta2: ShareBelow1 = 0.99
    weight_decay: NotNegative = 0.01
    # Each layer group trains at the rate of the one above it divided by this factor (ULMFiT: 2.6; 1 turns it off).
    discriminative: Annotated[float, Field(ge=1)] = 1.0
    # slanted_triangular (ULMFiT, section 3.2), linear, cosine, one_cycle, constant, or wsd: warm-up, stable, decay.
    schedule: Literal["slanted_triangular", "linear", "cosine", "one_cycle", "constant", "wsd"] = "cosine"
    # Share of the steps that the rate climbs; slanted_triangular calls it cut_frac.
    warmup: Share = 0.1
    # Share of the steps that the rate falls at the end, for wsd.
    decay: Share = 0.4
    # The lowest rate is the peak divided by this, for slanted_triangular (ULMFiT: 32).
    ratio: Annotated[float, Field(ge=1)] = 32.0
    # Largest norm of the gradient; longer ones are scaled down to it. 0 turns it off.
    clip: NotNegative = 1.0
    # One factor on every dropout rate of the model's config (ULMFiT's drop_mult).
    drop_mult: NotNegative = 1.0
    # auto: bf16 where the processor multiplies it natively, else fp32.
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    # Steps between two checkpoints of the resume state.
    checkpoint_every: Count = 100
    seed: Seed = 1
