"""Dropout whose noise is a function of the sequence's seed, the site in the network, position and channel alone.

Not of the micro batch, the rank, the device or the order of calls: that is what makes training with dropout equal for
any number of processes and after a resume. A generator's stream could not do it; a hash of the four numbers can (the
counter-based idea of Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
"""

import torch
from torch import Tensor, nn

# Multipliers of Steele et al. 2014 (SplitMix64), signed 64-bit numbers, and of Wellons 2018 (lowbias32), 32-bit ones.
GOLDEN = -7046029254386353131
MIX_1, MIX_2 = -4658895280553007687, -7723592293110705685
FAST_1, FAST_2 = 0x7FEB352D, -2073254261


class SeededDropout(nn.Module):
    """Set elements to zero with probability `rate` and scale the others by 1 / (1 - rate) (Srivastava et al. 2014).

    `site` tells this module's noise from that of every other in the network; the network counts them.
    """

    def __init__(self, rate: float, site: int) -> None:
        super().__init__()
        self.rate, self.site, self.factor = rate, site, 1.0

    def forward(self, x: Tensor, seeds_B: Tensor | None, noise_shape: tuple[int, ...] | None = None) -> Tensor:
        """Drop elements of `x` (B, D) or (B, T, D); `seeds_B` int64, one for each sequence, None for no dropout.

        noise_shape: 1 for each dimension of `x` along which elements are dropped together.
        """
        rate = self.rate * self.factor
        if seeds_B is None or not self.training or rate == 0:
            return x
        shape = x.shape if noise_shape is None else torch.Size(noise_shape)
        kept = random_bits(seeds_B, self.site, shape) >= round(rate * 2**32) - 2**31
        return x * kept.to(x.dtype) * (1 / (1 - rate))  # in this order: 1 / (1 - rate) is not rounded to bf16


def set_drop_mult(model: nn.Module, factor: float) -> None:
    """Let every dropout of `model` act at `factor` times its configured rate (ULMFiT's `drop_mult`)."""
    for module in model.modules():
        if isinstance(module, SeededDropout):
            if module.rate * factor >= 1:
                raise ValueError(f"a dropout rate of {module.rate} times {factor} is not below 1")
            module.factor = factor


def random_bits(seeds_B: Tensor, site: int, shape: torch.Size) -> Tensor:
    """Uniform int32 numbers of shape (B, ..., D).

    Rows (sequence, position) and columns (site, channel) are hashed well, in 64 bits; there are few of them. Elements
    are many, so a row and a column are combined in the fewest steps that leave no trace of this (measured in
    tests/models/test_dropout.py).
    """
    hashed = _compiled_hashes if torch.compiler.is_compiling() else _hashes
    rows_BT, columns_D = hashed(seeds_B, site, shape[1:-1].numel(), shape[-1])
    rows = rows_BT.view(*shape[:-1], 1)
    bits = rows ^ columns_D  # (B, ..., D)
    bits *= FAST_1
    bits ^= bits >> 15
    bits *= FAST_2
    return bits


def _hashes(seeds_B: Tensor, site: int, positions: int, channels: int) -> tuple[Tensor, Tensor]:
    """Int32 hashes of the rows, (B, positions), and of the columns, (channels,)."""
    position_T = torch.arange(positions, device=seeds_B.device)
    rows_BT = _mix(_mix(seeds_B)[:, None] + position_T).to(torch.int32)
    return rows_BT, _mix(_mix(torch.arange(channels, device=seeds_B.device)) + site).to(torch.int32)


# torch.compile must not look into it: of torch 2.13 its code for a CPU has other bits for a fifth of the elements.
_compiled_hashes = torch.library.custom_op("ulmfit::noise_hashes", _hashes, mutates_args=())


@_compiled_hashes.register_fake
def _(seeds_B: Tensor, site: int, positions: int, channels: int) -> tuple[Tensor, Tensor]:
    rows_BT = seeds_B.new_empty(seeds_B.size(0), positions, dtype=torch.int32)
    return rows_BT, seeds_B.new_empty(channels, dtype=torch.int32)


def _mix(numbers: Tensor) -> Tensor:
    """SplitMix64's output function on int64: every bit of the input changes each bit of the output half of the time."""
    numbers = (numbers + 1) * GOLDEN
    numbers = (numbers ^ _shift(numbers, 30)) * MIX_1
    numbers = (numbers ^ _shift(numbers, 27)) * MIX_2
    return numbers ^ _shift(numbers, 31)


def _shift(numbers: Tensor, by: int) -> Tensor:
    """Shift right and fill with zeros; torch's `>>` fills with the sign."""
    return (numbers >> by) & ((1 << (64 - by)) - 1)
