"""Seconds that devices spend on each other: rings within a node, and rings between nodes.

A ring of n sends each byte of an all-reduce 2 (n - 1) / n times, of an all-gather or a reduce-scatter (n - 1) / n times
(Patarasuk & Yuan 2009), and each of its rounds waits for one latency. Between nodes each device talks to its own
counterparts, with its own part of the data: reduce-scatter within the node, all-reduce between nodes, all-gather within
(Mikami et al. 2018, the two-dimensional ring; NCCL reaches the same with a ring an adapter).
"""

from pipeline.planning.devices import LATENCY_LINK, LATENCY_NETWORK, Device

BUCKET = 25 * 2**20  # bytes: what DDP sends at once, and so what no backward pass can hide (Li et al. 2020)


def all_reduce(size: float, devices: int, device: Device) -> float:
    """Seconds until all devices have the sum of their `size` bytes each."""
    inner = min(devices, device.node)
    nodes = -(-devices // device.node)
    within = 2 * _half_ring(size, inner, device.link, LATENCY_LINK)
    return within + 2 * _half_ring(size / inner, nodes, device.network, LATENCY_NETWORK)


def all_gather(size: float, devices: int, device: Device) -> float:
    """Seconds until all devices have all `size` bytes, of which each began with its part; a reduce-scatter alike."""
    return all_reduce(size, devices, device) / 2


def _half_ring(size: float, members: int, bandwidth: float, latency: float) -> float:
    return (members - 1) / members * size / bandwidth + (members - 1) * latency
