"""How many sequences go through the network at once: the result does not depend on it beyond rounding."""

import psutil
import torch

from pipeline.models.settings import TransformerSettings

SHARE_OF_MEMORY = 0.25  # of the device's memory, for activations; the rest is weights, optimiser, text and other work


def estimate_micro_batch(settings: TransformerSettings, length: int, precision: str, device: str) -> int:
    """Sequences of `length` tokens whose activations fit, from the shape alone; at least 1.

    On a CPU too large a batch ends the process without an exception, so it is estimated, never tried. It depends on
    the memory of the machine, not on what is free just now: the same machine always takes the same micro batch.
    """
    per_value = 2 if precision == "bf16" else 4
    # Saved for the backward pass of one block: inputs and outputs of its norms, projections, attention and feed-forward.
    per_token = settings.layers * (16 * settings.width + 3 * settings.feedforward) * per_value
    memory = torch.cuda.get_device_properties(0).total_memory if device == "cuda" else psutil.virtual_memory().total
    return max(1, int(SHARE_OF_MEMORY * memory / (per_token * length)))
