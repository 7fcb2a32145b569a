"""Devices that a plan can be made for: a table of data sheets, and the machine at hand."""

import re
from dataclasses import dataclass, replace
from functools import cache
from time import perf_counter

import psutil
import torch

from pipeline.base.errors import UserError, suggest
from pipeline.training.environment import GPU_PEAKS, is_a, peak_flops, processor_name
from pipeline.training.place import Place

GB = 1e9
THIS = "this"  # the machine at hand, as the option names it
# Of the peak, where nothing was measured. GPUs: 40-46 % of an H100 (nanochat), 46 % of a TPU (PaLM: Chowdhery et al.
# 2022, table 3), 52 % of an A100 (TinyLlama: Zhang et al. 2024), each with a compiled network; processors: 36-43 % of
# their best matrix product (docs/results.md).
ASSUMED_SHARE = 0.4
# Seconds before the first byte of a message arrives, within a node and between nodes (Rabenseifner et al. 2004's alpha;
# orders of magnitude, as nccl-tests prints them for small messages).
LATENCY_LINK, LATENCY_NETWORK = 5e-6, 1e-5
ETHERNET = 10e9 / 8  # bytes/s: what is assumed between machines without a network of their own


@dataclass(frozen=True)
class Device:
    """One device and what connects it to others; FLOP/s are dense peaks, bandwidths bytes/s in one direction."""

    name: str
    bf16: float
    fp32: float
    # Bytes, and how fast they are read.
    memory: float
    bandwidth: float
    # To the other devices of its node (together), how many there are with it, and its share of the node's network.
    link: float
    node: int
    network: float
    # False: bf16 is emulated, and no faster than fp32.
    native_bf16: bool = True
    # Share of the peak that training reaches, and where that is from.
    share: float = ASSUMED_SHARE
    share_from: str = "assumed"

    def peak(self, precision: str) -> float:
        """FLOP/s in this precision."""
        return self.bf16 if precision == "bf16" and self.native_bf16 else self.fp32

    def speed(self, precision: str) -> float:
        """FLOP/s that training is expected to do."""
        return self.share * self.peak(precision)

    def precision(self, wanted: str) -> str:
        """fp32 or bf16; `auto` is bf16 where it is native."""
        return ("bf16" if self.native_bf16 else "fp32") if wanted == "auto" else wanted


def _peaks(name: str) -> tuple[float, float]:
    """(bf16, fp32) of the table that every share of peak is measured against."""
    return next((bf16, fp32) for known, bf16, fp32 in GPU_PEAKS if known == name)


# Memory, memory bandwidth, link (half of the two-way figure) and size of the node from the makers' data sheets (NVIDIA
# A100 80GB SXM, H100 SXM5, H200 SXM, DGX B200, L4, T4, Ada whitepaper; AMD Instinct MI300X). Network of data-centre
# nodes: one adapter a device (DGX A100 200 Gbit/s, DGX H100 / B200 400). The others: PCIe, and one adapter of 100
# Gbit/s for the node, an assumption. GeForce cards have no peer-to-peer copies: half of PCIe.
DEVICES = {
    "t4": Device("T4", *_peaks("T4"), 16 * GB, 320e9, 16e9, 4, 12.5e9 / 4, native_bf16=False),
    "l4": Device("L4", *_peaks("L4"), 24 * GB, 300e9, 32e9, 8, 12.5e9 / 8),
    "rtx4090": Device("RTX 4090", *_peaks("RTX 4090"), 24 * GB, 1008e9, 16e9, 8, 12.5e9 / 8),
    "a100": Device("A100 80 GB", *_peaks("A100"), 80 * GB, 2039e9, 300e9, 8, 25e9),
    "h100": Device("H100 SXM", *_peaks("H100"), 80 * GB, 3350e9, 450e9, 8, 50e9),
    "h200": Device("H200 SXM", *_peaks("H200"), 141 * GB, 4800e9, 450e9, 8, 50e9),
    "b200": Device("B200", *_peaks("B200"), 180 * GB, 8000e9, 900e9, 8, 50e9),
    "mi300x": Device("MI300X", *_peaks("MI300X"), 192 * GB, 5300e9, 448e9, 8, 50e9),
}


def device_named(name: str, place: Place) -> Device:
    """A device of the table; `this` is the one on which the stages run here, as the hardware config says."""
    if name == THIS:
        return this_device(place)
    if name not in DEVICES:
        raise UserError(f"no device `{name}`; {suggest(name, [THIS, *DEVICES])}")
    return DEVICES[name]


def this_device(place: Place) -> Device:
    """A GPU by its data sheet; a machine of processors counts as one device, its peak and its memory measured."""
    if place.device == "cuda":
        name = torch.cuda.get_device_name()
        memory = torch.cuda.get_device_properties(0).total_memory
        known = next((one for one in DEVICES.values() if is_a(_model(one), name)), None)
        bf16, fp32 = peak_flops("cuda", "bf16"), peak_flops("cuda", "fp32")
        return replace(known or DEVICES["l4"], name=name, memory=memory, bf16=bf16, fp32=fp32)
    torch.set_num_threads(place.threads)
    peak = peak_flops(place.device, place.precision)
    name = f"{processor_name()}, {place.threads} thread{'s' if place.threads > 1 else ''}"
    memory = psutil.virtual_memory().total
    return Device(name, peak, peak, memory, copy_bandwidth(), ETHERNET, 1, ETHERNET)


def _model(device: Device) -> str:
    """What torch's name of such a device holds: without size and form."""
    return re.sub(r" (SXM|\d+ GB)$", "", device.name)


@cache
def copy_bandwidth() -> float:
    """Bytes/s that this machine's processors read and write: the best copy of a block larger than their caches."""
    block, best = torch.ones(64 * 2**20 // 4), float("inf")
    target = block.clone()
    for _ in range(5):
        started = perf_counter()
        target.copy_(block)
        best = min(best, perf_counter() - started)
    return 2 * block.nbytes / best
